# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of all kinds on two nodes; then what was measured of each."""

from __future__ import annotations

import base64
import gzip
import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from job_lab import LOAD, NODES, USERS, Cluster, gpu_mib, gpu_percent, job_of
from superpod_site import until

BUSY = 30
# user, options of sbatch, what runs
JOBS = {
    "busy": ("alice", "-w dgx-01 -c 2", f"python3 {LOAD} --cores 2 --seconds {BUSY}"),
    "memory": ("bob", "-w dgx-02 --mem=600", f"python3 {LOAD} --mib 400 --seconds 12"),
    "gpu": ("alice", "-w dgx-02 --gres=gpu:h200:1", f"python3 {LOAD} --seconds 15"),
    "gpus": ("bob", "-w dgx-02 --gres=gpu:h200:3", f"python3 {LOAD} --seconds 15"),
    "array": ("bob", "-a 4-5 --gres=gpu:h200:1", f"python3 {LOAD} --seconds 8"),
    "failing": ("alice", "--gres=gpu:1", "sleep 6; exit 3"),
    "cancelled": ("bob", "--gres=gpu:1", "sleep 600"),
    "short": ("alice", "--gres=gpu:1", "true"),
    "two nodes": (
        "alice",
        "-N 2 --ntasks-per-node=1 --gres=gpu:h200:2",
        f"srun python3 {LOAD} --mib 100 --seconds 12",
    ),
}


@dataclass(frozen=True)
class Done:
    """All of the jobs, over: their numbers, and what accounting has of them (of the array each task)."""

    cluster: Cluster
    numbers: dict[str, str]
    rows: dict[str, dict[str, str]]

    def summary(self, name: str) -> dict[str, dict[str, Any]]:
        return self.cluster.summary(self.rows[name])

    def output(self, name: str) -> list[dict[str, Any]]:
        row = self.rows[name]
        return self.cluster.output(row["user"], row["jobid"])


@pytest.fixture(scope="module")
def done(cluster: Cluster) -> Done:
    # By itself and unwatched: the lab's nodes share two cores.
    numbers = {"busy": cluster.submit(*JOBS["busy"])}
    time.sleep(BUSY)
    cluster.finish(120)
    numbers |= {name: cluster.submit(*job) for name, job in JOBS.items() if name != "busy"}
    until(lambda: [numbers["cancelled"], "RUNNING"] in cluster.queue(), 90)
    time.sleep(6)
    cluster.run(f"scancel {numbers['cancelled']}")
    cluster.finish(120)
    records = cluster.records()
    rows = {name: records[number] for name, number in numbers.items() if name != "array"}
    return Done(cluster, numbers, rows | {f"array {task}": records[f"{numbers['array']}_{task}"] for task in (4, 5)})


def test_jobs_end_as_they_should(done: Done) -> None:
    special = {"failing": ("FAILED", "3:0"), "cancelled": ("CANCELLED by 0", "0:0")}
    ends = {name: (row["state"], row["exitcode"]) for name, row in done.rows.items()}
    assert ends == {name: special.get(name, ("COMPLETED", "0:0")) for name in done.rows}


def busy_cores(done: Done) -> float:
    """What jobstats would show of the job that keeps two cores busy."""
    [(node, found)] = done.summary("busy").items()
    assert (node, found["cpus"]) == ("dgx-01", 2)
    cores: float = found["total_time"] / job_of(done.rows["busy"]).seconds
    return cores


def test_busy_cores_are_counted(done: Done) -> None:
    """As the job counts them itself, until the last scrape: less than two where others want them too."""
    [own] = done.output("busy")
    [node] = done.summary("busy").values()
    scraped = done.cluster.last_sample("cgroup_cpu_total_seconds", done.rows["busy"]) - own["began"]
    assert scraped > 0.8 * own["seconds"]
    assert node["total_time"] == pytest.approx(own["cpu_seconds"] * min(1, scraped / own["seconds"]), rel=0.1)


