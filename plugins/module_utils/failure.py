# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the collection's modules fail: one sentence for people, a code and details for programs."""

from __future__ import annotations

import contextlib
import typing as t


class Failing(t.Protocol):
    """The part of AnsibleModule that is needed here."""

    def fail_json(self, msg: str, **kwargs: t.Any) -> t.NoReturn:
        """End the module with a failure."""


class Failure(Exception):
    """What a module cannot do: the sentence, a code that names the kind, and what a program may want to know."""

    def __init__(self, message: str, code: str, **details: t.Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.details = details


@contextlib.contextmanager
def failing(module: Failing, path: str | None = None) -> t.Iterator[None]:
    """End the module where the body raises Failure, or OSError: code `io`, with `path` and `errno` as details.

    *path* is what it is about, if an OSError may name a temporary file, or none.
    """
    try:
        yield
    except Failure as failure:
        _fail(module, failure)
    except OSError as error:
        name = path or error.filename or "a file"
        _fail(module, Failure(f"{name}: {error.strerror or error}", "io", path=name, errno=error.errno))


def _fail(module: Failing, failure: Failure) -> t.NoReturn:
    """End the module; the result carries `msg` and `failure: {message, code, details}`."""
    module.fail_json(
        msg=failure.message,
        failure={"message": failure.message, "code": failure.code, "details": failure.details},
    )
