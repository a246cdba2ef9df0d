# SPDX-License-Identifier: GPL-3.0-or-later
"""monitoring_status: what is told of each node, and what is remarked where BCM, files and Prometheus do not agree."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.superpod.monitoring.plugins.filter.monitoring_status import FilterModule, monitoring_status

SCRAPED = "2026-11-20T13:20:01.123456789Z"


def target(host: str, job: str, health: str = "up", **more: t.Any) -> dict[str, t.Any]:
    labels = {"hostname": host, "job": job, "cluster": more.pop("cluster", "slurm")}
    return {"labels": labels, "health": health, "lastScrape": SCRAPED, "lastError": "", **more}


def status(nodes: dict[str, list[str] | None], **more: t.Any) -> dict[str, t.Any]:
    return monitoring_status(nodes, **{"roles": ["slurmclient"], "files": [], "cluster": "slurm", **more})


def test_all_is_well() -> None:
    found = status(
        {"dgx-01": ["slurmclient", "monitoring"], "dgx-02": []},
        files=["dgx-01.json", "dgx-01_dcgm.json"],
        targets=[
            target("dgx-01", "node_exporter", lastScrape="2026-11-20T13:19:59.5Z"),
            target("dgx-01", "cgroup_exporter"),
            {"labels": {"job": "prometheus"}, "health": "up"},
        ],
    )
    assert found["nodes"] == [
        {
            "node": "dgx-01",
            "role": True,
            "target_file": True,
            "exporters": {"cgroup_exporter": "up", "node_exporter": "up"},
            "last_scrape": "2026-11-20T13:20:01Z",
            "remarks": [],
        },
        {
            "node": "dgx-02",
            "role": False,
            "target_file": False,
            "exporters": {},
            "last_scrape": None,
            "remarks": [],
        },
    ]
    assert found["remarks"] == 0
    assert found["table"] == [
        "NODE    ROLE  TARGET FILE  EXPORTERS                             LAST SCRAPE (UTC)    REMARKS",
        "dgx-01  yes   yes          cgroup_exporter up, node_exporter up  2026-11-20 13:20:01",
        "dgx-02  no    no           -                                     -",
    ]


@pytest.mark.parametrize(
    ("given", "files", "targets", "expected"),
    [
        (["slurmclient"], [], [], ["has the role, but no target file"]),
        ([], ["n.json"], [target("n", "a")], ["has a target file, but not the role"]),
        (None, ["n.json"], [target("n", "a")], ["has a target file, but not the role"]),
        (["slurmclient"], ["n.json"], [], ["Prometheus does not scrape it"]),
        (["slurmclient"], ["n.json"], [target("n", "a", cluster="other")], ["Prometheus does not scrape it"]),
        ([], [], [target("n", "a")], ["Prometheus scrapes it without a target file"]),
        (["slurmclient"], ["n.json"], [target("n", "a", "down", lastError="x:\n refused")], ["a: x: refused"]),
        (["slurmclient"], ["n.json"], [target("n", "a", "unknown", lastScrape="0001-01-01T00:00:00Z")], []),
        (["SlurmClient"], ["N.json"], [target("n.cluster", "a")], []),
        (["slurmclient"], ["n.json"], None, []),
        (["slurmclient"], [], None, ["has the role, but no target file"]),
    ],
)
def test_remarks(
    given: list[str] | None, files: list[str], targets: list[dict[str, t.Any]] | None, expected: list[str]
) -> None:
    found = status({"n": given}, files=files, targets=targets)
    assert found["nodes"][0]["remarks"] == expected
    assert found["remarks"] == len(expected)


def test_a_host_that_bcm_does_not_know_has_a_line_of_its_own() -> None:
    found = status({"dgx-01": []}, files=["dgx-09.json"], stale=["dgx-09.json"], targets=[])
    assert [(entry["node"], entry["role"]) for entry in found["nodes"]] == [("dgx-01", False), ("dgx-09", None)]
    assert "BCM does not know it" in found["table"][2]


def test_without_prometheus_the_rest_is_told() -> None:
    found = status({"dgx-01": ["slurmclient"]}, files=["dgx-01.json"])
    assert found["table"][1].split() == ["dgx-01", "yes", "yes", "?", "?"]


def test_a_scrape_that_has_not_been_has_no_time() -> None:
    never = target("dgx-01", "a", "unknown", lastScrape="0001-01-01T00:00:00Z")
    assert status({"dgx-01": []}, targets=[never])["nodes"][0]["last_scrape"] is None


def test_ansible_finds_it() -> None:
    assert FilterModule().filters() == {"monitoring_status": monitoring_status}


def test_the_time_of_a_scrape_is_told_in_utc_wherever_prometheus_is() -> None:
    scraped = [
        target("dgx-01", "a", lastScrape="2026-11-20T14:20:01.5+01:00"),
        target("dgx-01", "b", lastScrape="2026-11-20T13:19:59Z"),
    ]
    found = status({"dgx-01": ["slurmclient"]}, files=["dgx-01.json"], targets=scraped)
    assert found["nodes"][0]["last_scrape"] == "2026-11-20T13:20:01Z"
