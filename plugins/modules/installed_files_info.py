#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: installed_files_info
short_description: What this collection's roles have put on a host, or into a software image
version_added: 1.0.0
description:
  - Looks for every path that the roles create, and returns those that are there, with what each means for a software
    image.
  - Changes nothing. What lies on shared storage is not looked at, and neither is what Python compiles by itself.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
attributes:
  diff_mode:
    description: Nothing is changed.
    support: none
options:
  root:
    description:
      - The directory that is the root of what is looked at, such as C(/cm/images/dgx-image).
      - Symbolic links below it are followed as they would be inside of it.
    type: path
    default: /
  roles:
    description: Only what these roles create. The default is all roles.
    type: list
    elements: str
  places:
    description:
      - Directories that the site has moved, by the names C(targets_dir), C(textfile_dir), C(certificate_dir),
        C(job_hooks_shared_dir), C(prolog_dir), C(epilog_dir), C(prometheus_data_dir), C(grafana_files_dir) and
        C(bcm_record_dir).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: See what is in a software image
  superpod.monitoring.installed_files_info:
    root: /cm/images/dgx-image
  register: image
"""

RETURN = r"""
root:
  description: The directory that was looked at.
  returned: success
  type: str
  sample: /cm/images/dgx-image
files:
  description: What is there, by its path.
  returned: success
  type: list
  elements: dict
  sample:
    - path: /etc/bcm-role-monitor/client.key
      role: role_monitor
      class: secret
      type: file
      content: ""
  contains:
    path:
      description: The path as it is inside of O(root).
      type: str
    role:
      description: The role that creates it.
      type: str
    class:
      description: >-
        V(image_safe) belongs into an image, V(per_node) is one host's own, V(secret) is a key or password, or what
        works only with one.
      type: str
    type:
      description: V(file), V(directory), V(link) or V(other).
      type: str
    content:
      description: >-
        The SHA-256 of a file, the target of a link. Empty for all else, for secrets, and for files in a directory that
        a service fills, such as Prometheus' data.
      type: str
failure:
  description: Why the module failed.
  returned: failure
  type: dict
  contains:
    message:
      description: The same sentence as in RV(ignore:msg).
      type: str
    code:
      description: The kind of failure; V(bad_option) or V(io).
      type: str
    details:
      description: What belongs to it.
      type: dict
"""

import hashlib
import os
import stat
import typing as t
from collections.abc import Iterator

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing
from ansible_collections.superpod.monitoring.plugins.module_utils.installed_files import (
    DEFAULT_PLACES,
    INSTALLED_FILES,
    PER_NODE,
    SECRET,
    SHARED,
    classify,
    matcher,
)

_MOST_LINKS = 40


def resolve(root: str, path: str) -> str:
    """Where `path` inside of `root` is on this host; links are followed as inside, but for the last part."""
    parts = [part for part in path.split("/") if part]
    done: list[str] = []
    links = 0
    while parts:
        part = parts.pop(0)
        if part == ".":
            continue
        if part == "..":
            done = done[:-1]
            continue
        place = os.path.join(root, *done, part)
        if parts and os.path.islink(place):
            links += 1
            if links > _MOST_LINKS:
                raise Failure(f"{path} in {root} has links that go in a circle; mend them", "io", path=path)
            target = os.readlink(place)
            parts = [*(piece for piece in target.split("/") if piece), *parts]
            if target.startswith("/"):
                done = []
            continue
        done.append(part)
    return os.path.join(root, *done)


def matching(root: str, pattern: str) -> Iterator[str]:
    """The paths inside of `root` that the pattern of a line matches."""
    below = pattern.endswith("/**")
    fixed, star, _rest = (pattern[: -len("/**")] if below else pattern).partition("*")
    if not star:
        yield from _everything(root, fixed) if below else _one(root, fixed)
        return
    # what comes before the first part with a star
    directory = fixed.rpartition("/")[0]
    expression = matcher(pattern)
    depth = pattern.count("/") - directory.count("/")
    for path in _everything(root, directory, None if below else depth):
        if expression.fullmatch(path):
            yield path


def _one(root: str, path: str) -> Iterator[str]:
    if os.path.lexists(resolve(root, path)):
        yield path


def _everything(root: str, directory: str, depth: int | None = None) -> Iterator[str]:
    """All that is below a directory, at most `depth` parts deep; links are not followed there."""
    try:
        entries = sorted(os.scandir(resolve(root, f"{directory}/.")), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name == "__pycache__":
            continue
        path = f"{directory}/{entry.name}"
        yield path
        if entry.is_dir(follow_symlinks=False) and (depth is None or depth > 1):
            yield from _everything(root, path, None if depth is None else depth - 1)


def content_of(place: str, mode: int) -> tuple[str, str]:
    """(type, content) as the module returns them."""
    if stat.S_ISLNK(mode):
        return "link", os.readlink(place)
    if stat.S_ISDIR(mode):
        return "directory", ""
    if not stat.S_ISREG(mode):
        return "other", ""
    digest = hashlib.sha256()
    with open(place, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return "file", digest.hexdigest()


def look(root: str, roles: list[str] | None, places: dict[str, str]) -> list[dict[str, t.Any]]:
    """What there is, sorted by path; raises Failure and OSError."""
    unknown = sorted(set(places) - set(DEFAULT_PLACES))
    if unknown:
        raise Failure(f"places has {', '.join(unknown)}; it can have {', '.join(sorted(DEFAULT_PLACES))}", "bad_option")
    if not os.path.isdir(root):
        raise Failure(f"there is no directory {root}; give the root of a host or of a software image", "bad_option")
    found: dict[str, dict[str, t.Any]] = {}
    for line in INSTALLED_FILES:
        if line.kind == SHARED or (roles is not None and line.role not in roles):
            continue
        for path in matching(root, line.path(places)):
            if path in found:
                continue
            best = classify(path, places, roles) or line
            place = resolve(root, path)
            try:
                mode = os.lstat(place).st_mode
                # reading terabytes of samples would take hours
                state = best.kind == PER_NODE and best.pattern.endswith("/**")
                if (state or best.kind == SECRET) and stat.S_ISREG(mode):
                    kind, content = "file", ""
                else:
                    kind, content = content_of(place, mode)
            except FileNotFoundError:
                continue  # state of a running daemon, gone meanwhile
            found[path] = {"path": path, "role": best.role, "class": best.kind, "type": kind, "content": content}
    return [found[path] for path in sorted(found)]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/"},
            "roles": {"type": "list", "elements": "str"},
            "places": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    root = module.params["root"]
    with failing(module, root):
        files = look(root, module.params["roles"], module.params["places"])
    module.exit_json(changed=False, root=root, files=files)


if __name__ == "__main__":
    main()
