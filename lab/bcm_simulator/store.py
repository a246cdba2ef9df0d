# SPDX-License-Identifier: GPL-3.0-or-later
"""The state file: read again when it changes, written atomically under a lock by cmsh and by the servers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from .profiles import shipped_profiles
from .state import State, StateError, normalise

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def parse(text: str, where: str) -> State:
    """The checked state in `text`, YAML or JSON (JSON is read about 50 times faster, for thousands of nodes)."""
    try:
        raw = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, Loader=_LOADER)
    except (ValueError, yaml.YAMLError) as error:
        raise StateError(f"{where} is neither YAML nor JSON: {' '.join(str(error).split())}") from error
    try:
        return normalise(raw)
    except StateError as error:
        raise StateError(f"{where}: {error}") from error


def dump(state: State, as_json: bool) -> str:
    """The text to store, in the format that the file had.  Profiles that are as BCM ships them are left out."""
    shipped = shipped_profiles()
    own = {name: profile for name, profile in state["profiles"].items() if shipped.get(name) != profile}
    state = {**state, "profiles": own}
    if as_json:
        return json.dumps(state) + "\n"
    text: str = yaml.dump(
        state, Dumper=_DUMPER, sort_keys=False, default_flow_style=None, allow_unicode=True, width=160
    )
    return text


class StateStore:
    """One state file.  `snapshot()` is cheap when nothing changed; `edit()` is atomic among processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._signature: tuple[int, int, int] | None = None
        self._state: State | None = None
        self._as_json = False

    @classmethod
    def create(cls, path: Path, state: State, as_json: bool) -> StateStore:
        """A new state file with the checked `state`."""
        _write(path, dump(normalise(state), as_json))
        return cls(path)

    def snapshot(self) -> State:
        """The state of now.  The same object as long as the file does not change; nobody may modify it."""
        with self._lock:
            signature = _signature(self.path)
            if self._state is None or signature != self._signature:
                text = _read(self.path)
                self._as_json = text.lstrip().startswith("{")
                self._state = parse(text, str(self.path))
                self._signature = signature
            return self._state

    def edit(self, change: Callable[[State], object]) -> State:
        """Apply `change` to a copy of the state, check it and store it; on an error nothing is stored."""
        with self._lock, _file_lock(self.path):
            state = json.loads(json.dumps(self.snapshot()))
            change(state)
            state = normalise(state)
            _write(self.path, dump(state, self._as_json))
            self._state = state
            self._signature = _signature(self.path)
            return state


def _signature(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise StateError(f"cannot read the state file {path}: {error.strerror}") from error
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"cannot read the state file {path}: {error}") from error


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    temporary.write_text(text, encoding="utf-8")
    # The file holds the simulated users' passwords.
    temporary.chmod(0o600)
    os.replace(temporary, path)


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    lock_path = path.with_name(f".{path.name}.lock")
    with lock_path.open("w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
