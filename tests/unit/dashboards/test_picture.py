# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures: that they show what Prometheus answers, in the units and at the places that the JSON says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards import document, picture, units
from dashboards.live_checks import Run
from dashboards.prometheus_api import Prometheus, Series
from dashboards.substitute import Window

FILES = Path(__file__).parents[3] / "files" / "dashboards"
LABELS = {
    "cluster": "slurm",
    "hostname": "dgx-01",
    "jobid": "42",
    "user": "<alice>",
    "gpu": "3",
    "job": "node_exporter",
    "minor_number": "3",
    "instance": "mon-01:9090",
    "alertname": "GpuXid",
    "severity": "critical",
}


class Answering:
    """A Prometheus that has one series for everything, with a gap in the middle."""

    def instant(self, _expr: str, time: float) -> list[Series]:
        return [Series(LABELS, ("0.5",), (time,))]

    def range(self, _expr: str, start: float, end: float, step: int) -> list[Series]:
        times = [start + step * number for number in range(int((end - start) / step) + 1) if number not in (4, 5, 6)]
        return [Series(LABELS, tuple("0.5" for _ in times), tuple(times))]

    def series(self, _selector: str, _start: float, _end: float) -> Sequence[dict[str, str]]:
        return [LABELS]


@pytest.fixture
def run() -> Run:
    return Run(cast(Prometheus, Answering()), Window(1_700_000_000, 1_700_000_600, step=60, scrape_interval=15))


@pytest.mark.parametrize("path", sorted(FILES.glob("*.json")), ids=lambda path: path.stem)
def test_every_panel_is_there_at_its_place_with_data(run: Run, path: Path) -> None:
    dashboard = document.load(path)
    text, height = picture.page(run, dashboard, {}, "drawn here")
    assert text.count('<div class="panel"') == len(dashboard.panels)
    assert text.count('<div class="row"') == len(dashboard.rows)
    assert "No data" not in text
    assert "drawn here" in text
    tops = [int(top) for top in re.findall(r"top:(\d+)px", text)]
    assert max(tops) < height
    # a gap in the data is one in the line
    graphs = [panel for panel in dashboard.panels if panel.type == "timeseries"]
    assert text.count("<polyline") >= 2 * len(graphs)


def test_what_prometheus_says_is_not_taken_for_html(run: Run) -> None:
    text, _ = picture.page(run, document.load(FILES / "superpod-job.json"), {}, "")
    assert "&lt;alice&gt;" in text
    assert "<alice>" not in text


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "expected"),
    [
        (0, "short", None, "0"),
        (16, "short", None, "16"),
        (2.5, "short", None, "2.5"),
        (12345, "short", None, "12.3 K"),
        (0.684, "percentunit", None, "68.4%"),
        (1, "percentunit", None, "100%"),
        (143 * 2**30, "bytes", None, "143 GiB"),
        (1500, "Bps", None, "1.5 kB/s"),
        (412.345, "watt", None, "412 W"),
        (58, "celsius", None, "58 °C"),
        (1.98e9, "hertz", None, "1.98 GHz"),
        (0.05, "h", 1, "3.0 mins"),
        (2.25, "h", 1, "2.2 hours"),
        (0.0031, "s", None, "3.1 ms"),
        (1234567, "short", None, "1.23 Mil"),
    ],
)
def test_units(value: float, unit: str, decimals: int | None, expected: str) -> None:
    assert units.text(value, unit, decimals) == expected


@given(st.floats(min_value=1e-6, max_value=1e15), st.sampled_from(["short", "bytes", "percentunit", "watt"]))
def test_axes_reach_the_highest_value_in_a_few_steps(highest: float, unit: str) -> None:
    ticks = units.ticks(highest, unit)
    assert ticks[0] == 0
    assert highest * 0.99 <= ticks[-1] <= highest * 2.6
    assert 2 <= len(ticks) <= 7


@given(st.integers(min_value=60, max_value=30 * 86400))
def test_times_lie_within(span: int) -> None:
    found = units.times(1_700_000_000, 1_700_000_000 + span, 6)
    assert all(1_700_000_000 <= at <= 1_700_000_000 + span for at in found)
    assert len(found) <= 31
