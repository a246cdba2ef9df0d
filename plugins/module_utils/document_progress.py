# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a run is and how long it may still take.  Pure: times come from outside."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .document_markdown import duration


@dataclass
class Progress:
    """Where a run is. `history` says how many seconds each section took the last time, by its title."""

    sections: Sequence[str]
    history: Mapping[str, float] = field(default_factory=dict)
    began: float = 0.0
    at: int = -1
    section_began: float = 0.0
    hosts: frozenset[str] = frozenset()
    done: set[str] = field(default_factory=set)
    taken: dict[str, float] = field(default_factory=dict)

    def section(self, hosts: t.Iterable[str], now: float) -> None:
        """The next section begins, with these hosts."""
        self._end(now)
        self.at += 1
        self.section_began = now
        self.hosts = frozenset(hosts)
        self.done = set()

    def task(self) -> None:
        """The next task begins: no host has done it yet."""
        self.done = set()

    def host(self, name: str) -> None:
        """A host has done the current task."""
        self.done.add(name)

    def end(self, now: float) -> None:
        """The run ends."""
        self._end(now)

    def _end(self, now: float) -> None:
        if 0 <= self.at < len(self.sections):
            self.taken[self.sections[self.at]] = now - self.section_began

    def rest(self, now: float) -> float | None:
        """Seconds that the rest will take by the last run's times; None for a section that has none."""
        if not 0 <= self.at < len(self.sections):
            return None
        rest = 0.0
        for number, title in enumerate(self.sections[self.at :]):
            last = self.history.get(title)
            if last is None:
                return None
            rest += max(0.0, last - (now - self.section_began)) if number == 0 else last
        return rest

    def line(self, now: float) -> str:
        """One line for the terminal."""
        title = self.sections[self.at] if 0 <= self.at < len(self.sections) else ""
        rest = self.rest(now)
        left = "rest unknown, since this is the first run" if rest is None else f"about {duration(rest)} left"
        hosts = f"{len(self.hosts & self.done)} of {len(self.hosts)} hosts done"
        return f"[{self.at + 1}/{len(self.sections)}] {title}: {hosts}, {duration(now - self.began)} so far, {left}"
