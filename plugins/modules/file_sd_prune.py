#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_sd_prune
short_description: Remove the target files of hosts that are gone
version_added: 0.1.0
description:
  - Removes from a directory of Prometheus target files those whose host is not in a list, for example of nodes that BCM
    does not know any more.
  - Only files that this collection wrote are ever removed. They are recognised by what they say, that is one host with
    the labels C(job), C(cluster) and C(hostname) on each of its targets, and by the host's name in the file's name. All
    others stay and are reported.
  - Nothing at all is removed when more than a given share of the files would go, since a list that is too short must
    not empty Prometheus.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
options:
  directory:
    description:
      - Where the target files are.
    type: path
    required: true
  hosts:
    description:
      - The hosts that exist. Their files stay.
      - Names are compared without case and without domain.
      - An empty list is refused.
    type: list
    elements: str
    required: true
  cluster:
    description:
      - Look only at files of this cluster, by their label C(cluster).
      - Set it where several clusters share the directory.
    type: str
  limit_percent:
    description:
      - Fail, and remove nothing, when more than this share of the files that were looked at would go.
    type: int
    default: 20
seealso:
  - module: superpod.monitoring.file_sd_target
"""

EXAMPLES = r"""
- name: Forget nodes that BCM does not list any more
  superpod.monitoring.file_sd_prune:
    directory: /cm/shared/apps/jobstats/prometheus-targets
    hosts: "{{ groups['dgx_nodes'] }}"
    cluster: slurm
  run_once: true
"""

RETURN = r"""
directory:
  description: Where the target files are.
  returned: success
  type: str
  sample: /cm/shared/apps/jobstats/prometheus-targets
removed:
  description: The files that were removed, or in check mode would be, by name.
  returned: success
  type: list
  elements: str
  sample: ["dgx-07.json"]
kept:
  description: How many files of the collection stay.
  returned: success
  type: int
  sample: 31
unrecognised:
  description: The files that this collection did not write and that were therefore left alone, by name.
  returned: success
  type: list
  elements: str
  sample: ["switches.json"]
percent:
  description: The share of the files looked at that were removed, in percent.
  returned: success
  type: float
  sample: 3.1
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  contains:
    message:
      description: The same sentence as in RV(ignore:msg).
      type: str
    code:
      description: The kind of failure; V(no_hosts), V(limit), V(bad_option) or V(io).
      type: str
    details:
      description: What belongs to it; for V(limit) the files that would go (C(stale)) and the number of all (C(total)).
      type: dict
"""

import os
import typing as t
from collections.abc import Iterable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils import atomic_file
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing
from ansible_collections.superpod.monitoring.plugins.module_utils.target_directory import (
    owner_of,
    read_directory,
    short,
)


class Plan(t.NamedTuple):
    """File names, sorted: what goes, what stays, what is not the collection's."""

    stale: list[str]
    kept: list[str]
    unrecognised: list[str]

    @property
    def percent(self) -> float:
        """The share of the collection's files that goes, 0 to 100."""
        total = len(self.stale) + len(self.kept)
        return 100.0 * len(self.stale) / total if total else 0.0


def plan(files: Iterable[tuple[str, bytes | None]], hosts: Iterable[str], cluster: str | None) -> Plan:
    """Decide over (file name, its bytes or None if it is no readable regular file of a sensible size)."""
    existing = {short(host) for host in hosts}
    result = Plan([], [], [])
    for name, content in sorted(files):
        owner = owner_of(name, content)
        if owner is None:
            result.unrecognised.append(name)
        elif cluster is None or owner.cluster == cluster:
            (result.kept if short(owner.host) in existing else result.stale).append(name)
    return result


def decide(directory: str, hosts: list[str], cluster: str | None, limit: int) -> Plan:
    """Read the directory and decide what goes; raises Failure where nothing may go."""
    if not 0 <= limit <= 100:
        raise Failure(f"limit_percent is {limit}; give a number from 0 to 100", "bad_option", limit_percent=limit)
    if not any(short(host) for host in hosts):
        raise Failure("hosts is empty; an empty list would remove every target file, so nothing is done", "no_hosts")
    decided = plan(read_directory(directory), hosts, cluster)
    if decided.percent > limit:
        total = len(decided.stale) + len(decided.kept)
        raise Failure(
            f"{len(decided.stale)} of {total} target files in {directory} would go, more than {limit} %; look whether "
            "the list of hosts is complete, or raise limit_percent",
            "limit",
            stale=decided.stale,
            total=total,
            limit_percent=limit,
        )
    return decided


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "hosts": {"type": "list", "elements": "str", "required": True},
            "cluster": {"type": "str"},
            "limit_percent": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    directory = os.path.abspath(module.params["directory"])
    with failing(module, directory):
        decided = decide(directory, module.params["hosts"], module.params["cluster"], module.params["limit_percent"])
        if decided.stale and not module.check_mode:
            for name in decided.stale:
                atomic_file.remove(os.path.join(directory, name))
            atomic_file.sync_directory(directory)
    before = sorted(decided.stale + decided.kept)
    module.exit_json(
        changed=bool(decided.stale),
        directory=directory,
        removed=decided.stale,
        kept=len(decided.kept),
        unrecognised=decided.unrecognised,
        percent=round(decided.percent, 1),
        diff={
            "before_header": directory,
            "after_header": directory,
            "before": "".join(f"{name}\n" for name in before),
            "after": "".join(f"{name}\n" for name in decided.kept),
        },
    )


if __name__ == "__main__":
    main()
