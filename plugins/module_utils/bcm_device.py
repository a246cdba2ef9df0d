# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What BCM says of one device, and how its records are read.  No I/O, no Ansible import."""

from __future__ import annotations

import ipaddress
import typing as t

MAX_HOSTNAME = 253
NO_ADDRESS = frozenset({"", "0.0.0.0"})  # noqa: S104 - what BCM shows where no address is set; nothing is bound to it
_TEXT_FIELDS = ("type", "category", "ip", "mac", "network", "uuid", "cluster")


class Device(t.NamedTuple):
    """One record of `GET /rest/v1/device`.  An absent, null or empty text is None.

    `roles` are the effective roles, lower case, sorted, each once; () means none, None means that BCM did not say.
    Those two differ: "no roles" may stop a service, "did not say" never does.
    """

    hostname: str
    type: str | None
    category: str | None
    ip: str | None
    mac: str | None
    network: str | None
    uuid: str | None
    cluster: str | None
    roles: tuple[str, ...] | None


class BadRecord(ValueError):
    """A record that is no device; the text is one sentence that names it."""


def shown(value: object, limit: int = 60) -> str:
    """A foreign value as it may stand in a message: printable ASCII, one line, bounded."""
    text = ascii(value)
    return text if len(text) <= limit else text[: limit - 4] + "...'"


def _text(record: t.Mapping[str, object], key: str, label: str) -> str | None:
    value = record.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRecord(f"{label} has a {key} that is no text: {shown(value)}.")
    # Control characters, line breaks, lone surrogates: not fit for a terminal, a log or a file name.
    if not value.isprintable():
        raise BadRecord(f"{label} has a {key} with unprintable characters: {shown(value)}.")
    return value.strip() or None


def _roles(record: t.Mapping[str, object], label: str) -> tuple[str, ...] | None:
    value = record.get("roles")
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(role, str) and role.isprintable() for role in value):
        raise BadRecord(f"{label} has roles that are no list of names: {shown(value)}.")
    return tuple(sorted({role.strip().lower() for role in value} - {""}))


def device_from_record(record: object, number: int = 0) -> Device:
    """The Device of one record; `number` is its place in the list, from 0, for the message.

    Unknown keys are ignored, because BCM's releases add some.  Raises BadRecord.
    """
    label = f"record {number + 1}"
    if not isinstance(record, dict):
        raise BadRecord(f"{label} is no object: {shown(record)}.")
    hostname = _text(record, "hostname", label)
    if hostname is None:
        raise BadRecord(f"{label} has no hostname (uuid {shown(record.get('uuid'))}).")
    # A path separator would leave a directory, a leading "-" would be an option of ssh.
    if len(hostname) > MAX_HOSTNAME or "/" in hostname or "\\" in hostname or hostname.startswith("-"):
        raise BadRecord(f"{label} has a hostname that cannot be one: {shown(hostname)}.")
    label = f"device {shown(hostname)}"
    values = {key: _text(record, key, label) for key in _TEXT_FIELDS}
    if values["ip"] in NO_ADDRESS:
        values["ip"] = None
    return Device(hostname=hostname, roles=_roles(record, label), **values)


def devices_from_records(records: t.Iterable[object]) -> tuple[tuple[Device, ...], tuple[str, ...]]:
    """The devices in the order given, and one sentence for each record that is none."""
    devices: list[Device] = []
    problems: list[str] = []
    for number, record in enumerate(records):
        try:
            devices.append(device_from_record(record, number))
        except BadRecord as error:
            problems.append(str(error))
    return tuple(devices), tuple(problems)


def same_host(a: str, b: str) -> bool:
    """Whether two names are of one host: BCM's short name, the kernel's full one, any case."""
    short_a, short_b = (name.strip().split(".", 1)[0].lower() for name in (a, b))
    return bool(short_a) and short_a == short_b


def is_address(text: str | None) -> bool:
    """Whether the text is an IPv4 or IPv6 address, without a zone: that could be any text."""
    try:
        return text is not None and "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False
