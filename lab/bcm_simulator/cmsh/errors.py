# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ways in which a command fails."""

from __future__ import annotations

from collections.abc import Sequence


class CmshError(Exception):
    """What a BCM would refuse as well.  Exit status and stream follow the switches; the texts are not BCM's."""


class CommitRefusedError(CmshError):
    """A validation that failed: rows of field and message, printed as BCM's table."""

    def __init__(self, rows: Sequence[tuple[str, str]]) -> None:
        super().__init__("commit refused")
        self.rows = tuple(rows)


class NotSimulatedError(Exception):
    """A command, mode, property or option that the simulator does not know.  Always status 2 and standard error."""
