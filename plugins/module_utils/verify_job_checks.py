# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the jobs themselves: those that run are measured, those that ended have a record and a summary. Pure.

A controller asks Slurm which jobs there are, and Prometheus which ids the series have. What is the same job must have
the same id and the same cluster everywhere, or jobstats finds nothing.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator

from .target_directory import short
from .verify_host_checks import failure_of
from .verify_outcome import Json, Kind, Outcome, Scene, has_role, number, one_line, queried, why_not

QUEUE = "squeue"
RECORDS = "sacct"
CPUS = "jobs of cgroup_exporter"
GPUS = "jobs of the GPU exporter"
SECONDS = 35
HOURS = 1
"""So far back ended jobs are looked at."""
PER_MISSING = 20
"""One of so many jobs may lack its summary: Prometheus or Slurm was away for a moment."""
TRY = "srun -N1 --gres=gpu:1 sleep 400"

_EPOCH = ["env", "SLURM_TIME_FORMAT=%s"]
_QUEUE = [QUEUE, "--noheader", "--states=all", "--Format=JobID:24,State:24,StartTime:24,BatchHost:128,tres-alloc:600"]
_RECORDS = [
    RECORDS,
    *("--parsable2", "--allocations", "--noheader", "--allusers", f"--starttime=now-{HOURS}hours", "--endtime=now"),
    "--format=jobidraw,end,elapsedraw,alloctres,admincomment",
]


class Queued(t.NamedTuple):
    """A job that Slurm still has in mind; *started* in seconds since 1970, 0 for one that has not."""

    number: str
    state: str
    started: float
    host: str
    gpus: bool


class Ended(t.NamedTuple):
    """A job that is over; *ended* in seconds since 1970, *comment* the beginning of AdminComment."""

    number: str
    ended: float
    allocated: str
    comment: str


def queue_of(text: str) -> list[Queued]:
    """The jobs of squeue's answer."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or not words[0].isdecimal():
            continue
        started, host, allocated = [*words[2:], "", "", ""][:3]
        found.append(Queued(words[0], words[1], number(started), short(host), _with_gpus(allocated)))
    return found


def _with_gpus(allocated: str) -> bool:
    return any(int(count) for count in re.findall(r"(?:^|,)gres/gpu(?::[^=,]*)?=(\d+)", allocated))


def records_of(text: str) -> list[Ended]:
    """The jobs of sacct's answer that have run and are over."""
    found = []
    for line in text.splitlines():
        words = line.split("|", 4)
        if len(words) == 5 and words[0].isdecimal() and words[1].isdecimal() and number(words[2]) > 0:
            found.append(Ended(words[0], float(words[1]), words[3], words[4][:40]))
    return found


# --- jobs: {argv, url, cluster, settled: seconds, gpus, watched, roles: {node: BCM's},
#            summaries: nothing, or {files: [of the program], late: seconds, journal: a tag}} ---


def jobs_wanted(wanted: t.Any) -> Json:
    url, ours = wanted["url"], f'cluster="{wanted["cluster"]}"'
    queries = {CPUS: f"group by (jobid) (cgroup_cpu_total_seconds{{{ours}}})"}
    if wanted["gpus"]:
        queries[GPUS] = f'count_values by (hostname) ("jobid", nvidia_gpu_jobId{{{ours}}} > 0)'
    look: Json = {
        "commands": [
            {"name": QUEUE, "argv": [*wanted["argv"], *_EPOCH, *_QUEUE], "seconds": SECONDS},
            {"name": RECORDS, "argv": [*wanted["argv"], *_EPOCH, *_RECORDS], "seconds": SECONDS},
        ],
        "requests": [queried(name, url, query, validate_certs=True) for name, query in queries.items()],
    }
    if wanted["summaries"]:
        look["files"] = list(wanted["summaries"]["files"])
    return look


def judge_jobs(wanted: t.Any, scene: Scene) -> Iterator[Outcome]:
    """Nothing is said where Slurm or Prometheus does not answer: other checks say that."""
    seen_running = False
    answer = scene.facts.get("commands", {}).get(QUEUE)
    if not failure_of(answer):
        queue = queue_of(answer["stdout"])
        settled = _settled(queue, wanted, scene)
        seen_running = bool(settled)
        yield from _judge_running(settled, queue, wanted, scene)
    answer = scene.facts.get("commands", {}).get(RECORDS)
    if failure_of(answer):
        return
    now = number(scene.facts.get("time"))
    ended = [each for each in records_of(answer["stdout"]) if each.ended <= now]
    yield from _judge_records(ended)
    judged = _with_summary_due(ended, wanted, scene) if wanted["summaries"] else []
    if judged:
        yield _judge_summaries(judged, wanted["summaries"]["journal"])
    if not judged and not seen_running:
        hint = (
            f"No job ran long enough, or ended, in the last hour, so what jobs are measured by was not seen; try {TRY}"
        )
        yield Outcome("job_record", "Slurm's jobs", True, hint=hint)


