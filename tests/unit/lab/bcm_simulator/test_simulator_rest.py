# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import socket
import ssl

import pytest
from bcm_simulator.testing import Simulator
from simulator_client import Reply, ask


def hostnames(reply: Reply) -> list[str]:
    return [record["hostname"] for record in reply.json]


def test_device_is_a_bare_list_with_keys_by_type(sim: Simulator) -> None:
    records = {record["hostname"]: record for record in ask(sim, "/rest/v1/device").json}
    assert sorted(records["dgx-01"]) == [
        *("category", "cluster", "hostname", "ip", "mac", "network", "roles", "type", "uuid"),
    ]
    assert sorted(records["bcm-head-01"]) == ["cluster", "hostname", "ip", "mac", "network", "roles", "type", "uuid"]
    assert records["bcm-head-01"]["type"] == "HeadNode"
    assert records["dgx-01"]["mac"] == "FA:16:3E:00:00:01"
    assert set(records["slurm-ctl-01"]["roles"]) == {"slurmserver", "slurmsubmit", "slurmaccounting"}


def test_roles_are_lower_case_and_not_sorted(sim: Simulator) -> None:
    sim.edit(lambda state: state["nodes"]["dgx-01"].update(roles=["SlurmClient", "aaa", "bbb", "ccc", "ddd"]))
    roles = ask(sim, "/rest/v1/device?hostname=dgx-01").json[0]["roles"]
    assert sorted(roles) == ["aaa", "bbb", "ccc", "ddd", "slurmclient"]
    assert roles != sorted(roles)
    assert roles == ask(sim, "/rest/v1/device?hostname=dgx-01").json[0]["roles"]


def test_hostname_filter_by_switch(sim: Simulator) -> None:
    assert hostnames(ask(sim, "/rest/v1/device?hostname=dgx-02")) == ["dgx-02"]
    assert ask(sim, "/rest/v1/device?hostname=nobody").json == []
    assert hostnames(ask(sim, "/rest/v1/device?indent=1&hostname=dgx-02")) == ["dgx-02"]
    sim.switch(honour_hostname_filter=False)
    assert len(ask(sim, "/rest/v1/device?hostname=dgx-02").json) == 6


def test_unknown_query_parameters_are_ignored(sim: Simulator) -> None:
    assert len(ask(sim, "/rest/v1/device?indent=1&expand=all").json) == 6


def test_effective_or_direct_roles_by_switch(sim: Simulator) -> None:
    sim.edit(lambda state: state["overlays"]["slurm-client"]["nodes"].append("dgx-01"))
    sim.assign("dgx-01", "monitoring")
    assert set(ask(sim, "/rest/v1/device?hostname=dgx-01").json[0]["roles"]) == {"slurmclient", "monitoring"}
    sim.switch(rest_roles="direct")
    assert ask(sim, "/rest/v1/device?hostname=dgx-01").json[0]["roles"] == ["monitoring"]
    sim.unassign("dgx-01", "monitoring")
    assert ask(sim, "/rest/v1/device?hostname=dgx-01").json[0]["roles"] == []


def test_empty_roles_by_switch(sim: Simulator) -> None:
    assert ask(sim, "/rest/v1/device?hostname=dgx-01").json[0]["roles"] == []
    sim.switch(empty_roles="null")
    assert ask(sim, "/rest/v1/device?hostname=dgx-01").json[0]["roles"] is None
    sim.switch(empty_roles="absent")
    assert "roles" not in ask(sim, "/rest/v1/device?hostname=dgx-01").json[0]


def test_devices_without_category_or_ip_lack_the_keys() -> None:
    state = {"nodes": {"switch01": {"type": "EthernetSwitch", "ip": None, "network": None, "mac": None}}}
    with Simulator(state) as sim:
        record = ask(sim, "/rest/v1/device?hostname=switch01").json[0]
        assert sorted(record) == ["cluster", "hostname", "roles", "type", "uuid"]
        assert record["type"] == "EthernetSwitch"


def test_strange_names_are_passed_on() -> None:
    names = ["{{ lookup('pipe','id') }}", "dgx-ü", "a b", "UPPER"]
    with Simulator({"nodes": {name: {} for name in names}}) as sim:
        assert hostnames(ask(sim, "/rest/v1/device"))[: len(names)] == names


