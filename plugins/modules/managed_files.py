#!/usr/bin/python
# Copyright: superpod.monitoring contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: managed_files
short_description: Keep several small files of a host as they should be, in one execution
version_added: 0.1.0
author:
  - The superpod.monitoring developers (@superpod-monitoring)
description:
  - Writes, links and removes the files that make up a service (units, configuration, a program's library) in a single
    module execution, where M(ansible.builtin.copy) takes two for each file.
  - Every new content is checked with its O(files[].validate) command before the first file is replaced, so that one
    bad file leaves all of them as they were.
  - Files are replaced atomically and never seen half-written.
extends_documentation_fragment:
  - superpod.monitoring.attributes
notes:
  - In check mode a O(files[].validate) command that is not installed yet is left out.
options:
  files:
    description:
      - What there should be, made in this order.
      - The parent directory of a file is not made unless it is listed before it, or O(files[].parents) is set.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: The absolute path.
        type: path
        required: true
      state:
        description:
          - V(file) is a regular file with exactly the O(files[].content).
          - V(directory) is a directory.
          - V(link) is a symbolic link to O(files[].target).
          - V(absent) is nothing at all; a directory goes with everything in it unless O(files[].only_empty) is set.
            What was in a file that goes is not shown, since it may have been a secret.
        type: str
        choices: [file, directory, link, absent]
        default: file
      content:
        description: The whole content. Required with O(files[].state=file).
        type: str
      target:
        description: Where the link points to. Required with O(files[].state=link).
        type: str
      mode:
        description: Permissions as an octal string. By default V(0644) for a file and V(0755) for a directory.
        type: str
      owner:
        description: Name of the owner.
        type: str
        default: root
      group:
        description: Name of the group.
        type: str
        default: root
      validate:
        description:
          - A command that must succeed before the content is put in place; V(%s) in it is the path of a file with the
            new content. It is run without a shell. Nothing is checked when it is empty.
        type: str
      parents:
        description:
          - Make the directories above O(files[].path) that are missing, with mode V(0755).
          - Those that are there, perhaps somebody else's, stay as they are.
        type: bool
        default: false
      only_empty:
        description:
          - Together with O(files[].state=absent), leaves a directory in which something else is. What entries before
            this one remove does not count, in check mode neither.
          - Anything but a directory stays.
        type: bool
        default: false
      show_content:
        description: Whether the diff shows the content. V(false) is for secrets, and for what nobody wants to read.
        type: bool
        default: true
"""

EXAMPLES = r"""
- name: Have the unit and its configuration
  superpod.monitoring.managed_files:
    files:
      - path: /etc/systemd/system/prometheus.service
        content: "{{ lookup('ansible.builtin.template', 'prometheus.service.j2') }}"
      - path: /etc/prometheus/prometheus.yml
        content: "{{ lookup('ansible.builtin.template', 'prometheus.yml.j2') }}"
        group: prometheus
        mode: "0640"
        validate: promtool check config %s

- name: Keep the package's own unit from being started
  superpod.monitoring.managed_files:
    files:
      - path: /etc/systemd/system/prometheus-node-exporter.service
        state: link
        target: /dev/null
"""

RETURN = r"""
changed_paths:
  description: The paths that were changed, or would be in check mode, in the order of O(files).
  returned: success
  type: list
  elements: str
  sample: [/etc/prometheus/prometheus.yml]
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  contains:
    message:
      description: The same sentence as in RV(ignore:msg).
      type: str
    code:
      description:
        - The kind of failure.
        - Of the options; V(bad_entry), V(no_owner).
        - Of what is there; V(conflict). Of the program that checks a file; V(not_installed), V(refused).
        - Of the host; V(io).
      type: str
    details:
      description: What belongs to it.
      type: dict
"""

import contextlib
import grp
import os
import pwd
import re
import shlex
import shutil
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils import atomic_file
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing
from ansible_collections.superpod.monitoring.plugins.module_utils.file_state import (
    describe,
    describe_wanted,
    mode_of,
)

File = dict[str, Any]


def check(files: list[File]) -> None:
    """Raise Failure unless every entry makes sense by itself."""
    for wanted in files:
        path, state = wanted["path"], wanted["state"]
        if not path.startswith("/") or os.path.normpath(path) == "/":
            raise Failure(f"path '{path}' must be absolute and below /.", "bad_entry")
        for key, needed_by in (("content", "file"), ("target", "link")):
            if state == needed_by and wanted[key] is None:
                raise Failure(f"{path}: state '{state}' needs '{key}'.", "bad_entry")
        if wanted["mode"] is not None and not re.fullmatch(r"[0-7]{3,4}", wanted["mode"]):
            raise Failure(f"{path}: mode '{wanted['mode']}' must be an octal string such as \"0644\".", "bad_entry")
        if wanted["validate"] and "%s" not in wanted["validate"]:
            raise Failure(f"{path}: validate must contain %s, which stands for the file to check.", "bad_entry")


def refuse_conflict(path: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Raise Failure where the change would destroy something that this module did not make."""
    there, wanted = before["state"], after["state"]
    if there in ("directory", "special") and wanted not in (there, "absent"):
        raise Failure(
            f"{path} is a {'directory' if there == 'directory' else 'special file'}; move it out of the way.",
            "conflict",
        )
    if wanted == "directory" and there not in ("absent", "directory"):
        raise Failure(f"{path} is a {there}, where a directory is needed; move it out of the way.", "conflict")
    if wanted == "link" and there == "file":
        raise Failure(
            f"{path} is a regular file, where a link to {after['target']} is needed; move it out of the way.",
            "conflict",
        )


def diff_of(wanted: File, before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, str]]:
    """Ansible's diff entries for one path: the content, then everything else."""
    path = wanted["path"]
    entries = []
    if after["state"] == "absent":
        there = {"before": f"{before['state']}\n", "after": "absent\n"}
        return [{"before_header": path, "after_header": path, **there}]
    contents = before.get("content"), after.get("content")
    if contents[0] != contents[1]:
        shown = [text(content) for content in contents] if wanted["show_content"] else ["", "(new content)\n"]
        entries.append({"before_header": path, "after_header": path, "before": shown[0], "after": shown[1]})
        if before["state"] == "absent":
            entries[0]["after_header"] += f" ({after['mode']} {after['owner']}:{after['group']})"
            return entries
    rest = [{key: value for key, value in side.items() if key != "content"} for side in (before, after)]
    if rest[0] != rest[1]:
        before_rest, after_rest = ("".join(f"{key}: {value}\n" for key, value in side.items()) for side in rest)
        header = f"{path} (attributes)"
        entries.append({"before_header": header, "after_header": header, "before": before_rest, "after": after_rest})
    return entries


