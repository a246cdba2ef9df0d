# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything the inventory takes from BCM at one moment, whichever way it came, and its form in a cache."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .bcm_device import BadRecord, Device, devices_from_records, shown

FORMAT = 1
_COLUMNS = Device._fields


@dataclass(frozen=True)
class SoftwareImage:
    """A software image and its directory on the head node."""

    name: str
    path: str


def software_image(name: object, path: object) -> SoftwareImage:
    """The image of BCM's name and path; without a path it is where BCM keeps images.  Raises BadRecord."""
    path = path or f"/cm/images/{name}"
    if not isinstance(name, str) or not name or not name.isprintable() or "/" in name or name.startswith("-"):
        raise BadRecord(f"software image {shown(name)} has a name that cannot be one.")
    if not isinstance(path, str) or not path.isprintable() or not path.startswith("/"):
        raise BadRecord(f"software image {shown(name)} has a path that is no absolute one: {shown(path)}.")
    return SoftwareImage(name, path)


@dataclass(frozen=True)
class Rack:
    """Where a device stands; `position` is the lowest height unit it takes, None if BCM does not say."""

    name: str
    position: int | None


@dataclass(frozen=True)
class Snapshot:
    """What was read.  `overlays`, `racks` and `images` are by host name, and None where they were not asked for."""

    devices: tuple[Device, ...]
    headnode: str
    problems: tuple[str, ...] = ()
    overlays: dict[str, tuple[str, ...]] | None = None
    racks: dict[str, Rack] | None = None
    images: dict[str, SoftwareImage] | None = None
    software_images: tuple[SoftwareImage, ...] | None = None


def to_cache(snapshot: Snapshot) -> dict[str, t.Any]:
    """The snapshot as JSON has it: one list per device, which is a third of the size of one object per device."""
    return {
        "format": FORMAT,
        "headnode": snapshot.headnode,
        "columns": list(_COLUMNS),
        "devices": [[getattr(device, column) for column in _COLUMNS] for device in snapshot.devices],
        "problems": list(snapshot.problems),
        "overlays": snapshot.overlays,
        "racks": _by_host(snapshot.racks, lambda rack: [rack.name, rack.position]),
        "images": _by_host(snapshot.images, lambda image: [image.name, image.path]),
        "software_images": None
        if snapshot.software_images is None
        else [[image.name, image.path] for image in snapshot.software_images],
    }


_From = t.TypeVar("_From")
_To = t.TypeVar("_To")


def _by_host(values: dict[str, _From] | None, change: t.Callable[[_From], _To]) -> dict[str, _To] | None:
    return None if values is None else {host: change(value) for host, value in values.items()}


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
            overlays=_by_host(value["overlays"], tuple),
            racks=_by_host(value["racks"], lambda row: Rack(*row)),
            images=_by_host(value["images"], lambda row: SoftwareImage(*row)),
            software_images=None if images is None else tuple(SoftwareImage(*row) for row in images),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
