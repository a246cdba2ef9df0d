# SPDX-License-Identifier: GPL-3.0-or-later
"""The capacity calculator: its constants are what recorded exporters and the rules have, its answers make sense."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.superpod.monitoring.plugins.module_utils import prometheus_capacity as capacity
from ansible_collections.superpod.monitoring.plugins.module_utils.prometheus_capacity import Fleet, calculate
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[4]
CAPTURES = ROOT / "tests" / "dashboards" / "captures"


def series(capture: str, wanted: Callable[[str], object]) -> int:
    lines = (CAPTURES / capture).read_text().splitlines()
    return sum(bool(line and not line.startswith("#") and wanted(line)) for line in lines)


def records(prefix: str, file: str = "recording.yml") -> int:
    groups = yaml.safe_load((ROOT / "files" / "rules" / file).read_text())["groups"]
    return sum(rule.get("record", "").startswith(prefix) for group in groups for rule in group["rules"])


def test_the_constants_are_what_the_exporters_say() -> None:
    node, cgroup = "node_exporter-debian-1.5.0.prom", "cgroup_exporter-0.3.4-cgroupv1-default.prom"
    gpu = "nvidia_gpu_prometheus_exporter-master-fakenvml-2gpus-job42.prom"
    cpus = series(node, lambda line: 'cpu="0"' in line)
    assert cpus == capacity.PER_CPU
    assert series(node, lambda line: not line.startswith("go_")) - 2 * cpus == capacity.NODE_BASE
    assert series(cgroup, lambda line: 'jobid="42"' in line) == capacity.CGROUP_PER_JOB
    own = re.compile("go_|process_|promhttp_")
    assert series(cgroup, own.match) == series(gpu, own.match) == capacity.PER_EXPORTER
    of_gpus = [series(gpu, lambda line, uuid=uuid: f'uuid="GPU-{uuid}' in line) for uuid in "ab"]  # type: ignore[misc]
    assert sum(of_gpus) / 2 == capacity.GPU_PER_GPU  # the one with a job has two more, jobId and jobUid
    assert series(gpu, lambda line: True) == sum(of_gpus) + capacity.PER_EXPORTER + capacity.GPU_PER_NODE


def test_the_constants_are_what_the_rules_make() -> None:
    """Three of gpu:* come from dcgm-exporter alone."""
    assert records("gpu:") == capacity.RULES_PER_GPU + 3
    assert records("job_gpu:") == capacity.RULES_PER_JOB_GPU
    assert records("job_node:") == capacity.RULES_PER_JOB_NODE
    assert records("job:") == capacity.RULES_PER_JOB
    assert records("nvidia_gpu_", "dcgm_as_jobstats.yml") == capacity.DCGM_RULES_PER_GPU


FLEETS = st.fixed_dictionaries(
    {
        "nodes": st.integers(1, 10000),
        "cpus_per_node": st.integers(1, 512),
        "gpus_per_node": st.integers(0, 16),
        "jobs_per_day": st.integers(0, 500_000),
        "retention_days": st.integers(1, 3650),
        "scrape_interval": st.integers(5, 120),
        "gpu_exporter": st.sampled_from(["nvidia_gpu_prometheus_exporter", "dcgm_exporter", "none"]),
    }
)


@given(FLEETS, st.sampled_from(["nodes", "jobs_per_day", "cpus_per_node"]))
def test_more_of_anything_never_takes_less(fleet: dict[str, Any], key: str) -> None:
    less, more = calculate(fleet), calculate({**fleet, key: fleet[key] * 2 + 1})
    for name in ("head_series", "memory_bytes", "disk_bytes", "samples_per_second", "servers"):
        assert more[name] >= less[name], name
    assert all(math.isfinite(value) and value >= 0 for value in less.values())
    assert less["servers"] >= 1
    parts = ("disk_samples_bytes", "disk_index_bytes", "disk_wal_bytes")
    assert less["disk_bytes"] == pytest.approx(sum(less[part] for part in parts))


def test_samples_follow_from_prometheus_own_formula() -> None:
    """retention_time_seconds * ingested_samples_per_second * bytes_per_sample."""
    needs = calculate({"nodes": 100, "jobs_per_day": 0, "retention_days": 10})
    assert needs["samples_per_second"] == needs["active_series"] / 30
    assert needs["disk_samples_bytes"] == needs["samples_per_second"] * 10 * 86400 * 2


def test_a_fleet_too_big_for_one_server_is_given_shards() -> None:
    assert calculate({"nodes": 32})["servers"] == 1
    assert calculate({"nodes": 10000, "server_memory_gib": 64})["servers"] > 1


@pytest.mark.parametrize(
    ("fleet", "sentence"),
    [
        ({}, "nodes is missing"),
        ({"nodes": 0}, "nodes is 0; it must be more than 0."),
        ({"nodes": "many"}, "nodes is 'many'; it must be a number."),
        ({"nodes": True}, "must be a number"),
        ({"nodes": math.nan}, "must be a number"),
        ({"nodes": 1, "hosts": 2}, "There is no hosts; known are nodes, "),
        ({"nodes": 1, "gpu_exporter": "other"}, "it must be nvidia_gpu_prometheus_exporter"),
    ],
)
def test_bad_input_is_told_in_one_sentence(fleet: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        calculate(fleet)


def test_numbers_from_the_command_line() -> None:
    assert calculate({"nodes": "64"}) == calculate({"nodes": 64})
    assert Fleet(nodes=1).gpus_per_node == 8


def test_a_number_from_the_command_line_gives_the_same_as_one_from_a_file() -> None:
    assert repr(calculate({"nodes": "128"})["targets"]) == "384"
