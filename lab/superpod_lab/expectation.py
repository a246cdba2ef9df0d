# SPDX-License-Identifier: GPL-3.0-or-later
"""Which targets Prometheus must have, and what its own report of them says.  Nothing here touches the network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# What runs on a DGX node with the role slurmclient: systemd unit, Prometheus job, port.
EXPORTERS = (("node_exporter", "node_exporter", 9100), ("cgroup_exporter", "cgroup_exporter", 9306))
CLUSTER_NAME = "slurm"
# The scrape job over the target files; Prometheus scrapes itself by another.
SCRAPE_POOL = "superpod"


@dataclass(frozen=True, order=True)
class Target:
    """What Prometheus scrapes: the node's name, the job, and the address with the port."""

    host: str
    job: str
    instance: str


def expected(nodes: Iterable[str]) -> set[Target]:
    """All exporters of all these nodes."""
    return {Target(node, job, f"{node}:{port}") for node in nodes for _, job, port in EXPORTERS}


def active_targets(answer: Mapping[str, Any]) -> dict[Target, str]:
    """Every active target of the target files with its health (up, down, unknown), from Prometheus' /api/v1/targets.

    A target without our cluster label counts as another target: jobstats would not find it.
    """
    found = {}
    for item in answer["data"]["activeTargets"]:
        if item.get("scrapePool", SCRAPE_POOL) != SCRAPE_POOL:
            continue
        labels = item["labels"]
        host = labels.get("hostname", "") if labels.get("cluster") == CLUSTER_NAME else ""
        found[Target(host, labels.get("job", ""), labels.get("instance", ""))] = item["health"]
    return found


def difference(wanted: set[Target], found: Mapping[Target, str]) -> list[str]:
    """What is not as it should be, a sentence each; empty when exactly `wanted` is there and up."""
    faults = [f"{target.job} of {target.host} is missing in Prometheus" for target in sorted(wanted - set(found))]
    faults += [
        f"Prometheus has a target that it should not have: {target.job} at {target.instance}"
        for target in sorted(set(found) - wanted)
    ]
    faults += [
        f"{target.job} of {target.host} is {found[target]}"
        for target in sorted(wanted & set(found))
        if found[target] != "up"
    ]
    return faults
