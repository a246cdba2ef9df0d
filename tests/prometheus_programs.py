# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the tests find Prometheus' programs: on PATH, or where script/bootstrap unpacks them."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

UNPACKED = Path(__file__).parents[1] / ".cache" / "prometheus" / "usr" / "bin"


def find(name: str) -> str:
    """The program's path.  Raises FileNotFoundError."""
    found = shutil.which(name) or shutil.which(name, path=str(UNPACKED))
    if found is None:
        raise FileNotFoundError(f"there is no {name} on PATH or in {UNPACKED}; script/bootstrap unpacks it there")
    return found


def free_port() -> int:
    """A port of this machine's loopback that nobody has just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def promtool() -> str:
    """The path of promtool.  Raises FileNotFoundError."""
    return find("promtool")


def prometheus() -> str:
    """The path of prometheus.  Raises FileNotFoundError."""
    return find("prometheus")
