# SPDX-License-Identifier: GPL-3.0-or-later
"""What is logged: to the journal with its levels, one line for each change and none for what stays as it was."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TextIO

from .decision import Note

LEVELS = {"debug": 7, "info": 6, "warning": 4, "error": 3}
"""syslog priorities, which sd-daemon(3) takes as a prefix of each line."""


class Journal:
    """Writes lines to standard error; knows what was last said about each thing."""

    def __init__(self, level: str = "info", stream: TextIO | None = None) -> None:
        self.level = level
        self._stream = sys.stderr if stream is None else stream
        self._prefix = "JOURNAL_STREAM" in os.environ
        self._said: dict[str, Note] = {}

    def say(self, level: str, text: str) -> None:
        """One line, if the level is wanted."""
        if LEVELS[level] > LEVELS[self.level]:
            return
        line = " ".join(text.split())
        line = f"<{LEVELS[level]}>{line}" if self._prefix else f"{level}: {line}"
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads any more (ValueError: closed); that is no reason to stop working.
            return

    def report(self, notes: Iterable[Note]) -> None:
        """Say what is new: each note whose key was last said with another text, or never.

        The end of a trouble is worth a line too, even where all being well is not.
        """
        for note in notes:
            before = self._said.get(note.key)
            if before is not None and before.text == note.text and before.level == note.level:
                continue
            self._said[note.key] = note
            was_trouble = before is not None and before.level in ("warning", "error")
            self.say("info" if was_trouble and note.level == "debug" else note.level, note.text)
