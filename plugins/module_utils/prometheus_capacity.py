# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How big a Prometheus server has to be for a SuperPOD.  Every figure has its source here; docs/sizing.md explains.

Sources by name: CAPTURES are the recorded outputs of the exporters in tests/dashboards/captures; RULES is files/rules;
RUN is the measured run of benchmarks/capacity.py; PROM is Prometheus's documentation and the defaults of its code.
"""

from __future__ import annotations

import math
import typing as t
from dataclasses import asdict, dataclass, fields

GIB = 2**30
DAY = 86400

# Series of a target itself: up, scrape_duration_seconds, scrape_samples_scraped, scrape_samples_post_metric_relabeling,
# scrape_series_added.  PROM, "Automatically generated labels and time series".
PER_TARGET = 5
# go_*, process_*, promhttp_* of an exporter in Go.  CAPTURES (cgroup and GPU exporter alike).
PER_EXPORTER = 44
# node_exporter with Debian's collectors, but for go_* (dropped) and what there is for each CPU.  CAPTURES.
NODE_BASE = 521
PER_CPU = 13
# CAPTURES: series with one job's id; with one GPU's uuid; the GPU exporter's nvidia_gpu_num_devices.
CGROUP_PER_JOB = 14
GPU_PER_GPU = 28
GPU_PER_NODE = 1
# default-counters.csv of dcgm-exporter 4.8.2, and the series that dcgm_as_jobstats.yml makes of them (RULES).
DCGM_PER_GPU = 25
DCGM_RULES_PER_GPU = 8
# RULES, recording.yml: gpu:*, job_gpu:*, job_node:*, job:*.
RULES_PER_GPU = 8
RULES_PER_JOB_GPU = 4
RULES_PER_JOB_NODE = 4
RULES_PER_JOB = 5
# The head holds what was scraped since the last block was cut, which is when it spans 1.5 blocks of 2 hours.  PROM.
HEAD_SECONDS = 3 * 3600
# Bytes of memory for a series in the head: 4250 in the RUN at most, Go's garbage and everything else included.
MEMORY_PER_SERIES = 4500
MEMORY_BASE = 200e6
# PROM, "Storage": "an average of only 1-2 bytes per sample"; the upper end.
BYTES_PER_SAMPLE = 2.0
# Bytes of index for each series in a block: 95 in the RUN.  A job's series is in one, or in two across their border.
INDEX_PER_SERIES = 120
# The write-ahead log holds the head's samples again, and a third of the next (PROM); bytes for each (RUN).
WAL_PER_SAMPLE = 8.0
# Part of a server's memory that the head may take: the rest is for queries and the page cache.  Ours, not measured.
MEMORY_SHARE = 0.5
# Samples a second that one server is given at most: PROM's authors report hundreds of thousands to a million.
SAMPLES_PER_SERVER = 500_000
# PROM: blocks grow to a tenth of the retention, 31 days at most; long-lived series are in the index of each.
LONGEST_BLOCK = 31 * DAY


@dataclass(frozen=True)
class Fleet:
    """What is to be monitored.  `gpu_exporter`: nvidia_gpu_prometheus_exporter, dcgm_exporter or none."""

    nodes: int
    cpus_per_node: int = 224
    gpus_per_node: int = 8
    jobs_per_day: int = 1000
    nodes_per_job: float = 1.0
    gpus_per_job: float = 8.0
    hours_per_job: float = 4.0
    retention_days: float = 365.0
    scrape_interval: float = 30.0
    gpu_exporter: str = "nvidia_gpu_prometheus_exporter"
    server_memory_gib: float = 128.0
    bytes_per_sample: float = BYTES_PER_SAMPLE

    def __post_init__(self) -> None:
        """Raise ValueError, with one sentence, for what cannot be."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "gpu_exporter":
                if value not in ("nvidia_gpu_prometheus_exporter", "dcgm_exporter", "none"):
                    raise ValueError(
                        f"gpu_exporter is '{value}'; it must be nvidia_gpu_prometheus_exporter, dcgm_exporter or none."
                    )
            elif isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ValueError(f"{field.name} is '{value}'; it must be a number.")
            elif value < 0 or (
                value == 0 and field.name in ("nodes", "retention_days", "scrape_interval", "server_memory_gib")
            ):
                raise ValueError(f"{field.name} is {value}; it must be more than 0.")


