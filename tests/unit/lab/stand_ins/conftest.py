# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-ins import the modules beside them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4] / "lab" / "stand_ins"))
