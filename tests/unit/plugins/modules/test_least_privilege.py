# SPDX-License-Identifier: GPL-3.0-or-later
"""What the certificate that bcm_certificate makes can do: list devices. All else that the simulator knows is tried."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest
import requests
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_client import BcmClient, BcmSettings, Devices
from ansible_collections.superpod.monitoring.plugins.modules.bcm_certificate import run
from bcm_simulator.rest import KNOWN_ENDPOINTS
from bcm_simulator.rpc import CALL_NAMES
from bcm_simulator.testing import Simulator
from unit.plugins.modules.in_process import run_in_process
from unit.plugins.modules.test_bcm_certificate import Module, options

# Of the device token's own: which nodes are up; and what anybody may know: BCM's version.
READABLE = {"device", "status", "version"}
DENIED = {403, 635, 640}
WRITES = (
    "wlm; use slurm; set epilogslurmctld /tmp/x; commit",
    "category; use dgx-h200; set notes x; commit",
    "configurationoverlay; use slurm-client; append nodes dgx-01; commit",
    "device; use dgx-01; set notes x; commit",
    "profile; add mine; append tokens GET_CATEGORY_TOKEN; set nonuser yes; commit",
    "profile; use superpod-devices-ro; append tokens GET_CATEGORY_TOKEN; commit",
    "cert; createcertificate 2048 me O OU L ST XX admin '' 365 {directory}/a.key {directory}/a.pem",
    "cert; revokecertificate 1",
)
READS = ("category; list", "configurationoverlay; list", "wlm; list", "profile; list", "cert; listcertificates")


class Pair(t.NamedTuple):
    """Paths of a certificate and its key."""

    certificate: str
    private_key: str


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificate")


@pytest.fixture(scope="module")
def sim() -> t.Iterator[Simulator]:
    # what the switches leave open is closed: a node's profile and the shipped readonly may not stand in for ours
    with Simulator() as simulator:
        simulator.switch(readonly_profile_reads_devices=False)
        with pytest.MonkeyPatch.context() as monkeypatch:
            run_in_process(monkeypatch, simulator)
            yield simulator


@pytest.fixture(scope="module")
def pair(sim: Simulator, directory: Path) -> Pair:
    """What the module makes, with its defaults for tokens and services."""
    made = run(Module(options(sim, directory)), time.time())
    sim.edit(lambda state: None)
    return Pair(made["certificate"], made["private_key"])


def get(sim: Simulator, pair: Pair, path: str, method: str = "GET") -> int:
    return requests.request(method, f"{sim.url}{path}", cert=tuple(pair), verify=sim.ca, timeout=20).status_code


def call(sim: Simulator, pair: Pair, name: str) -> int:
    service, _dot, what = name.partition(".")
    body = {"service": service, "call": what, "args": []}
    return requests.post(f"{sim.url}/json", json=body, cert=tuple(pair), verify=sim.ca, timeout=20).status_code


def cmsh(sim: Simulator, pair: Pair, commands: str) -> str:
    done = sim.cmsh(commands, "-n", "-q", "-i", pair.certificate, "-k", pair.private_key)
    return done[1] + done[2]


def test_devices_can_be_listed(sim: Simulator, pair: Pair) -> None:
    settings = BcmSettings(
        headnodes=(sim.host,),
        port=sim.port,
        certificate=pair.certificate,
        private_key=pair.private_key,
        ca_certificate=sim.ca,
    )
    answer = BcmClient(settings).devices()
    assert isinstance(answer, Devices)
    assert {device.hostname for device in answer.devices} >= {"dgx-01", "dgx-02", "bcm-head-01"}


def test_nothing_else_over_rest(sim: Simulator, pair: Pair) -> None:
    """501 is the simulator's 'not simulated', for the administrator as well: nothing is read there."""
    admin = Pair(*sim.certificate("admin"))
    with_ours = {endpoint: get(sim, pair, f"/rest/v1/{endpoint}") for endpoint in KNOWN_ENDPOINTS}
    with_admins = {endpoint: get(sim, admin, f"/rest/v1/{endpoint}") for endpoint in KNOWN_ENDPOINTS}
    assert {endpoint for endpoint, status in with_ours.items() if status == 200} == READABLE
    assert {endpoint for endpoint, status in with_admins.items() if status == 200} > READABLE
    assert {with_ours[endpoint] for endpoint in ("category", "network", "monitoring")} == {403}
    assert get(sim, pair, "/rest/v1/monitoring/latest") == 403
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for endpoint in KNOWN_ENDPOINTS:
            assert get(sim, pair, f"/rest/v1/{endpoint}", method) != 200


