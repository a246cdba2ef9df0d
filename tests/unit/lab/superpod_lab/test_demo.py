# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's decisions, on a lab that is only a set of names: the real one is run by script/demo."""

from __future__ import annotations

import json
import re
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from superpod_lab import control, demo
from superpod_lab.expectation import Target, expected
from superpod_lab.plan import hosts, info
from superpod_lab.settings import LabError, Settings

SETTINGS = Settings(7, Path("/i"), Path("/d"))


class FakeLab:
    """Answers in the place of hosts, BCM and Prometheus: what cmsh appends is up at once."""

    def __init__(self) -> None:
        self.clients: set[str] = set()
        self.commands: list[str] = []
        self.failing = ""
        self.extra: dict[Target, str] = {}
        self.statuses = {"GET /rest/v1/device": 200, "POST /rest/v1/device": 501, "cmdevice.reboot": 635}
        self.tried: list[str] = []

    def in_host(self, host: str, *words: str, capture: bool = False) -> CompletedProcess[str]:
        command = " ".join(words)
        self.commands.append(f"{host}: {command}")
        if self.failing and self.failing in command:
            return CompletedProcess([], 1, "", "no such object\n")
        if words[0] == "cat":
            config = '{"cert_path": "/c.pem", "key_path": "/c.key"}'
            return CompletedProcess([], 0, config if words[1].endswith(".json") else f"{host}:{words[1]}", "")
        if "systemctl is-active" in command:
            state = "active" if host in self.clients else "inactive"
            return CompletedProcess([], 0, f"{state}\n{state}\n", "")
        change = re.search(r"use slurm-client; (append|removefrom) nodes (.*); commit", command)
        if change:
            nodes = set(change[2].split())
            self.clients = self.clients | nodes if change[1] == "append" else self.clients - nodes
        return CompletedProcess([], 0, "", "")

    def ask(self, address: str, port: int, _ca: Path, certificate: Path, key: Path) -> dict[str, int]:
        self.tried += [f"{address}:{port}", certificate.read_text(), key.read_text()]
        return self.statuses

    def targets(self) -> dict[Target, str]:
        return {**dict.fromkeys(expected(self.clients), "up"), **self.extra}


@pytest.fixture(name="lab")
def fake_lab(monkeypatch: pytest.MonkeyPatch) -> FakeLab:
    lab = FakeLab()

    def up(_settings: Settings, dgx: int, head_nodes: int) -> dict[str, Any]:
        return info(hosts("10.77.7", dgx, head_nodes), SETTINGS)

    monkeypatch.setattr(control, "record", lambda _: None)
    monkeypatch.setattr(control, "up", up)
    monkeypatch.setattr(demo.artifacts, "obtain", lambda _: "cgroup_exporter: of this kind")
    monkeypatch.setattr(demo.Demo, "in_host", lab.in_host)
    monkeypatch.setattr(demo, "statuses", lab.ask)
    monkeypatch.setattr(demo.Demo, "targets", lab.targets)
    monkeypatch.setattr(demo.Demo, "roles", lambda _: {name: ["slurmclient"] for name in lab.clients})
    monkeypatch.setattr(demo, "PATIENCE", 0.05)
    monkeypatch.setattr(demo, "POLL", 0.01)
    return lab


