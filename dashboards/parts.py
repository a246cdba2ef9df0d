# SPDX-License-Identifier: GPL-3.0-or-later
"""The pieces that all dashboards are made of: variables, queries, panels, links.

Every panel and every query names ``${datasource}``, so nothing depends on a data source's uid or on the default one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import bargauge, common, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus as query
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as query_model

DATASOURCE = common_model.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "superpod"

# Grafana's names of units
BYTES = "bytes"
BYTES_PER_SECOND = "Bps"
CELSIUS = "celsius"
HERTZ = "hertz"
HOURS = "h"
NUMBER = "short"
RATIO = "percentunit"
SECONDS = "s"
WATTS = "watt"

RULE_INTERVAL_SECONDS = 30  # of the recording rules' groups: one sample of theirs stands for that long
HOURS_PER_SAMPLE = f"{RULE_INTERVAL_SECONDS} / 3600"

GREEN, YELLOW, RED = "green", "yellow", "red"


@dataclass(frozen=True)
class Query:
    """A PromQL expression and the legend of its series (for a table: the name of its value column)."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Steps:
    """Colours from a value on: *base* below the first."""

    base: str
    steps: tuple[tuple[float, str], ...] = ()

    def build(self) -> build.ThresholdsConfig:
        """As the SDK has them."""
        steps = [model.Threshold(value=None, color=self.base)]
        steps += [model.Threshold(value=value, color=color) for value, color in self.steps]
        return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


NEUTRAL = Steps(GREEN)
BAD_FROM_ONE = Steps(GREEN, ((1, RED),))


# --- variables


def datasource_variable() -> Builder[model.VariableModel]:
    """The Prometheus (or an engine that speaks its API) to ask."""
    return build.DatasourceVariable("datasource").label("Data source").type("prometheus")


def query_variable(name: str, label: str, values_of: str, *, several: bool) -> build.QueryVariable:
    """A variable whose values are those that a label has in Prometheus: ``label_values(selector, label)``.

    *several*: more than one value may be chosen, and all of them together.
    """
    variable = (
        build.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": values_of, "refId": name})
        .definition(values_of)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NATURAL_ASC)
        .multi(several)
        .include_all(several)
    )
    if several:
        variable = variable.current(model.VariableOption(text="All", value="$__all"))
    return variable


# --- queries


def _target(asked: Query, ref: str, *, instant: bool, as_table: bool = False) -> query.Dataquery:
    target = query.Dataquery().datasource(DATASOURCE).expr(" ".join(asked.expr.split())).ref_id(ref)
    target = target.instant() if instant else target.range()
    if as_table:
        return target.format(query_model.PromQueryFormat.TABLE)
    return target.legend_format(asked.legend) if asked.legend else target


def _refs(queries: Sequence[Query]) -> Iterable[tuple[str, Query]]:
    return zip("ABCDEFGHIJ", queries, strict=False)


# --- panels


def _links(links: Sequence[model.DashboardLink]) -> list[Builder[model.DashboardLink]]:
    return [_Built(link) for link in links]


class _Built(Builder[model.DashboardLink]):
    def __init__(self, link: model.DashboardLink) -> None:
        self._link = link

    def build(self) -> model.DashboardLink:
        return self._link


def data_link(title: str, uid: str, variables: Mapping[str, str]) -> model.DashboardLink:
    """A link from a value to another of these dashboards, with its variables and the time range taken along.

    *variables* maps a variable of the other dashboard to what it gets, such as ``${__field.labels.hostname}``.
    """
    given = "".join(f"&var-{name}={value}" for name, value in variables.items())
    link = model.DashboardLink(title=title, url=f"/d/{uid}?${{__url_time_range}}&var-datasource=${{datasource}}{given}")
    link.placement = None  # type: ignore[assignment]  # only links above the panels have a place
    return link


def graph(
    title: str,
    unit: str,
    *queries: Query,
    description: str = "",
    maximum: float | None = None,
    stacked: bool = False,
    links: Sequence[model.DashboardLink] = (),
    width: int = 12,
    height: int = 8,
) -> timeseries.Panel:
    """Lines over time, from zero on."""
    panel = (
        timeseries.Panel()
        .title(title)
        .datasource(DATASOURCE)
        .unit(unit)
        .min(0)
        .span(width)
        .height(height)
        .line_width(1)
        .fill_opacity(25 if stacked else 5)
        .show_points(common_model.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_model.LegendDisplayMode.LIST)
            .placement(common_model.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_model.TooltipDisplayMode.MULTI)
            .sort(common_model.SortOrder.DESCENDING)
        )
    )
    if description:
        panel = panel.description(description)
    if maximum is not None:
        panel = panel.max(maximum)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL).group("A"))
    if links:
        panel = panel.data_links(_links(links))
    for ref, asked in _refs(queries):
        panel = panel.with_target(_target(asked, ref, instant=False))
    return panel


