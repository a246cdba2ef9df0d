# SPDX-License-Identifier: GPL-3.0-or-later
"""What fails round a job: the job runs all the same, no node is drained, and the journal says what is missing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from job.job_queries import NoData, summarise
from job_lab import CONTROLLER, LOAD, Cluster, job_of
from superpod_site import until

NODE = "dgx-01"
HOOKS = "60-prolog-jobstats.sh"
SUMMARY = "epilogslurmctld-slurm"
PROGRAM = f"/usr/local/sbin/{SUMMARY}.sh"
INGEST = "jobstats-ingest-slurm"


@contextmanager
def broken(cluster: Cluster, host: str, breaks: str, mends: str) -> Iterator[str]:
    """A fault for a while; gives the time of its begin, for journals."""
    since = cluster.now()
    cluster.run(breaks, host)
    try:
        yield since
    finally:
        cluster.run(mends, host)


def run_job(cluster: Cluster, seconds: int = 6) -> dict[str, str]:
    """A job with a GPU, that must end well and leave nothing behind."""
    number = cluster.submit("alice", f"-w {NODE} --gres=gpu:1", f"python3 {LOAD} --seconds {seconds}")
    cluster.finish(60)
    row = cluster.records()[number]
    assert (row["state"], row["exitcode"]) == ("COMPLETED", "0:0")
    assert cluster.run("sinfo -h -R") == ""
    return row


def now() -> int:
    return int(time.time())


def says(cluster: Cluster, host: str, since: str, tag: str, text: str) -> None:
    """Wait for a line of the journal."""
    until(lambda: text in cluster.journal(host, since, "-t", tag), 60)


def scrapes(cluster: Cluster) -> bool:
    """Whether Prometheus is there again; while it starts it answers 503."""
    try:
        return cluster.ask("up == 1", now()) != []
    except OSError:
        return False


def slurm_calls(cluster: Cluster, program: str) -> None:
    """Have BCM set EpilogSlurmctld, and wait until Slurm has it."""
    cluster.cmsh(f"wlm; use slurm; set epilogslurmctld '{program}'; commit")
    wanted = ["EpilogSlurmctld", "=", program or "(null)"]
    until(lambda: wanted in [line.split() for line in cluster.run("scontrol show config").splitlines()], 30)


@pytest.fixture(scope="module")
def unnoticed(cluster: Cluster) -> dict[str, str]:
    """A job that ended while Slurm called nobody."""
    slurm_calls(cluster, "")
    row = run_job(cluster, seconds=8)
    slurm_calls(cluster, PROGRAM)
    return row


@pytest.fixture(scope="module", autouse=True)
def no_timer(cluster: Cluster, unnoticed: dict[str, str]) -> Iterator[None]:
    """What the epilog has left out stays so until the last test."""
    with broken(cluster, CONTROLLER, f"systemctl stop {INGEST}.timer", f"systemctl start {INGEST}.timer"):
        yield


def test_prometheus_away(cluster: Cluster) -> None:
    with broken(cluster, "mon-01", "systemctl stop prometheus", "systemctl start prometheus") as since:
        row = run_job(cluster)
        says(cluster, CONTROLLER, since, SUMMARY, f"job {row['jobidraw']}: no summary: jobstats ended with")
    assert cluster.records()[row["jobid"]]["admincomment"] == ""
    until(lambda: scrapes(cluster), 60)


def test_jobstats_missing_on_the_controller(cluster: Cluster) -> None:
    moved = "mv /usr/local/jobstats /usr/local/jobstats.away", "mv /usr/local/jobstats.away /usr/local/jobstats"
    with broken(cluster, CONTROLLER, *moved) as since:
        row = run_job(cluster)
        says(cluster, CONTROLLER, since, SUMMARY, "/usr/local/jobstats/jobstats cannot be run")
    assert cluster.records()[row["jobid"]]["admincomment"] == ""


@pytest.mark.parametrize("options", ["ro", "size=4k,nr_inodes=1"], ids=["read-only", "full"])
def test_no_place_for_the_mapping(cluster: Cluster, options: str) -> None:
    mounted = f"mount -t tmpfs -o {options} tmpfs /run/gpustat", "umount /run/gpustat"
    with broken(cluster, NODE, *mounted) as since:
        row = run_job(cluster)
        says(cluster, NODE, since, HOOKS, f"job {row['jobidraw']}: ")
        journal = cluster.journal(NODE, since, "-t", HOOKS)
        assert "/run/gpustat" in journal
    # its GPU is not known as its own, but nobody else's either
    with pytest.raises(NoData, match="gpu_utilization"):
        summarise(job_of(row), cluster.ask)


def test_nvidia_smi_hangs(cluster: Cluster) -> None:
    program = "/usr/bin/nvidia-smi"
    hangs = f"mv {program} {program}.away; printf '#!/bin/sh\\nsleep 60\\n' >{program}; chmod 755 {program}"
    with broken(cluster, NODE, hangs, f"mv {program}.away {program}") as since:
        row = run_job(cluster)
        says(cluster, NODE, since, HOOKS, f"job {row['jobidraw']}: nvidia-smi did not say in 5 s which GPU this is")
    assert "gpu_utilization" in cluster.summary(row)[NODE]


def test_another_cluster_name_in_the_series(cluster: Cluster) -> None:
    targets = f"/cm/shared/apps/jobstats/prometheus-targets/{NODE}.json"
    stop = f'systemctl stop bcm-role-monitor; sed -i \'s/"cluster": *"slurm"/"cluster": "other"/\' {targets}'
    with broken(cluster, NODE, stop, "systemctl start bcm-role-monitor"):
        until(lambda: cluster.ask('up{cluster="other"}', now()) != [], 30)
        row = run_job(cluster)
        with pytest.raises(NoData, match="in cluster slurm"):
            cluster.summary(row)
        until(lambda: cluster.records()[row["jobid"]]["admincomment"] != "", 60)
        assert cluster.records()[row["jobid"]]["admincomment"] == "JS1:None"
    until(lambda: cluster.ask('up{cluster="other"}', now()) == [], 60)


def test_jobs_without_a_summary_get_one_later(cluster: Cluster, unnoticed: dict[str, str]) -> None:
    """Runs last: the jobs of the tests before are long over, and some have none."""
    number = unnoticed["jobid"]
    before = cluster.records()
    without = [row["jobid"] for row in before.values() if row["admincomment"] == ""]
    assert number in without
    since = cluster.now()
    cluster.run(f"systemctl start {INGEST}.service")
    says(cluster, CONTROLLER, since, SUMMARY, f"job {number}: summary stored")
    after = cluster.records()
    assert after[number]["admincomment"].startswith("JS1:H4s")
    assert [name for name in without if not after[name]["admincomment"].startswith("JS1:")] == []
    kept = {name: row["admincomment"] for name, row in before.items() if row["admincomment"]}
    assert kept == {name: after[name]["admincomment"] for name in kept}
