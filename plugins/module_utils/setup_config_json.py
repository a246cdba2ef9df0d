# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration files (JSON) of earlier set-up tools for jobstats and dcgm-exporter, as answers.  No I/O."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .setup_model import Value
from .setup_questions import TARGETS_DIR

_PLAIN = (
    "cluster_name",
    "prometheus_port",
    "grafana_port",
    "node_exporter_port",
    "cgroup_exporter_port",
    "nvidia_gpu_exporter_port",
    "dcgm_exporter_port",
    "prometheus_retention_days",
    "deploy_bcm_role_monitor",
    "bcm_category_management",
)
_OTHERS = (
    "prometheus_server",
    "grafana_server",
    "use_existing_prometheus",
    "use_existing_grafana",
    "use_custom_prometheus_targets_dir",
    "prometheus_targets_dir",
    "bcm_headnode",
    "dcgm_mode",
    "hpc_job_mapping_dir",
    "systems",
    "deployment_options",
    "paths",
    "service_settings",
)
KEYS = frozenset((*_PLAIN, *_OTHERS))
"""All top-level keys."""

_SYSTEMS = {
    "slurm_controller": "slurm_controllers",
    "login_nodes": "login_nodes",
    "dgx_nodes": "dgx_nodes",
    "prometheus_server": "prometheus_servers",
    "grafana_server": "grafana_servers",
    "bcm_headnode": "headnodes",
}
_OPTIONS = ("deploy_dcgm_exporter", "deploy_slurm_prolog_epilog", "deploy_bcm_role_monitor", "configure_prometheus")
_PATHS = (
    "shared_base",
    "prolog_shared",
    "prolog_local",
    "epilog_local",
    "dcgm_exporter_binary",
    "dcgm_exporter_config",
)
_JOB_MAP = "/run/dcgm-job-map"
_SERVICE = ("dcgm_exporter_user", "restart_policy", "restart_sec")


