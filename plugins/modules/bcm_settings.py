#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bcm_settings
short_description: Set properties of an object in NVIDIA Base Command Manager
version_added: 0.1.0
description:
  - Brings properties of one BCM object to wanted values, through cmsh on the head node.
  - Reads them with one call, compares by meaning (V(yes), V(true), V(1) and V(on) are the same, as are lists in another
    order), and sets and commits only what differs, with one more call. Nothing is committed where nothing differs,
    since a commit of a category makes BCM look after the services of all its nodes.
  - Afterwards the values are read again in a new process. A commit that BCM refuses leaves the object as it was, and is
    reported in BCM's own words.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
  - superpod.monitoring.attributes.bcm
  - superpod.monitoring.cmsh
options:
  path:
    description:
      - Where the object is, by the words that lead to it in cmsh. Modes and objects take turns.
    type: list
    elements: str
    required: true
  settings:
    description:
      - Properties by the names that cmsh uses, with the values that they shall have.
      - A list is a set of words and replaces the whole list in BCM.
      - A string with a line end is a text, such as an exclude list. It is loaded from a file. That cmsh read the file
        is looked at before anything is committed.
      - An empty string or list clears the property.
      - Put a version such as C("24.10") in quotes, or YAML makes it a number.
    type: dict
    default: {}
  blocks:
    description:
      - Lines to have in a text property, such as an exclude list, in a marked block of their own. What others wrote
        there stays as it is.
      - An empty list removes the block.
    type: dict
    default: {}
  marker:
    description:
      - The name in the two comment lines around the lines of O(blocks).
    type: str
    default: superpod.monitoring
  expected:
    description:
      - For a property of O(settings), the values that may be replaced. Any other value but the wanted one was set by
        somebody else, and O(on_unexpected) says what happens.
      - A property that is not listed here is set whatever its value is.
    type: dict
    default: {}
  on_unexpected:
    description:
      - V(fail) changes nothing at all and names the value that is there.
      - V(keep) leaves that property as it is, sets the others, and returns it in RV(kept), so that the next task can
        wrap it and then name it in O(expected).
    type: str
    choices: [fail, keep]
    default: fail
  cmd_conf:
    description:
      - The configuration of CMDaemon. It is only looked at for settings of a workload manager (O(path) begins with
        C(wlm)), to warn where C(FreezeChangesToSlurmConfig) or C(FrozenFile) keep them from reaching Slurm's files.
    type: path
    default: /cm/local/apps/cmd/etc/cmd.conf
notes:
  - Values are shown in results and differences. Use C(no_log) for a task that sets a secret.
"""

EXAMPLES = r"""
- name: Let Slurm confine jobs, so that their use can be counted
  superpod.monitoring.bcm_settings:
    path: [wlm, slurm, cgroups]
    settings:
      constraincores: true
      constrainramspace: true

- name: Store a summary at the end of each job, if nobody else uses this hook
  superpod.monitoring.bcm_settings:
    path: [wlm, slurm]
    settings:
      epilogslurmctld: /usr/local/sbin/slurmctldepilog.sh
    expected:
      epilogslurmctld: [""]
    on_unexpected: keep
  register: hook

- name: Somebody else does, so call theirs and then ours
  when: hook.kept | length > 0
  block:
    - name: Write the script that calls both
      ansible.builtin.copy:
        dest: /usr/local/sbin/slurmctldepilog-both.sh
        mode: "0755"
        content: |
          #!/bin/sh
          {{ hook.kept.epilogslurmctld }} "$@"
          exec /usr/local/sbin/slurmctldepilog.sh "$@"

    - name: Replace exactly what was there
      superpod.monitoring.bcm_settings:
        path: [wlm, slurm]
        settings:
          epilogslurmctld: /usr/local/sbin/slurmctldepilog-both.sh
        expected:
          epilogslurmctld: ["{{ hook.kept.epilogslurmctld }}"]

