# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of the answers of exporters, Prometheus and Grafana, on the host that asked. Pure."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Callable

from .monitoring_time import seconds_since_1970

Json = dict[str, t.Any]

VALUES = 64
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})?\s+(\S+)(?:\s+-?\d+)?\s*")
_JOB = re.compile(r'[{,]jobid="([^"]+)"')


def digest(kind: str, body: bytes, series: list[str]) -> Json:
    """What matters of a body: ``{"value": ...}``, or ``{"error": ...}`` for one that is not what was asked for."""
    try:
        return {"value": _KINDS[kind](body.decode("utf-8"), series)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {"error": f"the answer is not what {_SPEAKERS[kind]} says: {_beginning(body)}"}


def metrics(text: str, series: list[str]) -> Json:
    """How many samples there are; of the series asked for, their values; the ids of jobs."""
    wanted = set(series)
    found: dict[str, list[float]] = {}
    jobs: set[str] = set()
    samples = 0
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = _SAMPLE.fullmatch(line)
        if match is None:
            raise ValueError(line)
        value = float(match[3])
        samples += 1
        if match[1] in wanted and len(found.setdefault(match[1], [])) < VALUES:
            found[match[1]].append(value)
        jobs.update(_JOB.findall(match[2] or ""))
    return {"samples": samples, "series": found, "jobs": sorted(jobs)}


def targets(text: str, _series: list[str]) -> list[Json]:
    """Prometheus' active targets, with what is judged of each; `last_scrape` in seconds since 1970, None for never."""
    return [
        {
            "pool": each["scrapePool"],
            "address": each["discoveredLabels"]["__address__"],
            "labels": each["labels"],
            "health": each["health"],
            "error": each.get("lastError", ""),
            "last_scrape": seconds_since_1970(each.get("lastScrape", "")),
        }
        for each in _data(text)["activeTargets"]
    ]


def rules(text: str, _series: list[str]) -> Json:
    """The names of each rule file's rules that do not work, by the file's path."""
    found: dict[str, list[str]] = {}
    for group in _data(text)["groups"]:
        failing = [f"{rule['name']}: {rule.get('lastError', '')}" for rule in group["rules"] if rule["health"] == "err"]
        found.setdefault(group["file"], []).extend(failing)
    return found


def vector(text: str, _series: list[str]) -> list[Json]:
    """The labels and the value of each element of an instant query's answer."""
    return [{"labels": each["metric"], "value": float(each["value"][1])} for each in _data(text)["result"]]


def document(text: str, _series: list[str]) -> t.Any:
    """JSON as it is."""
    return json.loads(text)


def nothing(_text: str, _series: list[str]) -> None:
    """Only that there was an answer."""


def _data(text: str) -> t.Any:
    answer = json.loads(text)
    if answer["status"] != "success":
        raise ValueError(answer["status"])
    return answer["data"]


def _beginning(body: bytes) -> str:
    said = " ".join(body[:200].decode("utf-8", "replace").split())
    return repr(said[:80]) if said else "it is empty"


_KINDS: dict[str, Callable[[str, list[str]], t.Any]] = {
    "metrics": metrics,
    "targets": targets,
    "rules": rules,
    "vector": vector,
    "document": document,
    "nothing": nothing,
}
_SPEAKERS = {
    "metrics": "an exporter",
    "targets": "Prometheus",
    "rules": "Prometheus",
    "vector": "Prometheus",
    "document": "a program with an API",
    "nothing": "anything",
}
KINDS = sorted(_KINDS)
