# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the role monitor with a wall clock that is off by as much as a file says: with_clock.py FILE ARGUMENTS..."""

from __future__ import annotations

import runpy
import sys
import time
from pathlib import Path

OFFSET = Path(sys.argv[1])
PROGRAM = Path(__file__).resolve().parents[3] / "files" / "bcm_role_monitor.py"
real_time = time.time


def stepped() -> float:
    return real_time() + float(OFFSET.read_text() or 0)


time.time = stepped
time.time_ns = lambda: int(stepped() * 1e9)
sys.argv = [str(PROGRAM), *sys.argv[2:]]
runpy.run_path(str(PROGRAM), run_name="__main__")
