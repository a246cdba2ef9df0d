# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks for every kind of host: files, units, ports, directories, programs, certificates, the clock. Pure."""

from __future__ import annotations

import hashlib
import re
import shlex
import time
import typing as t
from collections.abc import Iterator, Mapping

from .file_state import describe_wanted
from .verify_outcome import Json, Kind, Outcome, Scene, one_line, why_not

_ENTRY: Json = {"state": "file", "content": "", "target": "", "mode": None, "owner": "root", "group": "root"}
CLOCK_SECONDS = 5.0
LEAST_BYTES = 1 << 20


# --- files: [{check, entries: [those of the module managed_files], mend}] ---


def files_wanted(sets: t.Any) -> Json:
    return {"files": [entry["path"] for each in sets for entry in each["entries"]]}


def judge_files(sets: t.Any, scene: Scene) -> Iterator[Outcome]:
    for each in sets:
        for entry in each["entries"]:
            seen = _file(scene, entry["path"])
            wanted = describe_wanted({**_ENTRY, **entry})
            differing = differences(seen, _with_digest(wanted))
            yield Outcome(
                each["check"],
                entry["path"],
                not differing,
                ", ".join(differing),
                expectation(wanted),
                each.get("mend") or scene.deploy,
            )


def differences(seen: Mapping[str, t.Any], wanted: Mapping[str, t.Any]) -> list[str]:
    """What is otherwise with a file, in words."""
    if seen.get("state") == "unknown":
        return [f"cannot be read: {seen.get('error', '')}"]
    if seen.get("state") != wanted["state"]:
        return ["is missing"] if seen.get("state") == "absent" else [f"is a {seen.get('state')}"]
    words = {"sha256": "has another content", "target": f"leads to {seen.get('target')}"}
    return [
        words.get(key, f"has {key} {seen.get(key)}")
        for key in ("sha256", "target", "mode", "owner", "group")
        if key in wanted and seen.get(key) != wanted[key]
    ]


def expectation(wanted: Mapping[str, t.Any]) -> str:
    """What a file is expected to be, in words."""
    if wanted["state"] == "absent":
        return "nothing there"
    if wanted["state"] == "link":
        return f"a link to {wanted['target']}"
    content = " with what the role writes" if wanted["state"] == "file" else ""
    return f"a {wanted['state']}{content}, {wanted['mode']} {wanted['owner']}:{wanted['group']}"


def _with_digest(wanted: Json) -> Json:
    content = wanted.pop("content", None)
    return wanted if content is None else {**wanted, "sha256": hashlib.sha256(content).hexdigest()}


def _file(scene: Scene, path: str) -> Json:
    found = scene.facts.get("files", {}).get(path)
    return found if isinstance(found, dict) and "state" in found else {"state": "unknown", "error": why_not(found)}


# --- secrets: [{path, owner, group}] nobody else may read them ---


def secrets_wanted(secrets: t.Any) -> Json:
    return {"files": [each["path"] for each in secrets]}


def judge_secrets(secrets: t.Any, scene: Scene) -> Iterator[Outcome]:
    for each in secrets:
        group = each.get("group", "")
        most = 0o640 if group else 0o600
        owner = each.get("owner", "root")
        seen = _file(scene, each["path"])
        wrong = differences(seen, {"state": "file", "owner": owner, **({"group": group} if group else {})})
        mode = int(str(seen.get("mode", "0")), 8) if seen.get("state") == "file" else 0
        if mode & ~most:
            wrong.append(f"has mode {mode:04o}")
        yield Outcome(
            "secret_permissions",
            each["path"],
            not wrong,
            ", ".join(wrong),
            f"a file of {owner} with at most mode {most:04o}",
            f"chmod {most:04o} {each['path']}" if wrong == [f"has mode {mode:04o}"] else scene.deploy,
        )


# --- units: [{unit, active: bool or None, enabled: bool or None, content: the unit's file or ""}] ---


def units_wanted(units: t.Any) -> Json:
    return {"units": [each["unit"] for each in units]}


def judge_units(units: t.Any, scene: Scene) -> Iterator[Outcome]:
    for each in units:
        yield from _judge_unit(each, scene)


