# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What in CMDaemon's cmd.conf keeps it from writing Slurm's configuration files (bcm_settings warns about it)."""

from __future__ import annotations

import re

_DIRECTIVE = re.compile(r"^[ \t]*(FreezeChangesToSlurmConfig|FrozenFile)[ \t]*=[ \t]*(\{[^}]*\}|[^\n#]*)", re.MULTILINE)
_STRING = re.compile(r'"([^"]*)"')
_SLURM_FILE = re.compile(r"/(?:slurm|cgroup|gres|topology|slurmdbd)\.conf\Z")


def frozen_slurm(text: str) -> list[str]:
    """Return the directives of cmd.conf that freeze Slurm's files, as they stand there; comments do not count."""
    found = []
    for match in _DIRECTIVE.finditer(text):
        name, value = match[1], match[2].strip()
        if name == "FrozenFile":
            files = [path for path in _STRING.findall(value) if _SLURM_FILE.search(path)]
            found += [f'FrozenFile = {{ "{path}" }}' for path in files]
        elif value.strip('";').lower() in ("true", "yes", "1", "on"):
            found.append(f"{name} = {value}")
    return found
