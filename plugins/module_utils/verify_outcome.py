# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check found, and what the kinds of checks have in common. Pure."""

from __future__ import annotations

import typing as t
import urllib.parse
from collections.abc import Callable, Iterator

Json = dict[str, t.Any]


class Outcome(t.NamedTuple):
    """One check of one thing.

    *seen* and *expected* are short and without a full stop; *mend* is a command, or says where to look. *host* is the
    host that the check is about, where that is not the one that was looked at. *hint* says what to do so that more can
    be seen, where nothing was there to fail.
    """

    check: str
    subject: str
    ok: bool
    seen: str = ""
    expected: str = ""
    mend: str = ""
    host: str = ""
    hint: str = ""


class Scene(t.NamedTuple):
    """What a judge has: the facts of ``verify_look.look``, and the command that deploys the part anew."""

    facts: Json
    deploy: str


class Kind(t.NamedTuple):
    """A kind of check: what it wants to have looked at for an expectation, and how it judges that."""

    wants: Callable[[t.Any], Json]
    judge: Callable[[t.Any, Scene], Iterator[Outcome]]


def asked(name: str, url: str, kind: str, **more: t.Any) -> Json:
    """A GET for the module; see its option ``requests``."""
    return {"name": name, "url": url, "kind": kind, **more}


def queried(name: str, url: str, query: str, **more: t.Any) -> Json:
    """An instant query of the Prometheus at *url*, for the module as in :func:`asked`."""
    encoded = urllib.parse.urlencode({"query": query})
    return asked(name, f"{url}/api/v1/query?{encoded}", "vector", seconds=30, **more)


def number(value: object, default: float = 0.0) -> float:
    """A number, of what should be one."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return default


def has_role(roles: object, watched: object) -> bool | None:
    """Whether BCM gives a host one of the roles; None where BCM's roles of it are not known."""
    if not isinstance(roles, (list, tuple)) or not isinstance(watched, (list, tuple)):
        return None
    return bool({str(role).lower() for role in roles} & {str(role).lower() for role in watched})


def one_line(text: object, most: int = 160) -> str:
    """A text of somebody else's, as it can stand in a table."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def why_not(answer: object, default: str = "it was not looked at") -> str:
    """Why there is no answer; empty where there is one."""
    if not isinstance(answer, dict):
        return default
    return one_line(answer["error"]) if "error" in answer else ""
