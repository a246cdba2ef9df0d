# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make, list and revoke BCM client certificates through cmsh's `cert` mode."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass

from .cmsh import Cmsh
from .failure import Failure

_ATTEMPTS = 3
_COLUMNS = 6
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


def parse_holders(text: str, profile: str) -> dict[str, list[int]]:
    """Who has a certificate with this profile that is not revoked: common name -> serial numbers.

    Columns are as wide as the dashes below their names, and what is longer is cut off there.
    """
    lines = text.splitlines()
    at = next((number for number, line in enumerate(lines) if re.fullmatch(r"[- ]*-[- ]*", line)), len(lines))
    spans = [match.span() for match in re.finditer("-+", lines[at])] if at < len(lines) else []
    found: dict[str, list[int]] = {}
    for line in lines[at + 1 :]:
        cells = [line[start:end].strip() for start, end in spans]
        if len(cells) < _COLUMNS or not cells[0].isdigit() or cells[1].lower() != "no":
            continue
        start, end = spans[3]
        if profile == cells[3] or (len(cells[3]) == end - start and profile.startswith(cells[3])):
            found.setdefault(line[spans[5][0] :].strip(), []).append(int(cells[0]))
    return found


def holders(cmsh: Cmsh, profile: str) -> dict[str, list[int]]:
    """The same as BCM has it now; raises CmshError."""
    return parse_holders(cmsh.run([("cert",), ("listcertificates",)]).stdout, profile)


def revoke(cmsh: Cmsh, serial: int) -> None:
    """Revoke the certificate and see that BCM lists it as such; raises Failure and CmshError."""
    output = cmsh.run([("cert",), ("revokecertificate", str(serial))])
    if not is_revoked(cmsh, serial):
        said = output.words or "it said nothing"
        raise Failure(f"BCM did not revoke the certificate {serial}: {said}", "not_revoked", bcm=output.words)