def test_nothing_over_rpc(sim: Simulator, pair: Pair) -> None:
    """Services are restricted as well as calls, reads as well as writes; the administrator is let through."""
    state, stored = sim.store.path.read_bytes(), sim.writes.stored
    assert {call(sim, pair, name) for name in CALL_NAMES} == {635}
    assert (sim.store.path.read_bytes(), sim.writes.stored) == (state, stored)
    admin = Pair(*sim.certificate("admin"))
    assert not {call(sim, admin, name) for name in CALL_NAMES} & DENIED


def test_a_service_alone_opens_nothing_but_devices(sim: Simulator, directory: Path) -> None:
    """Where BCM asks for the service (635) and it is added, the tokens still hold (640)."""
    changes = {"profile": "superpod-devices-rpc", "services": ["CMDevice"]}
    paths = {"certificate": str(directory / "rpc.pem"), "private_key": str(directory / "rpc.key")}
    made = run(Module(options(sim, directory, **changes, **paths)), time.time())
    sim.edit(lambda state: None)
    pair = Pair(made["certificate"], made["private_key"])
    for name in CALL_NAMES:
        reads_devices = name in {
            f"cmdevice.get{what}" for what in ("Devices", "Nodes", "ComputeNodes", "Node", "Device")
        }
        expected = {200, 400} if reads_devices else {640} if name.startswith("cmdevice.") else {635}
        assert call(sim, pair, name) in expected, name


@pytest.mark.parametrize("commands", [*WRITES, *READS])
def test_nothing_with_cmsh(sim: Simulator, pair: Pair, directory: Path, commands: str) -> None:
    before = sim.store.path.read_bytes(), sim.writes.stored
    output = cmsh(sim, pair, commands.format(directory=directory))
    assert "denied" in output.lower(), output
    assert (sim.store.path.read_bytes(), sim.writes.stored) == before
    assert not (directory / "a.pem").exists()


def test_cmsh_knows_the_profile(sim: Simulator, pair: Pair) -> None:
    assert cmsh(sim, pair, "main showprofile").strip() == "superpod-devices-ro"


def test_without_the_token_not_even_devices(sim: Simulator, directory: Path) -> None:
    """The token is what lets it read, not the certificate's being of this cluster."""
    changes = {"profile": "superpod-none", "tokens": ["POWER_STATUS_TOKEN"]}
    paths = {"certificate": str(directory / "none.pem"), "private_key": str(directory / "none.key")}
    made = run(Module(options(sim, directory, **changes, **paths)), time.time())
    sim.edit(lambda state: None)
    assert get(sim, Pair(made["certificate"], made["private_key"]), "/rest/v1/device") == 403


def test_revoked_not_even_devices(sim: Simulator, directory: Path) -> None:
    paths = {"certificate": str(directory / "gone.pem"), "private_key": str(directory / "gone.key")}
    made = run(Module(options(sim, directory, **paths)), time.time())
    sim.edit(lambda state: None)
    pair = Pair(made["certificate"], made["private_key"])
    assert get(sim, pair, "/rest/v1/device") == 200
    sim.edit(lambda state: state["certificates"][made["serial"]].update(revoked=True))
    assert get(sim, pair, "/rest/v1/device") == 401
