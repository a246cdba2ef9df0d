# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's modules lie beside it, not on pytest's path: importing the program finds them as a host does."""

from __future__ import annotations

import bcm_role_monitor  # noqa: F401
from hypothesis import HealthCheck, settings

# A busy machine must not fail a test.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
