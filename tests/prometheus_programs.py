# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the tests find Prometheus' programs: on PATH, or where script/bootstrap unpacks them."""

from __future__ import annotations

import shutil
from pathlib import Path

UNPACKED = Path(__file__).parents[1] / ".cache" / "prometheus" / "usr" / "bin"


def find(name: str) -> str:
    """The program's path.  Raises FileNotFoundError."""
    found = shutil.which(name) or shutil.which(name, path=str(UNPACKED))
    if found is None:
        raise FileNotFoundError(f"there is no {name} on PATH or in {UNPACKED}; script/bootstrap unpacks it there")
    return found


def promtool() -> str:
    """The path of promtool.  Raises FileNotFoundError."""
    return find("promtool")


def prometheus() -> str:
    """The path of prometheus.  Raises FileNotFoundError."""
    return find("prometheus")
