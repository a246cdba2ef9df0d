# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be looked at for a set of expectations, and what the facts say to them. Pure.

An expectation is a dictionary of kinds of checks; what each kind takes stands above its functions in
``verify_*_checks``.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from . import (
    verify_grafana_checks,
    verify_host_checks,
    verify_job_checks,
    verify_node_checks,
    verify_prometheus_checks,
    verify_slurm_checks,
)
from .verify_outcome import Json, Kind, Outcome, Scene, one_line

KINDS: dict[str, Kind] = {
    **verify_host_checks.KINDS,
    **verify_node_checks.KINDS,
    **verify_prometheus_checks.KINDS,
    **verify_slurm_checks.KINDS,
    **verify_job_checks.KINDS,
    **verify_grafana_checks.KINDS,
}
REQUEST: Json = {
    "seconds": 10,
    "series": [],
    "user": "",
    "password": "",
    "password_file": "",
    "validate_certs": False,
}
LOOKS = ("units", "files", "contents", "ports", "disks", "listings", "certificates", "requests", "commands")


class UnknownKindError(ValueError):
    """An expectation that nobody can judge; one sentence."""


def complete(expected: Mapping[str, t.Any]) -> Json:
    """With what follows from the rest: the exporters' units and ports, and what is in the units' files."""
    result = dict(expected)
    if "exporters" in result:
        for kind, more in verify_node_checks.exporter_services(result["exporters"]).items():
            result[kind] = [*result.get(kind, []), *more]
    contents = {
        entry["path"].rpartition("/")[2]: entry.get("content", "")
        for each in result.get("files", [])
        for entry in each["entries"]
    }
    result["units"] = [{**unit, "content": contents.get(unit["unit"], "")} for unit in result.get("units", [])]
    return result


LONGEST = 399
"""Characters of what was seen, in a table that has to stay one."""


def wanted(expected: Mapping[str, t.Any]) -> Json:
    """What the module is to look at, each thing once; *expected* is complete."""
    unknown = sorted(set(expected) - set(KINDS))
    if unknown:
        raise UnknownKindError(f"{', '.join(unknown)} is no kind of check; use one of {', '.join(sorted(KINDS))}.")
    result: Json = {look: [] for look in LOOKS}
    for kind, expectation in expected.items():
        for look, things in KINDS[kind].wants(expectation).items():
            for thing in things:
                if thing not in result[look]:
                    result[look].append(thing)
    result["requests"] = [{**REQUEST, **request} for request in result["requests"]]
    return result


def judge(expected: Mapping[str, t.Any], facts: Json, deploy: str) -> list[Outcome]:
    """Every check's outcome; what an odd host says that nobody has thought of is a failed check, too."""
    scene = Scene(facts, deploy)
    outcomes: list[Outcome] = []
    for kind, expectation in expected.items():
        try:
            outcomes.extend(KINDS[kind].judge(expectation, scene))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            seen = one_line(f"what was seen makes no sense: {type(error).__name__}: {error}")
            outcomes.append(Outcome(kind, "", False, seen, f"{kind} that can be judged", "see -vvv of this task"))
    return [outcome._replace(seen=one_line(outcome.seen, LONGEST)) for outcome in outcomes]
