# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the roles' variables each answer sets.  The only place that knows the roles' names."""

from __future__ import annotations

from collections.abc import Mapping

from .setup_model import Value
from .setup_questions import TARGETS_DIR

_GPU = {"jobstats": "nvidia_gpu_prometheus_exporter", "dcgm": "dcgm", "both": "both", "none": "none"}


def exporters(answers: Mapping[str, Value]) -> list[tuple[str, int]]:
    """Job and port of each exporter on a DGX node."""
    gpu = answers.get("gpu_exporters")
    listed = [
        ("node_exporter", answers.get("node_exporter_port", 9100)),
        ("cgroup_exporter", answers.get("cgroup_exporter_port", 9306)),
    ]
    if gpu in ("jobstats", "both"):
        listed.append(("gpu_exporter", answers.get("nvidia_gpu_exporter_port", 9445)))
    if gpu in ("dcgm", "both"):
        listed.append(("dcgm_exporter", answers.get("dcgm_exporter_port", 9400)))
    return listed


def prometheus_url(answers: Mapping[str, Value]) -> str | None:
    """Where Prometheus answers, as hosts of the cluster reach it."""
    if answers.get("prometheus") == "existing":
        return answers.get("prometheus_url")
    servers = answers.get("prometheus_servers") or []
    # a category or a glob is no host's name: the roles then take the first of the group
    if answers.get("prometheus") == "new" and servers and servers[0].replace("-", "").replace(".", "").isalnum():
        return f"http://{servers[0]}:{answers.get('prometheus_port', 9090)}"
    return None


def variables(answers: Mapping[str, Value]) -> dict[str, Value]:
    """The roles' variables in the order of the sections; only what differs from their defaults or says who is who."""
    made: dict[str, Value] = {
        "superpod_cluster_name": answers.get("cluster_name", "slurm"),
        "superpod_targets_dir": answers.get("prometheus_targets_dir", TARGETS_DIR),
        "superpod_prometheus_url": prometheus_url(answers),
        "superpod_node_exporter_port": answers.get("node_exporter_port"),
        "superpod_cgroup_exporter_port": answers.get("cgroup_exporter_port"),
        "superpod_nvidia_gpu_exporter_port": answers.get("nvidia_gpu_exporter_port"),
        "superpod_dcgm_exporter_port": answers.get("dcgm_exporter_port"),
        "superpod_gpu_exporter": _GPU.get(answers.get("gpu_exporters", "")),
    }
    if answers.get("prometheus") == "new":
        made["prometheus_server_port"] = answers.get("prometheus_port")
        made["prometheus_server_retention_time"] = f"{answers.get('prometheus_retention_days', 365)}d"
    if answers.get("grafana") == "new":
        made["grafana_server_port"] = answers.get("grafana_port")
    if not answers.get("deploy_bcm_role_monitor", True):
        made["role_monitor_state"] = "absent"
        made["dgx_exporters_managed_by"] = "systemd"
    return {name: value for name, value in made.items() if value is not None}


def secret_variables(answers: Mapping[str, Value]) -> dict[str, str]:
    """The same for what must not be seen."""
    password = answers.get("grafana_admin_password")
    return {"grafana_server_admin_password": password} if password else {}