@dataclass(frozen=True)
class Capacity:
    """What it takes.  Bytes, and samples a second; `servers` is the number of shards."""

    targets: int
    running_jobs: float
    active_series: int
    series_per_job: float
    head_series: int
    samples_per_second: float
    memory_bytes: float
    disk_bytes: float
    disk_samples_bytes: float
    disk_index_bytes: float
    disk_wal_bytes: float
    servers: int


def series_per_job(fleet: Fleet) -> float:
    """Series that a job brings and that end with it: those with its id, and what the rules make of them."""
    gpu = {"nvidia_gpu_prometheus_exporter": GPU_PER_GPU, "dcgm_exporter": DCGM_PER_GPU + DCGM_RULES_PER_GPU, "none": 0}
    per_gpu = gpu[fleet.gpu_exporter] + (RULES_PER_JOB_GPU if fleet.gpu_exporter != "none" else 0)
    return fleet.nodes_per_job * (CGROUP_PER_JOB + RULES_PER_JOB_NODE) + fleet.gpus_per_job * per_gpu + RULES_PER_JOB


def series_per_node(fleet: Fleet) -> float:
    """Series of a node without any job."""
    exporters = 2 if fleet.gpu_exporter == "none" else 3
    total = exporters * PER_TARGET + NODE_BASE + PER_CPU * fleet.cpus_per_node + PER_EXPORTER
    if fleet.gpu_exporter == "nvidia_gpu_prometheus_exporter":
        total += PER_EXPORTER + GPU_PER_NODE + fleet.gpus_per_node * (GPU_PER_GPU + RULES_PER_GPU)
    elif fleet.gpu_exporter == "dcgm_exporter":
        total += fleet.gpus_per_node * (DCGM_PER_GPU + DCGM_RULES_PER_GPU + RULES_PER_GPU)
    return total


def capacity(fleet: Fleet) -> Capacity:
    """Work it out."""
    per_job, per_node = series_per_job(fleet), series_per_node(fleet)
    running = fleet.jobs_per_day * fleet.hours_per_job / 24
    # A GPU that a job has shows its series under the job's id, in the place of those without one.
    gpu_series = {"nvidia_gpu_prometheus_exporter": GPU_PER_GPU, "dcgm_exporter": DCGM_PER_GPU + DCGM_RULES_PER_GPU}
    taken = min(running * fleet.gpus_per_job, fleet.nodes * fleet.gpus_per_node) * gpu_series.get(fleet.gpu_exporter, 0)
    active = fleet.nodes * per_node + running * per_job - taken
    ended = fleet.jobs_per_day * HEAD_SECONDS / DAY * per_job
    head = active + ended + taken
    rate = active / fleet.scrape_interval
    retention = fleet.retention_days * DAY
    block = max(min(retention / 10, LONGEST_BLOCK), 7200)
    samples = rate * retention * fleet.bytes_per_sample
    index = INDEX_PER_SERIES * (
        fleet.nodes * per_node * math.ceil(retention / block) + fleet.jobs_per_day * fleet.retention_days * per_job
    )
    wal = rate * HEAD_SECONDS * 4 / 3 * WAL_PER_SAMPLE
    memory = MEMORY_BASE + head * MEMORY_PER_SERIES
    servers = max(
        math.ceil(memory / (fleet.server_memory_gib * GIB * MEMORY_SHARE)), math.ceil(rate / SAMPLES_PER_SERVER), 1
    )
    return Capacity(
        targets=math.ceil(fleet.nodes * (2 if fleet.gpu_exporter == "none" else 3)),
        running_jobs=running,
        active_series=math.ceil(active),
        series_per_job=per_job,
        head_series=math.ceil(head),
        samples_per_second=rate,
        memory_bytes=memory,
        disk_bytes=samples + index + wal,
        disk_samples_bytes=samples,
        disk_index_bytes=index,
        disk_wal_bytes=wal,
        servers=servers,
    )


def calculate(settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The same from and to plain values.  Raises ValueError with one sentence."""
    known = {field.name: field for field in fields(Fleet)}
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(f"There is no {', '.join(unknown)}; known are {', '.join(known)}.")
    if "nodes" not in settings:
        raise ValueError("nodes is missing; give the number of nodes.")
    values = {name: value if name == "gpu_exporter" else _number(name, value) for name, value in settings.items()}
    return asdict(capacity(Fleet(**values)))


def _number(name: str, value: t.Any) -> t.Any:
    """A number, also if it came as a string from the command line."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise ValueError(f"{name} is '{value}'; it must be a number.") from None
    return value
