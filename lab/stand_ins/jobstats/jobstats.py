# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for jobstats: what a job used, by sacct and Prometheus. Only CPU time; see README.md."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import time
from dataclasses import dataclass

import config
import requests

FIELDS = ("jobidraw", "start", "end", "cluster", "admincomment", "ncpus", "state")


class Unknown(Exception):
    """There is no answer; the text says why."""


@dataclass(frozen=True)
class Job:
    raw_id: str
    start: int
    end: int
    cluster: str
    stored: str
    cpus: int
    state: str


def look_up(job_id: str, cluster: str | None) -> Job:
    command = ["sacct", "-P", "-X", "-n", "-o", ",".join(FIELDS), "-j", job_id]
    if cluster:
        command += ["-M", config.CLUSTER_TRANS.get(cluster, cluster)]
    environment = {**os.environ, "SLURM_TIME_FORMAT": "%s"}
    try:
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unknown("sacct is not on the PATH") from None
    lines = ended.stdout.splitlines()
    if ended.returncode != 0 or not lines:
        raise Unknown(f"sacct does not know job {job_id}: {ended.stderr.strip()}")
    raw_id, start, end, name, stored, cpus, state = lines[0].split("|")
    if not start.isdigit():
        raise Unknown(f"job {job_id} has not begun")
    return Job(raw_id, int(start), int(end) if end.isdigit() else int(time.time()), name, stored, int(cpus), state)


def ask(metric: str, job: Job) -> dict[str, float]:
    """Node -> greatest value in the job's time."""
    series = f"{metric}{{cluster='{job.cluster}',jobid='{job.raw_id}',step='',task=''}}"
    query = {"query": f"max_over_time({series}[{job.end - job.start}s])", "time": str(job.end)}
    try:
        answer = requests.get(f"{config.PROM_SERVER}/api/v1/query", params=query, timeout=20)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise Unknown(f"Prometheus does not answer: {error}") from None
    return {
        item["metric"]["instance"].split(":")[0]: float(item["value"][1]) for item in answer.json()["data"]["result"]
    }


def summary(job: Job, force: bool) -> dict[str, object] | str:
    """The stored or computed summary, or `Short` or `None`."""
    if job.stored.startswith("JS1:H4s") and not force:
        kept: dict[str, object] = json.loads(gzip.decompress(base64.b64decode(job.stored[4:])))
        return kept
    seconds = job.end - job.start
    if seconds < 2 * config.SAMPLING_PERIOD:
        return "Short"
    used, cpus = ask("cgroup_cpu_total_seconds", job), ask("cgroup_cpus", job)
    nodes = {node: {"total_time": used[node], "cpus": cpus.get(node, 0)} for node in used}
    return {"nodes": nodes, "total_time": seconds, "gpus": 0} if nodes else "None"


def packed(found: dict[str, object] | str) -> str:
    if isinstance(found, str):
        return found
    return base64.b64encode(gzip.compress(json.dumps(found, separators=(",", ":")).encode())).decode()
