# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of installed files, by itself and against what the roles say that they create."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.superpod.monitoring.plugins.module_utils.installed_files import (
    CLASSES,
    DEFAULT_PLACES,
    IMAGE_SAFE,
    INSTALLED_FILES,
    PER_NODE,
    SECRET,
    SHARED,
    classify,
)

ROOT = Path(__file__).resolve().parents[4]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
# What the roles name and do not create: they read it, run it, or it is made by a package before they write into it.
NOT_CREATED = re.compile(
    r"/cm/local/apps/cmd/etc/.*"
    r"|/cm/(local|shared)/apps/slurm/current/bin"
    r"|/cm/shared/apps/slurm/var/etc(/.*)?|/etc/slurm/slurm\.conf"
    r"|/etc/systemd/system|/etc/systemd/system/multi-user\.target\.wants"
    r"|/usr/local/s?bin|/usr/bin(/.*)?|/usr/sbin/.*|/bin/.*"
    r"|/var/lib|/etc/grafana|/etc/grafana/provisioning"
    r"|/etc/systemd/system/multi-user\.target\.wants/prometheus-node-exporter\.service"
)
PATH = re.compile(r"(?<![\w./~*}<%-])/(?:bin|boot|cm|etc|opt|root|run|srv|usr|var)/[\w.@*/-]*(?!\{\{|[\w.@*/-])")
TEMPLATE = re.compile(r"\{\{.*?\}\}", re.DOTALL)
REFERENCE = re.compile(r"\{\{ *(\w+)(?: or '(\w+)')? *\}\}")
JOINED = re.compile(r"\b(_?[a-z]\w+) ~ '(/[^']*)'")


# Variables whose value the role's own conditions choose: each way once.
CHOICES: dict[str, list[dict[str, str]]] = {
    "dgx_exporters": [
        {"_dgx_exporters_job_hooks_wanted": kind, "_dgx_exporters_job_hooks_kind": kind}
        for kind in ("jobstats", "dcgm")
    ],
    "role_monitor": [
        {"_role_monitor_name": "bcm-role-monitor", "_role_monitor_file_suffix": ""},
        {"_role_monitor_name": "bcm-role-monitor@second", "_role_monitor_file_suffix": "_second"},
    ],
}


def yaml_files(role: str) -> list[Path]:
    return [
        path
        for part in ("defaults", "vars", "tasks", "handlers")
        for path in (ROOT / "roles" / role / part).rglob("*.yml")
    ]


