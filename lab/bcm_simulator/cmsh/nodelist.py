# SPDX-License-Identifier: GPL-3.0-or-later
"""Node lists: a,b  node001..node004  node00[1-4]  node00[1..7:2]  r[1-2]n[01-03]  a..d,-b..c."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .errors import CmshError, NotSimulatedError

_RANGE = re.compile(r"(?P<prefix>.*?)(?P<first>\d+)\.\.(?P=prefix)(?P<last>\d+)")
_BRACKET = re.compile(r"\[(\d+)(?:-|\.\.)(\d+)(?::(\d+))?\]")


def expand(text: str) -> list[str]:
    """The names that a node list stands for, in order, without those that it excludes."""
    if text.startswith("^"):
        raise NotSimulatedError("node lists from a file (^)")
    result: dict[str, None] = {}
    for part in text.split(","):
        if part.startswith("-"):
            for name in _expand_part(part[1:]):
                result.pop(name, None)
        else:
            result.update(dict.fromkeys(_expand_part(part)))
    return list(result)


def _expand_part(part: str) -> list[str]:
    if not part:
        raise CmshError("empty name in a node list")
    bracket = _BRACKET.search(part)
    if bracket is not None:
        if ".." in part[: bracket.start()] or ".." in part[bracket.end() :]:
            raise CmshError(f"{part}: .. and [] cannot be mixed")
        first, last, step = bracket.groups()
        return [
            name
            for number in _numbers(first, last, int(step or 1))
            for name in _expand_part(part[: bracket.start()] + number + part[bracket.end() :])
        ]
    if ".." in part:
        span = _RANGE.fullmatch(part)
        if span is None:
            raise CmshError(f"{part}: not a range of names")
        return [span["prefix"] + number for number in _numbers(span["first"], span["last"], 1)]
    if "[" in part or "]" in part:
        raise CmshError(f"{part}: not a range of names")
    return [part]


def _numbers(first: str, last: str, step: int) -> Sequence[str]:
    if int(last) < int(first) or step < 1 or int(last) - int(first) > 100_000:
        raise CmshError(f"{first} to {last} is not a range")
    return [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1, step)]
