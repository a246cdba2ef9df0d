# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a dashboard whatever the data: see the codes of the findings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dashboards import promql, substitute
from dashboards.document import Dashboard, Panel
from dashboards.findings import Finding

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
PANELS = frozenset(("timeseries", "stat", "bargauge", "table"))
UNITS = frozenset(("short", "bytes", "Bps", "celsius", "hertz", "h", "percentunit", "s", "watt"))
GRID_WIDTH = 24
LONGEST_UID = 40


def check(dashboards: Sequence[Dashboard]) -> list[Finding]:
    """All findings in a set of dashboards that link to each other."""
    found = [finding for dashboard in dashboards for finding in _check(dashboard)]
    for uid, times in Counter(dashboard.uid for dashboard in dashboards).items():
        if times > 1:
            found.append(Finding("uid", uid, "", f"{times} dashboards have this uid; give each its own"))
    for dashboard in dashboards:
        found += _links(dashboard, dashboards)
    return found


def _check(dashboard: Dashboard) -> Iterator[Finding]:
    def finding(code: str, text: str, panel: str = "") -> Finding:
        return Finding(code, dashboard.uid or dashboard.title, panel, text)

    if not dashboard.uid or len(dashboard.uid) > LONGEST_UID:
        yield finding("uid", f"the uid {dashboard.uid!r} must have 1 to {LONGEST_UID} characters")
    if dashboard.raw.get("id") is not None:
        yield finding("id", "the dashboard's id belongs to one Grafana: leave it out")
    if "__inputs" in dashboard.raw or "__requires" in dashboard.raw:
        yield finding("inputs", "provisioned files are not asked for __inputs: use the variable datasource")
    if next((v.type for v in dashboard.variables if v.name == "datasource"), "") != "datasource":
        yield finding("datasource", "there is no variable datasource of type datasource")
    for text in _twice(panel.title for panel in dashboard.panels):
        yield finding("title", f"two panels are called {text!r}")
    ids = [panel.id for panel in dashboard.panels] + [row.get("id") for row in dashboard.rows]
    if not all(isinstance(number, int) and number > 0 for number in ids) or _twice(ids):
        yield finding("id", "panels and rows need ids of their own, from 1")
    yield from (finding(code, text, panel) for code, text, panel in _grid(dashboard))
    yield from (finding("variable", text) for text in _variables(dashboard))
    for variable in dashboard.variables:
        if variable.type == "query" and variable.datasource != DATASOURCE:
            yield finding("datasource", f"variable {variable.name} must ask ${{datasource}}, not {variable.datasource}")
    for panel in dashboard.panels:
        yield from (finding(code, text, panel.title) for code, text in _panel(panel))


def _panel(panel: Panel) -> Iterator[tuple[str, str]]:
    if panel.type not in PANELS:
        yield "type", f"panels of type {panel.type} are not among {', '.join(sorted(PANELS))}"
    if not panel.targets:
        yield "target", "it asks nothing"
    for place, datasource in [("panel", panel.datasource), *((f"query {t.ref}", t.datasource) for t in panel.targets)]:
        if datasource != DATASOURCE:
            yield "datasource", f"the {place} must use ${{datasource}}, not {datasource}"
    if panel.type != "table" and panel.unit not in UNITS:
        yield "unit", f"{panel.unit!r} is not one of the units {', '.join(sorted(UNITS))}"
    if panel.type in ("timeseries", "bargauge") and not all(target.legend for target in panel.targets):
        yield "legend", "a query has no legend"
    for text in _twice(target.legend for target in panel.targets if target.legend):
        yield "legend", f"two queries have the legend {text!r}"
    for text in _twice(target.ref for target in panel.targets):
        yield "target", f"two queries have the refId {text}"
    for target in panel.targets:
        for window in promql.raw_windows(target.expr):
            yield "window", f"{window} stays the same whatever time is shown: use $__rate_interval or $__range"
        if panel.type in ("stat", "bargauge", "table") and not target.instant:
            yield "target", f"query {target.ref} of a {panel.type} must be instant"
        if (panel.type == "table") != target.table:
            yield "target", f"query {target.ref} must have the format table in a table, and only there"


def _variables(dashboard: Dashboard) -> Iterator[str]:
    defined = {variable.name for variable in dashboard.variables}
    used = [name for text in dashboard.strings() for name in substitute.names(text)]
    known = defined | substitute.MACROS | substitute.LINK_MACROS
    for name in sorted(set(used) - known):
        yield f"${name} is not defined"
    for index, variable in enumerate(dashboard.variables):
        earlier = {other.name for other in dashboard.variables[:index]}
        for name in sorted(set(substitute.names(variable.query)) - earlier):
            yield f"variable {variable.name} asks with ${name}, which is not defined before it"
    queries = [target.expr for panel in dashboard.panels for target in panel.targets]
    queries += [variable.query for variable in dashboard.variables]
    asked = {name for text in queries for name in substitute.names(text)}
    for name in sorted(defined - asked - {"datasource"}):
        yield f"${name} is defined, but no query uses it"


def _grid(dashboard: Dashboard) -> Iterator[tuple[str, str, str]]:
    cells: dict[tuple[int, int], str] = {}
    places: list[tuple[str, dict[str, Any]]] = [(panel.title, panel.raw["gridPos"]) for panel in dashboard.panels]
    places += [(row["title"], row["gridPos"]) for row in dashboard.rows]
    for title, place in places:
        if place["x"] + place["w"] > GRID_WIDTH:
            yield "grid", f"it ends beyond column {GRID_WIDTH}", title
        area = [
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        over = {cells[cell] for cell in area if cell in cells}
        for other in sorted(over):
            yield "grid", f"it lies over {other!r}", title
        cells.update(dict.fromkeys(area, title))


def _links(dashboard: Dashboard, others: Sequence[Dashboard]) -> Iterator[Finding]:
    by_uid = {other.uid: other for other in others}
    for panel in dashboard.panels:
        for url in panel.links:
            parts = urlsplit(url)
            match = re.fullmatch(r"/d/([^/]+)", parts.path)
            other = by_uid.get(match[1]) if match else None
            if other is None:
                yield Finding("link", dashboard.uid, panel.title, f"{url} leads to none of these dashboards")
                continue
            for key, _ in parse_qsl(parts.query, keep_blank_values=True):
                if key.startswith("var-") and other.variable(key[4:]) is None:
                    text = f"{url} sets {key[4:]}, which {other.uid} does not have"
                    yield Finding("link", dashboard.uid, panel.title, text)


def _twice(values: Any) -> list[Any]:
    return [value for value, times in Counter(values).items() if times > 1]
