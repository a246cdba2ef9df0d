# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding what freezes Slurm's files in cmd.conf."""

from __future__ import annotations

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.cmd_conf import frozen_slurm

SLURM_CONF = "/cm/shared/apps/slurm/var/etc/slurm/slurm.conf"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("Port = 8080\n", []),
        ("FreezeChangesToSlurmConfig = true\n", ["FreezeChangesToSlurmConfig = true"]),
        ("  FreezeChangesToSlurmConfig=1  # we do it by hand", ["FreezeChangesToSlurmConfig = 1"]),
        ("# FreezeChangesToSlurmConfig = true\n", []),
        ("FreezeChangesToSlurmConfig = false\n", []),
        ("FreezeChangesToSlurmConfigs = true\n", []),
        (f'FrozenFile = {{ "{SLURM_CONF}" }}\n', [f'FrozenFile = {{ "{SLURM_CONF}" }}']),
        (f'FrozenFile = {{\n  "/etc/dhcpd.conf",\n  "{SLURM_CONF}"\n}}\n', [f'FrozenFile = {{ "{SLURM_CONF}" }}']),
        ('FrozenFile = { "/etc/dhcpd.conf", "/etc/postfix/main.cf" }\n', []),
    ],
)
def test_directives(text: str, found: list[str]) -> None:
    assert frozen_slurm(text) == found
