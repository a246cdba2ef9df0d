# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables put into queries as Grafana does it, and the parts of PromQL that the checks read."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards import promql, substitute
from dashboards.substitute import Chosen, Window

HOUR = Window(start=7200, end=10800, step=15, scrape_interval=30)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("up{c='$c'}", "up{c='slurm'}"),
        ("up{c='${c}', d='[[c]]', e='${c:regex}'}", "up{c='slurm', d='slurm', e='slurm'}"),
        ("up{h=~'$one'}", "up{h=~'dgx-01'}"),
        ("up{h=~'$two'}", "up{h=~'(dgx-01|dgx-02\\\\.a)'}"),
        ("up{h=~'$all'}", "up{h=~'.*'}"),
        ("rate(x[$__rate_interval])", "rate(x[120s])"),
        ("rate(x[$__range]) * $__range_s + $__interval_ms", "rate(x[3600s]) * 3600 + 15000"),
    ],
)
def test_query(expr: str, expected: str) -> None:
    chosen = {
        "c": Chosen(("slurm",)),
        "one": Chosen(("dgx-01",), several=True),
        "two": Chosen(("dgx-01", "dgx-02.a"), several=True),
        "all": Chosen(("a", "b"), raw=".*", several=True),
    }
    assert substitute.query(expr, chosen, HOUR.macros()) == expected


def test_the_rate_interval_is_long_enough_for_the_step() -> None:
    assert Window(0, 86400, step=600, scrape_interval=30).macros()["__rate_interval"] == "630s"


def test_an_undefined_variable_is_refused() -> None:
    with pytest.raises(substitute.UndefinedVariableError, match=r"\$nodes is not defined"):
        substitute.query("up{h='$nodes'}", {"node": Chosen(("a",))}, {})


@settings(deadline=None)
@given(st.lists(st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1), min_size=1, unique=True))
def test_several_values_match_themselves_and_nothing_else(values: list[str]) -> None:
    text = Chosen(tuple(values), several=True).in_query()
    pattern = re.sub(r"\\(.)", r"\1", text)  # as PromQL reads the string
    assert [value for value in [*values, "another one", ""] if re.fullmatch(pattern, value)] == values


def test_legends() -> None:
    assert substitute.legend_labels("{{hostname}} GPU {{ gpu }}") == ["hostname", "gpu"]
    assert substitute.legend("{{hostname}} GPU {{ gpu }}", {"hostname": "dgx-01"}) == "dgx-01 GPU "


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("up", ["up"]),
        ('up{job="a b"} == 1', ['up{job="a b"}']),
        ("sum by (cluster, up) (rate(x{a='}'}[5m])) / on (a) group_left (b) y:z:w", ["x{a='}'}", "y:z:w"]),
        ("topk(10, a offset 5m) or vector(0) unless b", ["a", "b"]),
        ("sum(a) by (c) and ignoring (d) e", ["a", "e"]),
        ('{__name__=~"a.*"} > bool 1e6', ['{__name__=~"a.*"}']),
        ("avg_over_time((a or b * 100)[1h:1m]) ^ 0", ["a", "b"]),
        ("count_values by (c) ('v', d) + time() - 3", ["d"]),
        ("count{a='b'}", ["count{a='b'}"]),
    ],
)
def test_selectors(expr: str, expected: list[str]) -> None:
    assert promql.selectors(expr) == expected


@pytest.mark.parametrize(
    "expr",
    [
        "rate(x[$__rate_interval])",
        "max_over_time(x[$__range])",
        "max_over_time(x[$__range:])",
        "max_over_time(x[$__range:$__interval])",
        "x{a='[5m]', b='offset 5m'}",
    ],
)
def test_windows_that_follow_the_time_shown(expr: str) -> None:
    assert promql.raw_windows(expr) == []


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("rate(x[5m])", ["[5m]"]),
        ("rate(x[ 1h30m ])", ["[ 1h30m ]"]),
        ("max_over_time(x[$__range:30s])", ["[$__range:30s]"]),
        ("max_over_time(x[1h:$__interval])", ["[1h:$__interval]"]),
        ("rate(x[$window])", ["[$window]"]),
        ("x - x offset 1d", ["offset 1d"]),
        ("x offset -5m", ["offset -5m"]),
    ],
)
def test_raw_windows(expr: str, expected: list[str]) -> None:
    assert promql.raw_windows(expr) == expected
