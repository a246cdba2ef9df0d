# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every path that the roles create on a host, and what it means for a software image.  Pure: no I/O, no Ansible import.

Files of the distribution's packages are the package manager's to list; here are only those of them that hold state or
secrets.  tests/unit/plugins/module_utils/test_installed_files.py holds the table against the roles.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

IMAGE_SAFE = "image_safe"
"""The same on every host of its kind: it belongs into the software image, and a host without it there loses it."""
PER_NODE = "per_node"
"""One host's own: in an image it would turn up on all others, and a sync must not take it from its host."""
SECRET = "secret"  # noqa: S105 - the name of a class
"""A private key or password, or what works only with one: as `per_node`, and nobody else may read it."""
SHARED = "shared"
"""On shared storage, which is no part of an image."""
CLASSES = (IMAGE_SAFE, PER_NODE, SECRET, SHARED)

DEFAULT_PLACES: dict[str, str] = {
    "targets_dir": "/cm/shared/apps/jobstats/prometheus-targets",
    "textfile_dir": "/var/lib/node_exporter/textfile_collector",
    "certificate_dir": "/cm/shared/apps/jobstats/certificate",
    "job_hooks_shared_dir": "/cm/shared/apps/slurm/var/cm",
    "prolog_dir": "/cm/local/apps/slurm/var/prologs",
    "epilog_dir": "/cm/local/apps/slurm/var/epilogs",
    "prometheus_data_dir": "/var/lib/prometheus/metrics2",
    "grafana_files_dir": "/root/superpod-grafana",
    "bcm_record_dir": "/cm/shared/apps/jobstats/slurm_controller",
}
"""The directories that a site may move, as the roles' defaults have them."""


@dataclass(frozen=True)
class InstalledFile:
    """One line of the table.

    `pattern` is a path in which `*` stands for any characters but `/`, a last `/**` for everything below, and `{name}`
    for a directory of DEFAULT_PLACES.
    """

    role: str
    pattern: str
    kind: str

    def path(self, places: Mapping[str, str]) -> str:
        """The pattern with the directories of this site."""
        return self.pattern.format(**{name: place.rstrip("/") for name, place in {**DEFAULT_PLACES, **places}.items()})


def _table() -> t.Iterator[InstalledFile]:
    for role, kinds in _BY_ROLE.items():
        for kind, patterns in kinds.items():
            for pattern in patterns.split():
                yield InstalledFile(role, pattern, kind)