def text(content: bytes | None) -> str:
    """Content as it can be shown."""
    if content is None:
        return ""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"({len(content)} bytes that are not text)\n"


def validate(module: AnsibleModule, wanted: File) -> None:
    """Raise Failure unless the entry's command accepts the new content."""
    command = shlex.split(wanted["validate"])
    if module.get_bin_path(command[0]) is None:
        if module.check_mode:
            return
        raise Failure(
            f"{wanted['path']} cannot be checked: {command[0]} is not installed on this host.", "not_installed"
        )
    with tempfile.NamedTemporaryFile(prefix=f"{os.path.basename(wanted['path'])}.") as stream:
        stream.write(wanted["content"].encode())
        stream.flush()
        status, out, err = module.run_command([part.replace("%s", stream.name) for part in command])
    if status != 0:
        said = " ".join((err.strip() or out.strip()).split()) or "nothing"
        raise Failure(
            f"{wanted['path']} is left as it was: '{wanted['validate']}' ended with {status} and said: {said}",
            "refused",
        )


def ids_of(wanted: File) -> tuple[int, int]:
    """Numbers of the wanted owner and group."""
    try:
        user = pwd.getpwnam(wanted["owner"]).pw_uid
    except KeyError:
        raise Failure(f"{wanted['path']}: there is no user '{wanted['owner']}' on this host.", "no_owner") from None
    try:
        return user, grp.getgrnam(wanted["group"]).gr_gid
    except KeyError:
        raise Failure(f"{wanted['path']}: there is no group '{wanted['group']}' on this host.", "no_owner") from None


