# SPDX-License-Identifier: GPL-3.0-or-later
"""The state file ``<state_dir>/<hostname>_state.json``: what the daemon remembers over a restart."""

from __future__ import annotations

import json
import math
import os
from typing import Any

from superpod_monitoring import atomic_file, target_document

from .decision import State, UnitRecord

TAG = "bcm-role-monitor"
FORMAT = 1
LARGEST = 1024 * 1024


class StateError(ValueError):
    """Bytes that are no state; the message says why."""


def file_name(host: str, instance: str) -> str:
    """The name of a host's state file."""
    target_document.check_host(host)
    return f"{host}_{instance}_state.json" if instance else f"{host}_state.json"


def encode(state: State) -> bytes:
    """The state's bytes."""
    units = {unit: record._asdict() for unit, record in state.units.items()}
    content = {"format": FORMAT, **state._asdict(), "units": units, "files": dict(state.files)}
    return (json.dumps(content, sort_keys=True, indent=2) + "\n").encode()


def decode(content: bytes) -> State:
    """The state in a file's bytes.  Raises :class:`StateError`."""
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise StateError(f"it is not JSON ({error})") from None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise StateError(f"it is not of format {FORMAT}")
    units = _mapping(value, "units")
    return State(
        host=_is(value, "host", str),
        identity=_is(value, "identity", str),
        held=None if value.get("held") is None else _is(value, "held", bool),
        answers_without_roles=_count(value, "answers_without_roles"),
        units={unit: _record(record) for unit, record in units.items()},
        boot=_is(value, "boot", str),
        files={path: _is(_mapping(value, "files"), path, str) for path in _mapping(value, "files")},
    )


def load(directory: str, host: str, instance: str) -> tuple[State, str | None]:
    """The remembered state of this host, under an earlier name if it was renamed; and what was wrong with it, if so."""
    for path in _candidates(directory, host, instance):
        try:
            with open(path, "rb") as file:
                return decode(file.read(LARGEST)), None
        except (OSError, StateError) as error:
            return State(), f"The state file {path} is not used, because {error}: attempts are counted from none."
    return State(), None


def save(directory: str, state: State, instance: str) -> None:
    """Store the state and remove those of earlier names.  Raises OSError or TargetDocumentError."""
    path = os.path.join(directory, file_name(state.host, instance))
    atomic_file.write_if_changed(path, encode(state), mode=0o600, tag=TAG)
    for other in _candidates(directory, "", instance):
        if other != path:
            atomic_file.remove(other)


def touch(directory: str, state: State, instance: str) -> None:
    """Let the state file's time tell when BCM last gave an answer.  Raises OSError or TargetDocumentError."""
    os.utime(os.path.join(directory, file_name(state.host, instance)))


def clean(directory: str) -> None:
    """Remove what a killed daemon left half-written.  For a daemon that holds the lock."""
    marker = f".{TAG}-"
    for name in os.listdir(directory):
        if name.startswith(".") and marker in name and name.endswith(atomic_file.SUFFIX):
            atomic_file.remove(os.path.join(directory, name))


def _candidates(directory: str, host: str, instance: str) -> list[str]:
    """State files of this instance: the host's own if there is one, else all, the newest first."""
    suffix = f"_{instance}_state.json" if instance else "_state.json"
    own = host + suffix
    found = []
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return []
    for entry in entries:
        if host and entry.name == own:
            return [entry.path]
        if entry.name.endswith(suffix) and "_" not in entry.name[: -len(suffix)]:
            found.append((-entry.stat(follow_symlinks=False).st_mtime, entry.path))
    return [path for _time, path in sorted(found)]


def _record(value: object) -> UnitRecord:
    if not isinstance(value, dict):
        raise StateError("a unit's record is no object")
    moment = value.get("next_attempt")
    if isinstance(moment, bool) or not isinstance(moment, (int, float)) or not math.isfinite(moment):
        raise StateError("next_attempt is no number")
    return UnitRecord(_count(value, "attempts"), float(moment), _is(value, "given_up", bool))


def _count(value: dict[str, Any], key: str) -> int:
    number = _is(value, key, int)
    if isinstance(number, bool) or number < 0:
        raise StateError(f"{key} is no count")
    return int(number)


def _mapping(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    if not isinstance(found, dict):
        raise StateError(f"{key} is no object")
    return found


def _is(value: dict[str, Any], key: str, kind: type) -> Any:
    found = value.get(key)
    if not isinstance(found, kind):
        raise StateError(f"{key} is no {kind.__name__}")
    return found
