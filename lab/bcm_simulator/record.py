# SPDX-License-Identifier: GPL-3.0-or-later
"""What was asked of the simulator, and the writes it let through or refused."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO


@dataclass
class Request:
    """One HTTP request, recorded when it arrives; status stays 0 while (and where) nothing is answered."""

    head: str
    method: str
    path: str
    query: str
    profile: str | None
    status: int = 0
    bytes_sent: int = 0
    call: str = ""


class Recorder:
    """Keeps the requests in memory and, where told so, prints each as a JSON line."""

    def __init__(self, log: TextIO | None = None) -> None:
        self.requests: list[Request] = []
        self.troubles: list[str] = []
        self._log = log
        self._lock = threading.Lock()

    def begin(self, request: Request) -> None:
        """A request has arrived; its status and size are filled in before its answer leaves."""
        if self._log is None:
            with self._lock:
                self.requests.append(request)

    def end(self, request: Request) -> None:
        """The request is over."""
        if self._log is not None:
            with self._lock:
                self._print(asdict(request))

    def trouble(self, head: str, text: str) -> None:
        """What went wrong outside of any request: a failed handshake, a broken file."""
        with self._lock:
            if self._log is None:
                self.troubles.append(text)
            else:
                self._print({"head": head, "trouble": text})

    def _print(self, line: dict[str, object]) -> None:
        print(json.dumps(line), file=self._log, flush=True)


class WriteJournal:
    """Write attempts against the state, one JSON line each beside the state file (cmsh runs in other processes)."""

    def __init__(self, state_file: Path) -> None:
        self.path = state_file.with_name(f"{state_file.name}.writes")

    def add(self, outcome: str, what: str, profile: str | None) -> None:
        """`outcome` is stored or refused; `what` says what was tried, without values that could be secret."""
        line = json.dumps({"outcome": outcome, "what": what, "profile": profile}) + "\n"
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(line)

    def read(self) -> list[dict[str, str]]:
        """All attempts so far."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in text.splitlines()]
