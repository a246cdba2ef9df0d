# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration: read, checked by config.schema.json, completed with its defaults."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from superpod_monitoring import target_document

from . import schema

LARGEST = 1024 * 1024
"""Bytes; a larger file is no configuration."""


class ConfigError(ValueError):
    """A configuration that cannot be used; the message is one sentence that names the key and what to change."""


class Exporter(NamedTuple):
    """A systemd unit that is run while the role is held, and how Prometheus finds it."""

    unit: str
    job: str
    port: int


class Config(NamedTuple):
    """The keys of config.schema.json, where each is described; times in seconds."""

    bcm_headnodes: tuple[str, ...]
    bcm_port: int
    cert_path: str
    key_path: str
    ca_path: str | None
    verify: bool
    check_hostname: bool
    request_timeout: float
    roles: tuple[str, ...]
    check_interval: float
    retry_interval: float
    max_retries: int
    absent_roles_confirmations: int
    exporters: tuple[Exporter, ...]
    cluster_name: str
    prometheus_targets_dir: str
    file_timeout: float
    state_dir: str
    textfile_dir: str | None
    events: str
    on_stop: str
    log_level: str
    instance: str


def load(path: str, schema_path: str, overrides: Mapping[str, Any]) -> Config:
    """The configuration in a file.  Raises :class:`ConfigError`."""
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}.") from None
    rules = _rules(schema_path)
    try:
        return parse(content, rules, overrides)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _rules(path: str) -> dict[str, Any]:
    """The schema, as far as it is one of this version.  Raises :class:`ConfigError`."""
    try:
        with open(path, "rb") as file:
            rules = json.loads(file.read(LARGEST).decode("utf-8"))
        described = rules["properties"]
        if all("default" in described[name] for name in Config._fields):
            return dict(rules)
        reason = "a key has no default"
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, RecursionError):
        reason = "it is not JSON"
    except (KeyError, TypeError):
        reason = "it is not the schema of this version"
    raise ConfigError(f"{path}, a part of this program, cannot be used ({reason}): install the role monitor again.")


def parse(content: bytes, rules: dict[str, Any], overrides: Mapping[str, Any]) -> Config:
    """The configuration in a file's bytes.  Raises :class:`ConfigError`."""
    if len(content) > LARGEST:
        raise ConfigError("this is larger than a configuration can be.")
    try:
        given = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"this is not JSON: {error}.") from None
    found = schema.problems(given, rules)
    if found:
        raise ConfigError(found[0])
    settings = {**schema.defaults(rules), **given, **overrides}
    found = schema.problems(settings, rules)
    if found:
        raise ConfigError(found[0])
    return _config(settings)


def _config(settings: dict[str, Any]) -> Config:
    ports = {
        name: settings.pop(name) for name in ("node_exporter_port", "cgroup_exporter_port", "nvidia_gpu_exporter_port")
    }
    if settings["exporters"] is None:
        settings["exporters"] = [
            {"unit": "node_exporter.service", "job": "node_exporter", "port": ports["node_exporter_port"]},
            {"unit": "cgroup_exporter.service", "job": "cgroup_exporter", "port": ports["cgroup_exporter_port"]},
            {
                "unit": "nvidia_gpu_prometheus_exporter.service",
                "job": "gpu_exporter",
                "port": ports["nvidia_gpu_exporter_port"],
            },
        ]
    exporters = tuple(Exporter(one["unit"], one["job"], int(one["port"])) for one in settings["exporters"])
    for key, what in (("unit", "unit"), ("job", "job"), ("port", "port")):
        values = [getattr(exporter, key) for exporter in exporters]
        if len(set(values)) < len(values):
            raise ConfigError(f"exporters has the same {what} twice.")
    try:
        # A host name stands in for the node's own, which is not known before the first cycle.
        target_document.build("node", settings["cluster_name"], [(one.job, one.port) for one in exporters])
    except target_document.TargetDocumentError as error:
        raise ConfigError(str(error)) from None
    settings["exporters"] = exporters
    settings["bcm_headnodes"] = tuple(settings["bcm_headnodes"])
    settings["roles"] = tuple(role.lower() for role in settings["roles"])
    for key in ("bcm_port", "max_retries", "absent_roles_confirmations"):
        settings[key] = int(settings[key])
    for key in ("prometheus_targets_dir", "state_dir"):
        settings[key] = os.path.normpath(settings[key])
    return Config(**settings)
