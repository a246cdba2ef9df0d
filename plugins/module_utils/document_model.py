# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened in a run, as a document's content: sections, tasks, hosts with the same outcome together.  Pure."""

from __future__ import annotations

import difflib
import typing as t
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

Json = Mapping[str, t.Any]
Status = t.Literal["ok", "changed", "failed", "ignored", "skipped", "unreachable"]
STATUSES: tuple[Status, ...] = ("ok", "changed", "failed", "ignored", "skipped", "unreachable")

_TEXT_LIMIT = 4000
_FILE_KEYS = ("path", "dest")


@dataclass(frozen=True)
class Outcome:
    """What a task did on a host. Hosts with equal outcomes are shown together."""

    status: Status
    message: str = ""
    commands: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    diff: str = ""
    warnings: tuple[str, ...] = ()


@dataclass
class Task:
    """One task of a section: its name without the role's, the module, and the outcome by host."""

    name: str
    role: str
    action: str
    seconds: float = 0.0
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def groups(self, statuses: Iterable[Status]) -> list[tuple[Outcome, list[str]]]:
        """Outcomes of these kinds, each with its hosts, in the order in which they came."""
        wanted = set(statuses)
        found: dict[Outcome, list[str]] = {}
        for host, outcome in self.outcomes.items():
            if outcome.status in wanted:
                found.setdefault(outcome, []).append(host)
        return list(found.items())


@dataclass
class Section:
    """One play."""

    title: str
    tasks: list[Task] = field(default_factory=list)
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    """Ports and versions by role."""
    seconds: float = 0.0

    def counts(self) -> dict[str, dict[Status, int]]:
        """How many tasks ended how, by host."""
        counted: dict[str, dict[Status, int]] = {}
        for task in self.tasks:
            for host, outcome in task.outcomes.items():
                of_host = counted.setdefault(host, dict.fromkeys(STATUSES, 0))
                of_host[outcome.status] += 1
        return counted


@dataclass
class Document:
    """A whole run. `about` is what to say of it at the top, `by_hand` what is left to do, in Markdown."""

    check: bool
    about: dict[str, str] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    by_hand: str = ""
    finished: bool = False


class Collector:
    """Takes events in Ansible's order and builds the document; every text goes through `mask`.

    `diff_lines` is how many lines of one difference are kept.
    """

    def __init__(self, check: bool, mask: Callable[[str], str], diff_lines: int) -> None:
        self.document = Document(check)
        self._mask = mask
        self._diff_lines = diff_lines
        self._tasks: dict[str, Task] = {}
        self._began: dict[str, float] = {}
        self._section_began = 0.0

    def play(self, title: str, now: float) -> Section:
        """A play begins; `now` is in seconds on any clock."""
        self._end_section(now)
        section = Section(self._mask(title))
        self.document.sections.append(section)
        self._section_began = now
        self._tasks.clear()
        self._began.clear()
        return section

    def _end_section(self, now: float) -> None:
        if self.document.sections:
            self.document.sections[-1].seconds = now - self._section_began

    def task(self, key: str, name: str, role: str, action: str, now: float) -> None:
        """A task begins; `key` tells it from others of the play."""
        if not self.document.sections:
            self.play("", now)
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = Task(self._mask(name), role, action)
            self.document.sections[-1].tasks.append(task)
        # again with the next batch of hosts: only the time that it takes counts
        self._began[key] = now - task.seconds

    def result(self, key: str, host: str, status: Status, result: Json, now: float) -> None:
        """A task ended on a host."""
        task = self._tasks.get(key)
        if task is None:
            return
        task.seconds = now - self._began[key]
        task.outcomes[host] = self._outcome(status, result)

    def end(self, now: float) -> Document:
        """The run ends."""
        self._end_section(now)
        self.document.finished = True
        return self.document

    def _outcome(self, status: Status, result: Json) -> Outcome:
        items = [item for item in result.get("results") or () if isinstance(item, Mapping)]
        parts = [result, *(item for item in items if status != "changed" or item.get("changed"))]
        detailed = status in ("changed", "failed", "ignored", "unreachable")
        failed = status in ("failed", "ignored", "unreachable")
        return Outcome(
            status=status,
            message=self._message(result, items) if failed else "",
            commands=_once(self._mask(command) for part in parts for command in _commands(part)) if detailed else (),
            files=_once(self._mask(path) for part in parts for path in _files(part)) if detailed else (),
            diff=self._diff(parts) if detailed else "",
            warnings=_once(self._mask(str(warning)) for warning in result.get("warnings") or ()),
        )

    def _message(self, result: Json, items: Iterable[Json]) -> str:
        said = [item.get("msg") for item in items if item.get("failed") or item.get("unreachable")]
        texts = [str(text) for text in (said or [result.get("msg")]) if text]
        texts += [str(result[key]) for key in ("stderr", "module_stderr") if result.get(key)]
        return self._mask("\n".join(_once(texts)))[:_TEXT_LIMIT]

    def _diff(self, parts: Iterable[Json]) -> str:
        texts = []
        for part in parts:
            found = part.get("diff")
            for one in found if isinstance(found, (list, tuple)) else [found]:
                if isinstance(one, Mapping):
                    texts.append(_unified(one))
        lines = self._mask("".join(text for text in texts if text)).splitlines()
        if len(lines) > self._diff_lines:
            lines = [*lines[: self._diff_lines], f"... {len(lines) - self._diff_lines} more lines"]
        return "\n".join(lines)


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _commands(part: Json) -> list[str]:
    command = part.get("cmd")
    if isinstance(command, (list, tuple)):
        return [" ".join(str(word) for word in command)]
    return [str(command)] if command else []


def _files(part: Json) -> list[str]:
    listed = part.get("changed_paths")
    if isinstance(listed, (list, tuple)):
        return [str(path) for path in listed]
    return [str(part[key]) for key in _FILE_KEYS if isinstance(part.get(key), str) and part.get("changed")]


def _unified(diff: Json) -> str:
    """A difference as text. Modules give it prepared, or as the content or the attributes before and after."""
    prepared = diff.get("prepared")
    if isinstance(prepared, str):
        return prepared if prepared.endswith("\n") or not prepared else prepared + "\n"
    if "before" not in diff and "after" not in diff:
        return ""
    before, after = _lines(diff.get("before")), _lines(diff.get("after"))
    if before == after:
        return ""
    headers = (str(diff.get("before_header") or "before"), str(diff.get("after_header") or "after"))
    return "".join(
        line if line.endswith("\n") else line + "\n" for line in difflib.unified_diff(before, after, *headers)
    )


def _lines(value: t.Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [f"{key}: {value[key]}\n" for key in sorted(value, key=str)]
    return str(value).splitlines(keepends=True)
