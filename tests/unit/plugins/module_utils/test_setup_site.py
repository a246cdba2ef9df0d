# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_groups import parse_system_groups
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_dialogue import Dialogue
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_directory import SiteDirectory
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_site import (
    SECRETS_FILE,
    VARIABLES_FILE,
    Place,
    answers_file,
    files,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_variables import secret_variables, variables
from hypothesis import given
from hypothesis import strategies as st
from setup_worlds import World, findings

ROOT = Path(__file__).resolve().parents[4]
PLACE = Place("/root/superpod")
EXISTING = {
    "prometheus": "existing",
    "prometheus_url": "http://mon-01:9091",
    "prometheus_targets_dir": "/cm/shared/targets",
    "grafana": "existing",
    "grafana_url": "http://mon-01:3001",
}
WORLD = World(
    {
        "http://mon-01:9091/api/v1/status/buildinfo": (200, {"status": "success"}),
        "http://mon-01:3001/api/health": (200, {"database": "ok"}),
        "http://mon-01:3001/api/org": (200, {}),
    }
)
VARIANTS: list[dict[str, t.Any]] = [
    {},
    EXISTING,
    {**EXISTING, "configure_grafana": True, "grafana_admin_password": "right password"},
    {"prometheus": "skip", "grafana": "skip"},
    {"gpu_exporter": "dcgm", "deploy_bcm_role_monitor": False, "bcm_category_management": True},
    {"gpu_exporter": "none", "job_summaries": False, "open_ondemand": True, "jobstats_command": False},
    {"prometheus_retention_days": 90, "slurm_controllers": "none", "login_nodes": ["slurm-ctl-01"]},
]


class UnsafeLoader(yaml.SafeLoader):
    """YAML with Ansible's !unsafe."""


UnsafeLoader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def answers(given: dict[str, t.Any]) -> dict[str, t.Any]:
    dialogue = Dialogue(findings(), WORLD, given)
    assert dialogue.complete() == []
    return dialogue.answers


def load(text: str) -> t.Any:
    return yaml.load(text, UnsafeLoader)


def argument_specs() -> dict[str, dict[str, t.Any]]:
    found: dict[str, dict[str, t.Any]] = {}
    for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        found |= yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"]
    return found


def shared_facts() -> set[str]:
    """The superpod_ facts that a role's default reads."""
    texts = [path.read_text() for path in (ROOT / "roles").glob("*/defaults/main.yml")]
    return {name for text in texts for name in re.findall(r"\bsuperpod_\w+", text)}


@pytest.mark.parametrize("given", VARIANTS)
def test_every_variable_is_a_roles(given: dict[str, t.Any]) -> None:
    specs, shared = argument_specs(), shared_facts()
    made = {**variables(answers(given)), **secret_variables(answers(given))}
    for name, value in made.items():
        if name.startswith("superpod_"):
            assert name in shared, f"{name} is read by no role"
            continue
        assert name in specs, f"{name} is no role's"
        spec = specs[name]
        kinds = {"str": str, "path": str, "int": int, "bool": bool, "dict": dict, "list": list}
        assert isinstance(value, kinds[spec.get("type", "str")]), name
        if "choices" in spec:
            assert value in spec["choices"], name


@pytest.mark.parametrize("given", VARIANTS)
def test_files_are_what_ansible_reads(given: dict[str, t.Any]) -> None:
    made = files(answers(given), PLACE)
    assert {"site.yml", "bcm_inventory.yml", "ansible.cfg", VARIABLES_FILE, "NEXT_STEPS.md"} <= set(made)
    inventory = load(made["bcm_inventory.yml"].content)
    rules = parse_system_groups(inventory["system_groups"])
    assert {"dgx_nodes", "prometheus_servers", "grafana_servers"} <= set(rules)
    assert load(made[VARIABLES_FILE].content) == variables(answers(given))
    plays = load(made["site.yml"].content)
    assert plays[0]["ansible.builtin.import_playbook"] == "superpod.monitoring.site"
    for name, file in made.items():
        assert file.content.endswith("\n"), name
        assert file.mode == (0o600 if file.secret else 0o644), name
        assert "right password" not in file.content or name == SECRETS_FILE


def test_secrets_are_apart_and_private() -> None:
    made = files(answers(VARIANTS[2]), PLACE)
    assert made[SECRETS_FILE].mode == 0o600
    assert load(made[SECRETS_FILE].content) == {"grafana_server_admin_password": "right password"}
    assert SECRETS_FILE not in files(answers({}), PLACE)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=20))
