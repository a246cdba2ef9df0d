# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes a site directory for the guided setup."""

from __future__ import annotations

import hashlib
import os
import time
import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import atomic_file
from .failure import Failure
from .setup_model import Value
from .setup_questions import QUESTIONS
from .setup_site import ANSWERS_FILE, File, answers_file

_WRITTEN = "guided_setup_written"
_SECRETS = frozenset(key for key, question in QUESTIONS.items() if question.kind == "secret")


@dataclass(frozen=True)
class Change:
    """A file that is not as it should be. `keep`: it was changed by somebody else, so the old one is kept beside it."""

    name: str
    file: File
    diff: dict[str, str] | None
    keep: bool


class SiteDirectory:
    """The directory; it need not be there yet. `load` reads YAML and returns None for what is none."""

    def __init__(self, path: str, load: Callable[[bytes], t.Any]) -> None:
        self.path = path
        self._load = load

    def changes(self, wanted: Mapping[str, File]) -> list[Change]:
        """The files to write; raises Failure where one cannot be read."""
        written = self._kept().get(_WRITTEN) or {}
        found = []
        for name, file in wanted.items():
            before = self._content(name)
            content = file.content.encode()
            if before == content and self._mode(name) == file.mode:
                continue
            keep = before not in (None, content) and _digest(before or b"") != written.get(name)
            found.append(Change(name, file, self._diff(name, before, file), keep))
        return found

    def _diff(self, name: str, before: bytes | None, file: File) -> dict[str, str] | None:
        if file.secret:
            return None
        path = os.path.join(self.path, name)
        return {
            "before_header": path,
            "after_header": path,
            "before": "" if before is None else before.decode("utf-8", "replace"),
            "after": file.content,
        }

    def write(self, changes: t.Iterable[Change]) -> None:
        """Write the files, each atomically; raises Failure."""
        written = dict(self._kept().get(_WRITTEN) or {})
        try:
            for change in changes:
                path = os.path.join(self.path, change.name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                if change.keep:
                    os.replace(path, f"{path}.{time.strftime('%Y%m%d-%H%M%S')}~")
                atomic_file.write_if_changed(path, change.file.content.encode(), change.file.mode)
                written[change.name] = _digest(change.file.content.encode())
        except OSError as error:
            raise Failure(f"{error.filename or self.path} cannot be written: {error.strerror}.", "io") from None
        self._written = written

    def keep(self, answers: Mapping[str, Value]) -> None:
        """Write the answers so far, without secrets, for a later run; raises Failure."""
        written = getattr(self, "_written", None) or self._kept().get(_WRITTEN) or {}
        text = answers_file(answers, _SECRETS)
        if written:
            text += f"# Which of the files are as they were written, and may be replaced without a copy.\n{_WRITTEN}:\n"
            text += "".join(f'  "{name}": {digest}\n' for name, digest in sorted(written.items()))
        path = os.path.join(self.path, ANSWERS_FILE)
        try:
            os.makedirs(self.path, exist_ok=True)
            atomic_file.write_if_changed(path, text.encode(), 0o600)
        except OSError as error:
            raise Failure(f"{path} cannot be written: {error.strerror}.", "io") from None

    def kept_answers(self) -> dict[str, Value]:
        """The answers of an earlier run; of questions that are no more there is no word."""
        answers = self._kept().get("guided_setup_answers") or {}
        return {key: value for key, value in answers.items() if key in QUESTIONS}

    def _kept(self) -> dict[str, t.Any]:
        content = self._content(ANSWERS_FILE)
        if content is None:
            return {}
        value = self._load(content)
        answers = value.get("guided_setup_answers") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(answers, (dict, type(None))):
            path = os.path.join(self.path, ANSWERS_FILE)
            raise Failure(f"{path} holds no answers; correct it, or remove it to begin anew.", "answers")
        return value

    def _content(self, name: str) -> bytes | None:
        path = os.path.join(self.path, name)
        try:
            with open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Failure(f"{path} cannot be read: {error.strerror}.", "io") from None

    def _mode(self, name: str) -> int:
        return os.stat(os.path.join(self.path, name)).st_mode & 0o7777


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
