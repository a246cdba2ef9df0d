# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles take away: exactly what they have put there."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import ansible_command
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.plays


def test_the_target_file_goes_by_the_name_that_the_daemon_gave_it(tmp_path: Path) -> None:
    """The daemon takes the host's name as it is, without domain."""
    tasks = yaml.safe_load((ROOT / "roles/role_monitor/tasks/remove.yml").read_text(encoding="utf-8"))
    (removes,) = [task for task in tasks if "targets_dir" in str(task.get("superpod.monitoring.managed_files"))]
    (entry,) = removes["superpod.monitoring.managed_files"]["files"]
    files = [str(path) for path in ansible_command.variable_files("role_monitor", "defaults", "vars")]
    steps = [
        {"name": "Be this", "ansible.builtin.set_fact": {"hostname": "DGX-01", "cacheable": True}},
        {"name": "Say", "ansible.builtin.debug": {"msg": f"<<{entry['path']}>>"}},
    ]
    ansible_command.write(tmp_path / "playbook.yml", [ansible_command.play(steps, vars_files=files)])
    given = ansible_command.variables({"superpod_targets_dir": "/targets/here", "role_monitor_instance": "second"})
    said = ansible_command.run("-i", "localhost,", "-c", "local", *given, "playbook.yml", directory=tmp_path)
    assert "<</targets/here/DGX-01_second.json>>" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="files that belong to root need root")
def test_files_for_an_existing_grafana_go_and_nobody_elses(tmp_path: Path) -> None:
    """Should grafana_server_files_dir be a directory that others use, such as /etc/grafana, what is theirs stays."""
    directory = tmp_path / "grafana"
    theirs = [directory / name for name in ("grafana.ini", "dashboards/mine.json", "provisioning/datasources/mine.yml")]
    for path in theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    empty = tmp_path / "own"
    role = {
        "name": "superpod.monitoring.grafana_server",
        "tasks_from": "existing_files",
        "rolespec_validate": False,
    }
    steps = [
        {
            "name": f"{state} in {where.name}",
            "ansible.builtin.include_role": role,
            "vars": {"grafana_server_state": state, "grafana_server_files_dir": str(where)},
        }
        for state in ("present", "absent")
        for where in (directory, empty)
    ]
    ansible_command.write(tmp_path / "playbook.yml", [ansible_command.play(steps)])
    given: dict[str, t.Any] = {
        "grafana_server_existing": "files",
        "grafana_server_prometheus_username": "grafana",
        "grafana_server_prometheus_password": "a password",
    }
    arguments = ("-i", "localhost,", "-c", "local", "-e", json.dumps(given), "playbook.yml")
    said = ansible_command.run(*arguments, directory=tmp_path)
    assert said.count("changed: [localhost]") == 4
    assert sorted(path for path in directory.rglob("*") if path.is_file()) == sorted(theirs)
    assert not empty.exists()
