#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_sd_target
short_description: Manage one target file of Prometheus' file-based service discovery
version_added: 0.1.0
description:
  - Writes or removes one file that Prometheus reads through C(file_sd_configs).
  - What Prometheus would refuse is refused before anything is written, since Prometheus drops a whole file for one
    wrong group, and C(promtool check config) does not look into these files.
  - The file is written beside its place, synced and renamed, so that Prometheus never reads half of it, on NFS too. The
    same groups in any order give the same bytes, and an unchanged file is left alone. Its mode is C(0644).
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
options:
  path:
    description:
      - The target file. Its name ends in C(.json), as Prometheus wants it, and its directory exists.
    type: path
    required: true
  state:
    description:
      - Whether the file is there.
      - With V(absent) a file that is no target file is not removed; the module fails.
    type: str
    choices: [present, absent]
    default: present
  groups:
    description:
      - What the file lists. Required if O(state=present).
    type: list
    elements: dict
    suboptions:
      targets:
        description:
          - The addresses to scrape, each as C(host:port).
        type: list
        elements: str
        required: true
      labels:
        description:
          - Labels of all series that come from these targets.
          - Values are strings; write a number in quotes.
          - Of the names that begin with C(__) only those are accepted that change how the target is scraped
            (C(__scheme__), C(__metrics_path__), C(__scrape_interval__), C(__scrape_timeout__), C(__param_<name>)).
            Prometheus would drop any other without a word.
        type: dict
        default: {}
seealso:
  - module: superpod.monitoring.file_sd_prune
"""

EXAMPLES = r"""
- name: The exporters of the Slurm controller
  superpod.monitoring.file_sd_target:
    path: /cm/shared/apps/jobstats/prometheus-targets/slurm-ctl-01.json
    groups:
      - targets: ["slurm-ctl-01:9100"]
        labels:
          job: node_exporter
          cluster: slurm
          hostname: slurm-ctl-01

- name: A host that is gone
  superpod.monitoring.file_sd_target:
    path: /cm/shared/apps/jobstats/prometheus-targets/dgx-07.json
    state: absent
"""

RETURN = r"""
path:
  description: The target file.
  returned: success
  type: str
  sample: /cm/shared/apps/jobstats/prometheus-targets/slurm-ctl-01.json
previous:
  description:
    - What was there before.
    - V(same) is a file with these bytes and mode C(0644), V(different) another target file, V(invalid) something that
      Prometheus could not use.
  returned: success
  type: str
  sample: different
targets:
  description: The addresses that the file lists now, sorted; empty if O(state=absent).
  returned: success
  type: list
  elements: str
  sample: ["slurm-ctl-01:9100"]
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  contains:
    message:
      description: The same sentence as in RV(ignore:msg).
      type: str
    code:
      description: The kind of failure; V(bad_target), V(not_a_target_file) or V(io).
      type: str
    details:
      description: What belongs to it, for example the path.
      type: dict
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils import atomic_file
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing
from ansible_collections.superpod.monitoring.plugins.module_utils.target_document import (
    Document,
    TargetDocumentError,
    decode,
    encode,
    problems,
)

MODE = 0o644
SCRAPE_LABELS = frozenset(("__scheme__", "__metrics_path__", "__scrape_interval__", "__scrape_timeout__"))


def document(groups: list[dict[str, t.Any]]) -> Document:
    """Return the groups as the document to write, each group's targets sorted and once; raises Failure."""
    result: Document = []
    for number, group in enumerate(groups, 1):
        labels = group.get("labels") or {}
        for name in labels:
            if str(name).startswith("__") and not (name in SCRAPE_LABELS or str(name).startswith("__param_")):
                raise Failure(
                    f"group {number}: Prometheus drops the label {name!r}, as every name that begins with '__'; "
                    "rename it",
                    "bad_target",
                )
        result.append({"targets": sorted(set(group["targets"])), "labels": labels})
    found = problems(result)
    if found:
        raise Failure(found[0], "bad_target", problems=found)
    if not result:
        raise Failure("groups is empty; give at least one target, or state absent", "bad_target")
    return result


def read(path: str) -> bytes | None:
    """Return the file's bytes, or None if there is no file; raises Failure for what is not a file."""
    if os.path.islink(path) or (os.path.exists(path) and not os.path.isfile(path)):
        raise Failure(f"{path} is not a regular file; remove it or give another path", "not_a_target_file", path=path)
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def is_target_file(content: bytes) -> bool:
    """Whether Prometheus could read this."""
    try:
        decode(content)
    except TargetDocumentError:
        return False
    return True


def ensure(path: str, wanted: bytes | None, check_mode: bool) -> tuple[bool, str, bytes | None]:
    """Bring the file to `wanted` (None: no file); return (changed, previous, the bytes before)."""
    if not path.endswith(".json"):
        raise Failure(f"{path} does not end in .json; Prometheus would not read it", "bad_target", path=path)
    before = read(path)
    if before is None:
        previous = "absent"
    elif wanted is not None and atomic_file.holds(path, wanted, MODE):
        previous = "same"
    else:
        previous = "different" if is_target_file(before) else "invalid"
    if wanted is None:
        if previous == "invalid":
            raise Failure(
                f"{path} is no target file that Prometheus could read and is not removed; look at it and remove it "
                "by hand",
                "not_a_target_file",
                path=path,
            )
        if previous != "absent" and not check_mode:
            atomic_file.remove(path)
            atomic_file.sync_directory(os.path.dirname(path))
        return previous != "absent", previous, before
    if previous != "same" and not check_mode:
        # in check mode the task that makes the directory has not made it
        if not os.path.isdir(os.path.dirname(path)):
            raise Failure(f"the directory of {path} does not exist; make it first", "io", path=path)
        atomic_file.write_if_changed(path, wanted, MODE, tag="ansible")
    return previous != "same", previous, before


def text(content: bytes | None) -> str:
    """Return bytes for the diff."""
    return "" if content is None else content.decode("utf-8", "replace")


def main() -> None:
    """Run the module."""
    group = {
        "targets": {"type": "list", "elements": "str", "required": True},
        "labels": {"type": "dict", "default": {}},
    }
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "groups": {"type": "list", "elements": "dict", "options": group},
        },
        required_if=[("state", "present", ["groups"])],
        supports_check_mode=True,
    )
    path = os.path.abspath(module.params["path"])
    with failing(module, path):
        listed = document(module.params["groups"]) if module.params["state"] == "present" else []
        wanted = encode(listed) if listed else None
        changed, previous, before = ensure(path, wanted, module.check_mode)
    module.exit_json(
        changed=changed,
        path=path,
        previous=previous,
        targets=sorted({target for entry in listed for target in entry["targets"]}),
        diff={"before_header": path, "after_header": path, "before": text(before), "after": text(wanted)},
    )


if __name__ == "__main__":
    main()
