# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/download_artifacts.yml on this machine: the directory that it fills is the one that the roles look at."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import ansible_command
import pytest

pytestmark = pytest.mark.plays


PINS = "superpod_artifact_pins"


@pytest.fixture(name="pins")
def pinned_release(tmp_path: Path) -> dict[str, object]:
    """The pin of a release that lies on this machine."""
    release = tmp_path / "thing.tar.gz"
    with tarfile.open(release, "w:gz") as archive:
        member = tarfile.TarInfo("thing-1.0/thing")
        content = b"#!/bin/sh\n"
        member.size, member.mode = len(content), 0o755
        archive.addfile(member, io.BytesIO(content))
    place = {"url": release.as_uri(), "sha256": hashlib.sha256(release.read_bytes()).hexdigest()}
    return {PINS: {"thing": {"version": "1.0", "release": {"any": place}}}}


@pytest.mark.parametrize("inventory", [["-i", "hosts.yml"], ["-i", "."], []])
def test_artifacts_lie_beside_the_inventory_or_here(
    tmp_path: Path, pins: dict[str, object], inventory: list[str]
) -> None:
    site = tmp_path / "site"
    (site / "group_vars/all").mkdir(parents=True)
    ansible_command.write(site / "group_vars/all/site.yml", pins)
    ansible_command.write(site / "hosts.yml", {"all": {"hosts": {"dgx-01": {}}}})
    asked = {"superpod_artifacts": ["thing"], "superpod_architectures": ["any"], **({} if inventory else pins)}
    said = ansible_command.run(
        *("superpod.monitoring.download_artifacts", *inventory, *ansible_command.variables(asked)),
        directory=site,
        more={"PWD": str(site)},
        warned=not inventory,
    )
    assert (site / "artifacts/manifest.json").is_file(), said
