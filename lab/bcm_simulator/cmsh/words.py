# SPDX-License-Identifier: GPL-3.0-or-later
"""cmsh's command line as words: `;` and line ends separate, quotes keep together, parentheses hold foreach's block."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import CmshError, NotSimulatedError

# Outside quotes these start a shell or redirect; a stand-in that ignored them would hide an injection.
_SHELL = {"!": "runs a shell", "`": "runs a shell", ">": "redirects", "<": "redirects", "|": "redirects"}


@dataclass(frozen=True)
class Word:
    """One word; `block` holds the statements of a parenthesis instead of text."""

    text: str
    block: tuple[Statement, ...] | None = None


Statement = tuple[Word, ...]


def parse(text: str) -> list[Statement]:
    """The statements of `text`.

    Raises CmshError for open quotes and parentheses, NotSimulatedError for what would reach a shell.
    """
    parser = _Parser(text)
    statements = parser.statements(nested=False)
    return list(statements)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def statements(self, nested: bool) -> tuple[Statement, ...]:
        result: list[Statement] = []
        words: list[Word] = []
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in ";\n":
                self._at += 1
                result.append(tuple(words))
                words = []
            elif character.isspace():
                self._at += 1
            elif character == "(":
                self._at += 1
                words.append(Word("", self.statements(nested=True)))
            elif character == ")":
                if not nested:
                    raise CmshError("unexpected )")
                self._at += 1
                return tuple(statement for statement in (*result, tuple(words)) if statement)
            else:
                words.append(Word(self._word()))
        if nested:
            raise CmshError("missing )")
        return tuple(statement for statement in (*result, tuple(words)) if statement)

    def _word(self) -> str:
        parts: list[str] = []
        while self._at < len(self._text):
            character = self._text[self._at]
            if character.isspace() or character in ";()":
                break
            if character in "\"'":
                parts.append(self._quoted(character))
                continue
            if character in _SHELL:
                raise NotSimulatedError(f"{character!r} {_SHELL[character]} in cmsh")
            if character == "\\":
                raise NotSimulatedError("the meaning of a backslash in cmsh")
            parts.append(character)
            self._at += 1
        return "".join(parts)

    def _quoted(self, quote: str) -> str:
        end = self._text.find(quote, self._at + 1)
        if end < 0:
            raise CmshError(f"missing {quote}")
        inner = self._text[self._at + 1 : end]
        for character in "`\\":
            if character in inner:
                raise NotSimulatedError(f"the meaning of {character!r} inside quotes in cmsh")
        self._at = end + 1
        return inner
