# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: monitoring_status
short_description: What BCM, the target files and Prometheus say of each node
version_added: 1.0.0
author:
  - The superpod.monitoring developers (@superpod-monitoring)
description:
  - Puts together, for each node, whether BCM gives it the role that is monitored, whether it has a target file, and
    what Prometheus scrapes of it, and says where these do not agree.
  - Names are compared without case and without domain.
options:
  _input:
    description: The nodes' roles in BCM, by the nodes' names.
    type: dict
    required: true
  roles:
    description: The roles that are monitored; a node is to be scraped while it has one of them.
    type: list
    elements: str
    required: true
  files:
    description: The names of the target files that are there.
    type: list
    elements: str
    required: true
  stale:
    description: Those of hosts that BCM does not know.
    type: list
    elements: str
    default: []
  targets:
    description: RV(ignore:data.activeTargets) of Prometheus' C(/api/v1/targets). None when Prometheus gave no answer.
    type: list
    elements: dict
  cluster:
    description: Take only targets with this C(cluster) label.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the status
  ansible.builtin.debug:
    msg: "{{ status.table }}"
  vars:
    status: >-
      {{ {'dgx-01': ['slurmclient']} | superpod.monitoring.monitoring_status(
         roles=['slurmclient'], files=['dgx-01.json'], targets=[], cluster='slurm') }}
"""

RETURN = r"""
_value:
  description: The status.
  type: dict
  contains:
    nodes:
      description: >-
        A dictionary for each node: C(node); C(role), whether it has the role, or null for one that BCM does not know;
        C(target_file); C(exporters), C(up), C(down) or C(unknown) by job; C(last_scrape), in UTC; C(remarks), what is
        not as it should be.
      type: list
      elements: dict
    remarks:
      description: How many remarks there are.
      type: int
    table:
      description: The same for people, line by line.
      type: list
      elements: str
"""

import time
import typing as t
from collections.abc import Iterable, Mapping

from ansible_collections.superpod.monitoring.plugins.module_utils.monitoring_time import seconds_since_1970
from ansible_collections.superpod.monitoring.plugins.module_utils.target_directory import host_in, short

COLUMNS = ("NODE", "ROLE", "TARGET FILE", "EXPORTERS", "LAST SCRAPE (UTC)", "REMARKS")


def by_host(targets: Iterable[Mapping[str, t.Any]], cluster: str) -> dict[str, list[Mapping[str, t.Any]]]:
    """A cluster's targets by host; those without the label are not of this collection."""
    found: dict[str, list[Mapping[str, t.Any]]] = {}
    for target in targets:
        labels = target.get("labels", {})
        if labels.get("hostname") and labels.get("cluster") == cluster:
            found.setdefault(short(labels["hostname"]), []).append(target)
    return found


def remarks(role: bool | None, has_file: bool, scraped: list[Mapping[str, t.Any]] | None) -> list[str]:
    """What is not as it should be with a node; *scraped* is None where Prometheus gave no answer."""
    found = []
    if role is None:
        found.append("BCM does not know it: superpod.monitoring.prune_targets removes its file")
    elif role and not has_file:
        found.append("has the role, but no target file")
    elif has_file and not role:
        found.append("has a target file, but not the role")
    if scraped is None:
        return found
    if has_file and not scraped:
        found.append("Prometheus does not scrape it")
    if scraped and not has_file:
        found.append("Prometheus scrapes it without a target file")
    for target in scraped:
        if target.get("health") == "down":
            reason = " ".join(str(target.get("lastError") or "no reason given").split())
            found.append(f"{target['labels'].get('job', '?')}: {reason}")
    return found


def row(node: str, role: bool | None, has_file: bool, scraped: list[Mapping[str, t.Any]] | None) -> dict[str, t.Any]:
    """One node's entry of the result."""
    # Prometheus tells them in the time zone of its host
    times = [seconds_since_1970(str(target.get("lastScrape"))) for target in scraped or []]
    last = max((seconds for seconds in times if seconds is not None), default=None)
    return {
        "node": node,
        "role": role,
        "target_file": has_file,
        "exporters": {
            str(target["labels"].get("job", "?")): str(target.get("health", "unknown"))
            for target in sorted(scraped or [], key=lambda target: str(target["labels"].get("job")))
        },
        "last_scrape": None if last is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(last)),
        "remarks": remarks(role, has_file, scraped),
    }


def table(rows: Iterable[Mapping[str, t.Any]], prometheus_answers: bool) -> list[str]:
    """The lines of the table."""
    silent = "-" if prometheus_answers else "?"
    cells = [COLUMNS]
    for entry in rows:
        exporters = ", ".join(f"{job} {health}" for job, health in entry["exporters"].items())
        cells.append(
            (
                entry["node"],
                {True: "yes", False: "no", None: "unknown"}[entry["role"]],
                "yes" if entry["target_file"] else "no",
                exporters or silent,
                (entry["last_scrape"] or silent).replace("T", " ").rstrip("Z"),
                "; ".join(entry["remarks"]),
            )
        )
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]


def monitoring_status(  # noqa: PLR0917 - called with names, by a playbook
    nodes: Mapping[str, Iterable[str] | None],
    roles: Iterable[str],
    files: Iterable[str],
    stale: Iterable[str] = (),
    targets: Iterable[Mapping[str, t.Any]] | None = None,
    cluster: str = "",
) -> dict[str, t.Any]:
    """The filter."""
    watched = {role.lower() for role in roles}
    scraped = None if targets is None else by_host(targets, cluster)
    present = {short(host_in(file)) for file in files}
    held: dict[str, bool | None] = {
        node: any(role.lower() in watched for role in given or ()) for node, given in nodes.items()
    }
    known = {short(node) for node in nodes}
    held.update(dict.fromkeys(sorted({short(host_in(file)) for file in stale} - known)))
    rows = [
        row(node, role, short(node) in present, None if scraped is None else scraped.get(short(node), []))
        for node, role in held.items()
    ]
    return {
        "nodes": rows,
        "remarks": sum(len(entry["remarks"]) for entry in rows),
        "table": table(rows, scraped is not None),
    }


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name -> filter."""
        return {"monitoring_status": monitoring_status}