def apply(wanted: File, before: dict[str, Any], owner: tuple[int, int]) -> None:
    """Make one entry true; the state before is not a conflict."""
    path, state = wanted["path"], wanted["state"]
    if wanted["parents"] and state != "absent":
        atomic_file.make_directories(os.path.dirname(path))
    if state == "absent":
        if wanted["only_empty"]:
            with contextlib.suppress(OSError):  # another host was faster, or has put something there
                os.rmdir(path)
        elif before["state"] == "directory":
            shutil.rmtree(path)
        else:
            atomic_file.remove(path)  # it may have gone with a directory before it
    elif state == "link":
        atomic_file.replace_link(path, wanted["target"])
    else:
        if state == "directory":
            atomic_file.make_directories(path)
        else:
            atomic_file.write_if_changed(path, wanted["content"].encode(), mode_of(wanted))
        permit(path, owner, mode_of(wanted))


def permit(path: str, owner: tuple[int, int], mode: int) -> None:
    """Give the file or directory to its owner.

    Never what a link leads to: a service whose directory this is could have put one there just now.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if (status.st_uid, status.st_gid) != owner:
            os.fchown(descriptor, *owner)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def stays(wanted: File, before: dict[str, Any], gone: set[str]) -> bool:
    """Whether the entry is only to remove an empty directory, and there is none once the paths in `gone` are gone."""
    if wanted["state"] != "absent" or not wanted["only_empty"]:
        return False
    path = wanted["path"]
    return before["state"] != "directory" or any(os.path.join(path, name) not in gone for name in os.listdir(path))


def run(module: AnsibleModule) -> dict[str, Any]:
    """Do it, or in check mode find out what would be done."""
    files: list[File] = module.params["files"]
    check(files)
    changes = []
    gone: set[str] = set()
    for wanted in files:
        before, after = describe(wanted["path"]), describe_wanted(wanted)
        if before != after and not stays(wanted, before, gone):
            refuse_conflict(wanted["path"], before, after)
            if wanted["validate"] and after["state"] == "file" and before.get("content") != after.get("content"):
                validate(module, wanted)
            changes.append((wanted, before, after))
            if after["state"] == "absent":
                gone.add(wanted["path"])
    if not module.check_mode:
        owners = [
            (0, 0) if after["state"] in ("absent", "link") else ids_of(wanted) for wanted, _before, after in changes
        ]
        for (wanted, before, _after), owner in zip(changes, owners):
            apply(wanted, before, owner)
    return {
        "changed": bool(changes),
        "changed_paths": [wanted["path"] for wanted, _before, _after in changes],
        "diff": [entry for wanted, before, after in changes for entry in diff_of(wanted, before, after)],
        "invocation": {"module_args": {"files": [wanted["path"] for wanted in files]}},
    }


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                # Keeps contents out of the host's system log; what no_log would hide of the result is decided below.
                "no_log": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "state": {"type": "str", "choices": ["file", "directory", "link", "absent"], "default": "file"},
                    "content": {"type": "str"},
                    "target": {"type": "str"},
                    "mode": {"type": "str"},
                    "owner": {"type": "str", "default": "root"},
                    "group": {"type": "str", "default": "root"},
                    "validate": {"type": "str"},
                    "parents": {"type": "bool", "default": False},
                    "only_empty": {"type": "bool", "default": False},
                    "show_content": {"type": "bool", "default": True},
                },
            }
        },
        supports_check_mode=True,
    )
    contents = [
        wanted["content"] for wanted in module.params["files"] if wanted["content"] and not wanted["show_content"]
    ]
    module.no_log_values.clear()
    module.no_log_values.update(contents)
    with failing(module):
        result = run(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