def _settled(queue: list[Queued], wanted: Json, scene: Scene) -> list[Queued]:
    """Those that run, on a node that is to be measured, for so long that they must have been."""
    measured = {short(node) for node, roles in wanted["roles"].items() if has_role(roles, wanted["watched"])}
    since = number(scene.facts.get("time")) - float(wanted["settled"])
    return [job for job in queue if job.state == "RUNNING" and 0 < job.started < since and job.host in measured]


def _ids(scene: Scene, name: str) -> list[dict[str, str]] | None:
    """The labels of each element of Prometheus' answer; None where there is no answer."""
    answer = scene.facts.get("requests", {}).get(name)
    if why_not(answer) or answer.get("status") != 200 or not isinstance(answer.get("value"), list):
        return None
    return [{key: str(value) for key, value in each["labels"].items()} for each in answer["value"]]


def _judge_running(settled: list[Queued], queue: list[Queued], wanted: Json, scene: Scene) -> Iterator[Outcome]:
    for check, name, expected, chosen in (
        ("job_measured", CPUS, f"each one's id in cgroup_exporter's series with cluster={wanted['cluster']}", settled),
        (
            "job_gpus",
            GPUS,
            f"each one's id as a value of nvidia_gpu_jobId with cluster={wanted['cluster']}",
            [job for job in settled if job.gpus],
        ),
    ):
        found = _ids(scene, name)
        if found is None:
            continue
        measured = {each.get("jobid", "") for each in found}
        for host in sorted({job.host for job in chosen}):
            missing = sorted({job.number for job in chosen if job.host == host} - measured, key=int)
            yield Outcome(
                check,
                f"jobs on {host}",
                not missing,
                f"Prometheus has nothing of the running jobs {_named(missing)}",
                expected,
                f"ansible-playbook superpod.monitoring.verify -i bcm_inventory.yml --tags dgx_exporters --limit {host}"
                if check == "job_measured"
                else "journalctl -u slurmd -n 50; see docs/troubleshooting.md, no GPU data",
                host,
            )
    yield from _judge_gone(_ids(scene, GPUS), {job.number for job in queue})


def _judge_gone(found: list[dict[str, str]] | None, known: set[str]) -> Iterator[Outcome]:
    """GPUs that are said to be of a job that Slurm has forgotten, which it does minutes after the job's end."""
    gone: dict[str, set[str]] = {}
    for each in found or []:
        if each.get("jobid", "") not in known:
            gone.setdefault(each.get("hostname", "?"), set()).add(each.get("jobid", ""))
    for host, jobs in sorted(gone.items()):
        yield Outcome(
            "job_gone",
            f"GPUs of {host}",
            False,
            f"are still said to be of {_named(sorted(jobs))}, which Slurm does not have any more",
            "GPUs of jobs that run",
            "grep -r . /run/gpustat /run/dcgm-job-map; journalctl -u slurmd -n 50; an epilog has not run",
            host,
        )
    if not gone and found is not None:
        yield Outcome("job_gone", "GPUs", True)


def _judge_records(ended: list[Ended]) -> Iterator[Outcome]:
    missing = [job.number for job in ended if not re.search(r"(?:^|,)cpu=\d", job.allocated)]
    if ended:
        yield Outcome(
            "job_record",
            "AllocTRES",
            not missing,
            f"is without CPUs for {_named(missing)}, which have run",
            "what each job was given, which jobstats divides by",
            "journalctl -u slurmdbd -n 20; sacctmgr show runawayjobs",
        )


def _with_summary_due(ended: list[Ended], wanted: Json, scene: Scene) -> list[Ended]:
    """Those that ended since the program is there, and so long ago that it must be done with them."""
    files = scene.facts.get("files", {})
    since = max((number(files.get(path, {}).get("mtime")) for path in wanted["summaries"]["files"]), default=0.0)
    until = number(scene.facts.get("time")) - float(wanted["summaries"]["late"])
    return [job for job in ended if since <= job.ended <= until]


def _judge_summaries(jobs: list[Ended], journal: str) -> Outcome:
    missing = [job for job in jobs if not job.comment.startswith("JS1:")]
    named = _named([job.number for job in missing])
    other = next((job.comment for job in missing if job.comment), "")
    return Outcome(
        "job_summary",
        "AdminComment",
        len(missing) * PER_MISSING <= len(jobs),
        f"{len(missing)} of {len(jobs)} jobs of the last hour have no summary: {named}"
        + (f"; instead {one_line(other, 30)}" if other else ""),
        "JS1: and a summary, in the record of each job",
        f"journalctl -t {journal} -n 20",
    )


def _named(jobs: list[str]) -> str:
    return ", ".join(jobs[:5]) + (f" and {len(jobs) - 5} more" if len(jobs) > 5 else "")


KINDS = {"jobs": Kind(jobs_wanted, judge_jobs)}
