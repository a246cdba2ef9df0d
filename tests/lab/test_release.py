# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as it is released: built, installed without the network, and run from there."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from node_lab import NODE, Lab
from superpod_site import HEAD, ROOT, SITE, playbook_command, recap

INSTALLED = "/root/release"
# The lab's head node finds the checkout elsewhere; only what was installed may be found now.
THERE = f"export ANSIBLE_COLLECTIONS_PATH={INSTALLED}; cd {SITE};"

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module", name="archive")
def built_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("release")
    galaxy = Path(sys.executable).with_name("ansible-galaxy")
    subprocess.run([galaxy, "collection", "build", "--output-path", directory, ROOT], check=True, capture_output=True)
    (archive,) = directory.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module", name="released")
def installed_release(lab: Lab, archive: Path) -> Iterator[Lab]:
    shared = Path(lab.site.shared) / archive.name
    shared.write_bytes(archive.read_bytes())
    lab.run(
        f"{THERE} ansible-galaxy collection install --offline -p {INSTALLED} /cm/shared/{archive.name}",
        HEAD,
    )
    shared.unlink()
    yield lab
    lab.run(f"rm -rf {INSTALLED}", HEAD)


def test_the_archive_holds_what_is_shipped_and_nothing_else(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        top = {name.split("/")[0] for name in tar.getnames()}
    assert top >= {"MANIFEST.json", "README.md", "LICENSE", "files", "meta", "playbooks", "plugins", "roles"}
    assert not top & {
        "lab",
        "molecule",
        "benchmarks",
        "dashboards",
        "script",
        "requirements",
        "ansible.cfg",
        "site.yml",
    }


def test_what_was_installed_is_what_was_built(released: Lab) -> None:
    assert "Successfully verified" in released.run(
        f"{THERE} ansible-galaxy collection verify --offline superpod.monitoring", HEAD
    )


def test_its_playbook_changes_nothing_where_the_checkout_s_has_run(released: Lab) -> None:
    released.site.playbook("site.yml", "--limit dgx_nodes")
    said = released.site.run(f"{THERE} {playbook_command('site', '--limit dgx_nodes')}")
    assert recap(said) == {NODE: (0, 0)}, said
