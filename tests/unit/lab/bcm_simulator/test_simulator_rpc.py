# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import gzip
import json
import threading
from typing import Any

import pytest
from bcm_simulator.objects import minified
from bcm_simulator.sessions import changed_entities
from bcm_simulator.state import NULL_UUID, normalise
from bcm_simulator.testing import Simulator
from simulator_client import Reply, ask, call


def by_name(reply: Reply, key: str = "hostname") -> dict[str, Any]:
    return {item[key]: item for item in reply.json}


def test_devices_nodes_and_compute_nodes() -> None:
    with Simulator({"nodes": {"n": {}, "switch01": {"type": "EthernetSwitch"}}}) as sim:
        assert sorted(by_name(call(sim, "cmdevice.getDevices"))) == ["bcm-head-01", "n", "switch01"]
        assert sorted(by_name(call(sim, "cmdevice.getNodes"))) == ["bcm-head-01", "n"]
        assert sorted(by_name(call(sim, "cmdevice.getComputeNodes"))) == ["n"]


def test_references_lead_from_a_node_to_everything(sim: Simulator) -> None:
    node = by_name(call(sim, "cmdevice.getNodes"))["dgx-01"]
    category = {item["uuid"]: item for item in call(sim, "cmdevice.getCategories").json}[node["category"]]
    image = {item["uuid"]: item for item in call(sim, "cmpart.getSoftwareImages").json}
    rack = {item["uuid"]: item for item in call(sim, "cmpart.getRacks").json}
    network = {item["uuid"]: item for item in call(sim, "cmnet.getNetworks").json}
    assert category["name"] == "dgx-h200"
    assert image[category["softwareImageProxy"]["parentSoftwareImage"]]["path"] == "/cm/images/dgx-image"
    assert rack[node["rackPosition"]["rack"]]["name"] == "r1"
    assert network[node["interfaces"][0]["network"]]["name"] == "internalnet"
    assert node["interfaces"][0]["uuid"] == node["provisioningInterface"]
    assert node["parent_uuid"] == node["uuid"]
    assert node["uuid"] == ask(sim, "/rest/v1/device?hostname=dgx-01").json[0]["uuid"]


def test_only_direct_roles_are_on_objects(sim: Simulator) -> None:
    sim.edit(lambda state: state["overlays"]["slurm-client"]["nodes"].append("dgx-01"))
    nodes = by_name(call(sim, "cmdevice.getNodes"))
    assert nodes["dgx-01"]["roles"] == []
    assert {role["childType"] for role in nodes["bcm-head-01"]["roles"]} >= {"HeadNodeRole", "BootRole"}
    overlay = by_name(call(sim, "cmdevice.getConfigurationOverlays"), "name")["slurm-client"]
    assert overlay["nodes"] == [nodes["dgx-01"]["uuid"]]
    assert [(role["name"], role["childType"]) for role in overlay["roles"]] == [("slurmclient", "SlurmClientRole")]
    assert (overlay["priority"], overlay["allHeadNodes"]) == (500, False)


def test_a_head_node_lacks_what_the_capture_lacks(sim: Simulator) -> None:
    head = by_name(call(sim, "cmdevice.getNodes"))["bcm-head-01"]
    for key in (
        "category",
        "softwareImageProxy",
        "installMode",
        "excludeListSync",
        "kernelVersion",
        "dataNode",
        "fips",
    ):
        assert key not in head
    assert "excludeListManipulateScript" in head
    assert head["provisioningInterface"] == NULL_UUID
    assert head["cmdaemonUrl"] == f"https://10.141.255.254:{sim.port}"


def test_a_node_without_category_and_rack_has_null_references() -> None:
    with Simulator({"nodes": {"n": {"network": None}}}) as sim:
        node = by_name(call(sim, "cmdevice.getNodes"))["n"]
        assert (node["category"], node["rackPosition"]) == (NULL_UUID, None)
        assert node["interfaces"][0]["network"] == NULL_UUID


def test_one_device_by_name(sim: Simulator) -> None:
    assert call(sim, "cmdevice.getNode", arg="master").json["hostname"] == "bcm-head-01"
    assert call(sim, "cmdevice.getDevice", "dgx-02").json["hostname"] == "dgx-02"
    assert call(sim, "cmdevice.getNode", "nobody").status == 400


