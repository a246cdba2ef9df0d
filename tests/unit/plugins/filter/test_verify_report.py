# SPDX-License-Identifier: GPL-3.0-or-later
"""verify_report: who failed what, which host it is said of, and the sentence at the end."""

from __future__ import annotations

import typing as t

from ansible_collections.superpod.monitoring.plugins.filter.verify_report import FilterModule
from ansible_collections.superpod.monitoring.plugins.filter.verify_report import verify_report as the_filter


def finding(check: str = "port", host: str = "", **more: str) -> dict[str, str]:
    plain = {"check": check, "subject": "9100", "host": host, "seen": "nobody", "expected": "somebody", "mend": "do it"}
    return {**plain, **more}


def looked(passed: int, *findings: dict[str, str]) -> dict[str, t.Any]:
    return {"changed": False, "part": "p", "passed": passed, "findings": list(findings)}


def verify_report(looked_at: list[list[t.Any]], known: tuple[str, ...] | list[str] = ()) -> dict[str, t.Any]:
    """By host, part and result."""
    variables: dict[str, dict[str, t.Any]] = {}
    for host, part, result in looked_at:
        variables.setdefault(host, {"other": 1})[f"__{part}"] = result
    parts = dict.fromkeys(part for _host, part, _result in looked_at)
    return the_filter(variables, variables, {part: f"__{part}" for part in parts}, known)


def test_all_is_well() -> None:
    result = verify_report(
        [
            ["mon-01", "prometheus_server", looked(5)],
            ["mon-01", "grafana_server", looked(3)],
            ["dgx-01", "dgx_exporters", looked(7)],
            ["dgx-02", "dgx_exporters", None],
            ["dgx-03", "dgx_exporters", {"skipped": True, "changed": False}],
        ]
    )
    assert result == {
        "hosts": [
            {"host": "dgx-01", "passed": 7, "failures": []},
            {"host": "mon-01", "passed": 8, "failures": []},
        ],
        "failures": 0,
        "passed": 15,
        "table": ["dgx-01: 7 passed, 0 failed", "mon-01: 8 passed, 0 failed"],
        "hints": [],
        "sentence": "Everything is as it should be on 2 hosts.",
    }


def test_a_line_for_each_failure_with_the_host_it_is_about() -> None:
    result = verify_report(
        [["mon-01", "targets", looked(5, finding("target_file", "DGX-01"), finding())], ["dgx-01", "x", looked(1)]],
        ["dgx-01.cluster", "mon-01"],
    )
    assert [entry["host"] for entry in result["hosts"]] == ["dgx-01", "dgx-01.cluster", "mon-01"]
    assert result["hosts"][1]["failures"] == [
        {**finding("target_file"), "part": "targets", "host": "dgx-01.cluster", "seen_from": "mon-01"}
    ]
    assert result["table"] == [
        "dgx-01: 1 passed, 0 failed",
        "dgx-01.cluster: 0 passed, 1 failed",
        "  CHECK        OF    SEEN    EXPECTED  MEND",
        "  target_file  9100  nobody  somebody  do it",
        "mon-01: 5 passed, 1 failed",
        "  CHECK  OF    SEEN    EXPECTED  MEND",
        "  port   9100  nobody  somebody  do it",
    ]
    assert result["failures"] == 2
    assert result["sentence"].startswith("2 checks failed on dgx-01.cluster, mon-01; ")


def test_a_host_that_does_not_answer_is_said_once() -> None:
    away = {"unreachable": True, "changed": False, "msg": "Failed to connect:\n timed out"}
    result = verify_report([["dgx-01", "role_monitor", away], ["dgx-01", "dgx_exporters", away]])
    (entry,) = result["hosts"]
    (failure,) = entry["failures"]
    assert (failure["check"], failure["seen"], failure["mend"]) == (
        "reachable",
        "Failed to connect: timed out",
        "ssh dgx-01 true",
    )
    assert result["sentence"] == "1 check failed on dgx-01; each one's line above ends with the command that mends it."


def test_what_could_not_be_looked_at() -> None:
    result = verify_report(
        [["dgx-01", "role_monitor", {"failed": True, "msg": "no python"}], ["dgx-02", "x", {"rc": 0}]]
    )
    assert [each["failures"][0]["check"] for each in result["hosts"]] == ["looked_at", "looked_at"]
    assert "--tags role_monitor --limit dgx-01" in result["hosts"][0]["failures"][0]["mend"]


def test_many_hosts_in_one_sentence() -> None:
    result = verify_report([[f"dgx-{number}", "x", looked(0, finding())] for number in range(8)])
    assert "dgx-0, dgx-1, dgx-2, dgx-3, dgx-4 and 3 more" in result["sentence"]


def test_long_lines_are_cut() -> None:
    result = verify_report([["a", "x", looked(0, finding(seen="x" * 1000))]])
    assert max(map(len, result["table"])) < 250


def test_the_filter_has_its_name() -> None:
    assert FilterModule().filters() == {"verify_report": the_filter}
