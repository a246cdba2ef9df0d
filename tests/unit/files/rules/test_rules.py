# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules in files/rules: promtool's checks and unit tests, and that every rule has them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_programs import promtool

ROOT = Path(__file__).parents[4]
RULES = ROOT / "files" / "rules"
TESTS = sorted(Path(__file__).parent.glob("*.test.yml"))
DOCUMENTED = (ROOT / "docs" / "alerts.md").read_text().lower()


def rules(kind: str) -> list[dict[str, Any]]:
    """All rules that have the key *kind*: ``alert`` or ``record``."""
    documents = [yaml.safe_load(file.read_text()) for file in sorted(RULES.glob("*.yml"))]
    return [rule for document in documents for group in document["groups"] for rule in group["rules"] if kind in rule]


def unit_tests(kind: str) -> list[dict[str, Any]]:
    """All tests that have the key *kind*: ``alert_rule_test`` or ``promql_expr_test``."""
    documents = [yaml.safe_load(file.read_text()) for file in TESTS]
    return [test for document in documents for group in document["tests"] for test in group.get(kind, [])]


def run(*arguments: object) -> tuple[int, str]:
    finished = subprocess.run([promtool(), *map(str, arguments)], capture_output=True, text=True, check=False)
    return finished.returncode, finished.stdout + finished.stderr


def test_promtool_check_rules() -> None:
    returncode, output = run("check", "rules", *sorted(RULES.glob("*.yml")))
    assert returncode == 0, output
    assert "duplicate" not in output


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name)
def test_promtool_test_rules(file: Path) -> None:
    returncode, output = run("test", "rules", file)
    assert returncode == 0, output


@pytest.mark.parametrize("alert", [rule["alert"] for rule in rules("alert")])
def test_every_alert_is_seen_firing_and_seen_silent(alert: str) -> None:
    expected = [bool(test["exp_alerts"]) for test in unit_tests("alert_rule_test") if test["alertname"] == alert]
    assert set(expected) == {True, False}, f"{alert} needs a test that fires and one that does not"


@pytest.mark.parametrize("record", sorted({rule["record"] for rule in rules("record")}))
def test_every_recording_rule_is_asked_for_by_a_test(record: str) -> None:
    asked = [test["expr"] for test in unit_tests("promql_expr_test") if test["exp_samples"]]
    assert any(re.search(rf"(?<![\w:]){re.escape(record)}(?![\w:])", expr) for expr in asked)


@pytest.mark.parametrize("rule", rules("alert"), ids=lambda rule: rule["alert"])
def test_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    page, anchor = rule["annotations"]["runbook"].split("#")
    assert page == "docs/alerts.md"
    assert anchor == rule["alert"].lower()
    assert f"\n## {anchor}\n" in DOCUMENTED


@pytest.mark.parametrize(
    ("file", "test", "was", "becomes"),
    [
        (
            "recording",
            "recording",
            "sum by (cluster, jobid) (job_gpu:share",
            "count by (cluster, jobid) (job_gpu:share",
        ),
        ("recording", "recording", "nvidia_gpu_power_usage_milliwatts / 1000", "nvidia_gpu_power_usage_milliwatts"),
        ("recording", "recording", 'cgroup_cpus{step="", task=""}', "2 * cgroup_cpus"),
        ("dcgm_as_jobstats", "recording", "DCGM_FI_DEV_FB_USED * 1048576", "DCGM_FI_DEV_FB_USED * 1000000"),
        ("dcgm_as_jobstats", "recording", 'DCGM_FI_DEV_GPU_UTIL{GPU_I_ID=""}', "DCGM_FI_DEV_GPU_UTIL"),
        ("alerts", "alerts", "and job_gpu:utilization:ratio offset 1h", ""),
        ("alerts_prometheus", "alerts_prometheus", "(prometheus_tsdb_retention_limit_bytes > 0)", "100"),
        ("alerts_prometheus", "alerts_prometheus", "prometheus_remote_storage_samples_pending > 0", "vector(0) > 0"),
    ],
)
def test_the_unit_tests_notice_a_wrong_rule(file: str, test: str, was: str, becomes: str, tmp_path: Path) -> None:
    text = (RULES / f"{file}.yml").read_text()
    assert was in text, f"{file} does not say that any more: seed another fault"
    here = tmp_path / "tests/unit/files/rules"
    here.mkdir(parents=True)
    copied = shutil.copytree(RULES, tmp_path / "files/rules")
    (copied / f"{file}.yml").write_text(text.replace(was, becomes))
    returncode, output = run("test", "rules", shutil.copy(Path(__file__).parent / f"{test}.test.yml", here))
    assert returncode == 1, output
    assert "FAILED" in output
