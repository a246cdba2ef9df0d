# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/verify.yml on this machine, which has nothing of it: every role's ways to be deployed can be looked at."""

from __future__ import annotations

import json
import typing as t

import ansible_command
import pytest

pytestmark = pytest.mark.plays

USER = {"scraper": "long password"}
NODES: dict[str, dict[str, t.Any]] = {
    "dgx-dcgm": {
        "bcm_roles": ["slurmclient"],
        "dgx_exporters_gpu": "dcgm_exporter",
        "dgx_exporters_web_users": {"prometheus": "$2y$10$" + "x" * 53},
        "dgx_exporters_job_hooks_shared_dir": "",
        "role_monitor_auth": "node",
    },
    "dgx-package": {
        "bcm_roles": [],
        "dgx_exporters_gpu": "dcgm_exporter",
        "dgx_exporters_dcgm_exporter_source": "package",
        "dgx_exporters_node_exporter_source": "package",
        "role_monitor_instance": "other",
    },
    "dgx-systemd": {"dgx_exporters_gpu": "none", "dgx_exporters_managed_by": "systemd", "role_monitor_state": "absent"},
    "dgx-none": {"dgx_exporters_state": "absent", "role_monitor_state": "absent", "bcm_roles": ["slurmclient"]},
}
GROUPS: dict[str, dict[str, dict[str, t.Any]]] = {
    "dgx_nodes": NODES,
    "bcm_headnodes": {"head": {}},
    "prometheus_servers": {
        "mon-existing": {"prometheus_server_use_existing": True, "superpod_prometheus_url": "http://127.0.0.1:1"},
        "mon-users": {"prometheus_server_users": USER, "prometheus_server_scale_out": "shards"},
        "mon-agent": {
            "prometheus_server_agent": True,
            "prometheus_server_remote_write": [{"url": "http://127.0.0.1:1"}],
            "prometheus_server_source": "artifact",
        },
    },
    "grafana_servers": {
        "graf-own": {},
        "graf-files": {"grafana_server_existing": "files"},
        "graf-api": {
            "grafana_server_existing": "api",
            "grafana_server_url": "http://127.0.0.1:1",
            "grafana_server_token": "x",
        },
    },
    "slurm_controllers": {
        "ctl-conf": {"slurm_controller_managed_by": "slurm_conf", "slurm_controller_slurm_conf": "/gone/slurm.conf"},
        "ctl-none": {"slurm_controller_state": "absent"},
    },
    "login_nodes": {"login": {"jobstats_source": "directory", "jobstats_directory": "/gone"}},
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, t.Any]:
    """What it says of a site with all of them, none of which is there."""
    directory = tmp_path_factory.mktemp("site")
    here = {
        "ansible_connection": "local",
        "superpod_targets_dir": str(directory),
        "superpod_prometheus_url": "http://127.0.0.1:1",
    }
    children = {group: {"hosts": hosts} for group, hosts in GROUPS.items()}
    ansible_command.write(directory / "inventory.yml", {"all": {"vars": here, "children": children}})
    wanted = directory / "report.json"
    chosen = ansible_command.variables({"superpod_verify_json": str(wanted)})
    ansible_command.run("superpod.monitoring.verify", "-i", "inventory.yml", *chosen, directory=directory, status=2)
    found: dict[str, t.Any] = json.loads(wanted.read_text())
    return found


def checks(report: dict[str, t.Any], host: str) -> dict[str, str]:
    """Name of each check that failed on a host -> what was seen last."""
    return {
        each["check"]: each["seen"] for entry in report["hosts"] if entry["host"] == host for each in entry["failures"]
    }


def test_each_way_to_deploy_a_role_can_be_looked_at(report: dict[str, t.Any]) -> None:
    broken = [each for entry in report["hosts"] for each in entry["failures"] if each["check"] == "looked_at"]
    assert broken == []


def test_what_is_absent_is_not_looked_at(report: dict[str, t.Any]) -> None:
    hosts = {entry["host"] for entry in report["hosts"]}
    assert hosts == {host for group in GROUPS.values() for host in group} - {"ctl-none"}
    # Others say of it that it should have a target file.
    assert checks(report, "dgx-none").keys() == {"target_file"}


def test_what_is_missed(report: dict[str, t.Any]) -> None:
    node = checks(report, "dgx-dcgm")
    assert {"exporter_files", "job_hooks", "metrics", "service_active", "role_monitor_config_valid"} <= node.keys()
    assert "metrics" not in checks(report, "dgx-package")  # BCM does not give it the role
    assert "bcm_answers" not in checks(report, "dgx-systemd")
    assert checks(report, "mon-existing").keys() == {"prometheus_answers"}
    assert "prometheus_config" in checks(report, "mon-users")
    assert "datasource_file" in checks(report, "graf-files")
    assert "grafana_answers" not in checks(report, "graf-files")
    assert checks(report, "graf-api").keys() == {"grafana_content"}
    controller = checks(report, "ctl-conf")
    assert {"epilog_program", "jobstats", "slurm_answers"} <= controller.keys()
    assert controller["settings_read"].startswith("There is no /gone/slurm.conf on this host;")
    assert {"jobstats", "jobstats_command", "accounting", "prometheus_from_here"} <= checks(report, "login").keys()
    assert "long password" not in json.dumps(report)