def test_category(sim: Simulator) -> None:
    found = ask(sim, "/rest/v1/category").json
    assert found[0] == {"image": "dgx-image", "name": "dgx-h200", "nodes": ["dgx-01", "dgx-02"]}
    assert [record["name"] for record in ask(sim, "/rest/v1/category?name=login").json] == ["login"]
    sim.switch(honour_hostname_filter=False)
    assert len(ask(sim, "/rest/v1/category?name=login").json) == 4


def test_the_other_paths(sim: Simulator) -> None:
    assert ask(sim, "/rest/v1/network").json == ["topology", "nvdomain"]
    assert ask(sim, "/rest/v1/monitoring/latest?measurable=x").json == {"data": []}
    assert ask(sim, "/info/version", None).body == b"11.0\n"
    assert ask(sim, "/info/version", None).headers["Content-Type"] == "text/plain"


@pytest.mark.parametrize("path", ["/rest/v1/version", "/rest/v1/status"])
def test_version_and_status_by_switch(sim: Simulator, path: str) -> None:
    assert isinstance(ask(sim, path).json, list)
    sim.switch(rest_version="object")
    assert isinstance(ask(sim, path).json, dict)
    sim.switch(rest_version="absent")
    assert ask(sim, path).status == 501


@pytest.mark.parametrize(
    "path", ["/rest", "/rest/v1", "/api", "/base-view", "/exporter", "/rest/v1/rack", "/rest/v1/power"]
)
def test_what_bcm_has_and_the_simulator_has_not_is_501(sim: Simulator, path: str) -> None:
    reply = ask(sim, path)
    assert reply.status == 501
    assert path in reply.body.decode()


@pytest.mark.parametrize("path", ["/", "/rest/v1/devices", "/rest/v2/entities", "/api/nodes", "/rest/v1/", "/rest/v1"])
def test_unknown_paths_are_refused(sim: Simulator, path: str) -> None:
    assert ask(sim, path).status in (404, 501)
    assert ask(sim, "/rest/v1/devices").status == 404


def test_device_path_form_by_switch(sim: Simulator) -> None:
    assert ask(sim, "/rest/v1/device/dgx-01").status == 404
    sim.switch(device_path_form="object")
    assert ask(sim, "/rest/v1/device/dgx-01").json["hostname"] == "dgx-01"
    assert ask(sim, "/rest/v1/device/nobody").status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_writes_are_refused_and_counted(sim: Simulator, method: str) -> None:
    before = sim.store.path.read_bytes()
    assert ask(sim, "/rest/v1/device", method=method, body=b"{}").status == 501
    assert (sim.writes.stored, sim.writes.refused) == (0, 1)
    assert sim.store.path.read_bytes() == before


def test_who_may_read(sim: Simulator) -> None:
    sim.edit(lambda state: state["profiles"].update(exporter={"tokens": ["GET_DEVICE_TOKEN"]}, blind={"tokens": []}))
    status = {profile: ask(sim, "/rest/v1/device", profile).status for profile in ("admin", "readonly", "exporter")}
    assert set(status.values()) == {200}
    for profile in ("node", "power", "blind", "no-such-profile"):
        assert ask(sim, "/rest/v1/device", profile).status == 403
    assert ask(sim, "/rest/v1/category", "exporter").status == 403
    assert ask(sim, "/rest/v1/device", None).status == 401


def test_a_profile_for_devices_lets_nothing_else_through(sim: Simulator) -> None:
    sim.edit(lambda state: state["profiles"].update(exporter={"tokens": ["GET_DEVICE_TOKEN"]}))
    allowed = sim.let_through(*sim.certificate("exporter"))
    # status lists devices as well; version needs no token in the simulator.
    assert allowed == ["GET /rest/v1/device", "GET /rest/v1/status", "GET /rest/v1/version"]
    everything = sim.let_through(*sim.certificate("admin"))
    assert {"GET /rest/v1/category", "cmdevice.getDevices", "cmsession.registerSession"} <= set(everything)
    assert not [name for name in everything if name.startswith(("POST", "PUT", "PATCH", "DELETE", "cmdevice.update"))]


