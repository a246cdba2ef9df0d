# SPDX-License-Identifier: GPL-3.0-or-later
"""Real jobs on the lab's Slurm, measured by exporters and stored by a Prometheus that the site's playbook has deployed.

Run by molecule's scenario `job`, which brings up the lab of LAB_ID and says so with SUPERPOD_JOB_TESTS=1.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from job.job_queries import Job, prometheus, summarise

ROOT = Path(__file__).resolve().parents[2]
NODES = ("dgx-01", "dgx-02")
CONTROLLER, LOGIN = "slurm-ctl-01", "login-01"
USERS = {"alice": 2001, "bob": 2002}
LOAD = "/cm/shared/home/load.py"
COLUMNS = "jobidraw,jobid,start,end,cluster,alloctres,state,exitcode,user,nodelist,admincomment"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("SUPERPOD_JOB_TESTS") != "1":
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs the lab of molecule's scenario job"))


class Cluster:
    """The lab's Slurm and Prometheus."""

    def __init__(self) -> None:
        info = json.loads(self.superpod("info"))
        self.shared = Path(info["shared_dir"])
        self.prometheus_url = f"http://{info['hosts']['mon-01']['address']}:9090"
        self.ask = prometheus(self.prometheus_url)

    def superpod(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(ROOT / "lab/superpod"), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"superpod {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def run(self, script: str, host: str = CONTROLLER) -> str:
        """A bash script on a host; an exit status other than 0 fails the test."""
        return self.superpod("exec", host, "bash", "-ec", script).strip()

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

    def journal(self, host: str, since: str, *options: str) -> str:
        return self.run(f"journalctl -q -o cat --no-pager --since {shlex.quote(since)} {' '.join(options)}", host)

    def now(self) -> str:
        return self.run("date '+%F %T'")


def job_of(row: dict[str, str]) -> Job:
    """A row of sacct as jobstats' queries want it."""
    resources = dict(part.split("=") for part in row["alloctres"].split(",") if part)
    gpus = int(resources.get("gres/gpu", 0))
    return Job(row["jobidraw"], row["cluster"], int(row["start"]), int(row["end"]), gpus)


def until(wanted: Callable[[], bool], seconds: float) -> None:
    """Wait for what must become true."""
    give_up = time.monotonic() + seconds
    while not wanted():
        if time.monotonic() > give_up:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.5)


def gpu_percent(node: str, gpu: int) -> int:
    """How busy the stub's GPUs are: on every node and GPU another number, so that none can be taken for another."""
    return 10 * gpu + 5 * (1 + NODES.index(node))


def gpu_mib(node: str, gpu: int) -> int:
    return 1000 * (gpu + 1) + 100 * NODES.index(node)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    found = Cluster()
    shutil.copy(ROOT / "tests/job/load.py", found.shared / "home")
    for node in NODES:
        util = ", ".join(str(gpu_percent(node, gpu)) for gpu in range(8))
        used = ", ".join(str(gpu_mib(node, gpu)) for gpu in range(8))
        lines = f"s/^util = .*/util = {util}/; s/^memory_used_mib = .*/memory_used_mib = {used}/"
        found.run(f"sed -i {shlex.quote(lines)} /etc/fake_nvml.conf", node)
    return found