def _judge_unit(wanted: Json, scene: Scene) -> Iterator[Outcome]:
    unit = wanted["unit"]
    found = scene.facts.get("units", {})
    reason = why_not(found) or why_not(found.get(unit)) or ("" if found[unit].get("LoadState") else "it says nothing")
    if reason:
        yield Outcome("service_active", unit, False, f"systemd does not tell: {reason}", "a unit of systemd", "")
        return
    state = found[unit]
    load, active = state.get("LoadState", ""), state.get("ActiveState", "")
    if load != "loaded":
        seen = "is masked" if load == "masked" else "is no unit that systemd can load"
        mend = f"systemctl unmask {unit}" if load == "masked" else scene.deploy
        yield Outcome("service_active", unit, False, f"{seen} ({load})", "a unit that is loaded", mend)
        return
    if wanted.get("active") is not None:
        yield _judge_activity(unit, bool(wanted["active"]), active, str(state.get("SubState", "")))
    if wanted.get("enabled") is not None:
        enabled = state.get("UnitFileState") in ("enabled", "enabled-runtime")
        yield Outcome(
            "service_enabled",
            unit,
            enabled == wanted["enabled"],
            f"is {state.get('UnitFileState') or 'not known'} at boot",
            "enabled" if wanted["enabled"] else "not enabled: the role monitor starts it",
            f"systemctl {'enable' if wanted['enabled'] else 'disable'} {unit}",
        )
    yield Outcome(
        "service_reread",
        unit,
        state.get("NeedDaemonReload") != "yes",
        "its file has changed since systemd read it",
        "what systemd runs is what the file says",
        "systemctl daemon-reload",
    )
    options = options_in(str(wanted.get("content", "")))
    if options and active == "active":
        running = str(state.get("Running", ""))
        yield Outcome(
            "service_options",
            unit,
            running.endswith(options),
            f"runs as {one_line(running) or 'nothing that can be seen'}",
            f"options {one_line(options)}",
            f"systemctl cat {unit}; systemctl restart {unit}",
        )


def _judge_activity(unit: str, wanted: bool, active: str, sub: str) -> Outcome:
    return Outcome(
        "service_active",
        unit,
        (active == "active") == wanted,
        f"is {active} ({sub})",
        "active" if wanted else "inactive: BCM does not give the node the role",
        f"journalctl -u {unit} -n 20; systemctl start {unit}" if wanted else f"systemctl stop {unit}",
    )


def options_in(unit_file: str) -> str:
    """The options with which a unit's file starts its program, as they stand in its command line."""
    match = re.search(r"^ExecStart=((?:.*\\\n)*.*)$", unit_file, re.MULTILINE)
    if match is None:
        return ""
    try:
        words = shlex.split(match[1].replace("\\\n", " "))[1:]
    except ValueError:
        return ""
    return " ".join(words).replace("$$", "$")


# --- ports: [{port, name, units, used: bool}] ---


def ports_wanted(ports: t.Any) -> Json:
    return {"ports": [int(each["port"]) for each in ports]}


def judge_ports(ports: t.Any, scene: Scene) -> Iterator[Outcome]:
    found = scene.facts.get("listeners", [])
    known = [each for each in found if isinstance(each, dict) and "port" in each] if isinstance(found, list) else []
    for each in ports:
        there = [listener for listener in known if listener["port"] == int(each["port"])]
        others = [listener for listener in there if listener.get("unit") not in each["units"]]
        right = not others and bool(there) if each.get("used", True) else not others
        if others:
            seen = f"taken by {', '.join(str(listener.get('who')) for listener in others)}"
        else:
            seen = "nobody listens there" if isinstance(found, list) else why_not(found)
        yield Outcome(
            "port",
            f"{each['port']} ({each['name']})",
            right,
            seen,
            f"{each['name']} listens there" if each.get("used", True) else "nothing else listens there",
            f"ss -tlnp sport = :{each['port']}; systemctl restart {each['units'][0]}",
        )


# --- directories: [{path}] that the host's programs write to ---