def scalars(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from scalars(item)
    elif isinstance(value, list):
        for item in value:
            yield from scalars(item)
    elif isinstance(value, str):
        yield value


def variables(role: str) -> dict[str, str]:
    """The role's variables that are texts; those of the role that it imports, too."""
    found: dict[str, str] = {}
    for name in ("jobstats", role):
        for part in ("defaults", "vars"):
            for path in (ROOT / "roles" / name / part).rglob("*.yml"):
                found.update(
                    {key: value for key, value in yaml.safe_load(path.read_text()).items() if isinstance(value, str)}
                )
    return found


def filled(text: str, known: dict[str, str]) -> str:
    """The text with variables in place; what is known only when the role runs becomes `x`, which no pattern names."""
    for _ in range(6):
        text = REFERENCE.sub(lambda match: known.get(match[1], "x"), text)
        text = JOINED.sub(lambda match: f"'{known.get(match[1], '<')}{match[2]}'", text)
    return text


def paths_in(text: str, known: dict[str, str]) -> set[str]:
    """The absolute paths in a scalar: those inside of its templates, and itself with `x` for each template."""
    text = filled(text, known)
    return {word.rstrip("/.") for form in (text, TEMPLATE.sub("x", text)) for word in PATH.findall(form)}


def created(role: str) -> set[str]:
    """The absolute paths in the role's YAML, but for those that it does not create."""
    paths: set[str] = set()
    for choice in CHOICES.get(role, [{}]):
        known = {**variables(role), **choice}
        for path in yaml_files(role):
            for text in scalars(yaml.safe_load(path.read_text())):
                paths |= paths_in(text, known)
                if re.fullmatch(r"[\w@-]+\.service", text):
                    paths.add(f"/etc/systemd/system/multi-user.target.wants/{text}")
    return {path for path in paths if not NOT_CREATED.fullmatch(path)}


@pytest.mark.parametrize("role", ROLES)
def test_every_path_of_a_role_is_in_the_table(role: str) -> None:
    unknown = sorted(path for path in created(role) if classify(path) is None)
    assert not unknown, (
        f"{role} names {unknown}: add them to installed_files.py, or to NOT_CREATED if it creates them not"
    )


@pytest.mark.parametrize(
    "role", ["dgx_exporters", "role_monitor", "prometheus_server", "grafana_server", "slurm_controller"]
)
def test_the_paths_of_the_roles_are_found_at_all(role: str) -> None:
    assert len(created(role)) > 4


def test_a_new_file_in_a_role_is_noticed() -> None:
    known = {"_dir": "/etc/dgx_exporters", "_unit_dir": "/etc/systemd/system"}
    for text in ("{{ _dir }}/new.conf", "{{ [_unit_dir ~ '/new.service'] }}", "/etc/tmpfiles.d/new.conf"):
        (path,) = paths_in(text, known)
        assert classify(path) is None


@pytest.mark.parametrize("role", ROLES)
def test_every_line_of_the_table_is_of_a_role(role: str) -> None:
    """Where a role goes, its lines go: each pattern's fixed beginning stands in the role's files."""
    assert any(line.role == role for line in INSTALLED_FILES)
    assert {line.role for line in INSTALLED_FILES} <= set(ROLES)


def test_the_defaults_of_the_places_are_the_roles_defaults() -> None:
    texts = "\n".join(path.read_text() for role in ROLES for path in yaml_files(role))
    for name, path in DEFAULT_PLACES.items():
        assert path in texts, name


def test_every_line_has_a_class_and_is_there_once() -> None:
    assert {line.kind for line in INSTALLED_FILES} == set(CLASSES)
    assert len({(line.role, line.pattern) for line in INSTALLED_FILES}) == len(INSTALLED_FILES)


@pytest.mark.parametrize(
    ("path", "role", "kind"),
    [
        ("/etc/bcm-role-monitor/client.key", "role_monitor", SECRET),
        ("/etc/bcm-role-monitor/client_second.key", "role_monitor", SECRET),
        ("/etc/bcm-role-monitor/config.json", "role_monitor", IMAGE_SAFE),
        ("/etc/bcm-role-monitor/second.json", "role_monitor", IMAGE_SAFE),
        ("/var/lib/bcm-role-monitor/dgx-01_state.json", "role_monitor", PER_NODE),
        ("/var/lib/bcm-role-monitor@second", "role_monitor", PER_NODE),
        ("/usr/local/lib/bcm-role-monitor/superpod_monitoring/__pycache__/x.pyc", "role_monitor", IMAGE_SAFE),
        ("/cm/shared/apps/jobstats/prometheus-targets/dgx-01.json", "role_monitor", SHARED),
        ("/cm/shared/apps/jobstats/certificate/role-monitor.key", "role_monitor", SECRET),
        ("/opt/superpod/node_exporter/1.5.0/node_exporter", "dgx_exporters", IMAGE_SAFE),
        ("/var/lib/prometheus/metrics2/wal/00000001", "prometheus_server", PER_NODE),
        ("/etc/superpod-grafana/secrets/admin_password", "grafana_server", SECRET),
    ],
)
def test_classify(path: str, role: str, kind: str) -> None:
    line = classify(path)
    assert line is not None
    assert (line.role, line.kind) == (role, kind)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/bcm-role-monitor/client.key/x",
        "/etc/bcm-role-monitor/sub/config.json",
        "/var/lib/bcm-role-monitors",
        "/opt/superpod/other",
        "/etc/bcm-role-monitor/client.key.bak",
        "",
    ],
)
def test_what_no_role_makes(path: str) -> None:
    assert classify(path) is None


def test_moved_directories_are_found_where_they_are() -> None:
    moved = {"textfile_dir": "/srv/text[1]"}
    line = classify("/srv/text[1]/bcm_role_monitor.prom", moved)
    assert line is not None
    assert line.kind == PER_NODE
    assert classify("/srv/text1/bcm_role_monitor.prom", moved) is None
    assert classify("/var/lib/node_exporter/textfile_collector/bcm_role_monitor.prom", moved) is None


def test_the_strictest_class_counts() -> None:
    """The data directory of Prometheus may be anywhere, for example where something else is."""
    line = classify("/opt/superpod/prometheus/data/wal", {"prometheus_data_dir": "/opt/superpod/prometheus/data"})
    assert line is not None
    assert line.kind == PER_NODE


def test_only_some_roles() -> None:
    assert classify("/usr/local/bin/jobstats", roles=["dgx_exporters"]) is None
    assert classify("/usr/local/bin/jobstats", roles=["login_node"]) is not None


def test_a_directory_may_be_given_with_a_slash_at_its_end() -> None:
    key = "/srv/keys/role-monitor.key"
    found = classify(key, {"certificate_dir": "/srv/keys/"})
    assert found is not None
    assert (found.kind, found.path({"certificate_dir": "/srv/keys/"})) == ("secret", key)
