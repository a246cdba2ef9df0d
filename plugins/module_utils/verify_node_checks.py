# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a DGX node's own: what its exporters say, and what its role monitor remembers. Pure."""

from __future__ import annotations

import json
import time
import typing as t
from collections.abc import Iterator, Mapping

from .target_directory import short
from .verify_outcome import Json, Kind, Outcome, Scene, asked, has_role, one_line, why_not

# A series that is there also without a job, and without a GPU in use.
SERIES = {
    "node_exporter": ["node_uname_info", "node_memory_MemTotal_bytes", "node_cpu_seconds_total"],
    "cgroup_exporter": [],
    "nvidia_gpu_prometheus_exporter": ["nvidia_gpu_num_devices", "nvidia_gpu_memory_total_bytes"],
    "dcgm_exporter": ["DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED"],
}
GPUS = "nvidia_gpu_num_devices"
WITH_WEB_CONFIG = ("node_exporter", "dcgm_exporter")
JOBS = "jobs of Slurm"
STALE_CHECKS = 3


# --- exporters: {chosen: the role's, by_systemd, held: {roles, watched}, listen_address, tls, users} ---


class Exporter(t.NamedTuple):
    """One exporter; *active* is None where nobody knows whether it should run."""

    name: str
    unit: str
    port: int
    units: list[str]
    url: str
    status: int
    active: bool | None


def exporters_of(wanted: Mapping[str, t.Any]) -> list[Exporter]:
    """The exporters of a node."""
    held = has_role(wanted["held"]["roles"], wanted["held"]["watched"])
    found = []
    for each in wanted["chosen"]:
        name = each["name"].replace("-", "_")
        with_web = name in WITH_WEB_CONFIG
        scheme = "https" if with_web and wanted["tls"] else "http"
        found.append(
            Exporter(
                name,
                each["unit"],
                int(each["port"]),
                list(each["units"]),
                f"{scheme}://{wanted['listen_address'] or 'localhost'}:{each['port']}/metrics",
                401 if with_web and wanted["users"] else 200,
                True if wanted["by_systemd"] else held,
            )
        )
    return found


def exporter_services(wanted: Mapping[str, t.Any]) -> dict[str, list[Json]]:
    """The units and ports of the exporters, as those kinds of checks take them."""
    exporters = exporters_of(wanted)
    return {
        "units": [
            {"unit": each.unit, "active": each.active, "enabled": bool(wanted["by_systemd"])} for each in exporters
        ],
        "ports": [
            {"port": each.port, "name": each.name, "units": [each.unit, *each.units], "used": each.active}
            for each in exporters
            if each.active is not None
        ],
    }


def exporters_wanted(wanted: t.Any) -> Json:
    exporters = [each for each in exporters_of(wanted) if each.active]
    return {
        "requests": [
            asked(f"metrics of {each.name}", each.url, "metrics", series=SERIES[each.name]) for each in exporters
        ],
        # Slurm's own directories: cgroup v1, then v2
        "commands": [
            {
                "name": JOBS,
                "argv": [
                    "find",
                    "/sys/fs/cgroup/memory/slurm",
                    "/sys/fs/cgroup/system.slice/slurmstepd.scope",
                    *("-maxdepth", "2", "-type", "d", "-name", "job_*", "-printf", "%f\\n"),
                ],
                "seconds": 10,
            }
        ]
        if any(each.name == "cgroup_exporter" for each in exporters)
        else [],
    }


def judge_exporters(wanted: t.Any, scene: Scene) -> Iterator[Outcome]:
    for each in exporters_of(wanted):
        name = each.name
        if not each.active:
            continue
        answer = scene.facts.get("requests", {}).get(f"metrics of {name}")
        mend = f"journalctl -u {each.unit} -n 20; systemctl restart {each.unit}"
        wrong = metrics_problem(answer, name, each.status)
        yield Outcome("metrics", name, not wrong, wrong, f"metrics of {name} at {each.url}", mend)
        if wrong or each.status != 200:
            continue
        if name == "cgroup_exporter":
            yield from _judge_jobs(answer["value"], scene, mend)


