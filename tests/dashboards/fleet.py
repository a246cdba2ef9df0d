# SPDX-License-Identifier: GPL-3.0-or-later
"""A small fleet for the dashboards' tests: what each exporter of each node puts out, from the captures.

Two clusters, both GPU exporters, both cgroup versions, a GPU shared by two jobs, MIG, a node that is gone, and nodes on
which BCM and Prometheus disagree. Some fields of dcgm-exporter are not in its captures; they are added here under the
names of its 4.8.2 default counters file, with the labels that the captures have.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import bcm_role_monitor  # noqa: F401  # makes the daemon's package importable
from superpod_role_monitor import metrics as role_monitor_metrics

CAPTURES = Path(__file__).parent / "captures"
PORTS = {"node_exporter": 9100, "cgroup_exporter": 9306, "gpu_exporter": 9445, "dcgm_exporter": 9400}

CGROUP_V1 = "cgroup_exporter-0.3.4-cgroupv1-default.prom"
CGROUP_V1_USERS = "cgroup_exporter-0.3.4-cgroupv1-fullslurm-username-noexpmetrics.prom"
CGROUP_V2 = "cgroup_exporter-0.3.4-cgroupv2-fakeroot-fullslurm.prom"
DCGM_SHARED = "dcgm-exporter-4.8.2-gpu0-two-jobs.prom"
DCGM_MIG = "dcgm-exporter-4.8.2-mig-2.9-job77.prom"
GPU = "nvidia_gpu_prometheus_exporter-master-fakenvml-2gpus-job42.prom"
GPU_MIG = "nvidia_gpu_prometheus_exporter-master-fakenvml-mig-noexpmetrics.prom"
NODE = "node_exporter-debian-1.5.0.prom"

# Fields of dcgm-exporter 4.8.2 beside those in the captures: name -> value
DCGM_MORE = {
    "DCGM_FI_DEV_XID_ERRORS": 79,
    "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": 0,
    "DCGM_FI_DEV_ROW_REMAP_FAILURE": 0,
    "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": 0,
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": 0.41,
    "DCGM_FI_PROF_DRAM_ACTIVE": 0.32,
}

_COUNTER = re.compile(r"(\w+_total|cgroup_cpu_\w+_seconds)[{ ]")
_SAMPLE = re.compile(r"(?P<series>.+) (?P<value>\S+)")


@dataclass(frozen=True)
class Node:
    """A node: its cluster, what its exporters put out (job -> capture; None: the exporter is down), its role in BCM."""

    cluster: str
    hostname: str
    exporters: Mapping[str, str | None]
    held: bool | None = None
    given_up: tuple[str, ...] = ()


FLEET = (
    Node(
        "slurm", "dgx-01", {"node_exporter": NODE, "cgroup_exporter": CGROUP_V1_USERS, "gpu_exporter": GPU}, held=True
    ),
    Node(
        "slurm",
        "dgx-02",
        {"node_exporter": NODE, "cgroup_exporter": CGROUP_V1, "dcgm_exporter": DCGM_SHARED},
        held=True,
    ),
    Node(
        "slurm", "dgx-03", {"node_exporter": NODE, "cgroup_exporter": CGROUP_V2, "dcgm_exporter": DCGM_MIG}, held=True
    ),
    # gone, its target file left behind
    Node("slurm", "dgx-04", {"node_exporter": None, "cgroup_exporter": None, "gpu_exporter": None}),
    # has its role, but its target file lists node_exporter only
    Node("slurm", "dgx-05", {"node_exporter": NODE}, held=True, given_up=("cgroup_exporter.service",)),
    # has lost its role and is scraped all the same; one exporter is down
    Node("slurm", "dgx-06", {"node_exporter": NODE, "cgroup_exporter": CGROUP_V1, "gpu_exporter": None}, held=False),
    # another cluster may have a node of the same name
    Node("slurm2", "dgx-01", {"node_exporter": NODE, "cgroup_exporter": CGROUP_V1, "gpu_exporter": GPU_MIG}, held=True),
)


@dataclass
class Exposition:
    """What one exporter answers: the capture's text, its counters growing since *start*."""

    lines: list[str | tuple[str, float, float]] = field(default_factory=list)
    start: float = field(default_factory=time.time)
    more: Callable[[], str] = str

    @classmethod
    def of(cls, text: str, more: Callable[[], str] = str) -> Exposition:
        """*text* as captured; *more* makes text that changes with every scrape."""
        made = cls(more=more)
        for line in text.splitlines():
            match = _SAMPLE.fullmatch(line)
            if match is None or line.startswith("#") or not _COUNTER.match(line):
                made.lines.append(line)
            else:
                made.lines.append((match["series"], float(match["value"]), _growth(line)))
        return made

    def text(self) -> str:
        """The exposition now."""
        elapsed = time.time() - self.start
        samples = (
            line if isinstance(line, str) else f"{line[0]} {line[1] + elapsed * line[2]!r}" for line in self.lines
        )
        return "\n".join(samples) + "\n" + self.more()


def _growth(line: str) -> float:
    """How much a counter grows in a second: CPU seconds add up to one a core, whatever else is some number."""
    if "node_cpu_seconds_total" in line:
        return 0.6 if 'mode="idle"' in line else 0.05
    return 0.5 if "seconds" in line else 1000.0


def expositions(kind: type[Exposition] = Exposition) -> dict[tuple[str, str, str], Exposition | None]:
    """(cluster, hostname, job) -> what that exporter answers; None where it is down."""
    return {
        (node.cluster, node.hostname, job): None if capture is None else _exposition(node, job, capture, kind)
        for node in FLEET
        for job, capture in node.exporters.items()
    }


def _exposition(node: Node, job: str, capture: str, kind: type[Exposition]) -> Exposition:
    text = (CAPTURES / capture).read_text()
    if job == "dcgm_exporter":
        text += _more_of_dcgm(text)
    if job == "node_exporter":
        text = text.replace('nodename="dgx-01"', f'nodename="{node.hostname}"')
    return kind.of(text, lambda: _role_monitor(node) if job == "node_exporter" else "")


def _more_of_dcgm(text: str) -> str:
    series = [line.rpartition(" ")[0] for line in text.splitlines() if line.startswith("DCGM_FI_DEV_FB_USED{")]
    lines = [
        f"{one.replace('DCGM_FI_DEV_FB_USED', name)} {value}" for name, value in DCGM_MORE.items() for one in series
    ]
    return "\n".join(lines) + "\n"


def _role_monitor(node: Node) -> str:
    """The node's role monitor's metrics, written by the daemon's own code, as node_exporter puts them out."""
    if node.held is None:
        return ""
    units = [f"{job}.service" for job in PORTS if job != "dcgm_exporter"]
    facts = role_monitor_metrics.Facts(
        monitor="default",
        version="0.1.0",
        roles=("slurmclient",),
        held=node.held,
        last_success=time.time() - 20,
        headnode="bcm-head-01",
        events_connected=True,
        unknown_answers=3,
        file_errors=0,
        start_attempts=dict.fromkeys(units, 1),
        given_up={unit: unit in node.given_up for unit in units},
        bcm_services=dict.fromkeys(units, False),
    )
    return role_monitor_metrics.render(role_monitor_metrics.families(facts)).decode()
