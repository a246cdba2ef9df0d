# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all hosts' checks say together: who failed what, as a table and as data. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from .target_directory import short
from .verify_outcome import Json, one_line

COLUMNS = ("CHECK", "OF", "SEEN", "EXPECTED")


def hints_of(result: object) -> list[str]:
    """What one host's result says could be done to see more."""
    return list(result.get("hints") or []) if isinstance(result, dict) else []


def findings_of(host: str, part: str, result: object) -> tuple[int, list[Json]]:
    """How many checks passed, and what failed, by one host's result of the action ``verify_host``."""
    if not isinstance(result, dict) or result.get("skipped"):
        return 0, []
    if result.get("unreachable"):
        return 0, [_trouble("reachable", result, "ssh reaches the host", f"ssh {host} true")]
    if result.get("failed") or "findings" not in result:
        again = f"ansible-playbook superpod.monitoring.verify -i bcm_inventory.yml --tags {part} --limit {host} -vvv"
        return 0, [_trouble("looked_at", result, f"{part} can be looked at", again)]
    return int(result.get("passed", 0)), list(result["findings"])


def _trouble(check: str, result: Json, expected: str, mend: str) -> Json:
    seen = one_line(result.get("msg") or "no reason given", 300)
    return {"check": check, "subject": "", "host": "", "seen": seen, "expected": expected, "mend": mend}


def report(looked_at: Iterable[tuple[str, str, object]], known: Iterable[str]) -> Json:
    """Of (host, part, result): each host with what passed and failed, the table, how many failures, hints.

    A finding about another host (a target that Prometheus on mon-01 does not scrape) stands with the host it is about.
    """
    names = {short(host): host for host in known}
    hosts: dict[str, Json] = {}
    hints: list[str] = []
    for host, part, result in looked_at:
        hints += [f"{host}: {hint}" for hint in hints_of(result)]
        passed, findings = findings_of(host, part, result)
        if not passed and not findings:
            continue
        own = _host(hosts, host)
        own["passed"] += passed
        for finding in findings:
            about = names.get(short(finding["host"]), finding["host"]) or host
            entry = {**finding, "part": part, "host": about, "seen_from": host}
            if entry["check"] == "reachable" and any(each["check"] == "reachable" for each in own["failures"]):
                continue
            _host(hosts, about)["failures"].append(entry)
    listed = [{"host": host, **hosts[host]} for host in sorted(hosts)]
    failures = [finding for entry in listed for finding in entry["failures"]]
    return {
        "hosts": listed,
        "failures": len(failures),
        "passed": sum(entry["passed"] for entry in listed),
        "table": [line for entry in listed for line in table(entry)],
        "hints": hints,
        "sentence": sentence(failures, len(listed)),
    }


def _host(hosts: dict[str, Json], name: str) -> Json:
    return hosts.setdefault(name, {"passed": 0, "failures": []})


def table(entry: Json) -> list[str]:
    """One host's lines: how many checks passed, then a line for each that failed, with the command that mends it."""
    failed = len(entry["failures"])
    lines = [f"{entry['host']}: {entry['passed']} passed, {failed} failed"]
    if not failed:
        return lines
    cells = [COLUMNS] + [
        tuple(one_line(each[key]) for key in ("check", "subject", "seen", "expected")) for each in entry["failures"]
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(len(COLUMNS))]
    mends = ["MEND"] + [each["mend"] or "-" for each in entry["failures"]]
    for row, mend in zip(cells, mends):
        lines.append("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)) + f"  {mend}")
    return lines


def sentence(failures: list[Json], hosts: int) -> str:
    """All of it in one sentence."""
    if not failures:
        return f"Everything is as it should be on {hosts} host{'' if hosts == 1 else 's'}."
    where = sorted({each["host"] for each in failures})
    named = ", ".join(where[:5]) + (f" and {len(where) - 5} more" if len(where) > 5 else "")
    checks = "check" if len(failures) == 1 else "checks"
    return f"{len(failures)} {checks} failed on {named}; each one's line above ends with the command that mends it."