def test_minify_by_switch(sim: Simulator) -> None:
    full = by_name(call(sim, "cmdevice.getNodes"))["dgx-01"]
    small = by_name(call(sim, "cmdevice.getNodes", minify=True))["dgx-01"]
    assert "roles" not in small
    assert "kernelVersion" not in small
    assert {"hostname", "uuid", "childType", "category"} <= small.keys()
    assert all(full[key] == value for key, value in small.items())
    assert small == minified(full)
    sim.switch(minify="keep")
    assert by_name(call(sim, "cmdevice.getNodes", minify=True))["dgx-01"] == full


def test_main_calls_with_one_and_two_head_nodes(sim: Simulator) -> None:
    assert call(sim, "cmmain.getVersion").json == {"cmVersion": "11.0"}
    ips = call(sim, "cmmain.getHeadNodeIPs").json
    assert ips == {"active_head_node_ip": "10.141.255.254", "passive_head_node_ip": "", "shared_head_node_ip": ""}
    assert call(sim, "cmmain.getActivePassiveUuids").json[1] == NULL_UUID
    with Simulator(head_nodes=2) as two:
        assert call(two, "cmmain.getHeadNodeIPs").json["passive_head_node_ip"] == "10.141.255.253"
        heads = by_name(call(two, "cmdevice.getNodes"))
        expected = [heads[name]["uuid"] for name in ("bcm-head-01", "bcm-head-02")]
        assert call(two, "cmmain.getActivePassiveUuids").json == expected
        two.failover("bcm-head-02")
        assert call(two, "cmmain.getActivePassiveUuids").json == expected[::-1]


def test_by_uuids(sim: Simulator) -> None:
    rack = call(sim, "cmpart.getRacks").json[0]
    assert call(sim, "cmpart.getRacksByUuids", [rack["uuid"]]).json == [rack]
    assert call(sim, "cmnet.getNetworksByUuids", []).json == []
    assert call(sim, "cmpart.getRacksByUuids", "x").status == 400


@pytest.mark.parametrize("name", ["cmdevice.listNodes", "cmdevice.getRoles", "nosuch.getNodes", "cmdevice.None"])
def test_unknown_calls_by_switch(sim: Simulator, name: str) -> None:
    reply = call(sim, name)
    assert (reply.status, name in reply.body.decode()) == (400, True)
    sim.switch(rpc_unknown_call="empty")
    assert (call(sim, name).status, call(sim, name).body) == (200, b"")


def test_calls_that_bcm_has_and_the_simulator_has_not(sim: Simulator) -> None:
    assert call(sim, "cmjob.getWlmClusters").status == 501


@pytest.mark.parametrize("name", ["cmdevice.updateDevice", "cmdevice.powerOperation"])
def test_writes_are_refused_and_counted(sim: Simulator, name: str) -> None:
    assert call(sim, name, {}).status == 501
    assert call(sim, name, {}, profile="readonly").status == 640
    assert call(sim, name, {}, profile="power").status == 635
    assert sim.writes.refused == 3


def test_635_service_and_640_call(sim: Simulator) -> None:
    profiles = {
        "tokens-only": {"tokens": ["GET_DEVICE_TOKEN"]},
        "devices": {"tokens": ["GET_DEVICE_TOKEN"], "services": ["CMDevice"]},
    }
    sim.edit(lambda state: state["profiles"].update(profiles))
    assert call(sim, "cmdevice.getNodes", profile="tokens-only").status == 635
    assert call(sim, "cmdevice.getNodes", profile="devices").status == 200
    assert call(sim, "cmdevice.getCategories", profile="devices").status == 640
    assert call(sim, "cmpart.getRacks", profile="devices").status == 635
    assert call(sim, "cmdevice.getNodes", profile="readonly").status == 200
    assert call(sim, "cmmain.getVersion", profile="node").status == 200
    assert call(sim, "cmdevice.getNodes", profile=None).status == 401


def test_login_with_a_cookie() -> None:
    users = {"root": {"password": "secret", "profile": "readonly"}}
    with Simulator({"nodes": {"n": {}}, "users": users}) as sim:
        login = {"service": "login", "username": "root", "password": "secret"}
        reply = ask(sim, "/json", None, method="POST", body=json.dumps(login).encode())
        assert reply.json is True
        cookie = reply.headers["Set-Cookie"].partition(";")[0]
        assert cookie.startswith("cm-login-token=")
        body = b'{"service":"cmdevice","call":"getNodes"}'
        assert ask(sim, "/json", None, method="POST", body=body, headers={"Cookie": cookie}).status == 200
        assert ask(sim, "/json", None, method="POST", body=body, headers={"Cookie": cookie + "x"}).status == 401
        wrong = json.dumps({**login, "password": "no"}).encode()
        refused = ask(sim, "/json", None, method="POST", body=wrong)
        assert (refused.status, "Set-Cookie" in refused.headers) == (401, False)
        assert "secret" not in str(sim.requests)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"call":"x"}', b'{"service":"cmmain","call":"getVersion","colour":1}', b'{"service":5}'],
)
def test_requests_that_are_none(sim: Simulator, body: bytes) -> None:
    assert ask(sim, "/json", method="POST", body=body, headers={"Content-Length": str(len(body))}).status == 400


