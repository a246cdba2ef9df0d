# SPDX-License-Identifier: GPL-3.0-or-later
"""A command in a terminal, as somebody sits there: sees what it says and types answers."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pexpect
from ansible_command import assert_warns

PATIENCE = 240
PAUSE = 20
SSH = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]


class Terminal:
    """On a host that ssh leads to; Ansible warns there of each of `warns`, and of nothing else."""

    def __init__(self, login: list[str], command: str, warns: Iterable[str] = ()) -> None:
        self._child = pexpect.spawn("ssh", ["-tt", *SSH, *login, command], timeout=PATIENCE, encoding="utf-8")
        self._child.setwinsize(50, 200)
        self._warns = tuple(warns)
        self.seen = ""
        self._typed: str | None = None

    def until(self, pattern: str) -> str:
        """Wait for a text; returns what came before it and with it.

        Ansible throws away what was typed before it asks. A busy machine can be late with that, so what was typed is
        typed again where nothing happens; between two questions that does no harm, for the same reason.
        """
        for _attempt in range(PATIENCE // PAUSE):
            if self._child.expect([pattern, pexpect.TIMEOUT], timeout=PAUSE) == 0:
                text = str(self._child.before) + str(self._child.after)
                self.seen += text
                self._typed = None
                return text
            if self._typed is not None and not self._child.before.strip("\r\n"):
                self._child.sendline(self._typed)
        raise AssertionError(f"{pattern} did not come:\n{self._child.before}")

    def type(self, text: str) -> None:
        time.sleep(0.5)
        self._typed = text
        self._child.sendline(text)

    def answer(self, key: str, text: str = "") -> str:
        """Answer the question of this name, which must be the next one; returns what was said before it."""
        before = self.until(r"\n([a-z_]+)( \[[^\r\n]*\])?:\r\n")
        asked = self._child.match[1]
        assert asked == key, f"{asked} was asked, not {key}:\n{before}"
        self.type(text)
        return before

    def interrupt(self) -> None:
        time.sleep(0.5)
        self._child.sendcontrol("c")

    def end(self) -> int:
        """Wait for the end; returns the exit status."""
        self._child.expect(pexpect.EOF)
        self.seen += str(self._child.before)
        self._child.close()
        assert_warns(self.seen, self._warns)
        status: int = self._child.exitstatus
        return status

    def close(self) -> None:
        """End it, whatever it does."""
        self._child.close(force=True)
