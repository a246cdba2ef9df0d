# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make, list and revoke BCM client certificates through cmsh's `cert` mode."""

from __future__ import annotations

import os
import re
import time
import typing as t
from collections.abc import Collection
from dataclasses import dataclass

from .cmsh import Cmsh
from .failure import Failure

_ATTEMPTS = 3
_COLUMNS = frozenset(("serial", "revoked", "profile", "name"))
_WAIT = 2.0
"""Seconds to wait for the files after a call that did not name them: the request is answered in the background."""


@dataclass(frozen=True)
class Order:
    """What `createcertificate` asks for; `days` is how long the certificate is valid."""

    common_name: str
    profile: str
    days: int
    key_length: int
    organization: str
    organizational_unit: str
    locality: str
    state: str
    country: str
    system_login: str = ""


@dataclass(frozen=True)
class Listed:
    """A line of `listcertificates`."""

    serial: int
    revoked: bool


class Holders(t.NamedTuple):
    """Serial numbers of certificates that are not revoked and have a profile, or may have it.

    Those of one common name, those of other names, and those of which the list shows too little to say whose they are.
    """

    ours: list[int]
    others: list[int]
    unsure: list[int]


def create(cmsh: Cmsh, order: Order, key_path: str, certificate_path: str) -> None:
    """Have BCM write a key and a certificate to two paths that do not exist; raises Failure and CmshError.

    The first call may only file a request, say so in an event line, and write nothing; the same call again then writes
    the files (the administrator manual shows this). So the files count, not what is printed.
    """
    subject = (order.organization, order.organizational_unit, order.locality, order.state, order.country)
    command = (
        *("createcertificate", str(order.key_length), order.common_name, *subject, order.profile),
        *(order.system_login, str(order.days), key_path, certificate_path),
    )
    said = ""
    for _attempt in range(_ATTEMPTS):
        output = cmsh.run([("cert",), command])
        if _appeared(key_path, certificate_path):
            return
        said = output.words or said
        if output.refusals:
            break
    raise Failure(
        f"BCM wrote no certificate for {order.common_name}: {said or 'it said nothing'}", "not_created", bcm=said
    )


def _appeared(*paths: str) -> bool:
    until = time.monotonic() + _WAIT
    while not all(os.path.exists(path) and os.path.getsize(path) for path in paths):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def is_revoked(cmsh: Cmsh, serial: int) -> bool | None:
    """Whether BCM lists the certificate as revoked; None if it does not list it at all. Raises CmshError."""
    found = [
        entry.revoked
        for entry in parse_list(cmsh.run([("cert",), ("listcertificates",)]).stdout)
        if entry.serial == serial
    ]
    return any(found) if found else None


def parse_list(text: str) -> list[Listed]:
    """Read the first two columns of `listcertificates`; lines that are no rows do not count."""
    rows = re.findall(r"^(\d+)\s+(yes|no)\b", text, re.IGNORECASE | re.MULTILINE)
    return [Listed(int(serial), revoked.lower() == "yes") for serial, revoked in rows]


class _Cell(t.NamedTuple):
    """What a column shows; where that fills the column, its end may have been cut off."""

    text: str
    full: bool

    def is_surely(self, value: str) -> bool:
        return self.text == value and not self.full

    def may_be(self, value: str) -> bool:
        return self.text == value or (self.full and value.startswith(self.text))


def _table(text: str) -> list[dict[str, _Cell]] | None:
    """The rows by the columns' names, or None if there is no table; columns are as wide as the dashes below them."""
    lines = text.splitlines()
    rule = next((at for at, line in enumerate(lines) if at and re.fullmatch(r"[- ]*-[- ]*", line)), 0)
    if not rule:
        return None
    spans = [match.span() for match in re.finditer("-+", lines[rule])]
    names = [lines[rule - 1][start:end].strip().lower() for start, end in spans]
    ends = [*[end for _start, end in spans[:-1]], None]  # the last column may be left uncut
    rows = []
    for line in lines[rule + 1 :]:
        cells = [line[start:until].strip() for (start, _end), until in zip(spans, ends)]
        rows.append(
            {name: _Cell(cell, len(cell) == end - start) for name, cell, (start, end) in zip(names, cells, spans)}
        )
    return rows if _COLUMNS.issubset(names) else None


def parse_holders(text: str, common_name: str, profile: str, known: Collection[int]) -> Holders | None:
    """Who has the profile in the output of `listcertificates`, or None if that cannot be read.

    `known` are the serial numbers of certificates that were seen to be ours. Names alone are not enough where they are
    cut off, as a profile's is after 16 letters; a number alone is not, since another cluster counts anew. So ours is
    what shows both names to their ends, or has a known number and as much of both names as there is room for.
    """
    rows = _table(text)
    if rows is None:
        return None
    found = Holders([], [], [])
    for row in rows:
        serial, name = row["serial"], row["name"]
        if not serial.text.isdigit() or row["revoked"].text.lower() == "yes" or not row["profile"].may_be(profile):
            continue
        number = int(serial.text)
        if not name.may_be(common_name):
            found.others.append(number)
        elif not serial.full and (
            number in known or (row["profile"].is_surely(profile) and name.is_surely(common_name))
        ):
            found.ours.append(number)
        else:
            found.unsure.append(number)
    return found


def holders(cmsh: Cmsh, common_name: str, profile: str, known: Collection[int]) -> Holders:
    """The same as BCM has it now; raises Failure and CmshError."""
    output = cmsh.run([("cert",), ("listcertificates",)])
    found = parse_holders(output.stdout, common_name, profile, known)
    if found is None:
        said = output.words or "it said nothing"
        raise Failure(
            f"BCM's list of certificates cannot be read, and nothing was changed: {said}", "unreadable", bcm=said
        )
    return found


def revoke(cmsh: Cmsh, serial: int) -> None:
    """Revoke the certificate and see that BCM lists it as such; raises Failure and CmshError."""
    output = cmsh.run([("cert",), ("revokecertificate", str(serial))])
    if not is_revoked(cmsh, serial):
        said = output.words or "it said nothing"
        raise Failure(f"BCM did not revoke the certificate {serial}: {said}", "not_revoked", bcm=output.words)
