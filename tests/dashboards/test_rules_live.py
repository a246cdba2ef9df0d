# SPDX-License-Identifier: GPL-3.0-or-later
"""Every selector of every rule matches what the real exporters, the role monitor or Prometheus itself put out."""

from __future__ import annotations

import yaml
from served import RULES

from dashboards import promql
from dashboards.live_checks import Run

SELECTORS = sorted(
    {
        selector
        for file in RULES.glob("*.yml")
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
        for selector in promql.selectors(rule["expr"])
    }
)


def test_every_selector_of_every_rule_matches_something(run: Run) -> None:
    window = run.window
    missing = [one for one in SELECTORS if not run.prometheus.series(one, window.start, window.end)]
    assert not missing
    assert len(SELECTORS) > 50


def test_no_rule_fails(run: Run) -> None:
    failures = run.prometheus.instant("sum(prometheus_rule_evaluation_failures_total)", run.window.end)
    assert [series.values for series in failures] == [("0",)]
