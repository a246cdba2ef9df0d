# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BCM's grabimage, waited for: cmsh returns at once, and says by an event when CMDaemon has finished.

So a session of cmsh is kept open, with its commands on standard input and its events shown, until the event comes.
"""

from __future__ import annotations

import contextlib
import queue
import re
import subprocess
import threading
import time
import typing as t
from dataclasses import dataclass

from .cmsh import Command, Verbatim, find_cmsh, script, started
from .failure import Failure

# "Fri Nov 20 09:43:59 2026 [notice] head: Provisioning completed on node dgx-01"; the date is absent in some releases
_EVENT = re.compile(r"\[(?:debug|info|notice|warning|error|alert)\] [^:]*: (Provisioning (\w+)\b.*)")
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Grabbed:
    """What happened: the events about the node, as BCM put them."""

    events: tuple[str, ...]


def about(line: str, node: str) -> tuple[str, str] | None:
    """(started, completed or failed, ...; the event's words) of a line that is an event of provisioning this node."""
    match = _EVENT.search(line)
    if match is None or not re.search(rf"(?<![\w.-]){re.escape(node)}(?![\w-])", match[1]):
        return None
    return match[2].lower(), match[1].strip()


def commands(node: str, image: str | None, write: bool) -> list[Command]:
    """The commands of one grab."""
    into = [Verbatim("-i"), image] if image else []
    words = ["grabimage", *into, *([Verbatim("-w")] if write else [])]
    return [("device",), ("use", node), words]


def grab(executable: str | None, node: str, image: str | None, *, write: bool, timeout: float) -> Grabbed:
    """Grab and wait; raises Failure and CmshError.

    A BCM that refuses says so and sends no event: when nothing has started after a minute, its words are the reason.
    """
    line = script(commands(node, image, write))
    command = [find_cmsh(executable), "-n", "-q"]
    with started(command, stdin=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        return _wait(process, node, line, timeout)


def _wait(process: subprocess.Popen[str], node: str, line: str, timeout: float) -> Grabbed:
    lines: queue.Queue[str | None] = queue.Queue()
    # both are pipes
    stdin, stdout = t.cast("t.IO[str]", process.stdin), t.cast("t.IO[str]", process.stdout)
    threading.Thread(target=_read, args=(stdout, lines), daemon=True).start()
    stdin.write(f"{line}\n")
    stdin.flush()
    began = time.monotonic()
    events: list[str] = []
    said: list[str] = []
    while True:
        limit = timeout if events else min(timeout, _START_SECONDS)
        text: str | None = None
        with contextlib.suppress(queue.Empty):
            text = lines.get(timeout=max(0.0, began + limit - time.monotonic()))
        if text is None:  # or cmsh has ended
            words = " / ".join(said) or "nothing"
            if not events:
                raise Failure(f"BCM did not begin to grab {node}; it said: {words}", "refused", bcm=words)
            raise Failure(
                f"BCM did not say in {time.monotonic() - began:.0f} s that {node} is grabbed; it may go on: "
                f"look at its events and at synclog of {node} in cmsh before anything else is done with the image",
                "timeout",
                events=events,
            )
        event = about(text, node)
        if event is None:
            if text.strip() and text.strip() != line:
                said.append(text.strip())
            continue
        kind, words = event
        events.append(words)
        if kind == "completed":
            return Grabbed(tuple(events))
        if kind == "failed":
            raise Failure(f"BCM could not grab {node}: {words}", "failed", events=events)


def _read(stream: t.IO[str], lines: queue.Queue[str | None]) -> None:
    with contextlib.suppress(ValueError):  # closed while it was read
        for line in stream:
            lines.put(line)
    lines.put(None)
