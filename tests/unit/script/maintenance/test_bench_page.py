# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/benchmarks.md: what was run is put in, what was not stays, and a missing value is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from script.maintenance import bench_page

ONE = {
    "name": "site_run",
    "value": 12.3456,
    "unit": "s",
    "peer": "limit",
    "peer_value": 20,
    "ratio": 0.6,
    "goal": 1.0,
}
ABOUT = {"inventory": "Of hosts.", "site": "Of the site."}


def lines(**changed: object) -> list[str]:
    return [json.dumps({**ONE, **changed})]


def test_what_was_run_is_put_in_and_the_rest_stays() -> None:
    first = bench_page.page(ABOUT, bench_page.measures(lines()), "", "Monday.")
    assert "## inventory\n\nOf hosts.\n\nNot run yet." in first
    assert "Monday.\n\n| measure |" in first
    assert "| run | 12.3 s | limit | 20 | 0.6 | ratio <= 1 |" in first
    second = bench_page.page(
        ABOUT, bench_page.measures(lines(name="inventory.n", value=1234567, goal="< 2")), first, "Tuesday."
    )
    assert "Tuesday." in second.split("## site")[0]
    assert "| n | 1,234,567 s | limit | 20 | 0.6 | < 2 |" in second
    assert second.split("## site")[1] == first.split("## site")[1]
    assert bench_page.page(ABOUT, [], second, "Never.") == second


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["Traceback"], "Traceback is no JSON"),
        (lines(value=None), "site_run lacks a value: null"),
        (['{"name": "site_run"}'], "site_run lacks a value: goal, peer"),
    ],
)
def test_what_is_no_measure_is_refused(given: list[str], said: str) -> None:
    with pytest.raises(bench_page.NoMeasure, match=said):
        bench_page.measures(given)


def test_a_measure_of_no_benchmark_is_refused() -> None:
    with pytest.raises(bench_page.NoMeasure, match="other is a measure of no benchmark: inventory, site"):
        bench_page.page(ABOUT, bench_page.measures(lines(name="other")), "", "")


def test_as_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/site.py").write_text('"""Of the\nsite.\n\nMore."""\n')
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines())))
    assert bench_page.main([], tmp_path) == 0
    written = (tmp_path / "docs/benchmarks.md").read_text()
    assert "## site\n\nOf the site.\n\n20" in written
    monkeypatch.setattr("sys.stdin", io.StringIO("no"))
    assert bench_page.main([], tmp_path) == 1
    assert "script/bench-page: no is no JSON" in capsys.readouterr().err
    assert (tmp_path / "docs/benchmarks.md").read_text() == written
