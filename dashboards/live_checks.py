# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a dashboard's queries, found by running every one of them on a Prometheus that has data."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dashboards import promql, substitute
from dashboards.document import Dashboard, Panel, Target, Variable
from dashboards.findings import Finding
from dashboards.prometheus_api import Prometheus, PrometheusError, Series
from dashboards.substitute import Chosen, Window

ALL = "$__all"
_LABEL_VALUES = re.compile(r"label_values\(\s*(?:(?P<selector>.+)\s*,\s*)?(?P<label>\w+)\s*\)")
_FIELD_LABEL = re.compile(r"\$\{__field\.labels\.(\w+)\}")
_DATA_FIELD = re.compile(r"\$\{__data\.fields\.(\w+)\}")


@dataclass(frozen=True)
class Run:
    """Where and when the queries run."""

    prometheus: Prometheus
    window: Window


def options(run: Run, dashboard: Dashboard, variable: Variable, chosen: Mapping[str, Chosen]) -> list[str]:
    """The values that a query variable offers, given those chosen before it.

    Raises PrometheusError, ValueError (a query that is not ``label_values``).
    """
    match = _LABEL_VALUES.fullmatch(variable.query)
    if match is None:
        raise ValueError(f"variable {variable.name} of {dashboard.uid} must ask label_values(...)")
    selector = substitute.query(match["selector"] or '{__name__!=""}', chosen, run.window.macros())
    found = run.prometheus.series(selector, run.window.start, run.window.end)
    return sorted({labels[match["label"]] for labels in found if match["label"] in labels})


def choose(run: Run, dashboard: Dashboard, wanted: Mapping[str, str]) -> dict[str, Chosen]:
    """A value for each variable, in their order: the wanted one, else All where there is one, else the first on offer.

    Raises PrometheusError, ValueError (a value that is not on offer).
    """
    chosen: dict[str, Chosen] = {}
    for variable in dashboard.variables:
        if variable.type == "datasource":
            continue
        offered = options(run, dashboard, variable, chosen)
        if not offered:
            raise ValueError(f"variable {variable.name} of {dashboard.uid} offers no value: {variable.query}")
        value = wanted.get(variable.name, ALL if variable.has_all else offered[0])
        chosen[variable.name] = _chosen(variable, value, offered, dashboard)
    return chosen


def _chosen(variable: Variable, value: str, offered: list[str], dashboard: Dashboard) -> Chosen:
    if value == ALL:
        if not variable.has_all:
            raise ValueError(f"variable {variable.name} of {dashboard.uid} has no All")
        return Chosen(tuple(offered), raw=variable.all_value or None, several=True)
    if value not in offered:
        raise ValueError(f"variable {variable.name} of {dashboard.uid} does not offer {value}, only {offered}")
    return Chosen((value,), several=variable.several)


def check(
    run: Run,
    dashboard: Dashboard,
    wanted: Mapping[str, str],
    *,
    complete: bool,
    rightly_empty: frozenset[str] = frozenset(),
) -> list[Finding]:
    """Run every query of every panel with these variables.

    *complete*: there is data for all of it, so a query without a result is a fault, except in the panels that are
    *rightly_empty*, where a result is one.
    """
    try:
        chosen = choose(run, dashboard, wanted)
    except (PrometheusError, ValueError) as error:
        return [Finding("variable", dashboard.uid, "", str(error))]
    shown = " ".join(f"{name}={value}" for name, value in wanted.items()) or "all"
    found = []
    for panel in dashboard.panels:
        for code, text in _panel(run, panel, chosen, complete, panel.title in rightly_empty):
            found.append(Finding(code, dashboard.uid, panel.title, f"{text} ({shown})"))
    return found


def _panel(
    run: Run, panel: Panel, chosen: Mapping[str, Chosen], complete: bool, rightly_empty: bool
) -> Iterator[tuple[str, str]]:
    legends: Counter[str] = Counter()
    labels: set[str] = set()
    anything = False
    for target in panel.targets:
        try:
            expr = substitute.query(target.expr, chosen, run.window.macros())
            series = _ask(run, target, expr)
        except substitute.UndefinedVariableError as error:
            yield "variable", f"query {target.ref}: {error}"
            continue
        except PrometheusError as error:
            yield "error", f"query {target.ref} is refused: {error}"
            continue
        anything = anything or bool(series)
        if not series and complete and not rightly_empty:
            yield "empty", f"query {target.ref} has no result: {expr}"
        if series and all(math.isnan(float(value)) for one in series for value in one.values):
            yield "nan", f"query {target.ref} has nothing but NaN: {expr}"
        if complete and not rightly_empty:
            yield from _selectors(run, target, expr)
        yield from _labels(panel, target, series)
        legends.update(substitute.legend(target.legend, one.labels) for one in series if not target.table)
        labels |= {name for one in series for name in one.labels}
    if rightly_empty and complete and anything:
        yield "not_empty", "it was said to be rightly empty, and is not"
    for legend, times in legends.items():
        if times > 1:
            yield "duplicate", f"{times} series have the legend {legend!r}"
    if panel.type == "table" and anything:
        yield from _columns(panel, labels)


def _ask(run: Run, target: Target, expr: str) -> list[Series]:
    window = run.window
    if target.instant:
        return run.prometheus.instant(expr, window.end)
    return run.prometheus.range(expr, window.start, window.end, window.step)


def _selectors(run: Run, target: Target, expr: str) -> Iterator[tuple[str, str]]:
    """An ``or`` hides the half that matches nothing: each selector is asked for by itself."""
    for selector in sorted(set(promql.selectors(expr))):
        if not run.prometheus.series(selector, run.window.start, run.window.end):
            yield "selector", f"query {target.ref} asks for {selector}, which matches nothing"


def _labels(panel: Panel, target: Target, series: list[Series]) -> Iterator[tuple[str, str]]:
    wanted = {("legend", name) for name in substitute.legend_labels(target.legend)}
    if not target.table:
        wanted |= {("link", name) for url in panel.links for name in _FIELD_LABEL.findall(url)}
    for code, name in sorted(wanted):
        if any(name not in one.labels for one in series):
            yield code, f"query {target.ref} has series without the label {name}, which the {code} shows"


def _columns(panel: Panel, labels: set[str]) -> Iterator[tuple[str, str]]:
    values = {"Value", *(f"Value #{target.ref}" for target in panel.targets)}
    for field in panel.headings:
        if field not in labels | values:
            yield "column", f"no query has the label {field}, which a column shows"
    several = len(panel.targets) > 1
    fields = {f"Value #{target.ref}" if several else "Value" for target in panel.targets} | labels | {"Time"}
    for field in sorted(fields - panel.headings.keys() - panel.hidden):
        yield "column", f"{field} would be shown without having been asked for"
    for url in panel.links:
        for name in _DATA_FIELD.findall(url):
            if name not in panel.headings.values():
                yield "link", f"{url} takes the column {name}, which the table does not have"
