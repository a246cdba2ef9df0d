# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/status.yml and prune_targets.yml on this machine, with an inventory like BCM's and no Prometheus."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import ansible_command
import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.target_document import build, encode

pytestmark = pytest.mark.plays

NODES = {"dgx-01": ["slurmclient"], "dgx-02": [], "dgx-03": ["slurmclient"]}


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    directory = tmp_path / "targets"
    directory.mkdir()
    for host in ("dgx-01", "dgx-02", "dgx-99"):
        (directory / f"{host}.json").write_bytes(encode(build(host, "slurm", [("node_exporter", 9100)])))
    return directory


def playbook(name: str, directory: Path, group: str, *arguments: str, status: int = 0, **variables: t.Any) -> str:
    """What a playbook says, in one line."""
    nodes = {host: {"bcm_roles": roles} for host, roles in NODES.items()}
    children = {
        group: {"hosts": {host: {} for host in nodes}},
        "dgx_nodes": {"hosts": nodes},
        "bcm_headnodes": {"hosts": {"head": {}}},
    }
    here = {"ansible_connection": "local"}
    ansible_command.write(directory / "inventory.yml", {"all": {"vars": here, "children": children}})
    chosen = ansible_command.variables({"superpod_targets_dir": str(directory / "targets"), **variables})
    site = (f"superpod.monitoring.{name}", "-i", "inventory.yml")
    return " ".join(ansible_command.run(*site, *chosen, *arguments, directory=directory, status=status).split())


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_a_file_goes_only_if_bcm_does_not_know_its_host(targets: Path) -> None:
    limit = {"superpod_prune_limit_percent": 50}
    before = names(targets)
    said = playbook("prune_targets", targets.parent, "bcm_type_physicalnode", "--check", **limit)
    assert names(targets) == before, said
    assert "Would be removed: dgx-99.json; kept: 2" in said
    said = playbook("prune_targets", targets.parent, "bcm_type_physicalnode", **limit)
    assert names(targets) == ["dgx-01.json", "dgx-02.json"], said
    assert "Removed: dgx-99.json; kept: 2" in said


def test_too_many_at_once_are_refused(targets: Path) -> None:
    said = playbook("prune_targets", targets.parent, "bcm_type_physicalnode", status=2)
    assert len(names(targets)) == 3
    assert "1 of 3 target files" in said


def test_an_inventory_without_bcm_is_refused(targets: Path) -> None:
    said = playbook("prune_targets", targets.parent, "others", status=2, superpod_prune_limit_percent=100)
    assert len(names(targets)) == 3
    assert "The inventory has no host from BCM" in said


def test_status_tells_what_does_not_agree(targets: Path) -> None:
    wanted = targets.parent / "status.json"
    variables = {"superpod_status_json": str(wanted), "superpod_prometheus_url": "http://127.0.0.1:1"}
    playbook("status", targets.parent, "bcm_type_physicalnode", "--check", **variables)
    assert not wanted.exists()
    said = playbook("status", targets.parent, "bcm_type_physicalnode", **variables)
    assert "http://127.0.0.1:1 gives head no answer; set superpod_prometheus_url if it is elsewhere" in said
    found = json.loads(wanted.read_text())
    assert {entry["node"]: (entry["role"], entry["target_file"]) for entry in found["nodes"]} == {
        "dgx-01": (True, True),
        "dgx-02": (False, True),
        "dgx-03": (True, False),
        "dgx-99": (None, True),
    }
    assert found["remarks"] == 3
    assert "3 remarks on 4 nodes" in said
    assert names(targets) == ["dgx-01.json", "dgx-02.json", "dgx-99.json"]
