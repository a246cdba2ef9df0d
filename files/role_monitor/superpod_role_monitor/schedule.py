# SPDX-License-Identifier: GPL-3.0-or-later
"""When to check: spread over the interval by the host's name, so that nodes that boot together do not ask together."""

from __future__ import annotations

import hashlib


def offset(host: str, interval: float) -> float:
    """This host's place in an interval, 0 <= offset < interval, in seconds; the same at every start."""
    digest = hashlib.sha256(host.lower().encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56 * interval


def first(host: str, interval: float, start: float) -> float:
    """The time of the first check of a daemon that starts at *start*."""
    return start + offset(host, interval)


def following(due: float, interval: float, now: float) -> float:
    """The time of the check after the one that was *due*: on the same beat, and never a burst after a pause."""
    missed = max(0, int((now - due) // interval))
    return due + (missed + 1) * interval
