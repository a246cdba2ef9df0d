# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions as data: what is asked, why, what is taken by default, and what cannot be an answer.  No I/O."""

from __future__ import annotations

import posixpath
import re
import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .bcm_device import shown as _quoted
from .setup_findings import Findings, Host, members

Value = t.Any  # bool, int, str or a list of str, as the question's kind says


class Refused(ValueError):
    """An answer that cannot be taken; the text is one sentence without a full stop."""


class World(t.Protocol):
    """What can only be tried out: asked when an answer is checked, and read-only."""

    def listens(self, host: Host, port: int) -> bool:
        """Whether something on the host takes connections on the port."""

    def get(self, url: str, user: str = "", password: str = "") -> tuple[int, t.Any]:
        """Status and JSON body (None if it is none) of a GET; raises Refused if nothing answers."""


@dataclass(frozen=True)
class Context:
    """What a question may look at: earlier answers, the findings, the world."""

    answers: Mapping[str, Value]
    findings: Findings
    world: World

    def get(self, key: str) -> Value:
        """An earlier answer; None if there is none, because the question did not apply or its answer was refused."""
        return self.answers.get(key)

    def members(self, key: str) -> list[Host]:
        """The hosts that the answer to a question of kind `hosts` means."""
        return members(self.get(key) or (), self.findings.hosts)


def _nothing(context: Context) -> Value:
    return None


def always(context: Context) -> bool:
    """What applies in any case."""
    return True


def never(context: Context) -> bool:
    """What does not."""
    return False


def _fine(context: Context, value: Value) -> str | None:
    return None


@dataclass(frozen=True)
class Question:
    """One thing to know.

    `explain` is one line.  `default` is None where there is no safe guess.  `check` is why a well-formed value cannot
    be taken.  `applies` is whether there is anything to know.  `routine`: its default is taken without a word, unless
    it is refused or the administrator wants to see everything.
    """

    key: str
    kind: t.Literal["yes_no", "number", "choice", "text", "hosts", "path", "url", "secret"]
    explain: str
    default: Callable[[Context], Value] = _nothing
    check: Callable[[Context, Value], str | None] = _fine
    applies: Callable[[Context], bool] = always
    choices: Mapping[str, str] = field(default_factory=dict)
    routine: Callable[[Context], bool] = never


@dataclass(frozen=True)
class Section:
    """Questions that belong together. `about` is one line; `notes` are read out and ask nothing."""

    key: str
    title: str
    about: str
    questions: tuple[Question, ...] = ()


_YES, _NO = frozenset(("yes", "y", "true", "on", "1")), frozenset(("no", "n", "false", "off", "0"))
_TEXT = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_HOSTS = re.compile(r"((category|role):)?[A-Za-z0-9_.*?\[\]!:-]+")
_PATH = re.compile(r"(/[A-Za-z0-9_.,@+=-]+)+/?")


def parse(question: Question, raw: Value) -> Value:
    """The value of an answer, typed or from a file; raises Refused."""
    if isinstance(raw, str):
        raw = raw.strip()
    return _PARSERS[question.kind](question, raw)


def shown(question: Question, value: Value) -> str:
    """A value as it would be typed."""
    if value is None:
        return ""
    if question.kind == "secret":
        return "(hidden)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(value)
    return str(value)


def _yes_no(question: Question, raw: Value) -> Value:
    if isinstance(raw, bool):
        return raw
    text = str(raw).lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise Refused(f"answer yes or no, not {_quoted(raw)}")


def _number(question: Question, raw: Value) -> Value:
    if isinstance(raw, bool) or not isinstance(raw, (int, str)) or not re.fullmatch(r"[0-9]{1,9}", str(raw)):
        raise Refused(f"{_quoted(raw)} is no whole number")
    return int(raw)


def _choice(question: Question, raw: Value) -> Value:
    """One of the choices, or the beginning of just one."""
    text = raw.lower() if isinstance(raw, str) else ""
    found = [name for name in question.choices if text and name.startswith(text)]
    if text in question.choices:
        return text
    if len(found) != 1:
        raise Refused(f"answer one of {', '.join(question.choices)}, not {_quoted(raw)}")
    return found[0]


def _text(question: Question, raw: Value) -> Value:
    if not isinstance(raw, str) or not _TEXT.fullmatch(raw):
        raise Refused(f"{_quoted(raw)} is no name: use letters, digits, hyphens, underscores and dots")
    return raw


def _hosts(question: Question, raw: Value) -> Value:
    items = re.split(r"[,\s]+", "" if raw.lower() == "none" else raw) if isinstance(raw, str) else raw
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise Refused(f"give names of hosts, not {_quoted(raw)}")
    items = [item for item in dict.fromkeys(item.strip() for item in items) if item]
    bad = [item for item in items if not _HOSTS.fullmatch(item)]
    if bad:
        raise Refused(f"{_quoted(bad[0])} is no host, glob, category:GLOB or role:NAME")
    return items


def _path(question: Question, raw: Value) -> Value:
    if not isinstance(raw, str) or not _PATH.fullmatch(raw) or ".." in raw.split("/"):
        raise Refused(f"{_quoted(raw)} is no absolute path of letters, digits and . _ , @ + = -")
    return posixpath.normpath(raw)


def _url(question: Question, raw: Value) -> Value:
    text = raw if isinstance(raw, str) else ""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or parts.username or parts.query or parts.fragment or not re.fullmatch(r"[!-~]+", text):
        raise Refused(f"{_quoted(raw)} is no address like http://mon-01:9090")
    return text.rstrip("/")


def _secret(question: Question, raw: Value) -> Value:
    if not isinstance(raw, str) or not raw.isprintable() or not raw:
        raise Refused("it must be a text of at least one printable character")
    return raw


_PARSERS: dict[str, Callable[[Question, Value], Value]] = {
    "yes_no": _yes_no,
    "number": _number,
    "choice": _choice,
    "text": _text,
    "hosts": _hosts,
    "path": _path,
    "url": _url,
    "secret": _secret,
}