- name: Keep the role monitor's key out of images that are grabbed from a node
  superpod.monitoring.bcm_settings:
    path: [category, dgx-h200]
    blocks:
      excludelistgrab: ["- /etc/bcm-role-monitor/*"]
      excludelistgrabnew: ["- /etc/bcm-role-monitor/*"]
"""

RETURN = r"""
path:
  description: Where the object is.
  returned: success
  type: list
  elements: str
  sample: [wlm, slurm]
before:
  description: What BCM had for each property that was asked about, as cmsh shows it.
  returned: success
  type: dict
  sample:
    constraincores: "no"
after:
  description: What BCM has now, or in check mode would have.
  returned: success
  type: dict
  sample:
    constraincores: "yes"
differing:
  description: The properties that were changed, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [constraincores]
kept:
  description: Properties with somebody else's value, left as they are by O(on_unexpected=keep), and that value.
  returned: success
  type: dict
  sample:
    epilogslurmctld: /opt/site/epilog.sh
frozen:
  description: What in C(cmd.conf) keeps BCM from writing Slurm's files.
  returned: success
  type: list
  elements: str
  sample: ["FreezeChangesToSlurmConfig = true"]
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
        - Of the options; V(bad_path), V(bad_property), V(bad_value), V(bad_option), V(bad_block), V(unsafe).
        - Of BCM; V(not_found), V(unexpected), V(refused), V(half_written), V(text_not_loaded), V(timeout), V(failed).
        - Of the host, if it has no cmsh; V(no_cmsh).
      type: str
    details:
      description: What belongs to it, for example BCM's own words (C(bcm)) or the values found (C(current)).
      type: dict
"""

import os
import tempfile
import typing as t
from collections.abc import Mapping

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils.cmd_conf import frozen_slurm
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh import Cmsh
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh_settings import read, write
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh_settings_values import (
    Difference,
    Value,
    before_and_after,
    check_property,
    check_value,
    differences,
    is_text,
    lines_of,
    same,
    with_block,
    without_inheritance,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing


class Request(t.NamedTuple):
    """The options, checked."""

    path: list[str]
    settings: dict[str, Value]
    blocks: dict[str, list[str]]
    marker: str
    expected: dict[str, list[Value]]
    keep: bool

    @property
    def properties(self) -> list[str]:
        """What has to be read."""
        return [*self.settings, *self.blocks]


class Decision(t.NamedTuple):
    """What is to be written, what is left to somebody else, and each property before and after, as cmsh shows it."""

    changes: list[Difference]
    kept: dict[str, str]
    before: dict[str, str]
    after: dict[str, str]


def check(params: Mapping[str, t.Any]) -> Request:
    """Return the options in the form that `decide` wants; raises Failure and CmshError, before cmsh is run."""
    settings = {check_property(name): check_value(name, value) for name, value in params["settings"].items()}
    blocks = {}
    for name, lines in params["blocks"].items():
        if not isinstance(lines, list) or not all(
            isinstance(line, str) and line.splitlines() == [line] for line in lines
        ):
            raise Failure(f"the block for {name} is not a list of lines; give each line as a string", "bad_value")
        blocks[check_property(name)] = lines
    if not settings and not blocks:
        raise Failure("there is nothing to set; give settings or blocks", "bad_option")
    both = sorted(set(settings) & set(blocks))
    if both:
        raise Failure(f"{', '.join(both)} is in settings and in blocks; a property goes into one of them", "bad_option")
    expected = {}
    for name, values in params["expected"].items():
        if name not in settings:
            raise Failure(f"{name} is in expected but not in settings; give the value that it shall have", "bad_option")
        listed = values if isinstance(values, list) else [values]
        expected[name] = [check_value(name, value) for value in listed]
    if params["marker"].splitlines() != [params["marker"]]:
        raise Failure("marker is not one line of text", "bad_option")
    return Request(params["path"], settings, blocks, params["marker"], expected, params["on_unexpected"] == "keep")


def decide(request: Request, current: Mapping[str, str]) -> Decision:
    """Compare; raises Failure if somebody else's value is in the way and is not to be kept."""
    wanted: dict[str, Value] = dict(request.settings)
    for name, lines in request.blocks.items():
        wanted[name] = with_block(current[name], lines, request.marker)
    found = differences(current, wanted)
    unexpected = {
        change.name: without_inheritance(change.current)
        for change in found
        if change.name in request.expected
        and not any(same(change.current, value) for value in request.expected[change.name])
    }
    if unexpected and not request.keep:
        said = ", ".join(f"{name} is {value!r}" for name, value in unexpected.items())
        raise Failure(
            f"somebody else has set {' '.join(request.path)}: {said}; nothing was changed; wrap that value, or name it "
            "in expected to replace it",
            "unexpected",
            current=unexpected,
        )
    shown = {name: before_and_after(current[name], value) for name, value in wanted.items()}
    return Decision(
        [change for change in found if change.name not in unexpected],
        unexpected,
        {name: pair[0] for name, pair in shown.items()},
        {name: pair[0 if name in unexpected else 1] for name, pair in shown.items()},
    )


