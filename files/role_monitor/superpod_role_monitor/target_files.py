# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on the target file, which may lie on a file server that hangs: in a thread that is waited for only so long."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from typing import NamedTuple

from superpod_monitoring import atomic_file

TAG = "bcm-role-monitor"

_ADVICE = {
    errno.ENOENT: "the directory does not exist: create it, or mount what it lies on",
    errno.EROFS: "the file system is read-only: remount it, or add the directory to the unit's ReadWritePaths",
    errno.EACCES: "permission denied: let root write there (root_squash on the file server?)",
    errno.EPERM: "permission denied: let root write there (root_squash on the file server?)",
    errno.ENOSPC: "the file system is full: make room",
    errno.EDQUOT: "the quota is used up: make room",
    errno.ESTALE: "the file server has forgotten the directory: mount it again",
    errno.ENOTDIR: "a part of the path is no directory: correct prometheus_targets_dir",
}


class Outcome(NamedTuple):
    """What became of the work: target files written and removed by it, files known to be gone, and what was wrong."""

    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    gone: frozenset[str] = frozenset()
    problem: str | None = None


class TargetFiles:
    """Brings target files to what they should be, within a deadline."""

    def __init__(self) -> None:
        self._cleaned: set[str] = set()
        self._job: _Job | None = None

    def sync(self, write: tuple[str, bytes] | None, remove: tuple[str, ...], timeout: float) -> Outcome:
        """Write and remove; wait *timeout* seconds at most.  Work that hangs is left to itself and not repeated."""
        late = self._job
        if late is not None and late.is_alive():
            late.join(min(timeout, 0.05))
        if late is not None and late.is_alive():
            return Outcome(problem=_hung(late.directory))
        self._job = job = _Job(write, remove, self._cleaned)
        job.start()
        job.join(timeout)
        if job.is_alive():
            job.abandoned = True
            return Outcome(problem=_hung(job.directory))
        return job.outcome

    def settle(self, timeout: float) -> None:
        """Give work in progress a moment to finish."""
        if self._job is not None:
            self._job.abandoned = True
            self._job.join(timeout)


class _Job(threading.Thread):
    def __init__(self, write: tuple[str, bytes] | None, remove: tuple[str, ...], cleaned: set[str]) -> None:
        super().__init__(name="target-files", daemon=True)
        self._write = write
        self._remove = remove
        self._cleaned = cleaned
        self.abandoned = False
        self.outcome = Outcome()
        self.directory = os.path.dirname(write[0] if write else remove[0]) if write or remove else ""

    def run(self) -> None:
        written: list[str] = []
        removed: list[str] = []
        gone: set[str] = set()
        problems: list[str] = []
        if self._write is not None:
            path, content = self._write
            self._attempt(path, problems, lambda: self._write_one(path, content, written))
        for path in self._remove:
            self._attempt(path, problems, lambda path=path: self._remove_one(path, removed, gone))  # type: ignore[misc]
        problem = " ".join(problems) or None
        self.outcome = Outcome(tuple(written), tuple(removed), frozenset(gone), problem)

    def _attempt(self, path: str, problems: list[str], step: Callable[[], None]) -> None:
        # What was decided a hang ago must not be done to what other decisions have made since.
        if self.abandoned:
            return
        try:
            self._clean(path)
            if not self.abandoned:
                step()
        except OSError as error:
            problems.append(explain(path, error))

    def _clean(self, path: str) -> None:
        if path not in self._cleaned:
            atomic_file.remove_leftovers(path, TAG)
            self._cleaned.add(path)

    def _write_one(self, path: str, content: bytes, written: list[str]) -> None:
        if atomic_file.write_if_changed(path, content, tag=TAG):
            written.append(path)

    def _remove_one(self, path: str, removed: list[str], gone: set[str]) -> None:
        if atomic_file.remove(path):
            removed.append(path)
            atomic_file.sync_directory(os.path.dirname(path))
        gone.add(path)


def explain(path: str, error: OSError) -> str:
    """One sentence on a failure with a target file."""
    advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
    return f"The target file {path} cannot be kept: {advice}."


def _hung(directory: str) -> str:
    return f"The targets directory {directory} does not answer: look at its file server."