def test_get_of_json_and_wrong_arguments(sim: Simulator) -> None:
    assert ask(sim, "/json").status == 501
    assert call(sim, "cmdevice.getNodes", "x").status == 400
    assert call(sim, "cmdevice.getNodes", args={}).status == 400


def test_a_gzipped_body(sim: Simulator) -> None:
    body = gzip.compress(b'{"service":"cmmain","call":"getVersion"}')
    headers = {"Content-Encoding": "gzip"}
    assert ask(sim, "/json", method="POST", body=body, headers=headers).json == {"cmVersion": "11.0"}
    assert ask(sim, "/json", method="POST", body=b"no", headers=headers).status == 400
    assert ask(sim, "/json", method="POST", body=b"no", headers={"Content-Encoding": "br"}).status == 400


# -- events


def test_waiting_ends_when_something_changes(sim: Simulator) -> None:
    session = call(sim, "cmsession.registerSession", 6).json
    replies: list[Any] = []
    waiter = threading.Thread(target=lambda: replies.append(call(sim, "cmsession.waitForEvents", session, 30).json))
    waiter.start()
    sim.edit(lambda state: state["overlays"]["slurm-client"]["nodes"].append("dgx-01"))
    waiter.join(10)
    overlays = by_name(call(sim, "cmdevice.getConfigurationOverlays"), "name")
    assert replies == [
        [
            {
                "baseType": "Event",
                "childType": "EntitiesChangedEvent",
                "entityTypeName": "ConfigurationOverlay",
                "updateUuids": [overlays["slurm-client"]["uuid"]],
                "removeUuids": [],
            }
        ]
    ]


def test_waiting_for_nothing_ends_in_time_with_nothing(sim: Simulator) -> None:
    session = call(sim, "cmsession.registerSession", 6).json
    assert call(sim, "cmsession.waitForEvents", session, 0).json == []
    assert call(sim, "cmsession.acknowledgeKeepAlive", session).json is True


def test_sessions_that_are_not(sim: Simulator) -> None:
    session = call(sim, "cmsession.registerSession", 6).json
    assert call(sim, "cmsession.unregisterSession", session).json is True
    assert call(sim, "cmsession.unregisterSession", session).json is False
    assert call(sim, "cmsession.acknowledgeKeepAlive", session).json is False
    assert call(sim, "cmsession.waitForEvents", session, 1).status == 400
    assert call(sim, "cmsession.registerSession").status == 400


def test_a_waiting_client_is_let_go_when_the_head_node_stops(sim: Simulator) -> None:
    session = call(sim, "cmsession.registerSession", 6).json
    ended = threading.Event()

    def wait() -> None:
        with contextlib.suppress(OSError):
            call(sim, "cmsession.waitForEvents", session, 60)
        ended.set()

    threading.Thread(target=wait).start()
    sim.heads[0].stop()
    assert ended.wait(10)


def test_events_of_every_kind_of_change() -> None:
    nodes = {"a": {"category": "c"}, "b": {}}
    before = normalise({"head_nodes": {"h": {}}, "nodes": nodes, "categories": {"c": {}}, "overlays": {"o": {}}})
    after = normalise(
        {"head_nodes": {"h": {"ip": "10.0.0.9"}}, "nodes": {"a": {}}, "categories": {"c": {"image": "i"}}}
    )
    found = {event["entityTypeName"]: event for event in changed_entities(before, after)}
    assert {name: (len(item["updateUuids"]), len(item["removeUuids"])) for name, item in found.items()} == {
        "Device": (2, 1),
        "Category": (1, 0),
        "ConfigurationOverlay": (0, 1),
    }
    assert changed_entities(after, after) == []


def test_answers_are_made_once_per_state_and_never_stale(sim: Simulator) -> None:
    first = call(sim, "cmdevice.getNodes").body
    assert call(sim, "cmdevice.getNodes").body == first
    assert call(sim, "cmdevice.getNodes", minify=True).body != first
    assert call(sim, "cmdevice.getNodes", profile="node").status == 635
    sim.assign("dgx-01", "monitoring")
    assert by_name(call(sim, "cmdevice.getNodes"))["dgx-01"]["roles"][0]["name"] == "monitoring"
