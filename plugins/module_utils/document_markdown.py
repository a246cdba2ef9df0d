# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run's document as Markdown.  Pure."""

from __future__ import annotations

import re
from collections.abc import Container

from .document_model import STATUSES, Document, Outcome, Section, Status, Task

_SHOWN: tuple[Status, ...] = ("changed", "failed", "ignored", "unreachable")
_HOSTS_SHOWN = 12
_DONE = frozenset(("Deploying",))
"""The section of the guided setup's page that a run, other than one in check mode, has done."""
_UNITS = ((3600, "h"), (60, "min"), (1, "s"))


def markdown(document: Document) -> str:
    """The document, from what it is about to what is left to do."""
    parts = [_top(document), _summary(document), _problems(document)]
    parts += [_section(number, section, document.check) for number, section in enumerate(document.sections, 1)]
    parts += [_settings(document), _by_hand(document)]
    return "\n".join(part for part in parts if part)


def duration(seconds: float) -> str:
    """Such as `2 min 5 s`; at most two units."""
    rest = max(0, round(seconds))
    words: list[str] = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not words):
            words.append(f"{count} {unit}")
    return " ".join(words[:2])


def _top(document: Document) -> str:
    what = "What would be done" if document.check else "What was done"
    lines = [f"# {what}\n"]
    if not document.finished:
        lines.append("**The run has not ended, or was interrupted.** This is what was known until then.\n")
    if document.check:
        lines.append("This was a run in check mode: nothing was changed.\n")
    lines += ["| | |", "|---|---|", *(f"| {_cell(key)} | {_cell(value)} |" for key, value in document.about.items())]
    return "\n".join(lines) + "\n"


def _summary(document: Document) -> str:
    totals: dict[str, dict[Status, int]] = {}
    for section in document.sections:
        for host, counts in section.counts().items():
            of_host = totals.setdefault(host, dict.fromkeys(STATUSES, 0))
            for status, count in counts.items():
                of_host[status] += count
    if not totals:
        return "## Hosts\n\nNo task ran on any host.\n"
    lines = ["## Hosts\n", f"| host | {' | '.join(STATUSES)} |", "|---" * (len(STATUSES) + 1) + "|"]
    lines += [
        f"| {_cell(host)} | {' | '.join(str(counts[key]) for key in STATUSES)} |"
        for host, counts in sorted(totals.items())
    ]
    return "\n".join(lines) + "\n"


def _problems(document: Document) -> str:
    lines = []
    for section in document.sections:
        for task in section.tasks:
            for outcome, hosts in task.groups(("failed", "unreachable")):
                lines += [
                    f"- **{_inline(task.name)}** on {_names(hosts)}: {_inline(outcome.message or outcome.status)}"
                ]
    return "## What failed\n\n" + "\n".join(lines) + "\n" if lines else ""


def _section(number: int, section: Section, check: bool) -> str:
    counts = section.counts()
    lines = [f"## {number}. {_inline(section.title)}\n"]
    if not counts:
        return "\n".join([*lines, "No host is in this section, or nothing was to be done.\n"])
    shown = [task for task in section.tasks if task.groups(_SHOWN)]
    quiet = len(section.tasks) - len(shown)
    lines.append(f"{_names(list(counts))}; {duration(section.seconds)}.\n")
    role = None
    for task in shown:
        if task.role != role:
            role = task.role
            lines.append(f"### {_inline(role or 'Tasks')}\n")
        lines.append(_task(task, check))
    if quiet:
        lines.append(f"{quiet} more tasks found everything as it should be, or did not apply.\n")
    return "\n".join(lines)


def _task(task: Task, check: bool) -> str:
    lines = [f"#### {_inline(task.name)}\n", f"`{task.action}`, {duration(task.seconds)}\n"]
    words = {
        "changed": "would change" if check else "changed",
        "failed": "failed",
        "ignored": "failed, which was expected or does not matter",
        "unreachable": "could not be reached",
    }
    for outcome, hosts in task.groups(_SHOWN):
        lines.append(f"{_names(hosts)}: {words[outcome.status]}\n")
        lines += _details(outcome)
    return "\n".join(lines)


def _details(outcome: Outcome) -> list[str]:
    lines = []
    if outcome.message:
        lines.append(fenced(outcome.message, ""))
    if outcome.commands:
        lines.append(fenced("\n".join(outcome.commands), "sh"))
    if outcome.files and not outcome.diff:
        lines.append("".join(f"- `{path}`\n" for path in outcome.files))
    if outcome.diff:
        lines.append(fenced(outcome.diff, "diff"))
    lines += [f"Warning: {_inline(warning)}\n" for warning in outcome.warnings]
    return lines


def _settings(document: Document) -> str:
    merged: dict[str, dict[str, str]] = {}
    for section in document.sections:
        for role, settings in section.settings.items():
            merged.setdefault(role, {}).update(settings)
    rows = [(role, name, value) for role, settings in merged.items() for name, value in sorted(settings.items())]
    if not rows:
        return ""
    lines = ["## Ports and versions\n", "| role | setting | value |", "|---|---|---|"]
    lines += [f"| {_cell(role)} | `{_cell(name)}` | {_cell(value)} |" for role, name, value in rows]
    return "\n".join(lines) + "\n"


def _by_hand(document: Document) -> str:
    lines = []
    if _problems(document):
        lines.append("- Mend what failed, and run it again: what is done already stays as it is.\n")
    if document.check:
        lines.append("- Run it again without `--check`.\n")
    if document.by_hand:
        lines.append(_lowered(document.by_hand, () if document.check else _DONE))
    return "## What is left to do by hand\n\n" + ("\n".join(lines) or "Nothing that is known here.\n")


def _lowered(text: str, without: Container[str]) -> str:
    """A page's Markdown within this one: its title goes, headings sink by one level, some sections are left out."""
    kept, fence, wanted = [], False, True
    for line in text.splitlines():
        if line.startswith("```"):
            fence = not fence
        heading = line.startswith("#") and not fence
        if heading:
            wanted = line.lstrip("# ") not in without
        if wanted and not (heading and line.startswith("# ")):
            kept.append("#" + line if heading else line)
    return "\n".join(kept).strip("\n") + "\n"


def fenced(text: str, language: str) -> str:
    """A block of code, fenced by more backticks than are in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def _names(hosts: list[str]) -> str:
    rest = len(hosts) - _HOSTS_SHOWN
    return _inline(", ".join(sorted(hosts)[:_HOSTS_SHOWN])) + (f" and {rest} more hosts" if rest > 0 else "")


def _inline(text: str) -> str:
    """Foreign text within a line: on one line, and without Markdown of its own."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", " ".join(text.split()))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
