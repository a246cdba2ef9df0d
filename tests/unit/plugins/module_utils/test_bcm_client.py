# SPDX-License-Identifier: GPL-3.0-or-later
"""One contract for the client over both of its sessions, against the BCM simulator with every fault it has."""

from __future__ import annotations

import sys
import time

import pytest
import requests
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_client import (
    BcmClient,
    BcmConfigError,
    BcmSettings,
    Devices,
    RpcResult,
    Unknown,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_http import SlimSession, new_session
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_rest import Extras, rest_snapshot
from bcm_simulator import fleet
from bcm_simulator.testing import Simulator

DEADLINE = 1.0
PASSWORD = "Tr0ub4dor-and-3"


@pytest.fixture(scope="module")
def two_heads():
    state = fleet.small()
    state["overlays"]["slurm-client"]["nodes"] = ["dgx-01"]
    state["users"] = {"monitor": {"password": PASSWORD, "profile": "readonly"}}
    with Simulator(state, head_nodes=2) as simulator:
        yield simulator


@pytest.fixture
def sim(two_heads):
    """Two head nodes without faults, and with no requests counted yet."""
    two_heads.failover("bcm-head-01")
    two_heads.switch(honour_hostname_filter=True, passive="fresh", rest_denied=403, rest_unauthenticated=401)
    two_heads.recorder.requests.clear()
    yield two_heads
    for head in two_heads.heads:
        head.fault(None)
        if head.server.stopping.is_set():
            head.start()


@pytest.fixture(params=[requests.Session, SlimSession], ids=["requests", "slim"])
def session(request):
    made = request.param()
    yield made
    made.close()


def settings(sim, heads=2, **changes):
    certificate, key = (None, None) if "username" in changes else sim.certificate("readonly")
    values = {
        "headnodes": tuple(head.host for head in sim.heads[:heads]),
        "port": sim.port,
        "certificate": certificate,
        "private_key": key,
        "ca_certificate": sim.ca,
        "connect_timeout": DEADLINE,
        "read_timeout": DEADLINE,
        "deadline": 10.0,
    }
    return BcmSettings(**{**values, **changes})


def asked(sim):
    return [request.head for request in sim.requests]


# --- what an answer is ---


def test_devices_are_those_of_the_cluster(sim, session):
    client = BcmClient(settings(sim), session)
    answer = client.devices()
    assert isinstance(answer, Devices)
    assert answer.headnode == client.headnode == "127.0.0.1"
    assert answer.problems == ()
    names = {device.hostname for device in answer.devices}
    assert names == {"dgx-01", "dgx-02", "slurm-ctl-01", "login-01", "mon-01", "bcm-head-01", "bcm-head-02"}
    by_name = {device.hostname: device for device in answer.devices}
    assert by_name["dgx-01"].roles == ("slurmclient",)
    assert by_name["slurm-ctl-01"].roles == ("slurmaccounting", "slurmserver", "slurmsubmit")
    assert by_name["dgx-01"].category == "dgx-h200"
    assert by_name["bcm-head-01"].category is None
    assert [(request.method, request.path) for request in sim.requests] == [("GET", "/rest/v1/device")]


@pytest.mark.parametrize("honoured", [True, False])
@pytest.mark.parametrize("name", ["dgx-01", "DGX-01", "dgx-01.eth.cluster"])
def test_one_name_gives_one_device_whatever_bcm_does_with_the_filter(sim, session, honoured, name):
    sim.switch(honour_hostname_filter=honoured)
    answer = BcmClient(settings(sim), session).devices(name.lower() if honoured else name)
    assert [device.hostname for device in answer.devices] == ["dgx-01"]


def test_the_filter_is_sent_without_domain_and_escaped(sim, session):
    BcmClient(settings(sim), session).devices("a b&c.eth.cluster")
    assert {request.query for request in sim.requests} == {"hostname=a%20b%26c"}


def test_upper_case_names_are_found(sim, session):
    sim.fault("upper_case_names")
    answer = BcmClient(settings(sim, heads=1), session).devices("dgx-01")
    assert [device.hostname for device in answer.devices] == ["DGX-01"]


def test_a_name_that_no_head_node_lists_is_no_device_and_no_failure(sim, session):
    answer = BcmClient(settings(sim), session).devices("dgx-99")
    assert isinstance(answer, Devices)
    assert answer.devices == ()
    assert asked(sim) == ["bcm-head-01", "bcm-head-02"]


def test_a_head_node_that_does_not_list_the_name_is_no_proof(sim, session):
    """The passive head node may be behind."""
    sim.switch(honour_hostname_filter=False)
    sim.fault("missing_node", hostname="dgx-01")
    answer = BcmClient(settings(sim), session).devices("dgx-01")
    assert answer.headnode == "127.0.0.2"
    assert answer.devices[0].roles == ("slurmclient",)


def test_not_listed_by_one_and_no_answer_of_the_other_is_unknown(sim, session):
    sim.switch(honour_hostname_filter=False)
    sim.fault("missing_node", hostname="dgx-01")
    sim.heads[1].fault("status", status=500)
    assert isinstance(BcmClient(settings(sim), session).devices("dgx-01"), Unknown)


def test_a_name_that_is_listed_twice_with_other_roles_is_unknown(sim, session):
    body = '[{"hostname":"dgx-01","type":"PhysicalNode","roles":["slurmclient"]},{"hostname":"DGX-01","roles":[]}]'
    sim.fault("body", body=body)
    answer = BcmClient(settings(sim, heads=1), session).devices("dgx-01")
    assert isinstance(answer, Unknown)
    assert answer.code == "ambiguous"


@pytest.mark.parametrize("fault", ["null_roles", "absent_roles"])
def test_roles_that_bcm_does_not_say_are_none(sim, session, fault):
    sim.fault(fault)
    answer = BcmClient(settings(sim, heads=1), session).devices("dgx-01")
    assert answer.devices[0].roles is None


@pytest.mark.parametrize("how", ["absent", "null", "empty"])
def test_a_nameless_device_is_one_problem_and_the_others_stay(sim, session, how):
    sim.fault("nameless_node", how=how)
    answer = BcmClient(settings(sim, heads=1), session).devices()
    assert len(answer.devices) == 6
    assert len(answer.problems) == 1
    assert "no hostname" in answer.problems[0]


# --- what is no answer ---

FAULTS = [
    ("refuse", {}, "down", "cannot be reached"),
    ("close", {}, "down", "ended the connection"),
    ("tls_abort", {}, "down", "ended the connection"),
    ("hang", {"stage": "answer"}, "timeout", "in time"),
    ("hang", {"stage": "handshake"}, "timeout", "in time"),
    ("slow", {"seconds": 5.0}, "timeout", "in time"),
    ("drip", {"interval": 0.1}, "timeout", "in time"),
    ("status", {"status": 401}, "denied", "GET_DEVICE_TOKEN"),
    ("status", {"status": 403}, "denied", "GET_DEVICE_TOKEN"),
    ("status", {"status": 635}, "denied", "GET_DEVICE_TOKEN"),
    ("status", {"status": 640}, "denied", "GET_DEVICE_TOKEN"),
    ("status", {"status": 404}, "status", "HTTP 404"),
    ("status", {"status": 500}, "status", "HTTP 500"),
    ("status", {"status": 501}, "status", "HTTP 501"),
    ("status", {"status": 503}, "status", "HTTP 503"),
    ("redirect", {}, "status", "'/base-view/'"),
    ("html", {}, "malformed", "text/html"),
    ("error_body", {}, "malformed", "internal error"),
    ("error_body", {"body": '"Internal error"'}, "malformed", "a str"),
    ("empty_object", {}, "malformed", "an empty object"),
    ("empty_list", {}, "empty", "GET_DEVICE_TOKEN"),
    ("truncated", {"how": "body"}, "malformed", "complete JSON"),
    ("truncated", {"how": "connection"}, "malformed", "answer"),
    ("body", {"body": ""}, "malformed", "JSON"),
    ("body", {"body": "null"}, "malformed", "NoneType"),
    ("body", {"body": "[1, null, {}]"}, "malformed", "record 1"),
    ("body", {"body": "[" * 100_000}, "malformed", "JSON"),
    ("huge", {"bytes": 3 * 1024 * 1024, "announce": True}, "too_large", "2 MiB"),
    ("huge", {"bytes": 3 * 1024 * 1024, "announce": False}, "too_large", "2 MiB"),
]


@pytest.mark.parametrize(("fault", "options", "code", "words"), FAULTS, ids=lambda value: str(value)[:30])
def test_a_fault_is_unknown_with_the_reason(sim, session, fault, options, code, words):  # noqa: PLR0917
    sim.fault(fault, **options)
    began = time.monotonic()
    answer = BcmClient(settings(sim, heads=1, deadline=DEADLINE, max_bytes=2 * 1024 * 1024), session).devices()
    assert isinstance(answer, Unknown), answer
    assert answer.code == code
    assert words in answer.reason
    assert answer.reason.startswith("127.0.0.1 ")
    assert answer.reason.count("\n") == 0
    # Not a measurement of speed: a server may take all the time it likes, and the client still has an end.
    assert time.monotonic() - began < DEADLINE + 3


ONE_OF_EACH_KIND = {code: (fault, options) for fault, options, code, _ in FAULTS}


@pytest.mark.parametrize("code", ONE_OF_EACH_KIND)
def test_the_next_head_node_is_asked_and_kept(sim, session, code):
    fault, options = ONE_OF_EACH_KIND[code]
    sim.fault(fault, **options)
    client = BcmClient(settings(sim, deadline=2 * DEADLINE, max_bytes=2 * 1024 * 1024), session)
    assert client.devices().headnode == "127.0.0.2"
    sim.fault(None)
    sim.recorder.requests.clear()
    assert client.devices().headnode == "127.0.0.2", asked(sim)
    assert asked(sim) == ["bcm-head-02"]


def test_the_first_head_node_serves_again_when_the_second_is_gone(sim, session):
    client = BcmClient(settings(sim), session)
    sim.heads[0].stop()
    assert client.devices().headnode == "127.0.0.2"
    sim.heads[0].start()
    sim.heads[1].stop()
    assert client.devices().headnode == "127.0.0.1"


def test_every_head_node_is_named_when_none_answers(sim, session):
    sim.heads[0].stop()
    sim.heads[1].fault("status", status=403)
    answer = BcmClient(settings(sim), session).devices()
    assert "127.0.0.1 cannot be reached" in answer.reason
    assert "127.0.0.2 denied access (HTTP 403)" in answer.reason
    assert answer.code == "denied"


def test_a_passive_head_node_that_refuses_is_passed_over(sim, session):
    sim.switch(passive="refuse")
    sim.failover("bcm-head-02")
    assert BcmClient(settings(sim), session).devices().headnode == "127.0.0.2"


def test_one_deadline_for_all_head_nodes(sim, session):
    for head in sim.heads:
        head.fault("drip", interval=0.1)
    began = time.monotonic()
    answer = BcmClient(settings(sim, deadline=DEADLINE), session).devices()
    assert answer.code == "timeout"
    assert time.monotonic() - began < DEADLINE + 3


def test_a_head_of_an_answer_that_drips_has_an_end_too(session):
    """A byte a second in the status line restarts every read limit; only the deadline ends it."""
    import socket  # noqa: PLC0415
    import ssl  # noqa: PLC0415
    import threading  # noqa: PLC0415

    with Simulator() as simulator:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls = simulator.directory / "heads" / "bcm-head-01"
        context.load_cert_chain(tls / "cert.pem", tls / "cert.key")
        listener = socket.create_server(("127.0.0.1", 0))
        over = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as wrapped:
                    while not over.wait(0.1):
                        wrapped.sendall(b"H")
            except OSError:
                pass

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            made = settings(simulator, heads=1, port=listener.getsockname()[1], deadline=DEADLINE)
            answer = BcmClient(made, session).devices()
        finally:
            over.set()
            thread.join(5)
            listener.close()
    assert answer.code == "timeout"


@pytest.mark.parametrize(("installed", "kind"), [(True, requests.Session), (False, SlimSession)])
def test_without_requests_the_slim_session_serves(monkeypatch, installed, kind):
    if not installed:
        monkeypatch.setitem(sys.modules, "requests", None)
    made = new_session()
    assert isinstance(made, kind)
    made.close()


def test_every_request_has_a_connection_of_its_own(sim, session, monkeypatch):
    """A kept connection is one that the server is about to close, which looks like a dead head node."""
    client = BcmClient(settings(sim, heads=1), session)
    client.devices()
    wrap, made = client._tls.wrap_socket, []
    monkeypatch.setattr(client._tls, "wrap_socket", lambda *args, **options: made.append(1) or wrap(*args, **options))
    for _ in range(3):
        client.devices()
    assert len(made) == 3


def test_no_connection_is_left_open(sim, session):
    client = BcmClient(settings(sim, heads=1), session)
    client.devices()
    client.devices()
    deadline = time.monotonic() + 5
    while sim.heads[0].server._connections and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not sim.heads[0].server._connections


# --- who we are, whom we trust ---


def test_a_foreign_ca_is_not_trusted(sim, session, tmp_path):
    with Simulator(fleet.small()) as other:
        from bcm_simulator.pki import Authority  # noqa: PLC0415

        bundle = tmp_path / "ca.pem"
        bundle.write_bytes(Authority.new("Another cluster", key="ec").bundle())
        answer = BcmClient(settings(other, ca_certificate=str(bundle)), session).devices()
    assert answer.code == "tls"
    assert "set ca_certificate to this cluster's CA" in answer.reason
    assert other.requests == []


def test_without_validation_the_foreign_ca_does_not_matter(sim, session, tmp_path):
    answer = BcmClient(settings(sim, ca_certificate="/nonexistent", validate_certs=False), session).devices()
    assert isinstance(answer, Devices)


def test_a_certificate_of_another_cluster_is_refused(sim, session):
    certificate, key = sim.foreign_certificate()
    answer = BcmClient(settings(sim, heads=1, certificate=certificate, private_key=key), session).devices()
    # The server's alert may be lost behind its reset; either way the certificate is named.
    assert answer.code in ("tls", "down")
    assert certificate in answer.reason


def test_no_identity_is_denied_with_what_to_set(sim, session):
    answer = BcmClient(settings(sim, heads=1, certificate=None, private_key=None), session).devices()
    assert answer.code == "denied"
    assert "set certificate and private_key" in answer.reason


def test_a_profile_without_the_token_is_denied(sim, session):
    certificate, key = sim.certificate("node")
    answer = BcmClient(settings(sim, heads=1, certificate=certificate, private_key=key), session).devices()
    assert answer.code == "denied"
    assert certificate in answer.reason


@pytest.mark.parametrize("aborts", ["rest_denied", "rest_unauthenticated"])
def test_a_denial_by_hanging_up_is_unknown(sim, session, aborts):
    sim.switch(**{aborts: "tls_abort"})
    changes = {"certificate": None, "private_key": None} if aborts == "rest_unauthenticated" else {}
    if not changes:
        changes = dict(zip(("certificate", "private_key"), sim.certificate("node")))
    assert isinstance(BcmClient(settings(sim, heads=1, **changes), session).devices(), Unknown)


def test_the_host_name_is_checked_only_when_asked_for(session):
    with Simulator({**fleet.small(), "switches": {"server_san": False}}) as simulator:
        loose, strict = settings(simulator), settings(simulator, check_hostname=True)
        assert isinstance(BcmClient(loose, session).devices(), Devices)
        answer = BcmClient(strict, type(session)()).devices()
    assert answer.code == "tls"
    assert "check_hostname" in answer.reason


def test_the_host_name_of_a_good_certificate_passes(sim, session):
    assert isinstance(BcmClient(settings(sim, check_hostname=True), session).devices(), Devices)


def test_a_certificate_without_authority_key_identifier_passes_unless_strict(session):
    with Simulator({**fleet.small(), "switches": {"server_aki": False}}) as simulator:
        assert isinstance(BcmClient(settings(simulator), session).devices(), Devices)
        answer = BcmClient(settings(simulator, strict_x509=True), type(session)()).devices()
    assert answer.code == "tls"
    assert "strict_x509 to false" in answer.reason


def test_a_good_certificate_passes_the_strict_checks(sim, session):
    assert isinstance(BcmClient(settings(sim, strict_x509=True), session).devices(), Devices)


def test_cluster_pem_alone_is_enough_to_trust(sim, session):
    """A node has cluster.pem, the issuer, whether or not that is self-signed."""
    answer = BcmClient(settings(sim, ca_certificate=str(sim.directory / "cluster.pem")), session).devices()
    assert isinstance(answer, Devices)


def test_a_weak_server_key_is_refused_with_the_way_out(session):
    with Simulator({**fleet.small(), "switches": {"server_key": "rsa1024"}}) as simulator:
        answer = BcmClient(settings(simulator), session).devices()
    assert answer.code == "tls"
    assert "SECLEVEL" in answer.reason


def test_requests_own_trust_and_environment_are_not_used(sim, monkeypatch, tmp_path):
    """requests adds the public CAs to what it verifies with, and takes proxies from the environment."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nowhere.pem"))
    client = BcmClient(settings(sim), requests.Session())
    assert isinstance(client.devices(), Devices)
    client.close()
    assert len(client._tls.get_ca_certs()) == 2


# --- user and password ---


def test_a_user_reads_devices(sim, session):
    answer = BcmClient(settings(sim, username="monitor", password=PASSWORD), session).devices()
    assert isinstance(answer, Devices)


def test_a_wrong_password_is_denied_and_never_shown(sim, session):
    secret = "not-the-password-7"
    made = settings(sim, heads=1, username="monitor", password=secret)
    client = BcmClient(made, session)
    for answer in (client.devices(), client.rpc("cmdevice", "getDevices")):
        assert answer.code == "denied"
        assert "username" in answer.reason
        assert secret not in answer.reason
    assert secret not in repr(made) + repr(client) + str(made)


def test_rpc_with_a_password_logs_in_once_for_each_head_node(sim, session):
    client = BcmClient(settings(sim, username="monitor", password=PASSWORD), session)
    for _ in range(2):
        answer = client.rpc("cmmain", "getHeadNodeIPs")
        assert isinstance(answer, RpcResult), answer
    assert [request.call for request in sim.requests] == ["login", "cmmain.getHeadNodeIPs", "cmmain.getHeadNodeIPs"]


def test_rpc_logs_in_again_when_the_cookie_is_no_longer_valid(sim, session):
    client = BcmClient(settings(sim, heads=1, username="monitor", password=PASSWORD), session)
    client.rpc("cmmain", "getHeadNodeIPs")
    client._cookies["127.0.0.1"] = "cm-login-token=stale"
    if isinstance(session, requests.Session):
        session.cookies.clear()
    assert isinstance(client.rpc("cmmain", "getHeadNodeIPs"), RpcResult)


# --- JSON-RPC ---


def test_rpc_with_a_certificate(sim, session):
    certificate, key = sim.certificate("admin")
    client = BcmClient(settings(sim, certificate=certificate, private_key=key), session)
    answer = client.rpc("cmdevice", "getDevice", "dgx-01")
    assert answer.value["hostname"] == "dgx-01"
    assert answer.headnode == "127.0.0.1"


def test_rpc_keeps_only_the_keys_that_are_wanted(sim, session):
    """A category object carries the BMC's password in clear."""
    certificate, key = sim.certificate("admin")
    client = BcmClient(settings(sim, certificate=certificate, private_key=key), session)
    assert "simulated-bmc-password" in str(client.rpc("cmdevice", "getCategories").value)
    kept = client.rpc("cmdevice", "getCategories", keep=frozenset({"name"})).value
    assert {"name": "login"} in kept
    assert all(set(item) == {"name"} for item in kept)


def test_rpc_denied_says_which_status(sim, session):
    certificate, key = sim.certificate("node")
    client = BcmClient(settings(sim, heads=1, certificate=certificate, private_key=key), session)
    answer = client.rpc("cmpart", "getSoftwareImages")
    assert answer.code == "denied"
    assert "HTTP 6" in answer.reason


def test_rpc_goes_to_the_next_head_node(sim, session):
    certificate, key = sim.certificate("admin")
    sim.fault("status", status=500)
    client = BcmClient(settings(sim, certificate=certificate, private_key=key), session)
    assert client.rpc("cmmain", "getHeadNodeIPs").headnode == "127.0.0.2"


# --- active and passive ---


@pytest.fixture
def known_heads(sim):
    """Head nodes whose addresses in BCM are those they are asked at."""
    for number, name in enumerate(("bcm-head-01", "bcm-head-02"), 1):
        sim.edit(lambda state, name=name, number=number: state["head_nodes"][name].update(ip=f"127.0.0.{number}"))
    certificate, key = sim.certificate("admin")
    yield settings(sim, certificate=certificate, private_key=key)
    sim.edit(lambda state: state["nodes"].pop("dgx-09", None))


def test_the_active_head_node_is_asked_first_once_it_is_known(sim, session, known_heads):
    client = BcmClient(known_heads, session)
    sim.failover("bcm-head-02")
    assert client.devices().headnode == "127.0.0.1"
    assert client.follow_active() == "127.0.0.2"
    assert client.devices().headnode == "127.0.0.2"


def test_head_nodes_are_known_by_their_names_too(sim, session, known_heads, monkeypatch):
    made = BcmSettings(**{**known_heads._asdict(), "headnodes": ("BCM-HEAD-01", "bcm-head-02.cluster")})
    client = BcmClient(made, session)
    monkeypatch.setattr(BcmSettings, "url", lambda _self, name, path: f"https://127.0.0.{name[10]}:{sim.port}{path}")
    sim.failover("bcm-head-02")
    client.devices()
    assert client.follow_active() == "bcm-head-02.cluster"


@pytest.mark.parametrize(
    ("configured", "found"),
    [
        (("127.0.0.1", "127.0.0.2"), "127.0.0.2"),
        (("127.0.0.1", "master"), "master"),
        (("127.0.0.1", "127.0.0.9"), None),
        (("127.0.0.1", "127.0.0.20"), None),
    ],
)
def test_which_of_the_configured_is_the_active_one(sim, known_heads, configured, found):
    client = BcmClient(BcmSettings(**{**known_heads._asdict(), "headnodes": configured}), SlimSession())
    sim.failover("bcm-head-02")
    client.devices()
    assert client.follow_active() == found
    assert client.headnode == (found or "127.0.0.1")


def test_an_inventory_is_not_taken_from_a_passive_copy(sim, session, known_heads):
    sim.failover("bcm-head-02")
    sim.switch(passive="stale")
    sim.edit(lambda state: state["nodes"].update({"dgx-09": {"category": "dgx-h200"}}))
    client = BcmClient(known_heads, session)
    assert "dgx-09" not in {device.hostname for device in client.devices().devices}
    snapshot = rest_snapshot(BcmClient(known_heads, session), Extras())
    assert snapshot.headnode == "127.0.0.2"
    assert "dgx-09" in {device.hostname for device in snapshot.devices}


def test_who_may_not_ask_keeps_the_answer_there_is(sim, session, known_heads):
    certificate, key = sim.certificate("devices-only")
    sim.edit(
        lambda state: state["profiles"].update(
            {"devices-only": {"nonuser": True, "tokens": ["GET_DEVICE_TOKEN"], "services": ["CMDevice"]}}
        )
    )
    sim.failover("bcm-head-02")
    made = BcmSettings(**{**known_heads._asdict(), "certificate": certificate, "private_key": key})
    client = BcmClient(made, session)
    assert client.devices().headnode == "127.0.0.1"
    assert client.follow_active() is None
    assert rest_snapshot(client, Extras()).headnode == "127.0.0.1"


def test_one_head_node_is_not_asked_whether_it_is_active(sim, session):
    client = BcmClient(settings(sim, heads=1), session)
    assert client.follow_active() is None
    assert sim.requests == []


# --- settings that cannot work ---


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"headnodes": ()}, "at least one"),
        ({"headnodes": "master"}, "at least one"),
        ({"headnodes": ("https://master:8081",)}, "without scheme"),
        ({"headnodes": ("master:8081",)}, "port of master:8081"),
        ({"headnodes": ("ma ster",)}, "ma ster"),
        ({"headnodes": ("head..01",)}, "parts have 1 to 63 characters"),
        ({"headnodes": ("n" * 64 + ".cluster",)}, "parts have 1 to 63 characters"),
        ({"port": 0}, "port"),
        ({"port": 70000}, "port"),
        ({"username": "me"}, "belong together"),
        ({"password": "x"}, "belong together"),
        ({"username": "me", "password": "x", "certificate": "/c"}, "not both"),
        ({"private_key": "/k"}, "certificate too"),
        ({"deadline": 0}, "deadline"),
        ({"max_bytes": 0}, "max_bytes"),
    ],
)
def test_bad_settings_are_one_sentence(changes, words):
    with pytest.raises(BcmConfigError, match=words) as caught:
        BcmSettings(**{"headnodes": ("master",), **changes})
    assert "\n" not in str(caught.value)


