# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/status.yml and prune_targets.yml on this machine, with an inventory like BCM's and no Prometheus."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.target_document import build, encode

ROOT = Path(__file__).resolve().parents[3]
NODES = {"dgx-01": ["slurmclient"], "dgx-02": [], "dgx-03": ["slurmclient"]}
HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    directory = tmp_path / "targets"
    directory.mkdir()
    for host in ("dgx-01", "dgx-02", "dgx-99"):
        (directory / f"{host}.json").write_bytes(encode(build(host, "slurm", [("node_exporter", 9100)])))
    return directory


def playbook(name: str, directory: Path, group: str, *arguments: str, **variables: t.Any) -> tuple[int, str]:
    nodes = {host: {"bcm_roles": roles} for host, roles in NODES.items()}
    children = {
        group: {"hosts": {host: {} for host in nodes}},
        "dgx_nodes": {"hosts": nodes},
        "bcm_headnodes": {"hosts": {"head": {}}},
    }
    (directory / "inventory.yml").write_text(json.dumps({"all": {"vars": HERE, "children": children}}))
    chosen = {"superpod_targets_dir": str(directory / "targets"), **variables}
    done = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "ansible-playbook"), f"superpod.monitoring.{name}"),
            *("-i", "inventory.yml", "-e", json.dumps(chosen), *arguments),
        ],
        cwd=directory,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_NOCOLOR": "true",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "WARNING" not in done.stderr, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, " ".join(done.stdout.split())


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_a_file_goes_only_if_bcm_does_not_know_its_host(targets: Path) -> None:
    limit = {"superpod_prune_limit_percent": 50}
    before = names(targets)
    status, said = playbook("prune_targets", targets.parent, "bcm_type_physicalnode", "--check", **limit)
    assert (status, names(targets)) == (0, before), said
    assert "Would be removed: dgx-99.json; kept: 2" in said
    status, said = playbook("prune_targets", targets.parent, "bcm_type_physicalnode", **limit)
    assert (status, names(targets)) == (0, ["dgx-01.json", "dgx-02.json"]), said
    assert "Removed: dgx-99.json; kept: 2" in said


def test_too_many_at_once_are_refused(targets: Path) -> None:
    status, said = playbook("prune_targets", targets.parent, "bcm_type_physicalnode")
    assert (status, len(names(targets))) == (2, 3)
    assert "1 of 3 target files" in said


def test_an_inventory_without_bcm_is_refused(targets: Path) -> None:
    status, said = playbook("prune_targets", targets.parent, "others", superpod_prune_limit_percent=100)
    assert (status, len(names(targets))) == (2, 3)
    assert "The inventory has no host from BCM" in said


def test_status_tells_what_does_not_agree(targets: Path) -> None:
    wanted = targets.parent / "status.json"
    variables = {"superpod_status_json": str(wanted), "superpod_prometheus_url": "http://127.0.0.1:1"}
    status, said = playbook("status", targets.parent, "bcm_type_physicalnode", "--check", **variables)
    assert status == 0, said
    assert not wanted.exists()
    status, said = playbook("status", targets.parent, "bcm_type_physicalnode", **variables)
    assert status == 0, said
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