def metrics_problem(answer: t.Any, name: str, status: int) -> str:
    """What is wrong with an exporter's answer; empty if nothing is."""
    reason = why_not(answer)
    if reason:
        return reason
    if answer.get("status") != status:
        return f"answers with status {answer.get('status')}: {one_line(answer.get('said', ''))}"
    return content_problem(answer.get("value") or {}, name) if status == 200 else ""


def content_problem(value: Json, name: str) -> str:
    """What is wrong with an exporter's metrics; empty if nothing is."""
    series = value.get("series", {})
    missing = [wanted for wanted in SERIES[name] if not series.get(wanted)]
    if missing:
        return f"{value.get('samples', 0)} samples, without {', '.join(missing)}"
    if not value.get("samples"):
        return "not one sample"
    if GPUS in SERIES[name] and max(series[GPUS]) < 1:
        return "no GPU"
    return ""


def _judge_jobs(metrics: Json, scene: Scene, mend: str) -> Iterator[Outcome]:
    """Jobs that run are measured. find ends with 1 where one of the two places is not there."""
    found = scene.facts.get("commands", {}).get(JOBS)
    if why_not(found):
        return
    running = {line[len("job_") :] for line in str(found.get("stdout", "")).split() if line[len("job_") :].isdigit()}
    missing = sorted(running - set(metrics.get("jobs", [])), key=int)
    # One that has begun or ended just now is no fault; of several, all cannot have.
    yield Outcome(
        "job_series",
        "cgroup_exporter",
        not missing or len(missing) < len(running),
        f"nothing of the running jobs {', '.join(missing[:5])}",
        "series with the ids of the jobs that run on the node",
        mend,
    )


# --- role_monitor: {unit, state_dir, instance, host, check_interval, held: {roles, watched}} ---


def state_path(wanted: Mapping[str, t.Any]) -> str:
    """Where the role monitor of this host remembers."""
    suffix = f"_{wanted['instance']}" if wanted["instance"] else ""
    return f"{wanted['state_dir']}/{short(wanted['host'])}{suffix}_state.json"


def role_monitor_wanted(wanted: t.Any) -> Json:
    return {"contents": [state_path(wanted)]}


def judge_role_monitor(wanted: t.Any, scene: Scene) -> Iterator[Outcome]:
    path, unit = state_path(wanted), wanted["unit"]
    found = scene.facts.get("contents", {}).get(path)
    reason = why_not(found)
    look = f"journalctl -u {unit} -n 20"
    if reason:
        yield Outcome("last_success", path, False, reason, "the state of a role monitor that BCM has answered", look)
        return
    age = float(scene.facts.get("time", 0)) - float(found.get("mtime", 0))
    most = max(STALE_CHECKS * float(wanted["check_interval"]), 60.0)
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(max(0.0, float(found.get("mtime", 0)))))
    yield Outcome(
        "last_success",
        unit,
        -60 <= age <= most,
        f"BCM last gave it an answer at {when} UTC, {age:.0f} s ago",
        f"at most {most:.0f} s ago",
        f"bcm_role_monitor.py --check-access; {look}; systemctl restart {unit}",
    )
    yield from _judge_state(wanted, str(found.get("text", "")), look, unit)


def _judge_state(wanted: Json, text: str, look: str, unit: str) -> Iterator[Outcome]:
    try:
        state = json.loads(text)
        held = state["held"]
        given_up = sorted(name for name, record in state["units"].items() if record["given_up"])
    except (ValueError, KeyError, TypeError, AttributeError):
        yield Outcome("state", state_path(wanted), False, "is no state of a role monitor", "its state", look)
        return
    words = {True: "has the role", False: "does not have the role", None: "may have the role or not"}
    in_bcm = has_role(wanted["held"]["roles"], wanted["held"]["watched"])
    if in_bcm is not None:
        yield Outcome(
            "state",
            unit,
            held is in_bcm,
            f"holds that the node {words.get(held, '?')}",
            f"as in BCM, where it {words[in_bcm]}",
            f"{look}; systemctl restart {unit}",
        )
    yield Outcome(
        "given_up",
        unit,
        not given_up,
        f"has given up starting {', '.join(given_up)}",
        "no unit given up",
        "; ".join(f"systemctl start {name}" for name in given_up),
    )


KINDS = {
    "exporters": Kind(exporters_wanted, judge_exporters),
    "role_monitor": Kind(role_monitor_wanted, judge_role_monitor),
}
