# SPDX-License-Identifier: GPL-3.0-or-later
"""The event lines that cmsh prints in between, at any time."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from ..provisioning import Journal

_INTERVAL = 0.1


@contextlib.contextmanager
def events_between(journal: Journal, *, shown: bool) -> Iterator[None]:
    """Print the events that come while this lasts."""
    if not shown:
        yield
        return
    stop = threading.Event()
    follower = threading.Thread(target=_follow, args=(journal.events, _size(journal.events), stop), daemon=True)
    follower.start()
    try:
        yield
    finally:
        stop.set()
        follower.join()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _follow(path: Path, position: int, stop: threading.Event) -> None:
    last = False
    while not last:
        # once more after the end, so that nothing is lost
        last = stop.wait(_INTERVAL)
        if _size(path) <= position:
            continue
        with path.open(encoding="utf-8") as file:
            file.seek(position)
            sys.stdout.write(file.read())
            sys.stdout.flush()
            position = file.tell()
