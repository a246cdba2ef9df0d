# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the values of BCM's properties mean: which are the same, and how a new one is given to cmsh. No I/O."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .cmsh import Command, quote
from .failure import Failure

Value = t.Union[bool, int, float, str, list[str]]
"""What a property is to be: a list for a set of names, a string with a newline for a text such as an exclude list."""

_PROPERTY = re.compile(r"[a-z][a-z0-9]*")
_TRUE = frozenset(("yes", "1", "on", "true"))
_FALSE = frozenset(("no", "0", "off", "false"))
_INTEGER = re.compile(r"[+-]?\d+")
_SEPARATOR = re.compile(r"[\s,]+")
_INHERITED = " (default)"


@dataclass(frozen=True)
class Difference:
    """A property whose value in BCM (`current`, as cmsh shows it) does not mean what is wanted."""

    name: str
    current: str
    wanted: Value


def check_property(name: str) -> str:
    """Return `name` if it can be a property's name in cmsh (lower-case and run together)."""
    if not _PROPERTY.fullmatch(name):
        raise Failure(
            f"{name!r} cannot be a property of BCM; write it as cmsh does, in lower-case letters without spaces",
            "bad_property",
        )
    return name


def check_value(name: str, value: object) -> Value:
    """Return `value` in the form that is compared and written; raises Failure and CmshError."""
    if isinstance(value, list):
        items = [str(item) for item in value if isinstance(item, (str, int)) and not isinstance(item, bool)]
        if len(items) != len(value) or any(not item or _SEPARATOR.search(item) for item in items):
            raise Failure(f"the list for {name} has an element that is not one plain word", "bad_value")
        value = items
    if not isinstance(value, (bool, int, float, str, list)):
        raise Failure(
            f"the value of {name} is a {type(value).__name__}; give a string, a number, a boolean or a list of words "
            "('' or [] clears it)",
            "bad_value",
        )
    if not is_text(value):
        for word in assignment(name, value):
            quote(word)
    return value


def is_text(value: Value) -> bool:
    """Whether the value is a text of lines, which cmsh loads from a file."""
    return isinstance(value, str) and "\n" in value


def same(current: str, wanted: Value) -> bool:
    """Whether what cmsh shows means what is wanted: `yes` is true, lists have no order, `010` is 10."""
    value = without_inheritance(current)
    if isinstance(wanted, bool):
        return value.lower() in (_TRUE if wanted else _FALSE)
    if isinstance(wanted, list):
        return set(_SEPARATOR.split(value)) - {""} == set(wanted)
    if isinstance(wanted, str):
        return _same_text(current, wanted) if is_text(wanted) else _same_word(value, wanted.strip())
    try:
        # not by way of a float where both are integers: those have no end
        return (int(value) if _INTEGER.fullmatch(value) else float(value)) == wanted
    except ValueError:
        return False


def _same_word(current: str, wanted: str) -> bool:
    """Compare one-line strings. Decimal fractions are not numbers here: 24.1 and 24.10 are two versions."""
    if _INTEGER.fullmatch(current) and _INTEGER.fullmatch(wanted):
        return int(current) == int(wanted)
    pair = {current.lower(), wanted.lower()}
    return current == wanted or pair <= _TRUE or pair <= _FALSE


def _same_text(current: str, wanted: str) -> bool:
    return lines_of(current) == lines_of(wanted)


def without_inheritance(current: str) -> str:
    """Return what `get` printed without the mark of an inherited value."""
    value = current.strip()
    return value[: -len(_INHERITED)].rstrip() if value.endswith(_INHERITED) else value


def lines_of(text: str) -> list[str]:
    """Return a text's lines without the white space that says nothing: at line ends and at the text's end."""
    lines = [line.rstrip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def display(value: Value) -> str:
    """Return the value in the words of cmsh."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) if isinstance(value, list) else str(value)


def before_and_after(current: str, wanted: Value) -> tuple[str, str]:
    """Return what cmsh shows and what it will show, in one form: lists on one line, `yes` for whatever means it."""
    if isinstance(wanted, list):
        before = " ".join(_SEPARATOR.split(current.strip()))
        return before, before if same(current, wanted) else display(wanted)
    if same(current, wanted):
        return current, current
    word = str(wanted).lower()
    if word in _TRUE | _FALSE and current.strip().lower() in _TRUE | _FALSE:
        return current, "yes" if word in _TRUE else "no"
    return current, display(wanted)


def assignment(name: str, value: Value) -> Command:
    """Return the command that gives a property its value; a text is not for here."""
    if isinstance(value, list):
        return ("set", name, *value) if value else ("clear", name)
    return ("set", name, display(value)) if display(value).strip() else ("clear", name)


def differences(current: Mapping[str, str], wanted: Mapping[str, Value]) -> list[Difference]:
    """Return what has to be written, in the order of `wanted`."""
    return [Difference(name, current[name], value) for name, value in wanted.items() if not same(current[name], value)]


def with_block(text: str, lines: Iterable[str], marker: str) -> str:
    """Return `text` with the marked block holding exactly `lines`; without lines, without the block.

    What is outside the block stays as it is. A new block goes to the end, where in BCM's exclude lists it cannot take
    a file away from a rule of the site's own (rsync follows the first rule that matches).
    """
    begin, end = f"# BEGIN {marker}", f"# END {marker}"
    body = list(lines)
    block = [begin, *body, end] if body else []
    existing = text.splitlines()
    if (existing.count(begin), existing.count(end)) == (0, 0):
        return "\n".join([*lines_of(text), *block]) + "\n" if block else text
    first, last = (existing.index(line) if existing.count(line) == 1 else -1 for line in (begin, end))
    if not 0 <= first < last:
        raise Failure(
            f"the marks of the block {marker!r} are not one beginning and one end; mend the text by hand", "bad_block"
        )
    result = [*existing[:first], *block, *existing[last + 1 :]]
    return "\n".join(result) + "\n" if result else ""
