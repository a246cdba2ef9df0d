# SPDX-License-Identifier: GPL-3.0-or-later
"""The role monitor's own metrics, in node_exporter's textfile directory.

The bytes are those that the prometheus_client library writes (a unit test compares them).  The library itself is not
imported: it would take 5 MB of the 25 MB that the daemon may have.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from superpod_monitoring import atomic_file

TAG = "bcm-role-monitor"


class Sample(NamedTuple):
    """One value with its labels."""

    value: float
    labels: Mapping[str, str] = {}


class Family(NamedTuple):
    """A metric: its name (of a counter without ``_total``), kind, help text and samples."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


class Facts(NamedTuple):
    """What the metrics tell; times in seconds since 1970."""

    monitor: str
    version: str
    roles: tuple[str, ...]
    held: bool | None
    last_success: float | None
    headnode: str | None
    events_connected: bool
    unknown_answers: int
    file_errors: int
    start_attempts: Mapping[str, int]
    given_up: Mapping[str, bool]
    bcm_services: Mapping[str, bool]


def families(facts: Facts) -> list[Family]:
    """The metrics for these facts; every sample names its role monitor, as there may be several on a node."""
    us = {"monitor": facts.monitor}

    def one(name: str, kind: str, text: str, *samples: Sample) -> Family:
        labelled = tuple(Sample(value, {**us, **labels}) for value, labels in samples)
        return Family(f"bcm_role_monitor_{name}", kind, text, labelled)

    def by_unit(values: Mapping[str, float]) -> list[Sample]:
        return [Sample(value, {"unit": unit}) for unit, value in sorted(values.items())]

    roles = ",".join(facts.roles)
    held = [] if facts.held is None else [Sample(facts.held, {"roles": roles})]
    success = [] if facts.last_success is None else [Sample(facts.last_success)]
    headnode = [] if facts.headnode is None else [Sample(1, {"headnode": facts.headnode})]
    return [
        one("info", "gauge", "The role monitor's version.", Sample(1, {"version": facts.version})),
        one("role_held", "gauge", "Whether BCM gives this node one of the watched roles.", *held),
        one("last_success_timestamp_seconds", "gauge", "When BCM last gave a certain answer.", *success),
        one("headnode_info", "gauge", "The head node that answered last.", *headnode),
        one(
            *("events_connected", "gauge", "Whether BCM's events are being waited for."),
            Sample(facts.events_connected),
        ),
        one(
            *("unknown_answers", "counter", "Checks without a certain answer of BCM, since the start."),
            Sample(facts.unknown_answers),
        ),
        one(
            *("file_errors", "counter", "Checks in which the target file could not be kept, since the start."),
            Sample(facts.file_errors),
        ),
        one("start_attempts", "counter", "Attempts to start a unit, since the start.", *by_unit(facts.start_attempts)),
        one("given_up", "gauge", "Whether starting a unit was given up.", *by_unit(facts.given_up)),
        one(
            *("unit_managed_by_bcm", "gauge", "Whether BCM itself manages the unit, so that it is left alone."),
            *by_unit(facts.bcm_services),
        ),
    ]


def render(metrics: Iterable[Family]) -> bytes:
    """The metrics in Prometheus' text format."""
    lines = []
    for family in metrics:
        name = f"{family.name}_total" if family.kind == "counter" else family.name
        lines += [f"# HELP {name} {_escape(family.help)}", f"# TYPE {name} {family.kind}"]
        for value, labels in family.samples:
            inner = ",".join(f'{key}="{_escape(text, quote=True)}"' for key, text in sorted(labels.items()))
            lines.append(f"{name}{{{inner}}} {_number(value)}")
    return ("\n".join(lines) + "\n").encode()


def path(directory: str, instance: str) -> str:
    """Where an instance's metrics lie."""
    return os.path.join(directory, f"bcm_role_monitor_{instance}.prom" if instance else "bcm_role_monitor.prom")


def write(directory: str, instance: str, facts: Facts) -> None:
    """Write the metrics.  Raises OSError."""
    atomic_file.write_if_changed(path(directory, instance), render(families(facts)), tag=TAG, durable=False)


def remove(directory: str, instance: str) -> None:
    """Remove them, so that a stopped monitor is not taken for one that has nothing new to say.  Raises OSError."""
    atomic_file.remove(path(directory, instance))


def _number(value: float) -> str:
    """A number as the library writes it: with an exponent from 1,000,000 on, as Go does."""
    text = repr(float(value))
    whole, _point, fraction = text.partition(".")
    if value > 0 and len(whole) > 6:
        return f"{whole[0]}.{whole[1:]}{fraction}".rstrip("0.") + f"e+0{len(whole) - 1}"
    return text


def _escape(text: str, quote: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text
