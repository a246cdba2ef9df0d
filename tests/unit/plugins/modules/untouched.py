# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows that nothing was changed: what a directory holds, and what this process wrote outside of it."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
import typing as t
from collections.abc import Iterator
from pathlib import Path

# Which arguments of an event of Python's audit are paths that change.
_CHANGING: dict[str, tuple[int, ...]] = {
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.link": (1,),
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.rmdir": (0,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.utime": (0,),
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_written: list[str] | None = None
_hooked = False


def holds(directory: Path) -> dict[str, t.Any]:
    """Everything below a directory; a file that was written anew counts as changed, even with the same bytes."""
    return {str(path.relative_to(directory)): _described(path) for path in sorted(directory.rglob("*"))}


def _described(path: Path) -> tuple[t.Any, ...]:
    status = path.lstat()
    about = (oct(status.st_mode), status.st_uid, status.st_gid)
    if stat.S_ISLNK(status.st_mode):
        return (*about, os.readlink(path))
    if stat.S_ISREG(status.st_mode):
        return (*about, path.read_bytes(), status.st_ino, status.st_mtime_ns)
    return about


@contextlib.contextmanager
def nothing_elsewhere(patch: t.Any) -> Iterator[None]:
    """Fails the test if this process changes anything outside of the directory for temporary files meanwhile."""
    global _written, _hooked  # noqa: PLW0603 - Python takes no hook of its audit away again
    if not _hooked:
        sys.addaudithook(_hear)
        _hooked = True
    patch.setattr(sys, "dont_write_bytecode", True)
    written: list[str] = []
    _written = written
    try:
        yield
    finally:
        _written = None
    temporary = (os.path.realpath(tempfile.gettempdir()) + os.sep, os.devnull)
    elsewhere = [path for path in written if not (os.path.realpath(path) + os.sep).startswith(temporary)]
    assert not elsewhere, elsewhere


def _hear(event: str, arguments: tuple[t.Any, ...]) -> None:
    if _written is None:
        return
    if event == "open":
        path, _mode, flags = arguments
        paths = [path] if flags & _WRITING else []
    else:
        paths = [arguments[at] for at in _CHANGING.get(event, ())]
    # a number is a file that is open already; a name alone is below a directory that is
    _written.extend(os.fsdecode(path) for path in paths if not isinstance(path, int) and os.path.isabs(path))