def test_any_password_survives(password: str) -> None:
    made = files({**answers({}), "grafana_admin_password": password}, PLACE)
    assert load(made[SECRETS_FILE].content) == {"grafana_server_admin_password": password}


def test_without_a_role_monitor_the_playbook_writes_the_targets() -> None:
    made = files(answers(VARIANTS[4]), PLACE)
    task = load(made["site.yml"].content)[1]["tasks"][1]["superpod.monitoring.file_sd_target"]
    assert [group["labels"]["job"] for group in task["groups"]] == ["node_exporter", "cgroup_exporter", "dcgm_exporter"]
    assert task["groups"][2]["targets"] == ["{{ inventory_hostname }}:9400"]


@pytest.mark.parametrize(
    ("configure", "summaries", "controllers", "set_"),
    [
        (True, True, ["slurmserver"], {"constrain_jobs": True, "summaries": True}),
        (True, False, ["slurmserver"], {"constrain_jobs": True, "summaries": False}),
        (False, True, ["slurmserver"], {"constrain_jobs": False, "summaries": True}),
        (False, False, None, {}),
    ],
)
def test_slurms_settings_and_summaries_are_two_choices(
    configure: bool, summaries: bool, controllers: list[str] | None, set_: dict[str, bool]
) -> None:
    given = answers({"configure_slurm": configure, "job_summaries": summaries})
    made = {name: value for name, value in variables(given).items() if name.startswith("slurm_controller_")}
    assert made == {f"slurm_controller_{name}": value for name, value in set_.items()}
    inventory = load(files(given, PLACE)["bcm_inventory.yml"].content)
    assert inventory["system_groups"]["slurm_controllers"].get("roles") == controllers


def test_login_nodes_by_role_leave_out_those_where_nobody_logs_in() -> None:
    inventory = load(files(answers({}), PLACE)["bcm_inventory.yml"].content)
    assert inventory["system_groups"]["login_nodes"] == {
        "roles": ["slurmsubmit"],
        "not_groups": ["dgx_nodes", "slurm_controllers"],
    }
    named = load(files(answers(VARIANTS[6]), PLACE)["bcm_inventory.yml"].content)
    assert named["system_groups"]["login_nodes"] == {"hosts": ["slurm-ctl-01"]}


def test_what_is_left_to_do_fits_the_site() -> None:
    existing = files(answers(EXISTING), PLACE)["NEXT_STEPS.md"].content
    assert '"/cm/shared/targets/*.json"' in existing
    assert "http://mon-01:3001" in existing
    skipped = files(answers(VARIANTS[5]), PLACE)["NEXT_STEPS.md"].content
    assert "Open OnDemand" in skipped
    assert "JobAcctGatherType" not in skipped  # without summaries, too, the role sees to Slurm's settings
    alone = files(answers({**VARIANTS[5], "configure_slurm": False}), PLACE)["NEXT_STEPS.md"].content
    assert "JobAcctGatherType" in alone
    usual = files(answers({}), PLACE)["NEXT_STEPS.md"].content
    assert "Open OnDemand" not in usual
    assert "JobAcctGatherType" not in usual


# --- the directory ---


def test_written_once_kept_private_and_hand_edits_survive(tmp_path: Path) -> None:
    site = SiteDirectory(str(tmp_path / "site"), yaml.safe_load)
    wanted = files(answers(VARIANTS[2]), PLACE)
    changes = site.changes(wanted)
    assert {change.name for change in changes} == set(wanted)
    assert not any("right password" in str(change.diff) for change in changes)
    site.write(changes)
    site.keep(answers(VARIANTS[2]))
    assert SiteDirectory(site.path, yaml.safe_load).changes(wanted) == []

    kept = tmp_path / "site" / "guided_setup_answers.yml"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "right password" not in kept.read_text()
    assert site.kept_answers()["prometheus_url"] == "http://mon-01:9091"

    # a newer version of ours replaces ours without a copy
    other = files(answers({}), PLACE)
    again = SiteDirectory(site.path, yaml.safe_load)
    again.write(again.changes(other))
    again.keep(answers({}))
    assert not list(tmp_path.rglob("*~"))
    # somebody's own edit is kept beside
    (tmp_path / "site" / "site.yml").write_text("- mine\n")
    third = SiteDirectory(site.path, yaml.safe_load)
    third.write(third.changes(other))
    [copy] = tmp_path.rglob("*~")
    assert copy.read_text() == "- mine\n"


def test_answers_can_be_given_again() -> None:
    first = answers(VARIANTS[6])
    again = load(answers_file(first, frozenset()))["guided_setup_answers"]
    assert again == first
    assert answers(again) == first
