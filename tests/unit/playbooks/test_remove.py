# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/remove.yml up to its question: what it names, and that nothing happens without an answer."""

from __future__ import annotations

import typing as t
from pathlib import Path

import ansible_command
import pytest

pytestmark = pytest.mark.plays

GROUPS: dict[str, list[str]] = {
    "dgx_nodes": ["dgx-01", "dgx-02"],
    "prometheus_servers": ["mon-01", "mon-02"],
    "grafana_servers": ["mon-01"],
}


def refused(directory: Path, *arguments: str, mon_02: dict[str, t.Any] | None = None) -> str:
    """What it says where nobody can answer, in one line. No host can be reached."""
    children = {group: {"hosts": {host: {} for host in hosts}} for group, hosts in GROUPS.items()}
    children["prometheus_servers"]["hosts"]["mon-02"] = mon_02 or {}
    unreachable = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_retries": 0}
    ansible_command.write(directory / "inventory.yml", {"all": {"vars": unreachable, "children": children}})
    playbook = ("superpod.monitoring.remove", "-i", "inventory.yml")
    return " ".join(ansible_command.run(*playbook, *arguments, directory=directory, status=2, warned=True).split())


def test_without_an_answer_no_host_is_even_asked(tmp_path: Path) -> None:
    said = refused(tmp_path)
    assert (
        "to remove role_monitor, dgx_exporters, grafana_server, prometheus_server from dgx-01, dgx-02, mon-01, mon-02"
        in said
    )
    assert "and to lose nothing." in said
    assert "does not answer" not in said


def test_what_would_be_lost_is_named_by_host(tmp_path: Path) -> None:
    mine = {"prometheus_server_keep_data": False}
    assert "to lose Prometheus' samples on mon-02." in refused(tmp_path, mon_02=mine)
    both = ("-e", "prometheus_server_keep_data=false", "-e", "grafana_server_keep_data=false")
    said = refused(tmp_path, *both, mon_02={"prometheus_server_use_existing": True})
    assert "to lose Prometheus' samples on mon-01, Grafana's database, users and passwords on mon-01." in said


def test_parts_and_limits(tmp_path: Path) -> None:
    assert "to remove role_monitor from dgx-02 and" in refused(tmp_path, "--tags", "role_monitor", "--limit", "dgx-02")
    assert "to remove role_monitor, dgx_exporters from" in refused(
        tmp_path, "--skip-tags", "grafana_server,prometheus_server"
    )


def test_hosts_that_do_not_answer_are_named_and_hold_nobody_up(tmp_path: Path) -> None:
    said = refused(tmp_path, "-e", "superpod_remove_confirm=yes", "--limit", "dgx_nodes")
    assert "dgx-01 does not answer" in said
    assert "dgx-02 does not answer" in said


def test_a_node_that_does_not_answer_is_no_target_any_more(tmp_path: Path) -> None:
    """Its file has the host's short name, in the case that BCM gave it."""
    targets = tmp_path / "targets"
    targets.mkdir()
    for name in ("DGX-01.json", "dgx-02.json", "dgx-03.json"):
        (targets / name).write_text("[]")
    silent = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_retries": 0}
    children = {
        "dgx_nodes": {"hosts": {"DGX-01": silent, "dgx-02.cluster": silent}},
        # whom nothing is removed from
        "login_nodes": {"hosts": {"login-01": {"ansible_connection": "local"}}},
    }
    ansible_command.write(tmp_path / "inventory.yml", {"all": {"children": children}})
    confirmed = ("-e", "superpod_remove_confirm=yes", "-e", f"superpod_targets_dir={targets}")
    only = ("--tags", "role_monitor", "--limit", "all")
    playbook = ("superpod.monitoring.remove", "-i", "inventory.yml", *confirmed, *only)
    ansible_command.run(*playbook, directory=tmp_path, status=None, warned=True)
    assert [path.name for path in targets.iterdir()] == ["dgx-03.json"]
