# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of the dashboards from a Prometheus' answers, drawn by this program and not by Grafana.

Panels stand where the dashboard's JSON puts them, with its titles, units, thresholds and legends; lines, numbers, bars
and rows are the results of its queries. How it looks is this program's, near enough to Grafana to know it again.
Needs Chromium (``chromium`` on PATH) to make a PNG of the page.
"""

from __future__ import annotations

import html
import math
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dashboards import live_checks, substitute, units
from dashboards.document import Dashboard, Panel
from dashboards.live_checks import Run
from dashboards.prometheus_api import Series
from dashboards.substitute import Chosen

WIDTH, COLUMNS, CELL, GAP = 1600, 24, 38, 8
COLOURS = (
    *("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0"),
    *("#37872d", "#fade2a", "#447ebc", "#c15c17", "#890f02", "#0a437c", "#6d1f62", "#584477"),
)
NAMED = {"green": "#73bf69", "yellow": "#fade2a", "red": "#f2495c"}
STYLE = """
* { box-sizing: border-box }
body { margin: 0; background: #111217; color: #ccccdc; font: 13px "DejaVu Sans", sans-serif }
header { height: 44px; padding: 12px 16px; font-size: 16px }
header span { color: #8e8ea0; font-size: 12px; margin-left: 14px }
.var { background: #181b1f; border: 1px solid #2c3235; padding: 3px 8px; border-radius: 3px; font-size: 13px }
main { position: relative }
.panel { position: absolute; background: #181b1f; border: 1px solid #24282e; border-radius: 3px; overflow: hidden }
.row { position: absolute; font-size: 15px; padding-top: 9px; font-weight: bold }
h2 { font-size: 13px; font-weight: bold; margin: 0; padding: 7px 10px 0; white-space: nowrap }
.number { text-align: center; font-weight: bold; white-space: nowrap }
.none { text-align: center; color: #8e8ea0; padding-top: 14px }
.legend { position: absolute; bottom: 6px; left: 10px; right: 6px; overflow: hidden; line-height: 16px }
.legend span { margin-right: 14px; white-space: nowrap; font-size: 11px }
.legend i { display: inline-block; width: 14px; height: 4px; border-radius: 2px; margin: 0 5px 2px 0 }
table { width: 100%; border-collapse: collapse; margin-top: 6px }
td, th { text-align: left; padding: 5px 10px; border-bottom: 1px solid #24282e; white-space: nowrap; font-size: 12px }
th, .link { color: #6e9fff }
svg text { fill: #9a9aab; font-size: 11px }
.bar { display: flex; align-items: center; padding: 3px 10px; font-size: 12px }
.bar b { width: 150px; overflow: hidden }
.bar i { height: 18px; border-radius: 2px; margin-right: 8px }
"""


@dataclass(frozen=True)
class Line:
    """A series of a panel: its legend and its points, (seconds, value)."""

    legend: str
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]


def page(run: Run, dashboard: Dashboard, wanted: Mapping[str, str], note: str) -> tuple[str, int]:
    """The dashboard as HTML, and its height in pixels.  Raises PrometheusError, ValueError."""
    chosen = live_checks.choose(run, dashboard, wanted)
    shown = {
        variable.name: "All" if variable.has_all and variable.name not in wanted else chosen[variable.name].values[0]
        for variable in dashboard.variables
        if variable.name in chosen
    }
    variables = "".join(
        f'<span>{html.escape(name)}</span> <b class="var">{html.escape(value)}</b>' for name, value in shown.items()
    )
    parts = [f"<header><b>{html.escape(dashboard.title)}</b>{variables}<span>{html.escape(note)}</span></header><main>"]
    bottom = 0
    for row in dashboard.rows:
        parts.append(f'<div class="row" style="{_place(row["gridPos"])}">⌄ {_text(row["title"], chosen)}</div>')
    for panel in dashboard.panels:
        place = panel.raw["gridPos"]
        bottom = max(bottom, place["y"] + place["h"])
        body = _body(run, panel, chosen)
        parts.append(f'<div class="panel" style="{_place(place)}"><h2>{_text(panel.title, chosen)}</h2>{body}</div>')
    height = bottom * CELL + 60
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{''.join(parts)}</main>", height


def draw(run: Run, dashboard: Dashboard, wanted: Mapping[str, str], note: str, path: Path) -> None:
    """Write the picture as a PNG.  Raises PrometheusError, ValueError, OSError, subprocess.SubprocessError."""
    text, height = page(run, dashboard, wanted, note)
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "page.html"
        file.write_text(text)
        options = [
            "--headless",
            "--no-sandbox",
            "--hide-scrollbars",
            "--disable-gpu",
            f"--user-data-dir={name}/profile",
        ]
        argv = ["chromium", *options, f"--window-size={WIDTH},{height}", f"--screenshot={path}", file.as_uri()]
        subprocess.run(argv, check=True, capture_output=True, timeout=180)


# --- panels


def _body(run: Run, panel: Panel, chosen: Mapping[str, Chosen]) -> str:
    if panel.type == "table":
        return _table(run, panel, chosen)
    lines = [line for target in range(len(panel.targets)) for line in _lines(run, panel, target, chosen)]
    if not lines:
        return (
            f'<div class="none">{html.escape(panel.raw["fieldConfig"]["defaults"].get("noValue") or "No data")}</div>'
        )
    if panel.type == "stat":
        return _number(panel, lines[0])
    return _bars(panel, lines) if panel.type == "bargauge" else _graph(run, panel, lines)


def _query(run: Run, panel: Panel, index: int, chosen: Mapping[str, Chosen]) -> list[Series]:
    target, window = panel.targets[index], run.window
    expr = substitute.query(target.expr, chosen, window.macros())
    if target.instant:
        return run.prometheus.instant(expr, window.end)
    return run.prometheus.range(expr, window.start, window.end, window.step)


def _lines(run: Run, panel: Panel, index: int, chosen: Mapping[str, Chosen]) -> list[Line]:
    found = []
    for series in _query(run, panel, index, chosen):
        numbers = [float(value) for value in series.values]
        points = tuple((at, value) for at, value in zip(series.times, numbers) if not math.isnan(value))
        if points:
            found.append(Line(substitute.legend(panel.targets[index].legend, series.labels), points))
    return sorted(found, key=lambda line: line.legend)


def _number(panel: Panel, line: Line) -> str:
    named = panel.raw["options"].get("textMode") == "name"
    text = line.legend if named else units.text(line.last, panel.unit, _decimals(panel))
    colour = _threshold(panel, line.last)
    height = panel.raw["gridPos"]["h"] * CELL
    size = min(46, int(1.5 * panel.raw["gridPos"]["w"] * WIDTH / COLUMNS / (len(text) + 1)))
    place = f"color:{colour};font-size:{size}px;line-height:{height - 50}px"
    return f'<div class="number" style="{place}">{html.escape(text)}</div>'


def _bars(panel: Panel, lines: Sequence[Line]) -> str:
    highest = panel.raw["fieldConfig"]["defaults"].get("max") or max(line.last for line in lines) or 1
    rows = []
    for number, line in enumerate(sorted(lines, key=lambda one: -one.last)):
        width = f"{max(0.5, min(60, 60 * line.last / highest)):.1f}%"
        colour = COLOURS[number % len(COLOURS)] if number else NAMED["green"]
        value = units.text(line.last, panel.unit, _decimals(panel))
        legend = html.escape(line.legend)
        rows.append(f'<div class="bar"><b>{legend}</b><i style="width:{width};background:{colour}"></i>{value}</div>')
    return f'<div style="padding-top:10px">{"".join(rows)}</div>'


def _graph(run: Run, panel: Panel, lines: Sequence[Line]) -> str:
    place = panel.raw["gridPos"]
    width, height = place["w"] * WIDTH / COLUMNS - GAP, place["h"] * CELL - GAP
    left, top = 66, 34
    per_line = max(1, int((width - 20) / (38 + 7 * max(len(line.legend) for line in lines))))
    legend_lines = min(3, math.ceil(len(lines) / per_line))
    right, bottom = width - 14, height - 28 - 16 * legend_lines
    stacked = panel.raw["fieldConfig"]["defaults"].get("custom", {}).get("stacking", {}).get("mode") == "normal"
    drawn = _stacked(lines) if stacked else [line.points for line in lines]
    top_value = panel.raw["fieldConfig"]["defaults"].get("max") or max(
        (v for points in drawn for _, v in points), default=0
    )
    ticks = units.ticks(top_value or 1, panel.unit)

    def x(at: float) -> float:
        return float(left + (right - left) * (at - run.window.start) / (run.window.end - run.window.start))

    def y(value: float) -> float:
        return float(bottom - (bottom - top) * value / ticks[-1])

    parts = []
    for tick in ticks:
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#24282e"/>')
        label = units.text(tick, panel.unit)
        parts.append(f'<text x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{html.escape(label)}</text>')
    for at in units.times(run.window.start, run.window.end, 6 if place["w"] > 8 else 3):
        label = units.clock(at) if x(at) < right - 12 else ""
        parts.append(f'<text x="{x(at):.1f}" y="{bottom + 16}" text-anchor="middle">{label}</text>')
        parts.append(f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{top}" y2="{bottom}" stroke="#1f2329"/>')
    gap = run.window.step * 1.5
    for number, points in reversed(list(enumerate(drawn))):
        colour = COLOURS[number % len(COLOURS)]
        for piece in _pieces(points, gap):
            path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in piece)
            fill = 0.25 if stacked else 0.05
            area = f"{x(piece[0][0]):.1f},{bottom} {path} {x(piece[-1][0]):.1f},{bottom}"
            parts.append(f'<polygon points="{area}" fill="{colour}" opacity="{fill}"/>')
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
    svg = (
        f'<svg width="{width:.0f}" height="{height:.0f}" style="position:absolute;left:0;top:0">{"".join(parts)}</svg>'
    )
    entries = [
        f'<span><i style="background:{COLOURS[number % len(COLOURS)]}"></i>{html.escape(line.legend)}</span> '
        for number, line in enumerate(lines)
    ]
    return f'{svg}<div class="legend" style="height:{16 * legend_lines}px">{"".join(entries)}</div>'


def _stacked(lines: Sequence[Line]) -> list[tuple[tuple[float, float], ...]]:
    below: dict[float, float] = {}
    drawn = []
    for line in lines:
        for at, value in line.points:
            below[at] = below.get(at, 0.0) + value
        drawn.append(tuple((at, below[at]) for at, _ in line.points))
    return drawn


def _pieces(points: Sequence[tuple[float, float]], gap: float) -> list[list[tuple[float, float]]]:
    """The points, apart wherever there were none for longer than *gap*."""
    pieces: list[list[tuple[float, float]]] = []
    for point in points:
        if not pieces or point[0] - pieces[-1][-1][0] > gap:
            pieces.append([])
        pieces[-1].append(point)
    return pieces


def _table(run: Run, panel: Panel, chosen: Mapping[str, Chosen]) -> str:
    rows: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    several = len(panel.targets) > 1
    common: set[str] | None = None
    results = []
    for index, target in enumerate(panel.targets):
        series = _query(run, panel, index, chosen)
        results.append((f"Value #{target.ref}" if several else "Value", series))
        for one in series:
            common = set(one.labels) if common is None else common & set(one.labels)
    for field, series in results:
        for one in series:
            key = tuple(sorted((name, one.labels[name]) for name in common or ()))
            rows.setdefault(key, {}).update({**one.labels, field: one.values[0]})
    if not rows:
        return '<div class="none">No data</div>'
    fitting = int((panel.raw["gridPos"]["h"] * CELL - 66) / 26)
    headings = panel.headings
    formats, linked = _columns(panel)
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings.values())
    body = []
    labels = [field for field in headings if not field.startswith("Value")]
    ordered = sorted(rows.values(), key=lambda row: [row.get(field, "") for field in labels])
    for row in ordered[:fitting]:
        cells = []
        for field, heading in headings.items():
            value = row.get(field, "")
            if field.startswith("Value") and value:
                value = units.text(float(value), formats.get(heading, "short"))
            cells.append(f'<td class="{"link" if heading in linked else ""}">{html.escape(value)}</td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><tr>{head}</tr>{''.join(body)}</table>"


def _columns(panel: Panel) -> tuple[dict[str, str], set[str]]:
    """Heading -> unit, and the headings whose values are links."""
    formats, linked = {}, set()
    for override in panel.raw.get("fieldConfig", {}).get("overrides", []):
        for prop in override["properties"]:
            if prop["id"] == "unit":
                formats[override["matcher"]["options"]] = prop["value"]
            if prop["id"] == "links":
                linked.add(override["matcher"]["options"])
    return formats, linked


# --- small things


def _place(place: Mapping[str, int]) -> str:
    column = WIDTH / COLUMNS
    sizes = {
        "left": place["x"] * column + GAP / 2,
        "top": place["y"] * CELL,
        "width": place["w"] * column - GAP,
        "height": place["h"] * CELL - GAP,
    }
    return ";".join(f"{name}:{value:.0f}px" for name, value in sizes.items())


def _text(text: str, chosen: Mapping[str, Chosen]) -> str:
    return html.escape(substitute.query(text, chosen, {}))


def _decimals(panel: Panel) -> int | None:
    decimals = panel.raw["fieldConfig"]["defaults"].get("decimals")
    return None if decimals is None else int(decimals)


def _threshold(panel: Panel, value: float) -> str:
    steps = panel.raw["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
    colour = NAMED["green"]
    for step in steps:
        if step.get("value") is None or value >= step["value"]:
            colour = NAMED.get(step["color"], step["color"])
    return colour
