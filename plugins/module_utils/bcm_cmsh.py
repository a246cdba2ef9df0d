# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory's snapshot through `cmsh`, for a head node without REST access.

cmsh has no machine-readable output: it pads and cuts its columns.  So every list is asked for with columns of a width
that nothing reaches, is read by the width of the dashes under its header, and a cell that fills its column counts as
cut.  Roles, inherited ones too, come from each node's own list, where BCM prefixes the inherited with their origin.
"""

from __future__ import annotations

import re
import socket
import typing as t
from collections.abc import Iterable, Iterator, Sequence

from .bcm_client import Unknown
from .bcm_device import BadRecord, devices_from_records, shown
from .bcm_groups import HOST_TYPES
from .bcm_snapshot import Snapshot, software_image
from .cmsh import CmshError, CmshOutput, Command, Verbatim, quote

# Column widths: host names have at most 63 characters, categories and networks no limit that is known.
DEVICE_FIELDS = {"hostname": 64, "type": 32, "category": 96, "ip": 40, "mac": 20, "network": 96}
IMAGE_FIELDS = {"name": 96, "path": 256}
CATEGORY_FIELDS = {"name": 96, "softwareimage": 96}

_RULE = re.compile(r"-+([^-]-+)*")
_ROLE_HEADER = re.compile(r"Name( \(key\)?)?\s*")
# One command line may have 128 KiB; a node takes about 60 bytes and its name.
_NODES_AT_ONCE = 500


class _Unreadable(Exception):
    """cmsh printed something else than what was asked for."""


class Runner(t.Protocol):
    """What is used of Cmsh."""

    def run(self, commands: Iterable[Command]) -> CmshOutput: ...


def parse_table(text: str, fields: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a `list -f` table as texts without padding, by the widths of its dashes.

    The columns may be separated by a space or, where somebody set one, by a delimiter.  Raises ValueError if there is
    no such table.
    """
    lines = text.splitlines()
    at = next((number for number, line in enumerate(lines) if number and _RULE.fullmatch(line.strip())), None)
    if at is None:
        raise ValueError(f"there is no table in {shown(text.strip(), 160)}")
    columns = [match.span() for match in re.finditer("-+", lines[at])]
    headers = [lines[at - 1][start:end].strip().lower() for start, end in columns]
    if len(columns) != len(fields) or not all(
        header.startswith(field[: len(header)]) and header for header, field in zip(headers, fields)
    ):
        raise ValueError(f"the table has the columns {', '.join(headers)} instead of {', '.join(fields)}")
    rows: list[dict[str, str]] = []
    for line in lines[at + 1 :]:
        if not line.strip():
            break
        rows.append({field: line[start:end].strip() for field, (start, end) in zip(fields, columns)})
    return rows


def parse_role_lists(text: str, hostnames: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The roles of each node from the output of `use <node>; get hostname; roles; list` for these nodes in order.

    A node may be called like a role of the one before it ("monitoring"): only a node's name is followed by a header, by
    the next name or by nothing.  Raises ValueError if a node is missing: no list is not "no roles".
    """
    result: dict[str, list[str]] = {}
    waiting = list(hostnames)
    roles: list[str] | None = None
    words = [word for word in map(str.strip, text.splitlines()) if word]
    for word, following in zip(words, [*words[1:], ""]):
        named = bool(waiting) and word == waiting[0]
        if named and (following in ("", *waiting[1:2]) or _ROLE_HEADER.fullmatch(following)):
            roles = result.setdefault(waiting.pop(0), [])
        elif not _ROLE_HEADER.fullmatch(word) and not _RULE.fullmatch(word):
            if roles is None:
                raise ValueError(f"{shown(word, 160)} stands where the roles of {shown(hostnames[0])} should")
            # "[overlay:slurm-client:500] slurmclient", "[category:default] cgroupsupervisor", "slurmclient"
            roles.append(word.rsplit("] ", 1)[-1].strip())
    if waiting:
        raise ValueError(f"the roles of {shown(waiting[0])} and {len(waiting) - 1} other nodes are missing")
    return {hostname: tuple(names) for hostname, names in result.items()}


def cmsh_snapshot(runner: Runner, software_images: bool = False) -> Snapshot | Unknown:
    """Devices with effective roles, and the software images if asked for, with who uses them.

    That is by category: an image that a single node has of its own is not seen here.
    """
    try:
        devices, problems = devices_from_records(_device_records(runner))
        if not devices:
            return Unknown(
                "cmsh lists no device: check the certificate it uses, with `cmsh -c 'main showprofile'`.", "empty"
            )
        images, users = None, None
        if software_images:
            images = tuple(
                software_image(row["name"], row["path"]) for row in _list(runner, "softwareimage", IMAGE_FIELDS)
            )
            by_name = {image.name: image for image in images}
            of_category = {row["name"]: row["softwareimage"] for row in _list(runner, "category", CATEGORY_FIELDS)}
            users = {
                device.hostname: by_name[of_category[device.category]]
                for device in devices
                if device.category in of_category and of_category[device.category] in by_name
            }
    except CmshError as error:
        return Unknown(f"{error}.", "timeout" if error.code == "timeout" else "down")
    except (_Unreadable, BadRecord) as error:
        return Unknown(f"cmsh's output cannot be used: {str(error).rstrip('.')}.", "malformed")
    return Snapshot(
        devices=devices, headnode=socket.gethostname(), problems=problems, images=users, software_images=images
    )


def _list(runner: Runner, mode: str, widths: dict[str, int]) -> list[dict[str, str]]:
    def parse(text: str) -> list[dict[str, str]]:
        rows = parse_table(text, list(widths))
        for row in rows:
            for field, cell in row.items():
                if len(cell) >= widths[field]:
                    raise ValueError(f"the {field} {shown(cell)} may be cut, it fills its {widths[field]} characters")
        return rows

    layout = Verbatim(",".join(f"{field}:{width}" for field, width in widths.items()))
    return _read(runner, [(mode,), ("list", Verbatim("-f"), layout)], parse)


_Parsed = t.TypeVar("_Parsed")


def _read(runner: Runner, commands: list[Command], parse: t.Callable[[str], _Parsed]) -> _Parsed:
    output = runner.run(commands)
    try:
        return parse(output.stdout)
    except ValueError as error:
        said = f" (cmsh said: {shown(output.stderr.strip(), 160)})" if output.stderr.strip() else ""
        raise _Unreadable(f"{error}{said}") from None


def _device_records(runner: Runner) -> Iterator[dict[str, t.Any]]:
    rows = _list(runner, "device", DEVICE_FIELDS)
    kinds = {name.lower() for name in HOST_TYPES}
    # Switches and the like have no roles; a name that cannot be passed to cmsh is reported by who reads the record.
    nodes = [row["hostname"] for row in rows if row["type"].lower() in kinds and _passable(row["hostname"])]
    roles: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(nodes), _NODES_AT_ONCE):
        batch = nodes[start : start + _NODES_AT_ONCE]
        commands: list[Command] = []
        for node in batch:
            commands += [("home",), ("device",), ("use", node), ("get", "hostname"), ("roles",), ("list",)]
        roles.update(_read(runner, commands, lambda text, names=batch: parse_role_lists(text, names)))  # type: ignore[misc]
    for row in rows:
        yield {**row, "roles": list(roles[row["hostname"]]) if row["hostname"] in roles else None}


def _passable(word: str) -> bool:
    try:
        return bool(quote(word))
    except CmshError:
        return False
