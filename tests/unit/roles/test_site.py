# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/site.yml: every role has its place, its tag and its group."""

from __future__ import annotations

from pathlib import Path

import ansible_command
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
# but for the software images, which get the same roles
PLAYS = [play for play in yaml.safe_load((ROOT / "playbooks/site.yml").read_text(encoding="utf-8")) if "roles" in play]
# jobstats is a part of others
ROLES = sorted({path.name for path in (ROOT / "roles").iterdir() if (path / "tasks").is_dir()} - {"jobstats"})


def test_every_role_is_deployed_once_and_runs_by_its_name() -> None:
    used = [entry for play in PLAYS for entry in play["roles"]]
    assert sorted(entry["role"] for entry in used) == [f"superpod.monitoring.{role}" for role in ROLES]
    for entry in used:
        assert entry["tags"] == [entry["role"].rpartition(".")[2]]


@pytest.mark.parametrize("play", PLAYS, ids=[play["name"] for play in PLAYS])
def test_one_bad_host_does_not_stop_the_others_and_nothing_is_gathered_in_vain(play: dict[str, object]) -> None:
    assert play["gather_facts"] is False
    # Slurm's controllers stand in for each other, so they get their turn one at a time
    serial = {"serial"} if play["name"] == "Slurm controllers" else set()
    assert {"any_errors_fatal", "max_fail_percentage", "serial", "strategy"} & play.keys() == serial


def test_an_image_gets_the_roles_of_the_hosts_that_use_it() -> None:
    (play,) = yaml.safe_load((ROOT / "playbooks/site_images.yml").read_text(encoding="utf-8"))
    by_group = {
        entry["hosts"].split("'")[1]: [used["role"].rpartition(".")[2] for used in entry["roles"]] for entry in PLAYS
    }
    assert play["vars"]["_superpod_roles_of_groups"] == by_group


@pytest.mark.plays
@pytest.mark.parametrize(
    ("limit", "listed"),
    [([], ["dgx-01"]), (["--limit", "bcm_images"], ["dgx-image"]), (["--limit", "dgx-01"], ["dgx-01"])],
)
def test_an_image_is_only_worked_on_where_it_is_named(limit: list[str], listed: list[str], tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    hosts = {"dgx_nodes": {"hosts": {"dgx-01": {}}}, "bcm_images": {"hosts": {"dgx-image": {}}}}
    ansible_command.write(inventory, {"all": {"children": hosts}})
    said = ansible_command.run("-i", str(inventory), "--list-hosts", *limit, "site.yml", directory=tmp_path, cwd=ROOT)
    assert [line.strip() for line in said.splitlines() if line.startswith("      ")] == listed


@pytest.mark.plays
@pytest.mark.parametrize("groups", [[], ["dgx_nodes"], ["prometheus_servers"]])
def test_groups_that_an_inventory_lacks_are_passed_over_without_a_warning(groups: list[str], tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    children = {group: {"hosts": {f"{group.replace('_', '-')}-1": {}}} for group in groups}
    ansible_command.write(inventory, {"all": {"hosts": {"other": {}}, "children": children}})
    said = ansible_command.run("-i", str(inventory), "--list-hosts", "site.yml", directory=tmp_path, cwd=ROOT)
    listed = [line.strip() for line in said.splitlines() if line.startswith("      ")]
    assert listed == [f"{group.replace('_', '-')}-1" for group in groups]
