# SPDX-License-Identifier: GPL-3.0-or-later
"""`python3 -m bcm_simulator`."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