def number(
    title: str,
    unit: str,
    asked: Query,
    *,
    description: str = "",
    thresholds: Steps = NEUTRAL,
    decimals: int | None = None,
    name: bool = False,
    if_empty: str = "",
    width: int = 3,
) -> stat.Panel:
    """One number (or, with *name*, the legend instead of it); *if_empty* stands for a query that finds nothing."""
    text = common_model.BigValueTextMode.NAME if name else common_model.BigValueTextMode.VALUE
    panel = (
        stat.Panel()
        .title(title)
        .datasource(DATASOURCE)
        .unit(unit)
        .span(width)
        .height(4)
        .graph_mode(common_model.BigValueGraphMode.NONE)
        .color_mode(common_model.BigValueColorMode.VALUE)
        .text_mode(text)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .thresholds(thresholds.build())
        .with_target(_target(asked, "A", instant=True))
    )
    if description:
        panel = panel.description(description)
    if decimals is not None:
        panel = panel.decimals(decimals)
    if if_empty:
        panel = panel.no_value(if_empty)
    return panel


def bars(
    title: str,
    unit: str,
    asked: Query,
    *,
    description: str = "",
    links: Sequence[model.DashboardLink] = (),
    maximum: float | None = None,
    width: int = 12,
    height: int = 8,
) -> bargauge.Panel:
    """One bar per series: the first few of a ranking."""
    panel = (
        bargauge.Panel()
        .title(title)
        .datasource(DATASOURCE)
        .unit(unit)
        .min(0)
        .span(width)
        .height(height)
        .orientation(common_model.VizOrientation.HORIZONTAL)
        .display_mode(common_model.BarGaugeDisplayMode.GRADIENT)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .with_target(_target(asked, "A", instant=True))
    )
    if description:
        panel = panel.description(description)
    if maximum is not None:
        panel = panel.max(maximum)
    if links:
        panel = panel.data_links(_links(links))
    return panel


@dataclass(frozen=True)
class Column:
    """A column of a table: the label (or, for a value, the query's legend), its heading, unit and link."""

    field: str
    heading: str
    unit: str = ""
    link: model.DashboardLink | None = None


def rows(
    title: str,
    columns: Sequence[Column],
    *queries: Query,
    description: str = "",
    width: int = 24,
    height: int = 8,
) -> table.Panel:
    """A table: the queries' labels and values, merged where their common labels agree.

    A column whose *field* is a query's legend shows that query's value; all other fields are labels. Times, and values
    that are not among *columns*, are hidden; the queries must not have other labels than those of *columns*.
    """
    fields = {asked.legend: f"Value #{ref}" if len(queries) > 1 else "Value" for ref, asked in _refs(queries)}
    shown = {fields.get(column.field, column.field): column for column in columns}
    hidden = {"Time", *fields.values()} - shown.keys()
    panel = (
        table.Panel()
        .title(title)
        .datasource(DATASOURCE)
        .span(width)
        .height(height)
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": dict.fromkeys(sorted(hidden), True),
                    "indexByName": {field: index for index, field in enumerate(shown)},
                    "renameByName": {field: column.heading for field, column in shown.items()},
                },
            )
        )
    )
    if description:
        panel = panel.description(description)
    for column in columns:
        properties = [model.DynamicConfigValue(id_val="unit", value=column.unit)] if column.unit else []
        if column.link:
            properties.append(model.DynamicConfigValue(id_val="links", value=[column.link]))
        if properties:
            panel = panel.override_by_name(column.heading, properties)
    for ref, asked in _refs(queries):
        panel = panel.with_target(_target(asked, ref, instant=True, as_table=True))
    return panel


# --- the dashboard


def dashboard(
    uid: str, title: str, description: str, variables: Iterable[Builder[model.VariableModel]], hours: int
) -> build.Dashboard:
    """An empty dashboard with its variables and the links to the others; shows the last *hours*."""
    result = (
        build.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .editable()
        .annotations([])
        .timezone("browser")
        .refresh("1m")
        .time(f"now-{hours}h", "now")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .with_variable(datasource_variable())
        .link(
            build.DashboardLink("SuperPOD")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(True)
            .keep_time(True)
        )
    )
    for variable in variables:
        result = result.with_variable(variable)
    return result


def finish(unfinished: build.Dashboard) -> model.Dashboard:
    """The dashboard with its panels numbered from 1, as Grafana wants them."""
    result = unfinished.build()
    for number_, panel in enumerate(result.panels or [], start=1):
        panel.id_val = number_
    for link in result.links or []:
        link.placement = None  # type: ignore[assignment]  # above the panels, not in a menu
    return result
