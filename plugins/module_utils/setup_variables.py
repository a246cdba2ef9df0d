# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the roles' variables and groups each answer sets.  The only place that knows the roles' names."""

from __future__ import annotations

from collections.abc import Mapping

from .setup_findings import group_rule
from .setup_model import Value
from .setup_questions import TARGETS_DIR

Rule = dict[str, list[str]]

_GPU_EXPORTER = {"jobstats": "nvidia_gpu_prometheus_exporter", "dcgm": "dcgm_exporter", "none": "none"}


def exporters(answers: Mapping[str, Value]) -> list[tuple[str, int]]:
    """Job and port of each exporter on a DGX node."""
    listed = [
        ("node_exporter", answers.get("node_exporter_port", 9100)),
        ("cgroup_exporter", answers.get("cgroup_exporter_port", 9306)),
    ]
    if answers.get("gpu_exporter") == "jobstats":
        listed.append(("gpu_exporter", answers.get("nvidia_gpu_exporter_port", 9445)))
    if answers.get("gpu_exporter") == "dcgm":
        listed.append(("dcgm_exporter", answers.get("dcgm_exporter_port", 9400)))
    return listed


def prometheus_url(answers: Mapping[str, Value]) -> str | None:
    """Where Prometheus answers, as hosts of the cluster reach it; None leaves that to the roles."""
    if answers.get("prometheus") == "existing":
        url: str | None = answers.get("prometheus_url")
        return url
    servers = answers.get("prometheus_servers") or []
    # a category or a glob is no host's name
    if answers.get("prometheus") != "new" or not servers or set(servers[0]) & set("*?[:"):
        return None
    return f"http://{servers[0]}:{answers.get('prometheus_port', 9090)}"


def system_groups(answers: Mapping[str, Value]) -> dict[str, Rule]:
    """The rules of the inventory's groups; an empty rule is an empty group."""
    return {
        "dgx_nodes": group_rule(answers.get("dgx_nodes") or ()),
        "slurm_controllers": group_rule(answers.get("slurm_controllers") or ()) if _role_for_slurm(answers) else {},
        "login_nodes": _login_nodes(answers),
        "prometheus_servers": _prometheus_servers(answers),
        "grafana_servers": _grafana_servers(answers),
    }


def _role_for_slurm(answers: Mapping[str, Value]) -> bool:
    """One role stores summaries and constrains jobs; if it shall do neither, Slurm is left alone."""
    return bool(answers.get("job_summaries")) or slurm_is_configured(answers)


def slurm_is_configured(answers: Mapping[str, Value]) -> bool:
    """Whether Slurm's constraints are set by a role and not by hand."""
    return bool(answers.get("configure_slurm"))


def _login_nodes(answers: Mapping[str, Value]) -> Rule:
    if not answers.get("jobstats_command"):
        return {}
    rule = group_rule(answers.get("login_nodes") or ())
    if set(rule) == {"roles"}:
        # DGX nodes and controllers may submit, too, but nobody logs in there
        rule["not_groups"] = ["dgx_nodes", "slurm_controllers"]
    return rule


def _prometheus_servers(answers: Mapping[str, Value]) -> Rule:
    """An existing server is in the group, too, if it is one of BCM's hosts: the role then writes its scrape job."""
    key = "prometheus_host" if answers.get("prometheus") == "existing" else "prometheus_servers"
    return group_rule(answers.get(key) or ())


def _grafana_servers(answers: Mapping[str, Value]) -> Rule:
    """An existing server is told its dashboards from the first head node."""
    if answers.get("grafana") == "existing":
        return {"hosts": (answers.get("headnodes") or [])[:1]} if answers.get("configure_grafana") else {}
    return group_rule(answers.get("grafana_servers") or ())


def variables(answers: Mapping[str, Value]) -> dict[str, Value]:
    """The roles' variables."""
    made: dict[str, Value] = {
        "superpod_cluster_name": answers.get("cluster_name", "slurm"),
        "superpod_slurm_instance": answers.get("slurm_instance"),
        "superpod_targets_dir": answers.get("prometheus_targets_dir", TARGETS_DIR),
        "superpod_prometheus_url": prometheus_url(answers),
        "superpod_node_exporter_port": answers.get("node_exporter_port"),
        "superpod_cgroup_exporter_port": answers.get("cgroup_exporter_port"),
        "superpod_nvidia_gpu_exporter_port": answers.get("nvidia_gpu_exporter_port"),
        "superpod_dcgm_exporter_port": answers.get("dcgm_exporter_port"),
        "superpod_gpu_exporter": _GPU_EXPORTER.get(answers.get("gpu_exporter", "")),
        "dgx_exporters_job_hooks_placed": answers.get("job_hooks", False),
    }
    if _role_for_slurm(answers):
        made["slurm_controller_constrain_jobs"] = answers.get("configure_slurm")
        made["slurm_controller_summaries"] = answers.get("job_summaries")
    if answers.get("prometheus") == "new":
        made["prometheus_server_port"] = answers.get("prometheus_port")
        made["prometheus_server_retention_time"] = f"{answers.get('prometheus_retention_days', 365)}d"
    elif _prometheus_servers(answers):
        made["prometheus_server_use_existing"] = True
    if answers.get("prometheus_retention_days", 365) != 365:
        made["jobstats_settings"] = {"PROM_RETENTION_DAYS": answers["prometheus_retention_days"]}
    made |= _grafana(answers)
    if not answers.get("deploy_bcm_role_monitor", True):
        made["role_monitor_state"] = "absent"
        made["dgx_exporters_managed_by"] = "systemd"
    return {name: value for name, value in made.items() if value is not None}


def _grafana(answers: Mapping[str, Value]) -> dict[str, Value]:
    if answers.get("grafana") == "new":
        return {"grafana_server_port": answers.get("grafana_port")}
    if answers.get("configure_grafana"):
        return {
            "grafana_server_existing": "api",
            "grafana_server_url": answers.get("grafana_url"),
            "grafana_server_admin_user": answers.get("grafana_admin_user"),
        }
    return {}


def secret_variables(answers: Mapping[str, Value]) -> dict[str, str]:
    """The same for what must not be seen."""
    password = answers.get("grafana_admin_password")
    return {"grafana_server_admin_password": password} if password else {}
