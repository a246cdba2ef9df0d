# SPDX-License-Identifier: GPL-3.0-or-later
"""The queries that jobstats makes of Prometheus for a job, and what it reads from the answers.

Written from the interface alone, for tests where jobstats itself cannot be had; tests/unit/job compares it with what
the real one asked, was answered, and made of it.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Sample = tuple[dict[str, str], float]


@dataclass(frozen=True)
class Job:
    """One job as `sacct` tells it; `start` and `end` in seconds since the epoch."""

    jobid: str
    cluster: str
    start: int
    end: int
    gpus: int

    @property
    def seconds(self) -> int:
        return self.end - self.start


class NoData(Exception):
    """Prometheus has nothing of the job, or of one of its nodes."""


def queries(job: Job) -> dict[str, str]:
    """What is asked, by the name that the answer has in a summary."""
    cgroup = f"{{cluster='{job.cluster}',jobid='{job.jobid}',step='',task=''}}"
    gpu = f"{{cluster='{job.cluster}',jobid='{job.jobid}'}}"
    rss, shmem = f"cgroup_memory_rss_bytes{cgroup}", f"cgroup_memory_shmem_bytes{cgroup}"
    busy = f"(nvidia_gpu_duty_cycle{gpu} or (nvidia_gpu_graphics_util_percent{gpu} * 100))"
    span = f"[{job.seconds}s"
    asked = {
        "total_memory": f"max_over_time(cgroup_memory_total_bytes{cgroup}{span}])",
        "used_memory": f"max_over_time((({rss}+{shmem}) or 1*{rss}){span}:])",
        "total_time": f"max_over_time(cgroup_cpu_total_seconds{cgroup}{span}])",
        "cpus": f"max_over_time(cgroup_cpus{cgroup}{span}])",
    }
    if job.gpus:
        asked["gpu_total_memory"] = f"max_over_time(nvidia_gpu_memory_total_bytes{gpu}{span}:])"
        asked["gpu_used_memory"] = f"max_over_time(nvidia_gpu_memory_used_bytes{gpu}{span}:])"
        asked["gpu_utilization"] = f"avg_over_time({busy}{span}:])"
    return asked


def summarise(job: Job, ask: Callable[[str, int], list[Sample]]) -> dict[str, dict[str, Any]]:
    """For each node what jobstats stores of it: numbers, of GPUs by minor number. `ask` gets a query and a time.

    Raises NoData when a number is missing, as jobstats does.
    """
    nodes: dict[str, dict[str, Any]] = {}
    asked = queries(job)
    for name, query in asked.items():
        for labels, value in ask(query, job.end):
            found = nodes.setdefault(labels["instance"].partition(":")[0], {})
            if name.startswith("gpu_"):
                found.setdefault(name, {})[labels["minor_number"]] = value
            else:
                found[name] = value
    if not nodes:
        raise NoData(f"Prometheus has no data of job {job.jobid} in cluster {job.cluster}")
    for node, found in nodes.items():
        missing = [name for name in asked if name not in found]
        if missing:
            raise NoData(f"Prometheus lacks {', '.join(missing)} of job {job.jobid} on {node}")
    return nodes


def samples(answer: dict[str, Any]) -> list[Sample]:
    """What an instant query has answered."""
    return [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]


def prometheus(url: str) -> Callable[[str, int], list[Sample]]:
    """The `ask` of a Prometheus server."""

    def ask(query: str, time: int) -> list[Sample]:
        words = urllib.parse.urlencode({"query": query, "time": time})
        with urllib.request.urlopen(f"{url}/api/v1/query?{words}", timeout=10) as answer:
            return samples(json.load(answer))

    return ask
