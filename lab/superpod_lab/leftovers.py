# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of a lab that outlived the `superpod up` that started them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from .settings import MARK, Settings


def is_leftover(environ: bytes, cmdline: bytes, lab_id: int) -> bool:
    """Whether /proc/PID/environ and cmdline are of a process that a `superpod up` of this lab started.

    Not the supervisors of booted hosts (`unshare ... labhost-init`): labhost ends those with their hosts.
    """
    if f"{MARK}={lab_id}".encode() not in environ.split(b"\0"):
        return False
    words = cmdline.split(b"\0")
    return not (words[0].endswith(b"unshare") and any(word.endswith(b"labhost-init") for word in words))


def end_all(settings: Settings) -> None:
    """Kill them, until a look finds none: one may have forked between two looks."""
    while True:
        found = [process for process in Path("/proc").glob("[0-9]*") if _matches(process, settings.lab_id)]
        if not found:
            return
        for process in found:
            try:
                os.kill(int(process.name), signal.SIGKILL)
            except ProcessLookupError:
                continue


def _matches(process: Path, lab_id: int) -> bool:
    if int(process.name) == os.getpid():
        return False
    try:
        state = process.joinpath("stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and is_leftover(
            process.joinpath("environ").read_bytes(), process.joinpath("cmdline").read_bytes(), lab_id
        )
    except (OSError, IndexError):
        return False
