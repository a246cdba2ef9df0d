# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon as a process beside a BCM that manages one of the exporters as a service of its own: no fights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bcm_simulator.testing import Simulator
from faults.role_monitor.harness import ROLE, UNITS, Rig, cluster, host_name, rig

BCMS, OURS = UNITS
SERVICE = {"name": BCMS.removesuffix(".service"), "monitored": True, "autostart": True}
PROFILES = {
    "asks": {"tokens": ["GET_DEVICE_TOKEN", "GET_CATEGORY_TOKEN"], "services": ["CMDevice"]},
    "asks-nodes": {"tokens": ["GET_DEVICE_TOKEN"], "services": ["CMDevice"]},
    "rest-only": {"tokens": ["GET_DEVICE_TOKEN"], "services": []},
}


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with Simulator({**cluster(host_name(), head_nodes=1), "profiles": PROFILES}) as simulator:
        yield simulator


@pytest.fixture
def node(sim: Simulator) -> Iterator[Rig]:
    set_services(sim, "node")
    set_services(sim, "category")
    sim.edit(lambda state: state["nodes"][host_name()].update(roles=[]))
    sim.fault(None)
    with rig(sim, **certificate(sim, "asks")) as made:
        yield made


def certificate(sim: Simulator, profile: str) -> dict[str, str]:
    return dict(zip(("cert_path", "key_path"), sim.certificate(profile)))


def set_services(sim: Simulator, where: str, *services: dict[str, Any]) -> None:
    def change(state: dict[str, dict[str, dict[str, Any]]]) -> None:
        device = state["nodes"][host_name()]
        (device if where == "node" else state["categories"][device["category"]])["services"] = list(services)

    sim.edit(change)


def begin(node: Rig) -> None:
    node.sim.assign(node.host, ROLE)
    node.start()
    assert node.ready.wait(10), node.log
    node.whole_check()


def states(node: Rig) -> dict[str, str]:
    return {unit: node.unit(unit) for unit in UNITS}


def touched(node: Rig, unit: str) -> list[str]:
    return [verb for _moment, verb, units in node.systemctl_log() if unit in units.split()]


def said(node: Rig, words: str) -> int:
    return sum(words in line for line in node.log)


@pytest.mark.parametrize(
    ("where", "profile", "flags"),
    [
        ("node", "asks", {}),
        ("node", "asks-nodes", {}),
        ("category", "asks", {}),
        ("node", "asks", {"from_generic_role": True, "add_from_role": True}),
    ],
)
def test_bcms_service_is_left_alone_until_bcm_gives_it_up(
    node: Rig, where: str, profile: str, flags: dict[str, bool]
) -> None:
    node.write_config(**certificate(node.sim, profile))
    set_services(node.sim, where, {**SERVICE, **flags}, {"name": "nslcd"})
    begin(node)
    assert states(node) == {BCMS: "inactive", OURS: "active"}
    assert node.target.read_bytes() == node.expected
    node.set_unit(BCMS, "active")  # by BCM
    node.sim.unassign(node.host, ROLE)
    node.whole_check()
    assert states(node) == {BCMS: "active", OURS: "inactive"}
    assert not node.target.exists()
    assert touched(node, BCMS) == []
    assert touched(node, OURS) == ["start", "stop"]
    assert said(node, f"BCM itself manages {BCMS}: it is left alone") == 1, node.log
    metrics = (node.directory / "textfile" / "bcm_role_monitor.prom").read_text()
    lines = [line for line in metrics.splitlines() if line.endswith(" 1.0") and "managed_by_bcm" in line]
    assert len(lines) == 1
    assert BCMS in lines[0]

    set_services(node.sim, where, {"name": "nslcd"})
    node.sim.assign(node.host, ROLE)
    node.whole_check()
    node.sim.unassign(node.host, ROLE)
    node.whole_check()
    assert node.out_of_step(False) == []
    assert touched(node, BCMS) == ["stop"]


def test_a_service_that_becomes_bcms_is_left_alone_at_once(node: Rig) -> None:
    begin(node)
    assert node.out_of_step(True) == []
    set_services(node.sim, "node", SERVICE)
    node.sim.unassign(node.host, ROLE)
    node.whole_check()
    assert states(node) == {BCMS: "active", OURS: "inactive"}
    assert touched(node, BCMS) == ["start"]


def test_another_categorys_service_is_none_of_this_node(node: Rig) -> None:
    node.sim.edit(lambda state: state["categories"].update({"other": {"services": [SERVICE]}}))
    begin(node)
    assert node.out_of_step(True) == []


def test_what_bcm_said_holds_while_it_does_not_answer_that(node: Rig) -> None:
    set_services(node.sim, "category", SERVICE)
    begin(node)
    node.set_unit(BCMS, "active")
    node.sim.fault("status", status=500, path="/json")
    node.sim.unassign(node.host, ROLE)
    node.whole_check()
    assert states(node) == {BCMS: "active", OURS: "inactive"}
    assert touched(node, BCMS) == []
    assert said(node, "its last answer holds") == 1, node.log


def test_removal_at_the_stop_spares_bcms_service(node: Rig) -> None:
    """Though the daemon had nothing to start or stop before."""
    node.write_config(on_stop="remove")
    set_services(node.sim, "node", SERVICE)
    for unit in UNITS:
        node.set_unit(unit, "active")
    begin(node)
    assert node.stop() == 0
    assert states(node) == {BCMS: "active", OURS: "inactive"}


def test_a_certificate_that_may_not_ask_manages_all(node: Rig) -> None:
    node.write_config(**certificate(node.sim, "rest-only"))
    set_services(node.sim, "node", SERVICE)
    begin(node)
    node.sim.unassign(node.host, ROLE)
    node.whole_check()
    assert node.out_of_step(False) == []
    assert touched(node, BCMS) == ["start", "stop"]
    assert said(node, "BCM does not tell which services") == 1, node.log
    assert len([one for one in node.sim.requests if one.path == "/json" and one.profile == "rest-only"]) == 1
