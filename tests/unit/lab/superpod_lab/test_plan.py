# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from bcm_simulator.state import normalise
from superpod_lab.plan import bcm_state, boot_options, hosts, hosts_file, info
from superpod_lab.settings import LabError, Settings

SETTINGS = Settings(7, Path("/i"), Path("/d"))


def test_the_hosts_of_a_superpod() -> None:
    members = {host.name: host for host in hosts("10.77.7", dgx=3, head_nodes=2)}
    assert list(members) == [
        "bcm-head-01",
        "bcm-head-02",
        "slurm-ctl-01",
        "login-01",
        "mon-01",
        "dgx-01",
        "dgx-02",
        "dgx-03",
    ]
    assert members["bcm-head-01"].alias == "master"
    assert members["bcm-head-02"].alias is None
    assert members["bcm-head-01"].category is None
    assert members["dgx-03"].address == "10.77.7.103"
    assert members["dgx-03"].category == "dgx-h200"
    assert members["mon-01"].mac == "02:00:0A:4D:07:29"


def test_no_two_hosts_share_a_name_or_an_address() -> None:
    members = hosts("10.77.7", dgx=99, head_nodes=9)
    assert len({host.name for host in members}) == len({host.address for host in members}) == len(members)
    assert all(2 <= int(host.address.rpartition(".")[2]) <= 254 for host in members)


@pytest.mark.parametrize(("dgx", "head_nodes"), [(0, 1), (100, 1), (1, 0), (1, 10)])
def test_impossible_numbers_are_refused(dgx: int, head_nodes: int) -> None:
    with pytest.raises(LabError, match=r"a lab has 1 to"):
        hosts("10.77.7", dgx, head_nodes)


def test_the_simulator_takes_the_state_and_no_dgx_node_is_a_slurm_client() -> None:
    state = normalise(bcm_state(hosts("10.77.7", dgx=2, head_nodes=2)))
    assert state["overlays"]["slurm-client"]["nodes"] == []
    assert state["overlays"]["slurm-client"]["categories"] == []
    assert state["overlays"]["slurm-client"]["roles"] == ["slurmclient"]
    assert state["overlays"]["slurm-submit"]["nodes"] == ["slurm-ctl-01", "login-01"]
    assert state["active"] == "bcm-head-01"
    assert set(state["nodes"]) == {"slurm-ctl-01", "login-01", "mon-01", "dgx-01", "dgx-02"}
    assert {node["category"] for node in state["nodes"].values()} <= set(state["categories"])


def test_nodes_own_certificates_do_not_read_devices_and_slurm_has_settings() -> None:
    state = normalise(bcm_state(hosts("10.77.7", dgx=1, head_nodes=1)))
    assert state["switches"]["node_profile_reads_devices"] is False
    assert set(state["wlm"]) == {"slurm"}


def test_only_head_nodes_see_the_collection_and_the_simulators_state() -> None:
    for host in hosts("10.77.7", dgx=1, head_nodes=2):
        words = " ".join(boot_options(host, SETTINGS, "v1"))
        assert "/d/shared:/cm/shared" in words
        assert ("/superpod/monitoring:ro" in words) == (host.kind == "head_node")
        assert ("/d/bcm:" in words) == (host.kind == "head_node")
        assert ("--gpus 8" in words) == ("--cgroup v1" in words) == (host.kind == "dgx")


def test_the_file_for_labhost_has_a_line_for_each_host() -> None:
    members = hosts("10.77.7", dgx=1, head_nodes=1)
    lines = hosts_file(members, SETTINGS, "v2").splitlines()
    assert [line.split()[:2] for line in lines] == [[host.name, host.address] for host in members]


def test_info_has_what_others_read() -> None:
    document = info(hosts("10.77.7", dgx=1, head_nodes=1), SETTINGS)
    assert document["id"] == 7
    assert document["hosts"]["dgx-01"] == {"address": "10.77.7.101", "kind": "dgx", "category": "dgx-h200"}
    assert document["shared_dir"] == "/d/shared"
    assert document["bcm"]["port"] == 8081
