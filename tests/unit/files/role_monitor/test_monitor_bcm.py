# SPDX-License-Identifier: GPL-3.0-or-later
"""Which head node is asked, what its answer means for this node, and when it is not enough."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcm_role_monitor
import pytest
from superpod_monitoring.bcm_client import BcmConfigError, BcmSettings, Devices, RpcResult
from superpod_monitoring.bcm_client import Unknown as NoAnswer
from superpod_monitoring.bcm_device import Device
from superpod_role_monitor import bcm, config
from superpod_role_monitor.decision import Known, Unknown

RULES = json.loads((Path(bcm_role_monitor.LIBRARY) / "config.schema.json").read_text())
HEADS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
HELD, LOST = Known(("slurmclient",), "me"), Known((), "me")


def make_config(**keys: Any) -> config.Config:
    return config.parse(json.dumps(keys).encode(), RULES, {})


def device(hostname: str = "dgx-01", roles: tuple[str, ...] | None = (), uuid: str | None = "ME") -> Device:
    return Device(
        hostname=hostname, type="PhysicalNode", category=None, ip=None, mac="AA:BB", network=None, uuid=uuid,
        cluster=None, roles=roles,
    )  # fmt: skip


# -- head nodes


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("https://10.141.255.254:8081\n", ("10.141.255.254", "master")),
        ("https://master:8081", ("master",)),
        ("https://[fd00::1]:8081/", ("fd00::1", "master")),
        ("", ("master",)),
        ("nonsense", ("master",)),
        ("https://[broken", ("master",)),
        (None, ("master",)),
    ],
)
def test_head_nodes_are_found(tmp_path: Path, content: str | None, expected: tuple[str, ...]) -> None:
    url_file = tmp_path / "my.master.cmd.url"
    if content is not None:
        url_file.write_text(content)
    assert bcm.head_nodes(make_config(), str(url_file)) == expected
    assert bcm.head_nodes(make_config(bcm_headnodes=["a", "b"]), str(url_file)) == ("a", "b")


def test_a_new_master_is_followed(tmp_path: Path) -> None:
    url_file = tmp_path / "url"
    url_file.write_text("https://one:8081")
    network = Network({})
    monitor = bcm.Bcm(make_config(), network.client, str(url_file))
    monitor.answer("dgx-01", lambda _answer: False)
    url_file.write_text("https://two:8081")
    monitor.answer("dgx-01", lambda _answer: False)
    assert [made.headnodes for made in network.made] == [("one", "master"), ("two", "master")]


def test_the_clients_settings() -> None:
    made = bcm.settings(make_config(cert_path="/c", key_path="/k", ca_path="/ca", request_timeout=9), ("a", "b"))
    assert (made.certificate, made.private_key, made.ca_certificate) == ("/c", "/k", "/ca")
    assert (made.connect_timeout, made.read_timeout, made.deadline) == (3, 9, 18)
    assert made.validate_certs
    assert not made.check_hostname


# -- what an answer means


def test_answers() -> None:
    def of(*devices: Device) -> Known | Unknown:
        return bcm.interpret(Devices(devices, "head", ()), "DGX-01.cluster")

    assert of(device(roles=("a",))) == Known(("a",), "me")
    assert of(device(uuid=None)) == Known((), "aa:bb")
    assert of(device(roles=None)) == Known(None, "me")
    assert isinstance(of(), Unknown)
    assert isinstance(of(device("other")), Unknown)
    assert isinstance(of(device(), device("dgx-01.other")), Unknown)
    assert bcm.interpret(NoAnswer("down.", "down"), "dgx-01") == Unknown("down.")


def test_a_setting_that_cannot_work_is_unknown() -> None:
    def refuse(_settings: BcmSettings) -> Any:
        raise BcmConfigError("The certificate /c cannot be read.")

    monitor = bcm.Bcm(make_config(bcm_headnodes=["a"]), refuse)
    assert monitor.answer("dgx-01", lambda _answer: True) == Unknown("The certificate /c cannot be read.")
    assert monitor.owner("dgx-01") is None
    assert monitor.services("dgx-01") is None


# -- several head nodes


class Network:
    """Head nodes by name: what each says of this node (None: it does not answer), and of who is active."""

    def __init__(self, says: dict[str, Known | None], ips: dict[str, dict[str, str] | None] | None = None) -> None:
        self.says = says
        self.ips = ips or {}
        self.made: list[BcmSettings] = []
        self.rpcs: dict[str, Any] = {}

    def client(self, settings: BcmSettings) -> NetworkClient:
        self.made.append(settings)
        return NetworkClient(self, settings.headnodes)


class NetworkClient:
    def __init__(self, network: Network, nodes: tuple[str, ...]) -> None:
        self._network = network
        self._nodes = nodes
        self.headnode: str | None = None

    def devices(self, hostname: str) -> Devices | NoAnswer:
        for node in self._nodes:
            said = self._network.says.get(node)
            if said is not None:
                self.headnode = node
                return Devices((device(hostname, said.roles, said.identity),), node, ())
        return NoAnswer("nobody answers.", "down")

    def rpc(self, _service: str, call: str, *_arguments: object, keep: Any = None) -> RpcResult | NoAnswer:
        if call in self._network.rpcs:
            said = self._network.rpcs[call]
            return said if isinstance(said, NoAnswer) else RpcResult(said, "head")
        addresses = self._network.ips.get(self._nodes[0])
        return NoAnswer("denied.", "denied") if addresses is None else RpcResult(addresses, self._nodes[0])

    def close(self) -> None:
        """Nothing to close."""


def ask(says: dict[str, Known | None], active: str | None = None, **more: Any) -> Known | Unknown:
    passive = next(node for node in HEADS if node != active)
    addresses = {"active_head_node_ip": active, "passive_head_node_ip": passive, "shared_head_node_ip": ""}
    ips = dict.fromkeys(HEADS, addresses if active else None)
    network = Network(says, more.get("ips", ips))
    heads = [node for node in HEADS if node in says]
    monitor = bcm.Bcm(make_config(bcm_headnodes=heads), network.client)
    return monitor.answer("dgx-01", lambda answer: "slurmclient" not in (answer.roles or ()))


ONE, TWO, THREE = HEADS


@pytest.mark.parametrize(
    ("says", "active", "expected"),
    [
        # nothing grave: believed as it is
        ({ONE: HELD, TWO: LOST}, TWO, HELD),
        # grave, from the active head node
        ({ONE: LOST, TWO: HELD}, ONE, LOST),
        # grave, from the passive one: the active one decides, and without it nobody
        ({ONE: LOST, TWO: HELD}, TWO, HELD),
        ({ONE: LOST, TWO: LOST}, TWO, LOST),
        ({ONE: LOST, TWO: None}, TWO, Unknown),
        # nobody says who is active: believed unless contradicted
        ({ONE: LOST, TWO: LOST}, None, LOST),
        ({ONE: LOST, TWO: None}, None, LOST),
        ({ONE: LOST, TWO: HELD}, None, Unknown),
        # one head node alone
        ({ONE: LOST}, None, LOST),
        # after a fail-over
        ({ONE: None, TWO: LOST}, TWO, LOST),
        ({ONE: None, TWO: HELD}, TWO, HELD),
    ],
)
def test_whose_word_takes_monitoring_away(
    says: dict[str, Known | None], active: str | None, expected: Known | type
) -> None:
    answer = ask(says, active)
    if isinstance(expected, type):
        assert isinstance(answer, expected)
    else:
        assert answer == expected


@pytest.mark.parametrize("told", [{}, [], "x", {"active_head_node_ip": None}, {"active_head_node_ip": "10.9.9.9"}])
def test_an_odd_word_on_who_is_active_is_none(told: Any) -> None:
    assert isinstance(ask({ONE: LOST, TWO: HELD}, ips=dict.fromkeys(HEADS, told)), Unknown)


def test_a_name_that_does_not_resolve_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: object, **_options: object) -> None:
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    assert isinstance(ask({ONE: LOST, TWO: HELD}, TWO), Unknown)


# -- other devices, BCM's own services


def one_head(**rpcs: Any) -> bcm.Bcm:
    network = Network({ONE: HELD})
    network.rpcs = rpcs
    return bcm.Bcm(make_config(bcm_headnodes=[ONE]), network.client)


def test_who_has_a_name() -> None:
    assert one_head().owner("dgx-02") == "me"
    nobody = bcm.Bcm(make_config(bcm_headnodes=[ONE]), Network({}).client)
    assert nobody.owner("dgx-02") is None
    assert nobody.headnode is None


def none_listed(_settings: BcmSettings) -> Any:
    class Client:
        headnode = ONE

        def devices(self, _hostname: str) -> Devices:
            return Devices((), ONE, ())

    return Client()


def test_a_name_that_nobody_has() -> None:
    assert bcm.Bcm(make_config(bcm_headnodes=[ONE]), none_listed).owner("dgx-02") == ""


NODE = {"uuid": "u", "category": "c", "services": [{"name": "node_exporter"}, {"name": ""}, {}, None]}
CATEGORIES = [{"uuid": "c", "services": ["cgroup_exporter"]}, {"uuid": "d", "services": [{"name": "x"}]}, None]


@pytest.mark.parametrize(
    ("node", "categories", "expected"),
    [
        (NODE, CATEGORIES, {"node_exporter", "cgroup_exporter"}),
        (NODE, {}, {"node_exporter"}),
        (NODE, NoAnswer("denied.", "denied"), {"node_exporter"}),
        (NODE, NoAnswer("no answer.", "timeout"), None),
        ({"uuid": "u"}, CATEGORIES, set()),
        ([], CATEGORIES, None),
        (None, CATEGORIES, None),
    ],
)
def test_services_that_bcm_manages_itself(node: Any, categories: Any, expected: set[str] | None) -> None:
    assert one_head(getNode=node, getCategories=categories).services("dgx-01") == expected


def test_services_where_rpc_is_denied() -> None:
    assert one_head().services("dgx-01") is None


def test_the_client_is_made_anew_after_close() -> None:
    network = Network({ONE: HELD})
    monitor = bcm.Bcm(make_config(bcm_headnodes=[ONE]), network.client)
    calls: list[Callable[[], object]] = [lambda: monitor.answer("dgx-01", lambda _answer: False)] * 2
    for call in [*calls, monitor.close, *calls]:
        call()
    assert len(network.made) == 2
