# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything the inventory takes from BCM at one moment, whichever way it came, and its form in a cache."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, fields

from .bcm_device import Device, devices_from_records

FORMAT = 1
_COLUMNS = tuple(column.name for column in fields(Device))


@dataclass(frozen=True)
class SoftwareImage:
    """A software image and its directory on the head node."""

    name: str
    path: str


@dataclass(frozen=True)
class Snapshot:
    """What was read.  `overlays`, `racks` and `images` are by host name, and None where they were not asked for."""

    devices: tuple[Device, ...]
    headnode: str
    problems: tuple[str, ...] = ()
    overlays: dict[str, tuple[str, ...]] | None = None
    racks: dict[str, str] | None = None
    images: dict[str, str] | None = None
    software_images: tuple[SoftwareImage, ...] | None = None
    warnings: tuple[str, ...] = field(default=(), compare=False)


def to_cache(snapshot: Snapshot) -> dict[str, t.Any]:
    """The snapshot as JSON has it: one list per device, which is a third of the size of one object per device."""
    return {
        "format": FORMAT,
        "headnode": snapshot.headnode,
        "columns": list(_COLUMNS),
        "devices": [[getattr(device, column) for column in _COLUMNS] for device in snapshot.devices],
        "problems": list(snapshot.problems),
        "overlays": snapshot.overlays,
        "racks": snapshot.racks,
        "images": snapshot.images,
        "software_images": None
        if snapshot.software_images is None
        else [[image.name, image.path] for image in snapshot.software_images],
    }


def from_cache(value: t.Any) -> Snapshot | None:
    """The snapshot of `to_cache`, or None for anything else, such as what an older release wrote."""
    try:
        if value["format"] != FORMAT or value["columns"] != list(_COLUMNS):
            return None
        records = [dict(zip(_COLUMNS, row)) for row in value["devices"]]
        for record in records:
            record["roles"] = None if record["roles"] is None else list(record["roles"])
        devices, problems = devices_from_records(records)
        if problems or not devices:
            return None
        images = value["software_images"]
        return Snapshot(
            devices=devices,
            headnode=str(value["headnode"]),
            problems=tuple(str(problem) for problem in value["problems"]),
            overlays=value["overlays"] and {host: tuple(names) for host, names in value["overlays"].items()},
            racks=value["racks"],
            images=value["images"],
            software_images=None if images is None else tuple(SoftwareImage(name, path) for name, path in images),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