def test_an_ipv6_address_is_put_into_brackets():
    assert BcmSettings(headnodes=("fd00::1",)).url("fd00::1", "/x") == "https://[fd00::1]:8081/x"


@pytest.fixture
def files(tmp_path, two_heads):
    certificate, key = two_heads.certificate("readonly")
    other_key = two_heads.certificate("admin")[1]
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    return {"cert": certificate, "key": key, "other": other_key, "bad": str(nonsense), "none": str(tmp_path / "none")}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"certificate": "none"}, "cannot be read: No such file"),
        ({"private_key": "none"}, "cannot be read: No such file"),
        ({"ca_certificate": "none"}, "CA bundle .* cannot be read"),
        ({"certificate": "bad"}, "not a PEM certificate"),
        ({"private_key": "bad"}, "not a PEM certificate"),
        ({"ca_certificate": "bad"}, "holds no PEM certificate"),
        ({"private_key": "other"}, "does not belong"),
        ({"private_key": None}, "not a PEM certificate"),
    ],
)
def test_files_that_cannot_be_used_are_one_sentence(two_heads, files, session, changes, words):
    named = {key: None if value is None else files[value] for key, value in changes.items()}
    client = BcmClient(settings(two_heads, **named), session)
    with pytest.raises(BcmConfigError, match=words) as caught:
        client.devices()
    assert "\n" not in str(caught.value)