def test_profiles_nobody_has_tried_by_switch(sim: Simulator) -> None:
    sim.switch(node_profile_reads_devices=True, readonly_profile_reads_devices=False)
    assert ask(sim, "/rest/v1/device", "node").status == 200
    assert ask(sim, "/rest/v1/category", "node").status == 403
    assert ask(sim, "/rest/v1/device", "readonly").status == 403


@pytest.mark.parametrize("status", [401, 403, 635, 640])
def test_denials_by_switch(sim: Simulator, status: int) -> None:
    sim.switch(rest_denied=status, rest_unauthenticated=status, rest_revoked=status)
    revoked = sim.certificate("readonly", "revoked")
    sim.revoke(revoked[0])
    assert ask(sim, "/rest/v1/device", "power").status == status
    assert ask(sim, "/rest/v1/device", None).status == status
    assert ask(sim, "/rest/v1/device", pair=revoked).status == status
    assert ask(sim, "/rest/v1/device", "readonly").status == 200


def test_denial_by_ending_the_connection(sim: Simulator) -> None:
    sim.switch(rest_denied="tls_abort")
    with pytest.raises((ConnectionError, ssl.SSLError)):
        ask(sim, "/rest/v1/device", "power")


def test_certificates_of_others_and_expired_ones_fail_in_tls(sim: Simulator) -> None:
    for pair in (sim.foreign_certificate(), sim.certificate("admin", days=-1)):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(sim, "/rest/v1/device", pair=pair)
    assert sim.requests == []


def test_basic_authentication() -> None:
    users = {"alice": {"password": "pässword", "profile": "readonly"}, "empty": {"profile": "admin"}}
    with Simulator({"nodes": {"n": {}}, "users": users}) as sim:

        def basic(text: str) -> int:
            header = {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}
            return ask(sim, "/rest/v1/device", None, headers=header).status

        assert basic("alice:pässword") == 200
        assert (basic("alice:wrong"), basic("bob:pässword"), basic("empty:"), basic("alice")) == (401, 401, 401, 401)
        assert ask(sim, "/rest/v1/device", None, headers={"Authorization": "Bearer x"}).status == 401
        assert ask(sim, "/rest/v1/device", None, headers={"Authorization": "Basic %%%"}).status == 401


def test_requests_are_recorded(sim: Simulator) -> None:
    body = ask(sim, "/rest/v1/device?hostname=dgx-01", "readonly").body
    request = sim.requests[-1]
    assert (request.method, request.path, request.query) == ("GET", "/rest/v1/device", "hostname=dgx-01")
    assert (request.profile, request.status, request.bytes_sent) == ("readonly", 200, len(body))
    assert request.head == "bcm-head-01"


def test_a_broken_state_file_is_a_500_that_says_so(sim: Simulator) -> None:
    good = sim.store.path.read_text()
    sim.store.path.write_text("{")
    reply = ask(sim, "/rest/v1/device")
    assert reply.status == 500
    assert "neither YAML nor JSON" in reply.body.decode()
    sim.store.path.write_text(good)
    assert ask(sim, "/rest/v1/device").status == 200


@pytest.mark.parametrize(("switches", "broken"), [({}, False), ({"server_aki": False}, True)])
def test_strict_x509_needs_the_key_identifier(switches: dict[str, bool], broken: bool) -> None:
    with Simulator({"switches": switches}) as sim:
        context = ssl.create_default_context(cafile=sim.ca)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.check_hostname = False
        assert _handshake(sim, context) is not broken
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        assert _handshake(sim, context)


@pytest.mark.parametrize("san", [True, False])
def test_host_name_check_needs_the_alternative_names(san: bool) -> None:
    with Simulator({"switches": {"server_san": san}}) as sim:
        assert _handshake(sim, ssl.create_default_context(cafile=sim.ca)) is san


def test_a_weak_server_key_fails_at_the_usual_security_level() -> None:
    with Simulator({"switches": {"server_key": "rsa1024"}}) as sim:
        context = ssl.create_default_context(cafile=sim.ca)
        context.check_hostname = False
        context.set_ciphers("DEFAULT:@SECLEVEL=2")
        assert not _handshake(sim, context)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        assert _handshake(sim, context)


def _handshake(sim: Simulator, context: ssl.SSLContext) -> bool:
    with socket.create_connection((sim.host, sim.port), timeout=5) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=sim.host):
                return True
        except ssl.SSLError:
            return False
