#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_conf
short_description: Set lines of slurm.conf where Base Command Manager does not write it
version_added: 1.0.0
description:
  - Puts settings into a marked block at the end of C(slurm.conf). A line that they replace stays where it is, as a
    marked comment, so that O(state=absent) gives back exactly what was there.
  - What is right already is not asked for. The section that Base Command Manager (BCM) writes is never touched; a
    setting with another value there is refused, since M(superpod.monitoring.bcm_settings) is the way to change it.
  - Before the file is replaced, Slurm's own parser reads the new one (C(scontrol show hostnames) with C(SLURM_CONF) set
    to it). That finds unknown names, bad values and bad lines, and needs no running daemon. It does not find what
    slurmctld alone looks at, such as whether a program exists.
  - Does not tell slurmctld. Run C(scontrol reconfigure) when the result is changed.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
attributes:
  check_mode:
    details:
      - Leaves out the parser where Slurm is not installed yet.
options:
  path:
    description: The file.
    type: path
    default: /etc/slurm/slurm.conf
  settings:
    description:
      - Names and values. Names are compared without regard to case, and so are values.
      - Not needed with O(state=absent).
    type: dict
    default: {}
  replaceable:
    description:
      - For names of O(settings), the values that may be replaced; an empty string is a setting that is not there. Any
        other value is left as it is and returned in RV(kept).
      - A name that is not listed here is set whatever its value is.
    type: dict
    default: {}
  state:
    description: V(absent) takes the block away and gives back the lines that it replaced.
    type: str
    choices: [present, absent]
    default: present
  search:
    description: Directories in which C(scontrol) is looked for, before those of E(PATH).
    type: list
    elements: path
    default: []
seealso:
  - module: superpod.monitoring.bcm_settings
"""

EXAMPLES = r"""
- name: Let slurmctld call our program at the end of each job
  superpod.monitoring.slurm_conf:
    settings:
      EpilogSlurmctld: /usr/local/sbin/epilogslurmctld-slurm.sh
  register: slurm_conf

- name: Tell it
  ansible.builtin.command: scontrol reconfigure
  changed_when: true
  when: slurm_conf is changed
"""

RETURN = r"""
before:
  description: The value of each setting without our lines; empty where it is not set.
  returned: O(state=present)
  type: dict
  sample: {EpilogSlurmctld: /opt/site/epilog.sh}
after:
  description: The value of each setting now, or in check mode then.
  returned: O(state=present)
  type: dict
  sample: {EpilogSlurmctld: /usr/local/sbin/epilogslurmctld-slurm.sh}
kept:
  description: Settings left as they are because O(replaceable) does not list their value.
  returned: success
  type: dict
  sample: {SelectTypeParameters: CR_Socket_Memory}
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
        - Of the options; V(bad_setting), V(bad_option).
        - Of the file; V(no_file), V(generated), V(shared), V(twice), V(included), V(damaged), V(changed_meanwhile).
        - Of Slurm; V(refused), V(not_installed). Of the host; V(io).
      type: str
    details:
      description: What belongs to it.
      type: dict
"""

import os
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing
from ansible_collections.superpod.monitoring.plugins.module_utils.slurm_conf import (
    Result,
    includes,
    restored,
    sets,
    with_settings,
)

SECONDS = "20"


def read(path: str) -> str:
    """The file's text; raises Failure where there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        raise Failure(
            f"There is no {path} on this host; name the file that slurmctld reads, or install Slurm first", "no_file"
        ) from None


def refuse_included(path: str, text: str, names: t.Iterable[str]) -> None:
    """Raise Failure where a file that slurm.conf includes sets one of the names."""
    for included in includes(text):
        other = os.path.join(os.path.dirname(path), included)
        try:
            with open(other, encoding="utf-8", errors="replace") as file:
                other_text = file.read()
        except OSError as error:
            raise Failure(f"{path} includes {included}, which cannot be read: {error.strerror}", "included") from None
        for name in names:
            if sets(other_text, name):
                raise Failure(f"{name} is set in {other}; move that line to {path}, which includes it", "included")


def parsed_by_slurm(module: AnsibleModule, candidate: str) -> None:
    """Raise Failure unless Slurm's own parser takes the file; it must lie beside those that belong to slurm.conf."""
    program = module.get_bin_path("scontrol", opt_dirs=module.params["search"])
    if program is None:
        if module.check_mode:
            return
        raise Failure(
            "scontrol is not installed on this host, so the new slurm.conf cannot be checked", "not_installed"
        )
    # "show hostnames" asks no daemon, but reads the whole configuration first
    status, out, err = module.run_command(
        ["timeout", "-k", "1", SECONDS, program, "show", "hostnames", "localhost"],
        environ_update={"SLURM_CONF": candidate},
    )
    if status != 0:
        said = " ".join((err.strip() or out.strip()).replace("scontrol: ", "").split()) or f"status {status}"
        raise Failure(f"{module.params['path']} is left as it was: Slurm refuses the new one: {said}", "refused")


def replace(module: AnsibleModule, path: str, before: str, text: str) -> None:
    """Have the text checked and put it in the place of `before`, with the old file's owner and permissions."""
    # in check mode too, where Slurm reads the lines that it would get; the name is hidden and goes at once
    descriptor, candidate = tempfile.mkstemp(prefix=".slurm.conf.", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
        parsed_by_slurm(module, candidate)
        if not module.check_mode:
            # BCM writes its section whenever it likes, and the check takes a while
            if read(path) != before:
                raise Failure(
                    f"{path} was changed by somebody else just now and is left alone; run this again",
                    "changed_meanwhile",
                )
            module.atomic_move(candidate, path)
    finally:
        if os.path.exists(candidate):
            os.unlink(candidate)


def decide(params: t.Mapping[str, t.Any], path: str, text: str) -> Result:
    """What the file should be; raises Failure."""
    settings = {name: str(value) for name, value in params["settings"].items()}
    unknown = sorted(set(params["replaceable"]) - set(settings))
    if unknown:
        raise Failure(f"{', '.join(unknown)} is in replaceable but not in settings; give its value there", "bad_option")
    replaceable = {
        name: [str(value) for value in (values if isinstance(values, list) else [values])]
        for name, values in params["replaceable"].items()
    }
    if params["state"] == "absent":
        return Result(restored(text), {}, {}, {})
    refuse_included(path, text, settings)
    return with_settings(text, settings, replaceable)


def shown(text: str) -> str:
    """The text without bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Do it, or in check mode find out what would be done."""
    path = os.path.realpath(module.params["path"])
    text = read(path)
    result = decide(module.params, path, text)
    if result.text != text:
        replace(module, path, text, result.text)
    return {
        "changed": result.text != text,
        "before": result.before,
        "after": result.after,
        "kept": result.kept,
        "diff": {"before_header": path, "after_header": path, "before": shown(text), "after": shown(result.text)},
    }


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/slurm/slurm.conf"},
            "settings": {"type": "dict", "default": {}},
            "replaceable": {"type": "dict", "default": {}},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "search": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    with failing(module):
        result = run(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
