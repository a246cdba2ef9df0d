# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from bcm_simulator import faults
from bcm_simulator.testing import Simulator
from simulator_client import ask, call

DEVICE = "/rest/v1/device"


def test_refuse_and_back(sim: Simulator) -> None:
    port = sim.port
    sim.fault("refuse")
    with pytest.raises(ConnectionRefusedError):
        ask(sim, DEVICE)
    sim.fault(None)
    assert sim.port == port
    assert ask(sim, DEVICE).status == 200


@pytest.mark.parametrize("stage", ["answer", "handshake"])
def test_hang(sim: Simulator, stage: str) -> None:
    sim.fault("hang", stage=stage)
    with pytest.raises(OSError, match="timed out"):
        ask(sim, DEVICE, timeout=0.3)
    assert [request.status for request in sim.requests] == ([0] if stage == "answer" else [])


@pytest.mark.parametrize("kind", ["close", "tls_abort"])
def test_connections_that_end(sim: Simulator, kind: str) -> None:
    sim.fault(kind)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError, ssl.SSLError)):
        ask(sim, DEVICE)
    assert bool(sim.recorder.troubles) is (kind == "tls_abort")


@pytest.mark.parametrize("status", [401, 403, 500, 501, 502, 503, 635, 640])
def test_status(sim: Simulator, status: int) -> None:
    sim.fault("status", status=status, body="because")
    reply = ask(sim, DEVICE)
    assert (reply.status, reply.body) == (status, b"because")


def test_other_bodies(sim: Simulator) -> None:
    sim.fault("html")
    reply = ask(sim, DEVICE)
    assert (reply.status, reply.headers["Content-Type"], b"<html>" in reply.body) == (200, "text/html", True)
    sim.fault("empty_list")
    assert ask(sim, DEVICE).json == []
    sim.fault("empty_object")
    assert ask(sim, DEVICE).json == {}
    sim.fault("error_body")
    assert ask(sim, DEVICE).json == {"error": "internal error"}
    sim.fault("body", body='[{"hostname": 5}]')
    assert ask(sim, DEVICE).json == [{"hostname": 5}]
    sim.fault("redirect", location="https://elsewhere/")
    assert (ask(sim, DEVICE).status, ask(sim, DEVICE).headers["Location"]) == (302, "https://elsewhere/")


