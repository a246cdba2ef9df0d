# SPDX-License-Identifier: GPL-3.0-or-later
"""The role monitor of superpod.monitoring: keeps a node's exporters and its target file in step with its BCM roles."""

from __future__ import annotations

__version__ = "1.0.0"
