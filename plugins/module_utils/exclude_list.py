# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BCM's exclude lists: what a sync of an image to a node, or a grab of a node into an image, leaves alone.  Pure.

A list is a text of rsync filter rules, one a line, with two additions of BCM's: lines that begin with `#`, and the
prefix `no-new-files:`.  In a sync, a file that a rule excludes is neither changed nor deleted where it exists, and
copied where it does not; with the prefix it is not copied either.  In a grab, and in a full install, what is excluded
is not taken.

The matching is rsync's: the first rule that matches decides, and what lies below an excluded directory is excluded with
it.  tests/unit/plugins/module_utils/test_exclude_list.py compares it with rsync itself.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass, field

NO_NEW_FILES = "no-new-files:"
_RULE = re.compile(r"([-+]|exclude|include)[ _](\S.*)", re.DOTALL)
_WILD = re.compile(r"[*?\[]")
_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "lower": "a-z",
    "upper": "A-Z",
    "space": r"\s",
    "punct": "!-/:-@\\[-`{-~",
    "xdigit": "0-9A-Fa-f",
}


@dataclass(frozen=True)
class Rule:
    """One rule; `text` is the line as it stands in the list."""

    text: str
    include: bool
    no_new_files: bool
    directories_only: bool
    # ends in "***": "name/***" is about the directory, too
    with_slash: bool
    expression: re.Pattern[str] = field(compare=False)

    def matches(self, path: str, directory: bool) -> bool:
        """Whether the rule is about this very path (not about one above it)."""
        if self.directories_only and not directory:
            return False
        return self.expression.fullmatch(path + "/" if directory and self.with_slash else path) is not None


@dataclass(frozen=True)
class ExcludeList:
    """A parsed list.  `unknown`: the lines that are no rule known here; nothing can be said about what they do."""

    rules: tuple[Rule, ...]
    unknown: tuple[str, ...] = ()

    def excluding(self, path: str, directory: bool = False) -> Rule | None:
        """The rule that leaves an existing `path` (absolute) alone, or None."""
        return _deciding(self.rules, path, directory)

    def barring(self, path: str, directory: bool = False) -> Rule | None:
        """The rule that keeps a sync from copying `path` to a node that lacks it, or None."""
        return _deciding([rule for rule in self.rules if rule.no_new_files], path, directory)


def parse(text: str) -> ExcludeList:
    """The list that BCM keeps as `text`."""
    rules: list[Rule] = []
    unknown: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        rule = _rule(stripped)
        if rule is None:
            unknown.append(stripped)
        else:
            rules.append(rule)
    return ExcludeList(tuple(rules), tuple(unknown))


def _rule(line: str) -> Rule | None:
    no_new_files = line.startswith(NO_NEW_FILES)
    match = _RULE.fullmatch(line[len(NO_NEW_FILES) :].strip() if no_new_files else line)
    if match is None or match[2] == "/":
        return None
    pattern = match[2][:-1] if match[2].endswith("/") else match[2]
    return Rule(
        line,
        include=match[1] in ("+", "include"),
        no_new_files=no_new_files,
        directories_only=pattern != match[2],
        with_slash=pattern.endswith("***"),
        expression=_expression(pattern),
    )


def _expression(pattern: str) -> re.Pattern[str]:
    """What the pattern matches, as an expression for an absolute path.

    With a `/` or a `**` in it, a pattern is held against the path, else against its last part; from its beginning if it
    begins with `/`, else from any of its parts.
    """
    anchored = pattern.startswith("/")
    whole = "/" in pattern or "**" in pattern
    wild = bool(_WILD.search(pattern))
    text = _translated(pattern[1:] if anchored else pattern, wild)
    if anchored or (whole and pattern.startswith("**")):
        start = "/"
        if pattern.startswith("**/"):
            # "**" may be nothing at all, and the "/" that follows the root itself
            text = f"(?:{text}|{_translated(pattern[3:], wild)})"
    else:
        start = "/(?:.*/)?"
    return re.compile(start + text, re.DOTALL)


def _translated(pattern: str, wild: bool) -> str:
    if not wild:
        # rsync takes a backslash for one unless there are wildcards
        return re.escape(pattern)
    return "".join(_pieces(pattern))


def _pieces(pattern: str) -> Iterator[str]:
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            stars = 1
            while pattern[at : at + 1] == "*":
                stars, at = stars + 1, at + 1
            yield ".*" if stars > 1 else "[^/]*"
        elif character == "?":
            yield "[^/]"
        elif character == "\\" and at < len(pattern):
            yield re.escape(pattern[at])
            at += 1
        elif character == "[":
            text, at = _bracket(pattern, at)
            yield text
        else:
            yield re.escape(character)


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    """The expression for `[...]` whose inside begins at `at`, and where the rest begins.  Never a `/`."""
    negated = pattern[at : at + 1] in ("!", "^")
    at += negated
    inside: list[str] = []
    first = True
    while True:
        if at >= len(pattern):
            return "(?!)", at  # no end: it matches nothing
        character = pattern[at]
        at += 1
        if character == "]" and not first:
            break
        first = False
        named = re.compile(r"\[:(\w+):\]").match(pattern, at - 1)
        if named:
            inside.append(_CLASSES.get(named[1], ""))
            at = named.end()
            continue
        if character == "\\" and at < len(pattern):
            character, at = pattern[at], at + 1
        if pattern[at : at + 1] == "-" and pattern[at + 1 : at + 2] not in ("", "]"):
            end = pattern[at + 1]
            at += 2
            if end == "\\" and at < len(pattern):
                end, at = pattern[at], at + 1
            if character <= end:
                inside.append(f"{re.escape(character)}-{re.escape(end)}")
            continue
        inside.append(re.escape(character))
    body = "".join(inside)
    if negated:
        return (f"[^/{body}]" if body else "[^/]"), at
    return (f"(?!/)[{body}]" if body else "(?!)"), at


def _deciding(rules: t.Sequence[Rule], path: str, directory: bool) -> Rule | None:
    """The rule that excludes the path, or a directory above it; rsync looks at these first, from the top."""
    parts = path.strip("/").split("/")
    for count in range(1, len(parts) + 1):
        part, is_directory = "/" + "/".join(parts[:count]), count < len(parts) or directory
        rule = next((rule for rule in rules if rule.matches(part, is_directory)), None)
        if rule is not None and not rule.include:
            return rule
    return None


def escaped(path: str) -> str:
    """The path as a pattern that means itself, but for a `*` in it: that stays a wildcard."""
    if not re.search(r"[*?\[]", path):
        return path
    return re.sub(r"([?\[\\])", r"\\\1", path)
