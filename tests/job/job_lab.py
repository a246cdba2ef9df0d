# SPDX-License-Identifier: GPL-3.0-or-later
"""The Slurm and the Prometheus of molecule's scenario `job`."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import Any

from job.job_queries import Job, prometheus, summarise
from superpod_site import SuperpodSite, until

NODES = ("dgx-01", "dgx-02")
CONTROLLER, LOGIN = "slurm-ctl-01", "login-01"
USERS = {"alice": 2001, "bob": 2002}
LOAD = "/cm/shared/home/load.py"
COLUMNS = "jobidraw,jobid,start,end,cluster,alloctres,state,exitcode,user,nodelist,admincomment"


class Cluster:
    """The lab's Slurm and Prometheus."""

    def __init__(self) -> None:
        self._site = SuperpodSite("0")
        self._site.learn()
        self.cmsh = self._site.cmsh
        self.shared = Path(self._site.shared)
        self.prometheus_url = f"http://{self._site.info['hosts']['mon-01']['address']}:9090"
        self.ask = prometheus(self.prometheus_url)

    def run(self, script: str, host: str = CONTROLLER) -> str:
        """A bash script on a host; an exit status other than 0 fails the test."""
        return self._site.output(script, host)

    def submit(self, user: str, options: str, command: str) -> str:
        """A job of a user; its number."""
        wrapped = f"sbatch --parsable -t 5 --mem=128 {options} --wrap {shlex.quote(command)}"
        return self.run(f"su - {user} -c {shlex.quote(wrapped)}", LOGIN)

    def queue(self) -> list[list[str]]:
        """Jobs that are not over yet, with their state; each task of an array by itself."""
        return [line.split() for line in self.run("squeue -h -r -o '%A %T'").splitlines()]

    def records(self) -> dict[str, dict[str, str]]:
        """What Slurm's accounting has of each job, by sacct's JobID (ARRAY_TASK for tasks of an array)."""
        lines = self.run(f"SLURM_TIME_FORMAT=%s sacct -aXPD -S now-1hours -o {COLUMNS}").splitlines()
        names = COLUMNS.split(",")
        rows = [dict(zip(names, line.split("|"))) for line in lines[1:]]
        return {row["jobid"]: row for row in rows}

    def finish(self, seconds: float) -> None:
        """Wait until no job is left, and accounting knows that."""
        until(lambda: self.queue() == [], seconds)
        until(lambda: all(row["end"].isdigit() for row in self.records().values()), 20)

    def output(self, user: str, jobid: str) -> list[dict[str, Any]]:
        """What the job's processes have said of themselves."""
        lines = (self.shared / "home" / user / f"slurm-{jobid}.out").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def maps(self) -> dict[str, str]:
        """Host -> the files that say which job has which GPU."""
        look = "cd /run; find gpustat dcgm-job-map -type f 2>/dev/null | sort | xargs || true"
        return {node: self.run(look, node) for node in NODES}

    def series(self, jobid: str) -> list[dict[str, str]]:
        """The labels of all series of a job that exporters have made."""
        which = f'__name__=~"cgroup_.*|nvidia_gpu_.*",jobid="{jobid}"'
        found = self.ask(f"last_over_time({{{which}}}[1h])", int(time.time()))
        return [labels for labels, _value in found]

    def summary(self, row: dict[str, str]) -> dict[str, dict[str, Any]]:
        """What jobstats would make of a job, by its row of sacct."""
        return summarise(job_of(row), self.ask)

    def last_sample(self, name: str, row: dict[str, str]) -> float:
        """When a series of a job was last scraped, in seconds since the epoch."""
        job = job_of(row)
        which = f'{name}{{jobid="{job.jobid}",step="",task=""}}'
        [(_labels, when)] = self.ask(f"max_over_time(timestamp({which})[{job.seconds}s:1s])", job.end)
        return when

    def journal(self, host: str, since: str, *options: str) -> str:
        return self.run(f"journalctl -q -o cat --no-pager --since {shlex.quote(since)} {' '.join(options)}", host)

    def now(self) -> str:
        return self.run("date '+%F %T'")


def job_of(row: dict[str, str]) -> Job:
    """A row of sacct as jobstats' queries want it."""
    resources = dict(part.split("=") for part in row["alloctres"].split(",") if part)
    gpus = int(resources.get("gres/gpu", 0))
    return Job(row["jobidraw"], row["cluster"], int(row["start"]), int(row["end"]), gpus)


def gpu_percent(node: str, gpu: int) -> int:
    """How busy the stub's GPUs are: on every node and GPU another number, so that none can be taken for another."""
    return 10 * gpu + 5 * (1 + NODES.index(node))


def gpu_mib(node: str, gpu: int) -> int:
    return 1000 * (gpu + 1) + 100 * NODES.index(node)