def test_an_encrypted_key_is_refused_without_a_prompt(two_heads, session, tmp_path):
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    certificate, key = two_heads.certificate("readonly")
    with open(key, "rb") as stream:
        loaded = serialization.load_pem_private_key(stream.read(), None)
    locked = tmp_path / "locked.key"
    encryption = serialization.BestAvailableEncryption(b"secret")
    locked.write_bytes(loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    client = BcmClient(settings(two_heads, certificate=certificate, private_key=str(locked)), session)
    with pytest.raises(BcmConfigError, match="encrypted"):
        client.devices()


def test_without_any_ca_the_error_says_what_to_set(two_heads, session, monkeypatch):
    from ansible_collections.superpod.monitoring.plugins.module_utils import bcm_tls  # noqa: PLC0415

    monkeypatch.setattr(bcm_tls, "BCM_CA_FILES", ("/nonexistent/cacert.pem",))
    with pytest.raises(BcmConfigError, match="set ca_certificate"):
        BcmClient(settings(two_heads, ca_certificate=None), session).devices()


def test_a_length_beyond_all_numbers_is_too_large():
    class Answer:
        status_code = 200
        headers = {"Content-Length": "9" * 5000}  # noqa: RUF012

        def iter_content(self, chunk_size):
            yield b"[]"

        def close(self):
            pass

    class Answering:
        def request(self, *args, **options):
            return Answer()

    client = BcmClient(BcmSettings(headnodes=("head",), validate_certs=False), Answering())
    answer = client.devices()
    assert isinstance(answer, Unknown)
    assert answer.code == "too_large"