@dataclass
class Taken:
    """Answers, what is not used although it was given, and what cannot be used; sentences without a full stop."""

    answers: dict[str, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def answers_of(config: t.Any) -> Taken:
    """The answers that the content of such a file means."""
    taken = Taken()
    if not isinstance(config, dict):
        taken.problems.append("the configuration must be a JSON object")
        return taken
    _only(config, KEYS, "", taken)
    for key in _PLAIN:
        if key in config:
            taken.answers[key] = config[key]
    systems = _mapping(config, "systems", _SYSTEMS, taken)
    for key, question in _SYSTEMS.items():
        if key in systems:
            taken.answers[question] = _names(systems[key], f"systems.{key}", taken)
    if "bcm_headnode" in config and not taken.answers.get("headnodes"):
        taken.answers["headnodes"] = _names(config["bcm_headnode"], "bcm_headnode", taken)
    options = _mapping(config, "deployment_options", _OPTIONS, taken)
    _server(config, "prometheus", 9090, taken)
    _server(config, "grafana", 3000, taken)
    if options.get("configure_prometheus") is False and config.get("use_existing_prometheus") is not True:
        taken.answers["prometheus"] = "skip"
    _targets_dir(config, taken)
    _dcgm(config, options, taken)
    _unused(config, taken)
    return taken


def _server(config: Mapping[str, t.Any], name: str, port: int, taken: Taken) -> None:
    """`NAME_server`, `use_existing_NAME`, `NAME_port` and `systems.NAME_server`: the latter names the host."""
    existing = config.get(f"use_existing_{name}")
    named = _names(config[f"{name}_server"], f"{name}_server", taken) if f"{name}_server" in config else []
    hosts = taken.answers.pop(f"{name}_servers", None) or named
    if existing is None and not hosts:
        return
    if not isinstance(existing, (bool, type(None))):
        taken.problems.append(f"use_existing_{name} must be true or false")
        return
    taken.answers[name] = "existing" if existing else "new"
    if not existing:
        taken.answers[f"{name}_servers"] = hosts
        if named and not set(named) <= set(hosts):
            taken.notes.append(
                f"{name}_server names {named[0]}, but systems.{name}_server does not: the latter is used"
            )
    elif hosts:
        host = (named or hosts)[0]
        url = host if "//" in host else f"http://{host}:{config.get(f'{name}_port', port)}"
        taken.answers[f"{name}_url"] = url


def _targets_dir(config: Mapping[str, t.Any], taken: Taken) -> None:
    """The role monitor's three cases: new Prometheus, existing one with a directory, existing one without."""
    directory, custom = config.get("prometheus_targets_dir"), config.get("use_custom_prometheus_targets_dir")
    if directory is not None and custom is False and str(directory).rstrip("/") != TARGETS_DIR:
        taken.notes.append("use_custom_prometheus_targets_dir is false, so prometheus_targets_dir is not used")
        directory = None
    if directory is not None:
        taken.answers["prometheus_targets_dir"] = directory
        taken.answers["use_custom_prometheus_targets_dir"] = str(directory).rstrip("/") != TARGETS_DIR
    elif custom is True and config.get("use_existing_prometheus") is not True:
        taken.problems.append("use_custom_prometheus_targets_dir is true, but prometheus_targets_dir is missing")
    else:
        taken.answers["use_custom_prometheus_targets_dir"] = False


def _dcgm(config: Mapping[str, t.Any], options: Mapping[str, t.Any], taken: Taken) -> None:
    jobstats = "cgroup_exporter_port" in config or "nvidia_gpu_exporter_port" in config
    dcgm = options.get("deploy_dcgm_exporter", "dcgm_exporter_port" in config) is True
    if jobstats:
        taken.answers["gpu_exporter"] = "jobstats"
        if dcgm:
            taken.notes.append("a node has one GPU exporter here, and nvidia_gpu_prometheus_exporter is taken")
    elif dcgm or "deploy_dcgm_exporter" in options:
        taken.answers["gpu_exporter"] = "dcgm" if dcgm else "none"
    if config.get("dcgm_mode", "remote") not in ("remote", "embedded"):
        taken.problems.append("dcgm_mode must be remote or embedded")
    elif config.get("dcgm_mode") == "embedded":
        taken.notes.append(
            "dcgm_mode is embedded, which NVIDIA does not support beside the nvidia-dcgm service: that service is used"
        )
    if config.get("hpc_job_mapping_dir", _JOB_MAP) != _JOB_MAP:
        taken.notes.append(f"hpc_job_mapping_dir is not used: prolog and exporter agree on {_JOB_MAP}")
    if "deploy_slurm_prolog_epilog" in options:
        taken.answers["job_hooks"] = options["deploy_slurm_prolog_epilog"]
    if "deploy_bcm_role_monitor" in options:
        taken.answers["deploy_bcm_role_monitor"] = options["deploy_bcm_role_monitor"]


def _unused(config: Mapping[str, t.Any], taken: Taken) -> None:
    for key, known, why in (
        ("paths", _PATHS, "the roles install to places of their own, which docs/guided_setup.md lists"),
        ("service_settings", _SERVICE, "the roles' units have users and restart settings of their own"),
    ):
        given = _mapping(config, key, known, taken)
        if given:
            taken.notes.append(f"{key} ({', '.join(sorted(given))}) is not used: {why}")


def _mapping(config: Mapping[str, t.Any], key: str, known: t.Iterable[str], taken: Taken) -> Mapping[str, t.Any]:
    value = config.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        taken.problems.append(f"{key} must be an object")
        return {}
    _only(value, known, f"{key}.", taken)
    return value


def _only(given: Mapping[str, t.Any], known: t.Iterable[str], prefix: str, taken: Taken) -> None:
    allowed = set(known)
    taken.problems += [
        f"{prefix}{key} is not known here" for key in given if key not in allowed and not str(key).startswith("_")
    ]


def _names(value: t.Any, where: str, taken: Taken) -> list[str]:
    """One name or a list of names."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        taken.problems.append(f"{where} must be a host's name or a list of them")
        return []
    return names
