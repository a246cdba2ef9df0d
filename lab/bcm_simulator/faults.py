# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on demand: a YAML file per head node, read again for each request.

fault: hang            what goes wrong; see FAULTS
path: /rest/v1/device* only requests whose path matches this glob (not for `refuse`)
count: 2               only the next 2 such requests
...                    the fault's own options, with their defaults in FAULTS
"""

from __future__ import annotations

import fnmatch
import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

# Each fault's own options and their defaults.
FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    # the connection
    "refuse": {},  # nobody listens
    "hang": {"stage": "answer"},  # answer: after the request; handshake: before TLS
    "close": {},  # the connection ends without an answer
    "tls_abort": {},  # the connection ends in the TLS handshake
    "slow": {"seconds": 2.0},  # the whole answer, late
    "drip": {"interval": 1.0, "bytes": 1},  # the answer in small pieces
    # another answer
    "status": {"status": 500, "body": ""},
    "html": {"status": 200},
    "redirect": {"status": 302, "location": "/base-view/"},
    "error_body": {"status": 200, "body": '{"error": "internal error"}'},
    "body": {"status": 200, "body": "", "content_type": "application/json"},
    "empty_list": {},
    "empty_object": {},
    "huge": {"bytes": 100 * 1024 * 1024, "announce": True},
    # the right answer, changed
    "truncated": {"how": "body"},  # body: valid HTTP, broken JSON; connection: ends early
    "missing_node": {"hostname": None},  # None: the first of the list
    "duplicate_node": {"hostname": None},
    "nameless_node": {"hostname": None, "how": "absent"},  # absent, null or empty hostname
    "upper_case_names": {},
    "null_roles": {},
    "absent_roles": {},
    # as a passive head node
    "passive": {"mode": "refuse"},  # fresh, stale or refuse
}
_CHOICES: dict[str, dict[str, tuple[Any, ...]]] = {
    "hang": {"stage": ("answer", "handshake")},
    "truncated": {"how": ("body", "connection")},
    "nameless_node": {"how": ("absent", "null", "empty")},
    "passive": {"mode": ("fresh", "stale", "refuse")},
}


class FaultError(ValueError):
    """A fault that does not exist or an option that it does not have."""


@dataclass(frozen=True)
class Fault:
    """One fault with all its options."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    path: str = "*"
    count: int | None = None


NO_FAULT = Fault("none")


def check(raw: object) -> Fault:
    """The fault that a mapping describes."""
    if raw is None or raw == {}:
        return NO_FAULT
    if not isinstance(raw, dict):
        raise FaultError("a fault must be a mapping with the key `fault`")
    given = dict(raw)
    kind = given.pop("fault", "none")
    kind = "none" if kind is None else kind
    if kind not in FAULTS:
        raise FaultError(f"unknown fault {kind!r}; known are: {', '.join(FAULTS)}")
    path = given.pop("path", "*")
    count = given.pop("count", None)
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise FaultError(f"count must be a number of requests, not {count!r}")
    options = dict(FAULTS[kind])
    for name, value in given.items():
        if name not in options:
            raise FaultError(
                f"fault {kind} has no option {name!r}; it has: {', '.join(options) or 'none'}, path, count"
            )
        options[name] = _option(kind, name, value)
    return Fault(kind, options, str(path), count)


def _option(kind: str, name: str, value: Any) -> Any:
    choices = _CHOICES.get(kind, {}).get(name)
    if choices is not None and value not in choices:
        raise FaultError(f"fault {kind}: {name} must be one of {', '.join(choices)}, not {value!r}")
    default = FAULTS[kind][name]
    if isinstance(default, bool):
        right = isinstance(value, bool)
    elif isinstance(default, (int, float)):
        right = isinstance(value, (int, float)) and not isinstance(value, bool)
    else:
        right = isinstance(value, str) or (default is None and value is None)
    if not right:
        raise FaultError(f"fault {kind}: {name} cannot be {value!r}")
    return value


def write(path: Path, raw: dict[str, Any]) -> None:
    """Store a checked fault for the server to find; {} clears."""
    check(raw)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(raw) + "\n", encoding="utf-8")
    os.replace(temporary, path)


class FaultFile:
    """The faults file of one head node; no file means no fault.  A `count` is counted from the file's last change."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._signature: tuple[int, int, int] | None = None
        self._fault = NO_FAULT
        self._used = 0

    def current(self) -> Fault:
        """The fault that is set, whatever requests it is for."""
        with self._lock:
            return self._read()

    def take(self, path: str) -> Fault:
        """The fault for a request of `path`; counts the request."""
        with self._lock:
            fault = self._read()
            if fault.kind == "none" or not fnmatch.fnmatchcase(path, fault.path):
                return NO_FAULT
            if fault.count is not None:
                if self._used >= fault.count:
                    return NO_FAULT
                self._used += 1
            return fault

    def _read(self) -> Fault:
        if self._path is None:
            return NO_FAULT
        try:
            status = self._path.stat()
            signature = (status.st_mtime_ns, status.st_size, status.st_ino)
            if signature != self._signature:
                raw = yaml.safe_load(self._path.read_text(encoding="utf-8"))
                self._fault, self._signature, self._used = check(raw), signature, 0
        except FileNotFoundError:
            self._fault, self._signature, self._used = NO_FAULT, None, 0
        except yaml.YAMLError as error:
            raise FaultError(f"the faults file {self._path} is not YAML: {' '.join(str(error).split())}") from error
        return self._fault
