# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of PromQL as the checks need: the selectors of an expression, and its windows."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
    (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
  | (?P<window>\[[^\]]*\])
  | (?P<number>\d[\w.]*)
  | (?P<name>[A-Za-z_:][\w:]*)
  | (?P<space>\s+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_GROUPING = frozenset(("by", "without", "on", "ignoring", "group_left", "group_right"))
_WORDS = _GROUPING | {"and", "or", "unless", "atan2", "bool", "offset", "inf", "nan", "start", "end"}
_AGGREGATIONS = frozenset(
    ("sum", "min", "max", "avg", "group", "stddev", "stdvar", "count", "count_values", "bottomk", "topk", "quantile")
)
_GOOD_WINDOW = re.compile(r"\[\s*\$(?:__rate_interval|__range|__interval)\s*(?::\s*(?:\$__interval)?\s*)?\]")
_OFFSET = re.compile(r"\boffset\s+-?\d\w*")


def _tokens(expr: str) -> list[tuple[str, str]]:
    found = [(match.lastgroup or "", match[0]) for match in _TOKEN.finditer(expr)]
    return [token for token in found if token[0] != "space"]


def selectors(expr: str) -> list[str]:
    """The selectors of an expression without variables: ``name``, ``name{...}`` or ``{...}``, without their windows."""
    return list(_selectors(_tokens(expr)))


def _selectors(tokens: list[tuple[str, str]]) -> Iterator[str]:
    position = 0
    while position < len(tokens):
        kind, text = tokens[position]
        position += 1
        following = tokens[position][1] if position < len(tokens) else ""
        if kind == "name" and text.lower() in _GROUPING:
            if following == "(":
                position = _after(tokens, position, ")")
        elif (
            kind == "name" and text.lower() not in _WORDS and following != "(" and not _aggregates(text, following)
        ) or (text == "{"):
            start = position - 1
            if "{" in (text, following):
                position = _after(tokens, position, "}")
            yield "".join(inner for _, inner in tokens[start:position])


def _aggregates(text: str, following: str) -> bool:
    return text.lower() in _AGGREGATIONS and following.lower() in ("by", "without")


def _after(tokens: list[tuple[str, str]], position: int, closing: str) -> int:
    while position < len(tokens) and tokens[position][1] != closing:
        position += 1
    return position + 1


def raw_windows(expr: str) -> list[str]:
    """Windows and offsets that stay the same whatever time is shown; only ``$__rate_interval``, ``$__range`` and
    ``$__interval`` follow it."""
    windows = [text for kind, text in _tokens(expr) if kind == "window" and not _GOOD_WINDOW.fullmatch(text)]
    without_strings = "".join(text if kind != "string" else '""' for kind, text in _with_spaces(expr))
    return windows + _OFFSET.findall(without_strings)


def _with_spaces(expr: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(expr):
        yield match.lastgroup or "", match[0]