def test_all_dgx_nodes_but_one_are_up_in_the_end(
    lab: FakeLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.run(SETTINGS, 3, tmp_path / "d.json", 1.5) == 0
    assert lab.commands[0] == "bcm-head-01: sh -c cd /root/superpod && ansible-playbook site.yml -i bcm_inventory.yml"
    assert lab.clients == {"dgx-01", "dgx-02"}
    document = json.loads((tmp_path / "d.json").read_text())
    assert document["targets"] == {"expected": 4, "up": 4}
    assert document["phases"]["image"] == 1.5
    assert None not in document["phases"].values()
    assert document["role_removed_to_gone"] is not None
    rows = {row["host"]: row for row in document["hosts"]}
    assert len(rows) == 8
    assert rows["dgx-02"] == {
        "host": "dgx-02",
        "category": "dgx-h200",
        "roles": ["slurmclient"],
        "exporters": ["node_exporter", "cgroup_exporter"],
        "targets_up": 2,
    }
    assert (rows["dgx-03"]["exporters"], rows["dgx-03"]["targets_up"]) == ([], 0)
    printed = capsys.readouterr().out
    assert "4 of 4 expected targets up, 0 others" in printed
    assert "cgroup_exporter: of this kind" in printed
    assert "http://10.77.7.41:9090/classic/targets" in printed


def test_one_dgx_node_ends_without_any_target(lab: FakeLab) -> None:
    assert demo.run(SETTINGS, 1, None, 0) == 0
    assert lab.clients == set()


def test_the_certificate_that_a_node_uses_is_tried(
    lab: FakeLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.run(SETTINGS, 2, tmp_path / "d.json", 0) == 0
    assert lab.tried == ["10.77.7.11:8081", "dgx-02:/c.pem", "dgx-02:/c.key"]
    said = "role monitor's certificate, from dgx-02: may read devices; 1 other requests refused"
    assert said in capsys.readouterr().out
    certificate = json.loads((tmp_path / "d.json").read_text())["certificate"]
    assert certificate == {"host": "dgx-02", "let_through": ["GET /rest/v1/device"], "refused": 1}


def test_a_certificate_that_can_do_more_fails(lab: FakeLab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.statuses["cmdevice.getCategories"] = 200
    assert demo.run(SETTINGS, 2, None, 0) == 1
    assert "lets more through than it needs: cmdevice.getCategories" in capsys.readouterr().out


def test_a_node_without_its_certificate_fails(lab: FakeLab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.failing = "cat /c.key"
    assert demo.run(SETTINGS, 2, None, 0) == 1
    assert "dgx-02 has no /c.key." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("extra", "fault"),
    [
        ({Target("", "other", "x:1"): "up"}, "Prometheus has a target that it should not have: other at x:1"),
        ({Target("dgx-01", "node_exporter", "dgx-01:9100"): "down"}, "node_exporter of dgx-01 is down"),
    ],
)
def test_anything_but_the_expected_targets_fails(
    lab: FakeLab, capsys: pytest.CaptureFixture[str], extra: dict[Target, str], fault: str
) -> None:
    lab.extra = extra
    assert demo.run(SETTINGS, 2, None, 0) == 1
    assert fault in capsys.readouterr().out


def test_what_comes_only_at_the_very_end_fails_too(lab: FakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    end = demo.Demo.end

    def spoiled(self: demo.Demo, clients: list[str], spare: str) -> list[str]:
        lab.extra = {Target("", "other", "x:1"): "up"}
        return end(self, clients, spare)

    monkeypatch.setattr(demo.Demo, "end", spoiled)
    assert demo.run(SETTINGS, 2, None, 0) == 1


@pytest.mark.parametrize(
    ("failing", "reached"),
    [("ansible-playbook", ["image", "boot", "site"]), ("cmsh", ["image", "boot", "site", "converge"])],
)
def test_a_step_that_fails_ends_it_and_the_document_tells_how_far_it_came(
    lab: FakeLab, tmp_path: Path, capsys: pytest.CaptureFixture[str], failing: str, reached: list[str]
) -> None:
    lab.failing = failing
    assert demo.run(SETTINGS, 2, tmp_path / "d.json", 0) == 1
    phases = json.loads((tmp_path / "d.json").read_text())["phases"]
    assert [name for name, seconds in phases.items() if seconds is not None] == reached
    assert "The demo FAILED" in capsys.readouterr().out


def test_a_lab_that_does_not_boot_fails(lab: FakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    def up(*_: object) -> None:
        raise LabError("labhost up-all failed; the reason stands above.")

    monkeypatch.setattr(control, "up", up)
    assert demo.run(SETTINGS, 2, None, 0) == 1
    assert lab.commands == []