def test_truncated_by_content_or_connection(sim: Simulator) -> None:
    whole = ask(sim, DEVICE).body
    sim.fault("truncated")
    reply = ask(sim, DEVICE)
    assert (reply.status, reply.body) == (200, whole[: len(whole) // 2])
    sim.fault("truncated", how="connection")
    with pytest.raises((http.client.IncompleteRead, ssl.SSLError, ConnectionError)):
        ask(sim, DEVICE)


def test_missing_node(sim: Simulator) -> None:
    sim.fault("missing_node", hostname="dgx-02")
    names = [record["hostname"] for record in ask(sim, DEVICE).json]
    assert "dgx-02" not in names
    assert len(names) == 5
    assert ask(sim, f"{DEVICE}?hostname=dgx-02").json == []
    assert len(ask(sim, f"{DEVICE}?hostname=dgx-01").json) == 1
    sim.fault("missing_node")
    assert ask(sim, f"{DEVICE}?hostname=dgx-01").json == []


def test_duplicate_nameless_and_upper_case_nodes(sim: Simulator) -> None:
    sim.fault("duplicate_node", hostname="dgx-02")
    twins = [record for record in ask(sim, DEVICE).json if record["hostname"] == "dgx-02"]
    assert len(twins) == 2
    assert twins[0]["uuid"] != twins[1]["uuid"]
    for how, expected in (("absent", "none"), ("null", None), ("empty", "")):
        sim.fault("nameless_node", how=how)
        assert ask(sim, DEVICE).json[0].get("hostname", "none") == expected
    sim.fault("upper_case_names")
    assert ask(sim, DEVICE).json[0]["hostname"] == "DGX-01"


def test_roles_that_are_not_there(sim: Simulator) -> None:
    sim.fault("null_roles")
    assert {record["roles"] for record in ask(sim, DEVICE).json} == {None}
    sim.fault("absent_roles")
    assert not [record for record in ask(sim, DEVICE).json if "roles" in record]
    assert "roles" not in call(sim, "cmdevice.getNodes").json[0]


def test_slow_and_drip(sim: Simulator) -> None:
    sim.fault("slow", seconds=0.3)
    with pytest.raises(OSError, match="timed out"):
        ask(sim, DEVICE, timeout=0.1)
    assert ask(sim, DEVICE).status == 200
    whole = len(ask(sim, DEVICE).body)
    sim.fault("drip", interval=0.05)
    connection, response = _open(sim)
    assert len(response.read(1)) == 1
    assert 1 <= sim.requests[-1].bytes_sent < whole
    connection.close()
    sim.fault("drip", interval=0.0, bytes=100)
    assert len(ask(sim, DEVICE).body) == whole


@pytest.mark.parametrize("announce", [True, False])
@pytest.mark.parametrize("size", [100, 65_536, 1_000_003])
def test_huge_is_json_of_that_size(sim: Simulator, announce: bool, size: int) -> None:
    sim.fault("huge", bytes=size, announce=announce)
    reply = ask(sim, DEVICE)
    assert len(reply.body) == size
    assert isinstance(json.loads(reply.body), list)
    assert ("Content-Length" in reply.headers) is announce


def test_a_reader_that_leaves_a_huge_answer_does_no_harm(sim: Simulator) -> None:
    sim.fault("huge")
    connection, response = _open(sim)
    assert response.getheader("Content-Length") == str(100 * 1024 * 1024)
    response.read(1000)
    connection.close()
    sim.fault(None)
    assert ask(sim, DEVICE).status == 200


def test_path_and_count(sim: Simulator) -> None:
    sim.fault("status", status=503, path="/rest/v1/dev*", count=2)
    statuses = [ask(sim, path).status for path in ("/rest/v1/category", DEVICE, DEVICE, DEVICE)]
    assert statuses == [200, 503, 503, 200]
    sim.fault("status", status=503, count=1)
    assert [ask(sim, DEVICE).status for _ in range(2)] == [503, 200]


def test_a_fault_file_written_by_hand(sim: Simulator) -> None:
    path = sim.directory / "heads" / "bcm-head-01" / "faults.yml"
    path.write_text("fault: status\nstatus: 502\n")
    assert ask(sim, DEVICE).status == 502
    path.write_text("fault: stauts\n")
    reply = ask(sim, DEVICE)
    assert (reply.status, "unknown fault 'stauts'" in reply.body.decode()) == (500, True)
    path.write_text("fault: [\n")
    assert ask(sim, DEVICE).status == 500
    path.unlink()
    assert ask(sim, DEVICE).status == 200


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"fault": "hagn"}, "unknown fault 'hagn'"),
        ({"fault": "hang", "seconds": 1}, "has no option 'seconds'"),
        ({"fault": "hang", "stage": "lunch"}, "stage must be one of"),
        ({"fault": "slow", "seconds": "long"}, "seconds cannot be 'long'"),
        ({"fault": "status", "status": True}, "status cannot be True"),
        ({"fault": "huge", "announce": 1}, "announce cannot be 1"),
        ({"fault": "hang", "count": 0}, "count must be"),
        ({"fault": "hang", "count": True}, "count must be"),
        (["hang"], "must be a mapping"),
    ],
)
def test_wrong_faults_are_named(raw: Any, words: str) -> None:
    with pytest.raises(faults.FaultError, match=words):
        faults.check(raw)


def test_every_fault_can_be_set_with_its_defaults(tmp_path: Path) -> None:
    for kind in faults.FAULTS:
        faults.write(tmp_path / "f", {"fault": kind})
        assert faults.FaultFile(tmp_path / "f").current().kind == kind


def test_no_thread_or_socket_is_left_behind() -> None:
    before = threading.active_count()
    with Simulator() as sim:
        sim.fault("hang")
        hanging = socket.create_connection((sim.host, sim.port))
        address = (sim.host, sim.port)
    hanging.close()
    for thread in threading.enumerate():
        if thread.name.endswith(("-watch", "-accept")):
            thread.join(5)
    assert threading.active_count() <= before + 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address).close()


def _open(sim: Simulator) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
    context = ssl.create_default_context(cafile=sim.ca)
    context.check_hostname = False
    context.load_cert_chain(*sim.certificate("readonly"))
    connection = http.client.HTTPSConnection(sim.host, sim.port, timeout=10, context=context)
    connection.request("GET", DEVICE)
    return connection, connection.getresponse()