# Patterns are separated by white space.
_BY_ROLE: dict[str, dict[str, str]] = {
    "dgx_exporters": {
        IMAGE_SAFE: """
            /opt/superpod
            /opt/superpod/node_exporter /opt/superpod/node_exporter/**
            /opt/superpod/cgroup_exporter /opt/superpod/cgroup_exporter/**
            /opt/superpod/nvidia_gpu_prometheus_exporter /opt/superpod/nvidia_gpu_prometheus_exporter/**
            /opt/superpod/dcgm-exporter /opt/superpod/dcgm-exporter/**
            /usr/local/bin/node_exporter
            /usr/local/bin/cgroup_exporter
            /usr/local/bin/nvidia_gpu_prometheus_exporter
            /usr/local/bin/dcgm-exporter
            /etc/systemd/system/node_exporter.service
            /etc/systemd/system/cgroup_exporter.service
            /etc/systemd/system/nvidia_gpu_prometheus_exporter.service
            /etc/systemd/system/dcgm-exporter.service
            /etc/systemd/system/prometheus-node-exporter.service
            /etc/systemd/system/nvidia-dcgm-exporter.service.d
            /etc/systemd/system/nvidia-dcgm-exporter.service.d/superpod.conf
            /etc/systemd/system/multi-user.target.wants/node_exporter.service
            /etc/systemd/system/multi-user.target.wants/cgroup_exporter.service
            /etc/systemd/system/multi-user.target.wants/nvidia_gpu_prometheus_exporter.service
            /etc/systemd/system/multi-user.target.wants/dcgm-exporter.service
            /etc/systemd/system/multi-user.target.wants/nvidia-dcgm-exporter.service
            /etc/tmpfiles.d/superpod-gpu-jobs.conf
            /etc/dgx_exporters
            /etc/dgx_exporters/sysusers.conf
            /etc/dgx_exporters/dcgm-counters.csv
            /etc/firewalld/services/superpod-exporters.xml
            /var/lib/node_exporter
            {textfile_dir}
            /cm/local/apps/slurm /cm/local/apps/slurm/var
            {prolog_dir}
            {epilog_dir}
            {prolog_dir}/60-prolog-jobstats.sh
            {prolog_dir}/60-prolog-dcgm.sh
            {epilog_dir}/60-epilog-jobstats.sh
            {epilog_dir}/60-epilog-dcgm.sh
        """,
        PER_NODE: """
            /run/gpustat /run/gpustat/**
            /run/dcgm-job-map /run/dcgm-job-map/**
        """,
        SECRET: """
            /etc/dgx_exporters/web-config.yml
            /etc/dgx_exporters/web.pem
            /etc/dgx_exporters/web.key
        """,
        SHARED: """
            /cm/shared/apps/slurm /cm/shared/apps/slurm/var
            {job_hooks_shared_dir}
            {job_hooks_shared_dir}/prolog-jobstats.sh
            {job_hooks_shared_dir}/prolog-dcgm.sh
            {job_hooks_shared_dir}/epilog-jobstats.sh
            {job_hooks_shared_dir}/epilog-dcgm.sh
        """,
    },
    "role_monitor": {
        IMAGE_SAFE: """
            /usr/local/bin/bcm_role_monitor.py
            /usr/local/lib/bcm-role-monitor /usr/local/lib/bcm-role-monitor/**
            /etc/bcm-role-monitor
            /etc/bcm-role-monitor/*.json
            /etc/bcm-role-monitor/ca.pem /etc/bcm-role-monitor/ca_*.pem
            /etc/systemd/system/bcm-role-monitor.service /etc/systemd/system/bcm-role-monitor@*.service
            /etc/systemd/system/multi-user.target.wants/bcm-role-monitor.service
            /etc/systemd/system/multi-user.target.wants/bcm-role-monitor@*.service
        """,
        PER_NODE: """
            /var/lib/bcm-role-monitor /var/lib/bcm-role-monitor/**
            /var/lib/bcm-role-monitor@* /var/lib/bcm-role-monitor@*/**
            /run/bcm-role-monitor /run/bcm-role-monitor/**
            /run/bcm-role-monitor@* /run/bcm-role-monitor@*/**
            {textfile_dir}/bcm_role_monitor.prom {textfile_dir}/bcm_role_monitor_*.prom
        """,
        SECRET: """
            /etc/bcm-role-monitor/client.pem /etc/bcm-role-monitor/client_*.pem
            /etc/bcm-role-monitor/client.key /etc/bcm-role-monitor/client_*.key
            {certificate_dir}/role-monitor.pem {certificate_dir}/role-monitor.pem.* {certificate_dir}/role-monitor.key
        """,
        SHARED: """
            /cm/shared/apps/jobstats
            {certificate_dir}
            {targets_dir} {targets_dir}/*.json
        """,
    },
    "prometheus_server": {
        IMAGE_SAFE: """
            /opt/superpod
            /opt/superpod/prometheus /opt/superpod/prometheus/**
            /usr/local/bin/prometheus
            /usr/local/bin/promtool
            /etc/systemd/system/prometheus.service
            /etc/systemd/system/multi-user.target.wants/prometheus.service
            /var/lib/prometheus
            /etc/prometheus
            /etc/prometheus/rules /etc/prometheus/rules/*
            /etc/prometheus/credentials
            /root/superpod-prometheus.yml
            /etc/firewalld/services/superpod-prometheus.xml
        """,
        # prometheus.yml: which of several servers it is, by labels or by its share of the nodes
        PER_NODE: """
            /etc/prometheus/prometheus.yml
            {prometheus_data_dir} {prometheus_data_dir}/**
        """,
        SECRET: """
            /etc/prometheus/web.yml
            /etc/prometheus/credentials/*
        """,
    },
    "grafana_server": {
        IMAGE_SAFE: """
            /etc/systemd/system/multi-user.target.wants/grafana-server.service
            /etc/grafana/grafana.ini
            /etc/grafana/provisioning
            /etc/grafana/provisioning/datasources
            /etc/grafana/provisioning/dashboards
            /etc/grafana/provisioning/datasources/superpod.yml
            /etc/grafana/provisioning/dashboards/superpod.yml
            /etc/superpod-grafana
            /etc/firewalld/services/superpod-grafana.xml
            /etc/superpod-grafana/dashboards /etc/superpod-grafana/dashboards/*.json
            /etc/superpod-grafana/secrets
            /etc/apt/keyrings
            /etc/apt/keyrings/superpod-grafana.asc
            /etc/apt/sources.list.d/superpod-grafana.sources
            /etc/apt/preferences.d/superpod-grafana
            /etc/pki/rpm-gpg/RPM-GPG-KEY-superpod-grafana
            /etc/yum.repos.d/superpod-grafana.repo
            {grafana_files_dir}
            {grafana_files_dir}/dashboards {grafana_files_dir}/dashboards/*.json
            {grafana_files_dir}/secrets
            {grafana_files_dir}/provisioning
            {grafana_files_dir}/provisioning/datasources {grafana_files_dir}/provisioning/datasources/superpod.yml
            {grafana_files_dir}/provisioning/dashboards {grafana_files_dir}/provisioning/dashboards/superpod.yml
        """,
        PER_NODE: """
            /var/lib/grafana /var/lib/grafana/**
            /var/cache/superpod-grafana /var/cache/superpod-grafana/*
        """,
        SECRET: """
            /etc/grafana/superpod.crt
            /etc/grafana/superpod.key
            /etc/superpod-grafana/secrets/*
            {grafana_files_dir}/secrets/*
        """,
    },
    "slurm_controller": {
        IMAGE_SAFE: """
            /usr/local/sbin/epilogslurmctld-*.sh
            /etc/systemd/system/jobstats-ingest-*.service /etc/systemd/system/jobstats-ingest-*.timer
            /etc/systemd/system/timers.target.wants/jobstats-ingest-*.timer
        """,
        # made from what this controller's Slurm had before; in an image nobody can ask it
        PER_NODE: """
            /etc/jobstats/epilogslurmctld-*.conf
        """,
        SECRET: """
            /etc/jobstats/database.cnf
        """,
        SHARED: """
            {bcm_record_dir} {bcm_record_dir}/*.previous
        """,
    },
    "login_node": {
        IMAGE_SAFE: """
            /usr/local/bin/jobstats
        """,
    },
    "jobstats": {
        IMAGE_SAFE: """
            /etc/jobstats
            /usr/local/jobstats /usr/local/jobstats/**
        """,
    },
}

