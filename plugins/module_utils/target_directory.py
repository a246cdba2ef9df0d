# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory of Prometheus target files: what is read of it, and whose a file is."""

from __future__ import annotations

import os
import stat

from .target_document import OwnDocument, TargetDocumentError, decode, recognise

MAX_BYTES = 1 << 20
"""A node's file has a few hundred bytes; what is larger than this was not written by the collection."""


def short(host: str) -> str:
    """Return a host's name without case and domain."""
    return host.strip().partition(".")[0].lower()


def host_in(name: str) -> str:
    """Return the host that a target file's name tells: `<host>.json` or `<host>_<instance>.json`."""
    return name.removesuffix(".json").partition("_")[0]


def owner_of(name: str, content: bytes | None) -> OwnDocument | None:
    """Return what the file says if the collection wrote it for the host in its name, else None."""
    if content is None:
        return None
    try:
        owner = recognise(decode(content))
    except TargetDocumentError:
        return None
    return owner if owner is not None and owner.host == host_in(name) else None


def read_directory(directory: str) -> list[tuple[str, bytes | None]]:
    """Return the directory's `*.json`, without dot-files, as (name, bytes or None); raises OSError."""
    return [
        (name, read_regular(os.path.join(directory, name)))
        for name in sorted(os.listdir(directory))
        if name.endswith(".json") and not name.startswith(".")
    ]


def read_regular(path: str) -> bytes | None:
    """Return a regular file's bytes; None for a link, a directory, a file that is too large or has just gone."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            return file.read() if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BYTES else None
    except OSError:
        return None
