# SPDX-License-Identifier: GPL-3.0-or-later
"""When to check: spread over the interval by the host's name, so that nodes that boot together do not ask together."""

from __future__ import annotations

import zlib


def offset(host: str, interval: float) -> float:
    """This host's place in an interval, 0 <= offset < interval, in seconds; the same at every start."""
    # A CRC alone keeps the order of numbered names; the multiplications scatter it.  (hashlib would cost 1 MB.)
    number = zlib.crc32(host.lower().encode("utf-8", "surrogateescape"))
    for factor in (0x85EBCA6B, 0xC2B2AE35):
        number = ((number ^ (number >> 15)) * factor) & 0xFFFFFFFF
    return (number ^ (number >> 16)) / 2**32 * interval


def first(host: str, interval: float, start: float) -> float:
    """The time of the first check of a daemon that starts at *start*."""
    return start + offset(host, interval)


def following(due: float, interval: float, now: float) -> float:
    """The time of the check after the one that was *due*: on the same beat, and never a burst after a pause."""
    missed = max(0, int((now - due) // interval))
    return due + (missed + 1) * interval
