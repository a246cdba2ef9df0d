# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings and a world without a network, for the tests of the guided setup."""

from __future__ import annotations

import typing as t

from ansible_collections.superpod.monitoring.plugins.module_utils.setup_findings import (
    Findings,
    Host,
    Listener,
    Mount,
    Seen,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_model import Refused

ROOT = Mount("/", "ext4", "/dev/sda1", "2-1")
SHARED = Mount("/cm/shared", "nfs4", "master:/cm/shared", "96-1700000000")
HOSTS = (
    Host("bcm-head-01", "HeadNode", "", ("headnode",), "10.0.0.11"),
    Host("bcm-head-02", "HeadNode", "", ("headnode",), "10.0.0.12"),
    Host("slurm-ctl-01", "PhysicalNode", "slurm-controller", ("slurmserver", "slurmsubmit"), "10.0.0.21"),
    Host("login-01", "PhysicalNode", "login", ("slurmsubmit",), "10.0.0.31"),
    Host("mon-01", "PhysicalNode", "monitoring", (), "10.0.0.41"),
    Host("dgx-01", "PhysicalNode", "dgx-h200", ("slurmclient",), "10.0.0.101"),
    Host("dgx-02", "PhysicalNode", "dgx-h200", ("slurmclient",), "10.0.0.102"),
)


def findings(*, running: dict[str, list[Listener]] | None = None, **changes: t.Any) -> Findings:
    """A SuperPOD on which nothing of ours runs; `running` says who listens on which host."""
    seen = {host.name: Seen((ROOT, SHARED), tuple((running or {}).get(host.name, ()))) for host in HOSTS}
    values: dict[str, t.Any] = {
        "hosts": HOSTS,
        "headnodes": ("bcm-head-01", "bcm-head-02"),
        "cluster_name": "slurm",
        "cluster_name_source": "scontrol",
        "slurm_instances": ("slurm",),
        "seen": seen,
    }
    return Findings(**{**values, **changes})


class World:
    """Nothing listens; addresses answer what they are told to."""

    def __init__(
        self, answers: dict[str, tuple[int, t.Any]] | None = None, listening: set[tuple[str, int]] = frozenset()
    ) -> None:  # type: ignore[assignment]
        self.answers = answers or {}
        self.listening = listening
        self.passwords: list[str] = []

    def listens(self, host: Host, port: int) -> bool:
        return (host.name, port) in self.listening

    def get(self, url: str, user: str = "", password: str = "") -> tuple[int, t.Any]:
        if url not in self.answers:
            raise Refused("Connection refused")
        if user:
            self.passwords.append(password)
            if password != "right password":
                return 401, None
        return self.answers[url]
