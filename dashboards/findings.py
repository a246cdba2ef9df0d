# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of dashboards find."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One fault: a short code, where it is, and one sentence."""

    code: str
    dashboard: str
    panel: str
    text: str

    def __str__(self) -> str:
        where = f"{self.dashboard}, {self.panel!r}" if self.panel else self.dashboard
        return f"{self.code}: {where}: {self.text}"
