# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables and macros, put into queries and legends as Grafana does it for Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# $name, ${name}, ${name.field}, ${name:format}, [[name]]; names that begin with __ are Grafana's own
_REFERENCE = re.compile(r"\$(\w+)|\$\{(\w+)(?:\.[^:}]+)?(?::[^}]+)?\}|\[\[(\w+?)(?::\w+)?\]\]")
_LEGEND_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")

MACROS = frozenset(("__interval", "__interval_ms", "__range", "__range_s", "__range_ms", "__rate_interval"))
LINK_MACROS = frozenset(("__all", "__field", "__value", "__data", "__series", "__url_time_range", "__all_variables"))


class UndefinedVariableError(ValueError):
    """A query names a variable that the dashboard does not have."""


@dataclass(frozen=True)
class Window:
    """The time shown, in seconds since 1970, in steps, and how often its data was scraped."""

    start: float
    end: float
    step: int
    scrape_interval: int

    def macros(self) -> dict[str, str]:
        """What Grafana's macros stand for."""
        span = int(self.end - self.start)
        rate = max(self.step + self.scrape_interval, 4 * self.scrape_interval)
        return {
            "__interval": f"{self.step}s",
            "__interval_ms": str(self.step * 1000),
            "__range": f"{span}s",
            "__range_s": str(span),
            "__range_ms": str(span * 1000),
            "__rate_interval": f"{rate}s",
        }


@dataclass(frozen=True)
class Chosen:
    """A variable's value: the chosen ones, or (*raw*) a text that goes in as it is, such as the ``.*`` of All."""

    values: tuple[str, ...] = ()
    raw: str | None = None
    several: bool = False

    def in_query(self) -> str:
        """As Grafana's Prometheus data source writes it within a PromQL string."""
        if self.raw is not None:
            return self.raw
        if not self.several:
            return self.values[0].replace("\\", "\\\\").replace("'", "\\\\'").replace('"', '\\"')
        escaped = [_escape(value) for value in self.values]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _escape(value: str) -> str:
    """For a regular expression within a PromQL string: both of them take a backslash away."""
    return re.sub(r"[$^*{}\[\]'+?.()|]", lambda match: "\\\\" + match[0], value.replace("\\", "\\\\\\\\"))


def names(text: str) -> Iterator[str]:
    """The variables and macros that a text refers to."""
    for match in _REFERENCE.finditer(text):
        yield next(group for group in match.groups() if group)


def query(expr: str, chosen: Mapping[str, Chosen], macros: Mapping[str, str]) -> str:
    """The query as it is sent.  Raises :class:`UndefinedVariableError`."""

    def replace(match: re.Match[str]) -> str:
        name = next(group for group in match.groups() if group)
        if name in macros:
            return macros[name]
        if name not in chosen:
            raise UndefinedVariableError(f"${name} is not defined")
        return chosen[name].in_query()

    return _REFERENCE.sub(replace, expr)


def legend_labels(legend: str) -> list[str]:
    """The labels that a legend shows."""
    return _LEGEND_LABEL.findall(legend)


def legend(template: str, labels: Mapping[str, str]) -> str:
    """The legend of one series."""
    return _LEGEND_LABEL.sub(lambda match: labels.get(match[1], ""), template)
