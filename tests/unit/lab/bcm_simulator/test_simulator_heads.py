# SPDX-License-Identifier: GPL-3.0-or-later
"""Two head nodes: active, passive, failover."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bcm_simulator.testing import Simulator
from simulator_client import ask

MINE = "/rest/v1/device?hostname=dgx-01"


@pytest.fixture
def two() -> Iterator[Simulator]:
    with Simulator(head_nodes=2) as simulator:
        yield simulator


def roles(sim: Simulator, head: int) -> list[str]:
    found: list[str] = ask(sim, MINE, head=head).json[0]["roles"]
    return found


def test_both_have_one_port_and_one_state(two: Simulator) -> None:
    assert [head.url for head in two.heads] == [f"https://127.0.0.1:{two.port}", f"https://127.0.0.2:{two.port}"]
    two.assign("dgx-01", "slurmclient")
    assert roles(two, 0) == roles(two, 1) == ["slurmclient"]
    assert [request.head for request in two.requests] == ["bcm-head-01", "bcm-head-02"]


def test_a_stopped_head_node_and_its_return(two: Simulator) -> None:
    two.heads[0].stop()
    with pytest.raises(ConnectionRefusedError):
        ask(two, MINE)
    assert roles(two, 1) == []
    two.assign("dgx-01", "slurmclient")
    two.heads[0].start()
    assert roles(two, 0) == ["slurmclient"]


def test_a_stale_passive_head_node(two: Simulator) -> None:
    two.switch(passive="stale")
    two.assign("dgx-01", "slurmclient")
    assert (roles(two, 0), roles(two, 1)) == (["slurmclient"], [])
    two.failover("bcm-head-02")
    assert (roles(two, 0), roles(two, 1)) == (["slurmclient"], ["slurmclient"])
    two.unassign("dgx-01", "slurmclient")
    assert (roles(two, 0), roles(two, 1)) == (["slurmclient"], [])


def test_stale_and_changed_in_one_edit_keeps_the_copy_from_before(two: Simulator) -> None:
    def change(state: dict[str, dict[str, dict[str, list[str]]]]) -> None:
        state["switches"].update(passive="stale")  # type: ignore[call-overload]
        state["nodes"]["dgx-01"]["roles"].append("slurmclient")

    two.edit(change)
    assert roles(two, 1) == []


def test_a_refusing_passive_head_node_and_failover(two: Simulator) -> None:
    two.switch(passive="refuse")
    with pytest.raises(ConnectionRefusedError):
        ask(two, MINE, head=1)
    two.failover("bcm-head-02")
    assert ask(two, MINE, head=1).status == 200
    with pytest.raises(ConnectionRefusedError):
        ask(two, MINE, head=0)


def test_passive_as_a_fault(two: Simulator) -> None:
    two.heads[0].fault("passive", mode="stale")
    two.assign("dgx-01", "slurmclient")
    assert (roles(two, 0), roles(two, 1)) == ([], ["slurmclient"])
    two.heads[0].fault("passive")
    with pytest.raises(ConnectionRefusedError):
        ask(two, MINE, head=0)
    two.heads[0].fault(None)
    assert roles(two, 0) == ["slurmclient"]


def test_faults_are_per_head_node(two: Simulator) -> None:
    two.heads[1].fault("status", status=503)
    assert (ask(two, MINE, head=0).status, ask(two, MINE, head=1).status) == (200, 503)


def test_arguments() -> None:
    with pytest.raises(ValueError, match="either a state or"):
        Simulator({}, devices=3)
    with Simulator(devices=25) as sim:
        assert len(ask(sim, "/rest/v1/device").json) == 26
        assert ask(sim, "/rest/v1/device").json[0]["roles"] == ["slurmclient"]
        assert ask(sim, "/rest/v1/device").json[1]["roles"] == []


def test_the_device_list_is_serialised_once_per_state() -> None:
    with Simulator(devices=50) as sim:
        view = sim.heads[0].server.view()
        first = view.device_body()
        ask(sim, "/rest/v1/device")
        assert sim.heads[0].server.view().device_body() is first
        sim.assign("node00002", "slurmclient")
        assert sim.heads[0].server.view() is not view
