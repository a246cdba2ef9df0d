# SPDX-License-Identifier: GPL-3.0-or-later
"""A dashboard's JSON as the checks read it: strictly, and without the SDK that built it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class DashboardError(ValueError):
    """A file that is no dashboard; the message is one sentence that says what to change."""


@dataclass(frozen=True)
class Target:
    """A query of a panel."""

    ref: str
    expr: str
    legend: str
    instant: bool
    table: bool
    datasource: object


@dataclass(frozen=True)
class Panel:
    """A panel other than a row; *raw* is its JSON."""

    id: object
    title: str
    type: str
    unit: str
    datasource: object
    targets: tuple[Target, ...]
    raw: dict[str, Any]

    @property
    def links(self) -> list[str]:
        """The URLs of its values' links, those of a table's columns included."""
        links = [self.raw, self.raw.get("fieldConfig", {}).get("defaults", {})]
        found = [link for holder in links for link in holder.get("links") or []]
        for override in self.raw.get("fieldConfig", {}).get("overrides", []):
            found += [link for prop in override["properties"] if prop["id"] == "links" for link in prop["value"]]
        return [link.get("url") or "" for link in found]

    @property
    def headings(self) -> dict[str, str]:
        """Of a table: field -> the heading it is shown under, from left to right."""
        names, order = self._organize().get("renameByName", {}), self._organize().get("indexByName", {})
        return dict(sorted(names.items(), key=lambda pair: order.get(pair[0], len(order))))

    @property
    def hidden(self) -> set[str]:
        """Of a table: the fields that are not shown."""
        return {field for field, hidden in self._organize().get("excludeByName", {}).items() if hidden}

    def _organize(self) -> dict[str, Any]:
        for transformation in self.raw.get("transformations") or []:
            if transformation["id"] == "organize":
                return dict(transformation["options"])
        return {}


@dataclass(frozen=True)
class Variable:
    """A template variable."""

    name: str
    type: str
    query: str
    several: bool
    has_all: bool
    all_value: str
    datasource: object


@dataclass(frozen=True)
class Dashboard:
    """A dashboard; *raw* is its JSON, *rows* are its rows."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    rows: tuple[dict[str, Any], ...]
    variables: tuple[Variable, ...]
    raw: dict[str, Any]

    def variable(self, name: str) -> Variable | None:
        """The variable of that name."""
        return next((variable for variable in self.variables if variable.name == name), None)

    def strings(self) -> Iterator[str]:
        """Every string value anywhere in it."""
        return _strings(self.raw)


def parse(text: str, name: str = "dashboard") -> Dashboard:
    """Read a dashboard's JSON.  Raises :class:`DashboardError`."""
    try:
        raw = json.loads(text)
        return _dashboard(raw)
    except json.JSONDecodeError as error:
        raise DashboardError(f"{name} is not JSON: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise DashboardError(f"{name} is not a dashboard as Grafana exports it: {error!r} is missing or odd") from error


def load(path: Path) -> Dashboard:
    """Read a dashboard's file.  Raises :class:`DashboardError`, OSError."""
    return parse(path.read_text(), path.name)


def _dashboard(raw: dict[str, Any]) -> Dashboard:
    flat: list[dict[str, Any]] = []
    for panel in raw["panels"]:
        flat += [panel, *panel.get("panels", [])]
    return Dashboard(
        uid=raw.get("uid") or "",
        title=raw["title"],
        panels=tuple(_panel(panel) for panel in flat if panel["type"] != "row"),
        rows=tuple(panel for panel in flat if panel["type"] == "row"),
        variables=tuple(_variable(variable) for variable in raw["templating"]["list"]),
        raw=raw,
    )


def _panel(raw: dict[str, Any]) -> Panel:
    return Panel(
        id=raw.get("id"),
        title=raw["title"],
        type=raw["type"],
        unit=raw.get("fieldConfig", {}).get("defaults", {}).get("unit", ""),
        datasource=raw.get("datasource"),
        targets=tuple(
            Target(
                ref=target["refId"],
                expr=target["expr"],
                legend=target.get("legendFormat", ""),
                instant=bool(target.get("instant")),
                table=target.get("format") == "table",
                datasource=target.get("datasource"),
            )
            for target in raw.get("targets", [])
        ),
        raw=raw,
    )


def _variable(raw: dict[str, Any]) -> Variable:
    query = raw.get("query", "")
    return Variable(
        name=raw["name"],
        type=raw["type"],
        query=query["query"] if isinstance(query, dict) else query,
        several=bool(raw.get("multi")),
        has_all=bool(raw.get("includeAll")),
        all_value=raw.get("allValue") or "",
        datasource=raw.get("datasource"),
    )


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