def directories_wanted(directories: t.Any) -> Json:
    return {"disks": [each["path"] for each in directories]}


def judge_directories(directories: t.Any, scene: Scene) -> Iterator[Outcome]:
    for each in directories:
        path = each["path"]
        found = scene.facts.get("disks", {}).get(path)
        wrong = why_not(found)
        mend = scene.deploy
        if not wrong:
            if found.get("read_only"):
                wrong, mend = "its file system is read-only", f"mount -o remount,rw $(stat -c %m {path})"
            elif found.get("free_inodes") == 0 or found.get("free_bytes", 0) < LEAST_BYTES:
                wrong, mend = "its file system is full", f"df -h {path}; df -i {path}"
        yield Outcome(
            "directory_writable", path, not wrong, wrong, "a directory that can be written to", each.get("mend") or mend
        )


# --- commands: [{check, name, argv, seconds, says, mend, expected}] ---


def commands_wanted(commands: t.Any) -> Json:
    return {"commands": [_command(each) for each in commands]}


def _command(each: Json) -> Json:
    return {"name": each["name"], "argv": each["argv"], "seconds": each.get("seconds", 10)}


def judge_commands(commands: t.Any, scene: Scene) -> Iterator[Outcome]:
    for each in commands:
        found = scene.facts.get("commands", {}).get(each["name"])
        seen = failure_of(found) or ""
        if not seen and not re.search(each.get("says", ""), found["stdout"], re.MULTILINE):
            seen = f"says {one_line(found['stdout']) or 'nothing'}"
        yield Outcome(
            each["check"],
            each["name"],
            not seen,
            seen,
            each.get("expected", "it ends with status 0"),
            each.get("mend") or scene.deploy,
        )


def failure_of(found: t.Any) -> str:
    """What went wrong with a program; empty for one that ended with 0."""
    reason = why_not(found)
    if reason:
        return reason
    if found.get("rc") == 0:
        return ""
    said = str(found.get("stderr") or "").strip() or str(found.get("stdout") or "").strip() or "nothing"
    return f"ended with {found.get('rc')} and said: {one_line(said)}"


# --- certificates: [{path, days, mend}] ---


def certificates_wanted(certificates: t.Any) -> Json:
    return {"certificates": [each["path"] for each in certificates]}


def judge_certificates(certificates: t.Any, scene: Scene) -> Iterator[Outcome]:
    for each in certificates:
        found = scene.facts.get("certificates", {}).get(each["path"])
        seen = why_not(found)
        right = False
        if not seen:
            left = (float(found["not_after"]) - float(scene.facts.get("time", 0))) / 86400
            until = time.strftime("%Y-%m-%d", time.gmtime(min(float(found["not_after"]), 253402300799)))
            right = left >= float(each["days"])
            seen = f"has {left:.0f} days left (until {until})" if left >= 0 else f"has expired on {until}"
        yield Outcome(
            "certificate",
            each["path"],
            right,
            seen,
            f"{each['days']} days left or more",
            each.get("mend") or scene.deploy,
        )


# --- clock: {before, after} of the control machine, in seconds since 1970 ---


def judge_clock(control: t.Any, scene: Scene) -> Iterator[Outcome]:
    moment = float(scene.facts.get("time", 0))
    off = max(control["before"] - moment, moment - control["after"], 0.0)
    ahead = moment > control["after"]
    yield Outcome(
        "clock",
        "time of day",
        off <= CLOCK_SECONDS,
        f"is {off:.0f} s {'ahead of' if ahead else 'behind'} the control machine",
        f"at most {CLOCK_SECONDS:g} s off",
        "timedatectl; chronyc makestep",
    )


KINDS = {
    "files": Kind(files_wanted, judge_files),
    "secrets": Kind(secrets_wanted, judge_secrets),
    "units": Kind(units_wanted, judge_units),
    "ports": Kind(ports_wanted, judge_ports),
    "directories": Kind(directories_wanted, judge_directories),
    "commands": Kind(commands_wanted, judge_commands),
    "certificates": Kind(certificates_wanted, judge_certificates),
    "clock": Kind(lambda _control: {}, judge_clock),
}
