# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of the operating system that BCM manages: on nodes, head nodes and categories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from bcm_simulator.state import StateError, normalise
from bcm_simulator.store import StateStore
from bcm_simulator.testing import Simulator
from simulator_client import call

EXPORTER = {
    "name": "node_exporter",
    "monitored": True,
    "autostart": True,
    "run_if": "ACTIVE",
    "from_generic_role": True,
}
STATE: dict[str, Any] = {
    "head_nodes": {"head": {"ip": "10.141.255.254", "services": [{"name": "dhcpd"}]}},
    "categories": {"c": {"services": [{"name": "nslcd"}]}},
    "nodes": {"n": {"category": "c", "services": [EXPORTER]}, "plain": {"category": "c"}},
}


def test_as_json_rpc_shows_them() -> None:
    with Simulator(STATE) as sim:
        (service,) = call(sim, "cmdevice.getNode", "n").json["services"]
        uuid = service.pop("uuid")
        assert service == {
            "baseType": "OSServiceConfig",
            "childType": "",
            "name": "node_exporter",
            "monitored": True,
            "autostart": True,
            "runIf": "ACTIVE",
            "managed": True,
            "addFromRole": False,
            "fromGenericRole": True,
            "extra_values": None,
            "modified": False,
            "revision": "",
            "to_be_removed": False,
        }
        nodes = {node["hostname"]: node["services"] for node in call(sim, "cmdevice.getNodes").json}
        assert [one["uuid"] for one in nodes["n"]] == [uuid]
        # A category's services are on the category only.
        assert nodes["plain"] == []
        assert [one["name"] for one in nodes["head"]] == ["dhcpd"]
        (category,) = call(sim, "cmdevice.getCategories").json
        assert [(one["name"], one["monitored"]) for one in category["services"]] == [("nslcd", False)]
        small = {node["hostname"]: node for node in call(sim, "cmdevice.getNodes", minify=True).json}
        assert "services" in small["n"]
        assert "services" not in small["plain"]


def test_an_edit_is_shown_and_is_a_change_of_the_category() -> None:
    with Simulator(STATE) as sim:
        session = call(sim, "cmsession.registerSession", 6).json
        sim.edit(lambda state: state["categories"]["c"]["services"].append(EXPORTER))
        (event,) = call(sim, "cmsession.waitForEvents", session, 10).json
        (category,) = call(sim, "cmdevice.getCategories").json
        assert [one["name"] for one in category["services"]] == ["nslcd", "node_exporter"]
        assert (event["entityTypeName"], event["updateUuids"]) == ("Category", [category["uuid"]])


def test_the_file_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "state.yml"
    path.write_text(yaml.safe_dump(STATE))
    StateStore(path).edit(lambda state: state.update(version="11.30"))
    again = StateStore(path).snapshot()
    assert again["nodes"]["n"]["services"] == normalise(STATE)["nodes"]["n"]["services"]
    assert again["version"] == "11.30"


@pytest.mark.parametrize("section", ["nodes", "head_nodes", "categories"])
@pytest.mark.parametrize(
    ("services", "words"),
    [
        ("nslcd", "'x': services must be a list of mappings, each with a name"),
        (["nslcd"], "each with a name"),
        ([{"monitored": True}], "each with a name"),
        ([{"name": ""}], "each with a name"),
        (
            [{"name": "nslcd", "runIf": "ALWAYS"}],
            "services: 'nslcd' has an unknown key 'runIf'; known are: add_from_role",
        ),
        ([{"name": "nslcd", "autostart": "yes"}], "'nslcd': autostart must be true or false"),
        ([{"name": "nslcd", "run_if": "NEVER"}], "'nslcd': run_if must be one of ALWAYS, ACTIVE"),
        ([{"name": "nslcd"}, {"name": "nslcd"}], "'nslcd' is there twice"),
    ],
)
def test_what_is_wrong_is_named(section: str, services: object, words: str) -> None:
    with pytest.raises(StateError, match=words):
        normalise({"head_nodes": {"head": {}}, section: {"x": {"services": services}}})
