# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role dgx_exporters has beside its units: versions, counters, which file systems are looked at."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import ansible_command
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles/dgx_exporters"
VARS = {
    name: value
    for path in ansible_command.variable_files("dgx_exporters", "vars")
    for name, value in yaml.safe_load(path.read_text(encoding="utf-8")).items()
}
DEFAULTS = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
PINS = yaml.safe_load((ROOT / "playbooks/vars/artifacts.yml").read_text(encoding="utf-8"))["_superpod_artifact_pins"]
COUNTERS = (ROLE / "files/dcgm-counters.csv").read_text(encoding="utf-8")
USERS_OF_FIELDS = [*(ROOT / "files/rules").glob("*.yml"), *(ROOT / "files/dashboards").glob("*.json")]


def evaluate(directory: Path, expression: str, **variables: str) -> str:
    """What Ansible makes of an expression with the role's defaults and variables."""
    files = ansible_command.variable_files("dgx_exporters", "vars", "defaults")
    said = ansible_command.run(
        *("localhost", "-i", "localhost,", "-c", "local"),
        *("-m", "ansible.builtin.debug", "-a", json.dumps({"msg": f"<<{{{{ {expression} }}}}>>"})),
        *("-e", f"role_path={ROLE}"),
        *(word for file in files for word in ("-e", f"@{file}")),
        *(word for name, value in variables.items() for word in ("-e", f'{{"{name}": {value}}}')),
        directory=directory,
        program="ansible",
    )
    found = re.search(r"<<(.*)>>", said)
    assert found, said
    return str(json.loads(f'"{found[1]}"'))


VERSIONS = {
    "dgx_exporters_node_exporter_version": "node_exporter",
    "dgx_exporters_cgroup_exporter_version": "cgroup_exporter",
    "dgx_exporters_nvidia_gpu_exporter_version": "nvidia_gpu_prometheus_exporter",
    "dgx_exporters_dcgm_exporter_version": "dcgm-exporter",
}


@pytest.mark.plays
def test_a_version_is_the_playbooks_unless_the_site_says_otherwise(tmp_path: Path) -> None:
    all_of_them = f"[{', '.join(VERSIONS)}] | join(' ')"
    pinned = {name: PINS[name]["version"] for name in VERSIONS.values()}
    assert evaluate(tmp_path, all_of_them).split() == list(pinned.values())
    other = pinned | {"cgroup_exporter": "9.8.7", "dcgm-exporter": "7.8.9"}
    pins = '{"cgroup_exporter": {"version": "9.8.7"}, "dcgm-exporter": {"version": "7.8.9"}, "more": {}}'
    assert evaluate(tmp_path, all_of_them, superpod_artifact_pins=pins).split() == list(other.values())


def test_the_counters_have_every_field_that_rules_and_dashboards_use() -> None:
    used = set()
    for file in USERS_OF_FIELDS:
        used |= set(re.findall(r"DCGM_FI_[A-Z0-9_]+", file.read_text(encoding="utf-8")))
    assert len(used) > 10
    lines = [line.split(", ", 2) for line in COUNTERS.splitlines() if not line.startswith("#")]
    assert all(len(line) == 3 and line[1] in ("gauge", "counter", "label") for line in lines), lines
    fields = [line[0] for line in lines]
    assert len(fields) == len(set(fields))
    assert used <= set(fields)


@pytest.mark.parametrize(
    ("kind", "excluded"),
    [
        *((kind, True) for kind in ("nfs", "nfs4", "lustre", "fuse", "fuse.sshfs", "gpfs", "wekafs", "proc")),
        *((kind, False) for kind in ("ext4", "xfs", "tmpfs", "zfs", "vfat", "xnfs")),
    ],
)
def test_network_file_systems_are_not_looked_at(kind: str, excluded: bool) -> None:
    pattern = VARS["_dgx_exporters_excluded_file_systems"].replace(" ", "").strip()
    assert bool(re.fullmatch(f"({pattern})", kind)) is excluded


def test_every_exporter_that_is_installed_is_removed_too() -> None:
    known = [each["name"] for each in VARS["_dgx_exporters_known"].values()]
    assert sorted(known) == sorted(VARS["_dgx_exporters_installed"])
    assert sorted(VARS["_dgx_exporters_own_units"]) == sorted(f"{name}.service" for name in known)


def test_collectors_that_need_what_the_unit_is_kept_away_from_are_off() -> None:
    assert not {"systemd", "perf", "rapl", "wifi"} & set(DEFAULTS["dgx_exporters_node_exporter_collectors"])


def tasks(path: str) -> list[dict[str, t.Any]]:
    return t.cast(list[dict[str, t.Any]], yaml.safe_load((ROLE / path).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("file", "registered", "more"),
    [
        ("configure", "__dgx_exporters_files", {"_dgx_exporters_nvidias_unit not in _dgx_exporters_units"}),
        ("remove", "__dgx_exporters_removed", set()),
    ],
)
def test_nvidias_exporter_stops_with_the_settings_that_go(file: str, registered: str, more: set[str]) -> None:
    """Its package stays, and it would go on for the next choice, at boot too."""
    included = [task for task in tasks(f"tasks/{file}.yml") if "stop_nvidias" in str(task)]
    (when,) = [set(task["when"]) for task in included]
    assert when == {f"_dgx_exporters_dcgm_drop_in in {registered}.changed_paths", "not ansible_check_mode"} | more
    (writes,) = [task for task in tasks(f"tasks/{file}.yml") if task.get("register") == registered]
    assert "superpod.monitoring.managed_files" in writes
    (stop,) = tasks("tasks/stop_nvidias.yml")
    service = stop["ansible.builtin.systemd_service"]
    assert (service["state"], service["enabled"], service["daemon_reload"]) == ("stopped", False, True)
    assert VARS["_dgx_exporters_nvidias_unit"] == "nvidia-dcgm-exporter.service"


@pytest.mark.plays
def test_a_package_that_is_too_old_for_tls_is_refused(tmp_path: Path) -> None:
    """--web.config.file is in node_exporter 1.5 and newer: not in Ubuntu 22.04's."""
    (check,) = [task for task in tasks("tasks/preflight.yml") if "knows TLS" in task["name"]]
    assert check["when"] == ["dgx_exporters_node_exporter_source == 'package'", "_dgx_exporters_web | bool"]
    expression = check["ansible.builtin.assert"]["that"]
    systems = [("Ubuntu", "22.04"), ("Ubuntu", "24.04"), ("Debian", "12.5")]
    wanted = [False, True, True]
    steps: list[dict[str, t.Any]] = []
    for (name, version), fine in zip(systems, wanted, strict=True):
        facts = {"distribution": name, "distribution_version": version, "cacheable": True}
        steps.append({"name": "Be this", "ansible.builtin.set_fact": facts})
        that = expression if fine else f"not ({expression})"
        steps.append({"name": "Check", "ansible.builtin.assert": {"that": that}})
    ansible_command.write(tmp_path / "playbook.yml", [ansible_command.play(steps)])
    ansible_command.run("-i", "localhost,", "-c", "local", "playbook.yml", directory=tmp_path)