def apply(cmsh: Cmsh, path: list[str], changes: list[Difference], directory: str) -> None:
    """Write the changes; texts go through files in `directory`, which only root can read."""
    files = {}
    for change in changes:
        if is_text(change.wanted):
            files[change.name] = os.path.join(directory, f"{change.name}.txt")
            with open(files[change.name], "w", encoding="utf-8") as file:
                file.write(str(change.wanted))
    write(cmsh, path, changes, files)


def frozen(path: list[str], cmd_conf: str) -> list[str]:
    """Return what keeps settings of a workload manager from its files; nothing if cmd.conf is not there."""
    if path[:1] != ["wlm"]:
        return []
    try:
        with open(cmd_conf, encoding="utf-8", errors="replace") as file:
            return frozen_slurm(file.read())
    except OSError:
        return []


def as_text(values: Mapping[str, str]) -> str:
    """Return the values for the diff, a line each; the lines of a text below its name."""
    result = []
    for name, value in values.items():
        lines = lines_of(value)
        if len(lines) > 1:
            result += [f"{name}:", *[f"  {line}" for line in lines]]
        else:
            result.append(f"{name}: {value.strip()}".rstrip())
    return "".join(f"{line}\n" for line in result)


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Do the work; return the module's result."""
    request = check(module.params)
    cmsh = Cmsh(module.params["cmsh"], timeout=module.params["cmsh_timeout"])
    decision = decide(request, read(cmsh, request.path, request.properties))
    if decision.changes and not module.check_mode:
        # not module.tmpdir, which warns where nobody has run a module before
        with tempfile.TemporaryDirectory(prefix="bcm_settings.") as directory:
            apply(cmsh, request.path, decision.changes, directory)
    return {
        "changed": bool(decision.changes),
        "path": request.path,
        "before": decision.before,
        "after": decision.after,
        "differing": [change.name for change in decision.changes],
        "kept": decision.kept,
        "diff": {
            "before_header": " ".join(request.path),
            "after_header": " ".join(request.path),
            "before": as_text(decision.before),
            "after": as_text(decision.after),
        },
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "list", "elements": "str", "required": True},
            "settings": {"type": "dict", "default": {}},
            "blocks": {"type": "dict", "default": {}},
            "marker": {"type": "str", "default": "superpod.monitoring"},
            "expected": {"type": "dict", "default": {}},
            "on_unexpected": {"type": "str", "choices": ["fail", "keep"], "default": "fail"},
            "cmd_conf": {"type": "path", "default": "/cm/local/apps/cmd/etc/cmd.conf"},
            "cmsh": {"type": "path"},
            "cmsh_timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    with failing(module):
        result = run(module)
    found = frozen(result["path"], module.params["cmd_conf"])
    for directive in found:
        module.warn(
            f"CMDaemon does not write Slurm's files because of {directive!r} in {module.params['cmd_conf']}: settings "
            f"of {' '.join(result['path'])} do not reach Slurm until that is removed"
        )
    module.exit_json(frozen=found, **result)


if __name__ == "__main__":
    main()