BY_PACKAGES = frozenset({"/etc/prometheus/prometheus.yml"})
"""Of one host, and yet in an image without harm: the distribution's package brings one, and nothing secret is in it."""

INSTALLED_FILES: tuple[InstalledFile, ...] = tuple(_table())


def matcher(pattern: str) -> re.Pattern[str]:
    """The pattern of a line, with its directories filled in, for `fullmatch` on a path."""
    below = pattern.endswith("/**")
    parts = [re.escape(part) for part in (pattern[: -len("/**")] if below else pattern).split("*")]
    return re.compile("[^/]*".join(parts) + ("/.+" if below else ""), re.DOTALL)


def classify(
    path: str, places: Mapping[str, str] | None = None, roles: t.Collection[str] | None = None
) -> InstalledFile | None:
    """The line that says what `path` is, or None if no role (of `roles`) makes it.

    `path` is absolute as the host sees it, without a last `/`; `places` names directories that this site moved, by the
    keys of DEFAULT_PLACES.  Where several lines match, the strictest class counts.
    """
    found = [
        line
        for line in INSTALLED_FILES
        if (roles is None or line.role in roles) and matcher(line.path(places or {})).fullmatch(path)
    ]
    return min(found, key=lambda line: (SECRET, PER_NODE, SHARED, IMAGE_SAFE).index(line.kind), default=None)
