# SPDX-License-Identifier: GPL-3.0-or-later
"""The oldest and the newest ansible-core (script/matrix), from this machine: a node is put right, then left alone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_command import assert_quiet, environment
from node_lab import NODE, Lab
from superpod_site import ROOT, SITE, VARIABLES, recap

pytestmark = pytest.mark.lab
LISTED = ROOT / ".cache/matrix/list"
CORES = [tuple(line.split()) for line in LISTED.read_text().splitlines()] if LISTED.exists() else []
SPOILT = ("/etc/systemd/system/node_exporter.service", "/etc/bcm-role-monitor/config.json")
SSH = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"


@pytest.fixture(scope="module", name="inventory")
def inventory_from_here(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The site's, as this machine reaches it."""
    directory = tmp_path_factory.mktemp("site")
    info, site = lab.site.info, lab.site
    headnodes = [host["address"] for host in info["hosts"].values() if host["kind"] == "head_node"]
    own = {"headnodes": headnodes, "port": info["bcm"]["port"], "ca_certificate": info["bcm"]["ca"]}
    own |= {"certificate": info["bcm"]["admin_cert"], "private_key": info["bcm"]["admin_key"]}
    (directory / "bcm_inventory.yml").write_text(
        yaml.safe_dump(yaml.safe_load(site.read(f"{SITE}/bcm_inventory.yml")) | own)
    )
    variables = yaml.safe_load(site.read(VARIABLES))
    variables |= {"ansible_user": "root", "ansible_ssh_private_key_file": info["ssh_key"]}
    variables |= {"ansible_ssh_common_args": SSH, "ansible_python_interpreter": "/usr/bin/python3"}
    variables |= {"superpod_artifacts_dir": str(ROOT / ".cache/artifacts/site")}
    (directory / "group_vars").mkdir()
    (directory / "group_vars/all.yml").write_text(yaml.safe_dump(variables))
    yield directory
    lab.site.playbook("site.yml", f"--limit {NODE}")


@pytest.mark.skipif(not CORES, reason="script/matrix has found no other Python")
@pytest.mark.parametrize(("core", "python"), CORES)
def test_a_node_is_put_right_and_then_left_alone(lab: Lab, inventory: Path, core: str, python: str) -> None:
    lab.run(f"chmod 600 {' '.join(SPOILT)}")
    changes = []
    for _run in range(2):
        ended = subprocess.run(
            [
                *(str(Path(python).with_name("ansible-playbook")), "superpod.monitoring.site"),
                *("-i", "bcm_inventory.yml", "--limit", NODE),
            ],
            cwd=inventory,
            env=environment(inventory),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        said = ended.stdout + ended.stderr
        assert ended.returncode == 0, f"{core}: {said}"
        assert_quiet(said)
        changes.append(recap(said)[NODE][0])
    assert changes[0] >= len(SPOILT), core
    assert changes[1] == 0, core
