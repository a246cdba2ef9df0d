# SPDX-License-Identifier: GPL-3.0-or-later
"""bcm_role_monitor.py --check-access: what BCM answers, and nothing else."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import bcm_role_monitor
import pytest
from bcm_simulator.testing import Simulator


@pytest.fixture
def sim() -> t.Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


def check(sim: Simulator, directory: Path, profile: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(bcm_role_monitor, "short_host_name", lambda: "dgx-01")
    certificate, key = sim.certificate(profile)
    config = {
        "bcm_headnodes": [sim.host],
        "bcm_port": sim.port,
        "cert_path": certificate,
        "key_path": key,
        "ca_path": sim.ca,
        "state_dir": str(directory / "state"),
        "prometheus_targets_dir": str(directory / "targets"),
        "textfile_dir": str(directory / "textfile"),
    }
    path = directory / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    status = bcm_role_monitor.main(["--config", str(path), "--check-access"])
    assert sorted(directory.iterdir()) == [path]
    return status


def test_the_nodes_roles(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sim.assign("dgx-01", "slurmclient")
    assert check(sim, tmp_path, "readonly", monkeypatch) == 0
    assert capsys.readouterr().out == "BCM gives dgx-01 these roles: slurmclient.\n"
    assert [(request.method, request.path) for request in sim.requests] == [("GET", "/rest/v1/device")]


def test_who_is_denied(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(sim, tmp_path, "node", monkeypatch) == 1
    said = capsys.readouterr().err
    assert "GET_DEVICE_TOKEN" in said
    assert "set role_monitor_auth" not in said  # that is for the node's own certificate only
    monkeypatch.setattr(bcm_role_monitor, "NODES_OWN", str(sim.directory))
    assert check(sim, tmp_path, "node", monkeypatch) == 1
    assert "set role_monitor_auth to certificate." in capsys.readouterr().err


def test_a_node_that_bcm_does_not_list(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sim.edit(lambda state: state["nodes"].pop("dgx-01"))
    assert check(sim, tmp_path, "readonly", monkeypatch) == 1
    assert "dgx-01" in capsys.readouterr().err
