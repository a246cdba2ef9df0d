# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The course of the guided setup: which question comes next, what its default is, what is wrong.  No terminal here."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from .setup_findings import Findings
from .setup_model import Context, Question, Refused, Section, Value, World, parse
from .setup_questions import QUESTIONS, SECTIONS, TARGETS_DIR


@dataclass(frozen=True)
class Step:
    """A question whose turn it is.

    `default` is what an empty answer means, None if there is nothing to offer.  `refused` is why the answer given
    beforehand, or a default that would have been taken without a word, cannot be.
    """

    section: Section
    question: Question
    default: Value
    refused: str | None = None


class Dialogue:
    """The answers so far, and what is still to be known.

    `given` are answers from a file or an earlier run; they are checked like typed ones.  `everything` asks routine
    questions, too.
    """

    def __init__(
        self,
        findings: Findings,
        world: World,
        given: Mapping[str, Value] | None = None,
        *,
        everything: bool = False,
    ) -> None:
        self.answers: dict[str, Value] = {}
        self.explicit: set[str] = set()
        self._context = Context(self.answers, findings, world)
        self._given = dict(given or {})
        self._everything = everything
        self._given_up: set[str] = set()

    def step(self) -> Step | None:
        """Take what can be taken without asking, and return the first question that cannot; None at the end."""
        for section in SECTIONS:
            for question in section.questions:
                if question.key in self.answers or question.key in self._given_up:
                    continue
                if not question.applies(self._context):
                    continue
                step = self._ask(section, question)
                if step is not None:
                    return step
        return None

    def _ask(self, section: Section, question: Question) -> Step | None:
        default = question.default(self._context)
        refused = None
        if question.key in self._given:
            refused = self._try(question, self._given.pop(question.key), explicit=True)
        elif default is not None and question.routine(self._context) and not self._everything:
            refused = self._try(question, default, explicit=False)
            if refused:
                default = None
        return None if question.key in self.answers else Step(section, question, default, refused)

    def _try(self, question: Question, raw: Value, *, explicit: bool) -> str | None:
        try:
            value = parse(question, raw)
        except Refused as refused:
            return str(refused)
        reason = question.check(self._context, value)
        if reason is None:
            self.answers[question.key] = value
            if explicit:
                self.explicit.add(question.key)
        return reason

    def answer(self, step: Step, raw: Value) -> None:
        """Take what was typed; an empty text is the default.  Raises Refused."""
        empty = isinstance(raw, str) and not raw.strip()
        if empty and step.default is None:
            raise Refused("there is no default, an answer is needed")
        reason = self._try(step.question, step.default if empty else raw, explicit=not empty)
        if reason is not None:
            raise Refused(reason)

    def complete(self) -> list[str]:
        """Answer all that is left by its default; return what is wrong, a sentence for each question."""
        problems = []
        while (step := self.step()) is not None:
            reason = step.refused
            if reason is None:
                try:
                    self.answer(step, "")
                except Refused as refused:
                    reason = str(refused)
            if reason is not None:
                problems.append(f"{step.question.key}: {reason}.")
                self._given_up.add(step.question.key)
        return problems

    def sections_done(self) -> list[str]:
        """Titles of the sections that have nothing left to ask, up to the first that has."""
        step = self.step()
        titles = []
        for section in SECTIONS:
            if step is not None and step.section is section:
                break
            titles.append(section.title)
        return titles

    def warnings(self) -> list[str]:
        """What is allowed but should not pass unnoticed."""
        return warnings(self.answers, self.explicit)


def warnings(answers: Mapping[str, Value], explicit: set[str]) -> list[str]:
    """Sentences about answers that are taken although they may be a mistake; `explicit` are keys that were given."""
    said = []
    if answers.get("prometheus") == "existing" and "prometheus_targets_dir" not in explicit:
        directory = answers.get("prometheus_targets_dir", TARGETS_DIR)
        said.append(
            "An existing Prometheus is used, but prometheus_targets_dir was not given: target files go to "
            f"{directory}, where that server must look for them. Give the directory that it reads, if it has one."
        )
    if answers.get("prometheus") == "skip":
        said.append("Without Prometheus nothing is stored: jobstats and dashboards stay empty.")
    return said


def unknown_keys(given: Mapping[str, Value]) -> list[str]:
    """A sentence for each key that is no question's."""
    said = []
    for key in given:
        if key not in QUESTIONS:
            near = difflib.get_close_matches(str(key), QUESTIONS, n=1)
            hint = f"; did you mean {near[0]}" if near else ""
            said.append(f"{key}: there is no such question{hint}.")
    return said
