# SPDX-License-Identifier: GPL-3.0-or-later
"""file_sd_prune: what it recognises as its own, when it stops, and each field that it returns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from ansible_collections.superpod.monitoring.plugins.module_utils.target_document import build, encode
from ansible_collections.superpod.monitoring.plugins.modules.file_sd_prune import decide, plan, read_directory
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.modules.ansible_run import Task, play

JOBS = [("node_exporter", 9100), ("cgroup_exporter", 9306)]
FOREIGN = {
    "by-hand.json": b'[{"targets": ["switch-1:9100"], "labels": {"job": "snmp"}}]',
    # a node's content under another host's name, as after a change of the host's name by hand
    "renamed.json": encode(build("dgx-99", "slurm", JOBS)),
    # a file of the same form with a host more in it
    "dgx-98.json": encode([*build("dgx-98", "slurm", JOBS), *build("dgx-97", "slurm", JOBS)]),
    "dgx-96.json": b"[]",
    "dgx-95.json": b"[{",
    "dgx-94.json": b"\xff\xfe",
}


def document(host: str, cluster: str = "slurm") -> bytes:
    return encode(build(host, cluster, JOBS))


def fill(directory: Path, hosts: list[str], cluster: str = "slurm") -> None:
    for host in hosts:
        (directory / f"{host}.json").write_bytes(document(host, cluster))


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_names_are_compared_without_case_and_domain() -> None:
    files = [(f"{host}.json", document(host)) for host in ("dgx-01", "dgx-02.cluster", "DGX-03", "dgx-04")]
    decided = plan(files, ["DGX-01.cluster", "dgx-02", "dgx-03"], None)
    assert decided.stale == ["dgx-04.json"]
    assert decided.kept == ["DGX-03.json", "dgx-01.json", "dgx-02.cluster.json"]


def test_a_second_role_monitor_of_a_node_counts_as_the_node() -> None:
    files = [("dgx-01_blue.json", document("dgx-01")), ("dgx-02_blue.json", document("dgx-02"))]
    assert plan(files, ["dgx-01"], None).stale == ["dgx-02_blue.json"]


def test_what_is_not_recognised_is_never_stale() -> None:
    decided = plan(FOREIGN.items(), ["dgx-01"], None)
    assert (decided.stale, decided.kept, decided.unrecognised) == ([], [], sorted(FOREIGN))
    assert decided.percent == 0.0


def test_another_cluster_is_not_looked_at() -> None:
    files = [("dgx-01.json", document("dgx-01", "a")), ("dgx-02.json", document("dgx-02", "b"))]
    assert plan(files, ["dgx-03"], "a") == (["dgx-01.json"], [], [])


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)), st.integers(0, 100))
def test_never_more_than_the_limit_and_never_a_host_of_the_list(
    listed: set[int], present: set[int], limit: int
) -> None:
    hosts = [f"dgx-{number:02}" for number in listed]
    decided = plan([(f"dgx-{number:02}.json", document(f"dgx-{number:02}")) for number in present], hosts, None)
    assert decided.stale == sorted(f"dgx-{number:02}.json" for number in present - listed)
    assert len(decided.kept) == len(present & listed)
    allowed = len(decided.stale) * 100 <= limit * len(present)
    assert (decided.percent <= limit) == allowed


def test_only_regular_files_named_json_are_read(tmp_path: Path) -> None:
    fill(tmp_path, ["dgx-01"])
    (tmp_path / ".dgx-02.json").write_bytes(document("dgx-02"))
    (tmp_path / "dgx-03.yml").write_bytes(document("dgx-03"))
    (tmp_path / "dgx-04.json").symlink_to(tmp_path / "dgx-01.json")
    (tmp_path / "dgx-05.json").mkdir()
    (tmp_path / "dgx-06.json").write_bytes(document("dgx-06") + b" " * (1 << 20))
    assert read_directory(str(tmp_path)) == [
        ("dgx-01.json", document("dgx-01")),
        ("dgx-04.json", None),
        ("dgx-05.json", None),
        ("dgx-06.json", None),
    ]


@pytest.mark.parametrize(
    ("hosts", "limit", "code"), [([], 100, "no_hosts"), (["", " "], 100, "no_hosts"), (["a"], 101, "bad_option")]
)
def test_options_that_make_no_sense(tmp_path: Path, hosts: list[str], limit: int, code: str) -> None:
    with pytest.raises(Failure) as failure:
        decide(str(tmp_path), hosts, None, limit)
    assert failure.value.code == code


@pytest.mark.plays
def test_through_ansible(tmp_path: Path) -> None:
    """Starts with check mode; each returned field of each kind of run."""
    targets = tmp_path / "targets"
    targets.mkdir()
    hosts = [f"dgx-{number:02}" for number in range(1, 11)]
    fill(targets, hosts)
    fill(targets, ["other-01"], cluster="other")
    for name, content in FOREIGN.items():
        (targets / name).write_bytes(content)
    everything = names(targets)
    options = {"directory": str(targets), "hosts": hosts[:-1], "cluster": "slurm"}

    checked = play(
        tmp_path,
        [
            Task("file_sd_prune", options, check_mode=True),
            Task("file_sd_prune", {**options, "hosts": hosts[:7]}),
            Task("file_sd_prune", {**options, "hosts": []}),
            Task("file_sd_prune", {**options, "directory": str(tmp_path / "none")}),
        ],
    ).results
    assert names(targets) == everything

    before = "".join(f"{host}.json\n" for host in hosts)
    expected = {
        "changed": True,
        "failed": False,
        "directory": str(targets),
        "removed": ["dgx-10.json"],
        "kept": 9,
        "unrecognised": sorted(FOREIGN),
        "percent": 10.0,
        "diff": {
            "before_header": str(targets),
            "after_header": str(targets),
            "before": before,
            "after": before.replace("dgx-10.json\n", ""),
        },
    }
    assert checked[0] == expected
    assert [result["failed"] for result in checked[1:]] == [True, True, True]
    assert checked[1]["failure"] == {
        "message": checked[1]["msg"],
        "code": "limit",
        "details": {"stale": ["dgx-08.json", "dgx-09.json", "dgx-10.json"], "total": 10, "limit_percent": 20},
    }
    assert "3 of 10 target files" in checked[1]["msg"]
    assert checked[2]["failure"]["code"] == "no_hosts"
    assert checked[3]["failure"]["code"] == "io"
    assert checked[3]["msg"] == f"{tmp_path / 'none'}: No such file or directory"

    pruned = play(tmp_path, [Task("file_sd_prune", options), Task("file_sd_prune", options)]).results
    assert pruned[0] == expected
    assert names(targets) == [name for name in everything if name != "dgx-10.json"]
    after = expected["diff"]["after"]
    assert pruned[1] == {
        **expected,
        "changed": False,
        "removed": [],
        "percent": 0.0,
        "diff": {**expected["diff"], "before": after, "after": after},
    }
    assert json.loads((targets / "dgx-01.json").read_bytes())
