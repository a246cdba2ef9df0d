# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from superpod_lab.expectation import Target, active_targets, difference, expected

NODE = Target("dgx-01", "node_exporter", "dgx-01:9100")
CGROUP = Target("dgx-01", "cgroup_exporter", "dgx-01:9306")


def answer(*targets: Target, health: str = "up", cluster: str = "slurm") -> dict[str, Any]:
    return {
        "status": "success",
        "data": {
            "activeTargets": [
                {
                    "labels": {"hostname": t.host, "job": t.job, "instance": t.instance, "cluster": cluster},
                    "health": health,
                }
                for t in targets
            ]
        },
    }


def test_a_nodes_exporters_are_expected() -> None:
    assert expected(["dgx-01"]) == {NODE, CGROUP}
    assert expected([]) == set()


def test_all_up() -> None:
    assert difference({NODE, CGROUP}, active_targets(answer(NODE, CGROUP))) == []


def test_a_missing_target() -> None:
    faults = difference({NODE, CGROUP}, active_targets(answer(NODE)))
    assert faults == ["cgroup_exporter of dgx-01 is missing in Prometheus"]


def test_a_target_too_many() -> None:
    faults = difference({NODE}, active_targets(answer(NODE, CGROUP)))
    assert faults == ["Prometheus has a target that it should not have: cgroup_exporter at dgx-01:9306"]


def test_a_target_that_is_not_up() -> None:
    assert difference({NODE}, active_targets(answer(NODE, health="unknown"))) == ["node_exporter of dgx-01 is unknown"]


def test_a_target_without_the_cluster_label_is_not_the_expected_one() -> None:
    faults = difference({NODE}, active_targets(answer(NODE, cluster="other")))
    assert len(faults) == 2


TARGETS = st.builds(Target, st.sampled_from(["a", "b"]), st.sampled_from(["j", "k"]), st.sampled_from(["x:1", "y:2"]))


@given(st.sets(TARGETS), st.dictionaries(TARGETS, st.sampled_from(["up", "down", "unknown"])))
def test_no_fault_means_exactly_the_wanted_targets_are_up(wanted: set[Target], found: dict[Target, str]) -> None:
    right = set(found) == wanted and all(health == "up" for health in found.values())
    assert (difference(wanted, found) == []) is right


def test_prometheus_scraping_itself_is_no_target_too_many() -> None:
    report = answer(NODE, Target("mon-01", "prometheus", "mon-01:9090"))
    report["data"]["activeTargets"][1]["scrapePool"] = "prometheus"
    assert difference({NODE}, active_targets(report)) == []