def test_two_busy_cores_show_two(done: Done) -> None:
    [own] = done.output("busy")
    had, waited = (own[name] / own["seconds"] for name in ("cpu_seconds", "waited_seconds"))
    if had < 1.9 and waited > 0.1:
        pytest.skip(f"other programs of this machine have left {had:.2f} of the 2 cores to the job")
    assert busy_cores(done) == pytest.approx(2, rel=0.1)


def test_memory_is_what_the_job_filled(done: Done) -> None:
    node = done.summary("memory")["dgx-02"]
    assert node["total_memory"] == 600 << 20
    assert 400 << 20 < node["used_memory"] < 440 << 20


@pytest.mark.parametrize(("name", "count"), [("gpu", 1), ("gpus", 3), ("array 4", 1), ("array 5", 1), ("two nodes", 2)])
def test_each_gpu_is_charged_to_its_job(done: Done, name: str, count: int) -> None:
    own = {one["host"]: sorted(one["gpus"].split(",")) for one in done.output(name)}
    nodes = done.summary(name)
    assert {node: sorted(found["gpu_utilization"]) for node, found in nodes.items()} == own
    for node, found in nodes.items():
        assert len(own[node]) == count
        for gpu in own[node]:
            assert found["gpu_utilization"][gpu] == gpu_percent(node, int(gpu))
            assert found["gpu_used_memory"][gpu] == gpu_mib(node, int(gpu)) << 20
            assert found["gpu_total_memory"][gpu] == 143771 << 20


def test_a_job_on_two_nodes_has_both(done: Done) -> None:
    nodes = done.summary("two nodes")
    assert sorted(nodes) == list(NODES)
    assert all(100 << 20 < node["used_memory"] < 140 << 20 for node in nodes.values())


def test_tasks_of_an_array_are_jobs_of_their_own(done: Done) -> None:
    assert done.rows["array 4"]["jobidraw"] != done.rows["array 5"]["jobidraw"]


@pytest.mark.parametrize("name", [name for name in JOBS if name not in ("array", "short")])
def test_series_have_the_labels_of_job_node_and_cluster(done: Done, name: str) -> None:
    row = done.rows[name]
    series = done.cluster.series(row["jobidraw"])
    ports = {"cgroup_exporter": 9306, "gpu_exporter": 9445}
    for labels in series:
        assert labels["cluster"] == row["cluster"] == "slurm"
        assert labels["instance"] == f"{labels['hostname']}:{ports[labels['job']]}"
        assert labels["job"] == "cgroup_exporter" or labels["userid"] == str(USERS[row["user"]])
    exporters = {"cgroup_exporter", "gpu_exporter"} if "gres/gpu" in row["alloctres"] else {"cgroup_exporter"}
    assert {labels["job"] for labels in series} == exporters
    hosts = set(NODES) if name == "two nodes" else {row["nodelist"]}
    assert {labels["hostname"] for labels in series} == hosts


def test_nothing_is_left_on_the_nodes(done: Done) -> None:
    assert done.cluster.maps() == dict.fromkeys(NODES, "")


def test_no_node_was_drained(done: Done) -> None:
    assert done.cluster.run("sinfo -h -R") == ""
    assert done.cluster.run("sinfo -h -N -o '%N %T'").split() == ["dgx-01", "idle", "dgx-02", "idle"]


def test_accounting_keeps_the_summary_of_each_job(done: Done) -> None:
    def comments() -> dict[str, str]:
        records = done.cluster.records()
        return {name: records[row["jobid"]]["admincomment"] for name, row in done.rows.items()}

    until(lambda: all(comments().values()), 60)
    for name, comment in comments().items():
        if name not in ("short", "failing", "cancelled"):
            assert comment.startswith("JS1:H4s")
            stored = json.loads(gzip.decompress(base64.b64decode(comment[4:])))
            used = {node: found["total_time"] for node, found in stored["nodes"].items()}
            assert used == {node: found["total_time"] for node, found in done.summary(name).items()}
        else:
            assert comment.startswith("JS1:")
