# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory's snapshot over REST, with JSON-RPC for what REST does not list: overlays, racks, software images."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Iterable

from .bcm_client import BcmClient, Unknown
from .bcm_device import BadRecord, Device, shown
from .bcm_roles import Overlay, effective_roles
from .bcm_snapshot import Rack, Snapshot, SoftwareImage, software_image

NULL_UUID = "00000000-0000-0000-0000-000000000000"

# A device object has 90 keys and a category holds the BMC's password: only these are kept, as the answer is parsed.
_KEEP = frozenset(
    (
        "allHeadNodes",
        "categories",
        "category",
        "hostname",
        "name",
        "nodes",
        "parentSoftwareImage",
        "path",
        "position",
        "priority",
        "rack",
        "rackPosition",
        "roles",
        "softwareImageProxy",
        "uuid",
    )
)
Object = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Extras:
    """What to read beside the devices.  `software_images` includes `images`, since it says who uses each.

    `roles` computes them from overlays, for a BCM whose REST lists direct ones.
    """

    overlays: bool = False
    racks: bool = False
    images: bool = False
    software_images: bool = False
    roles: bool = False


class _RpcFailed(Exception):
    def __init__(self, call: str, unknown: Unknown) -> None:
        super().__init__(call)
        self.unknown = Unknown(f"{call} failed: {unknown.reason}", unknown.code)


def rest_snapshot(client: BcmClient, extras: Extras) -> Snapshot | Unknown:
    """One REST request, and one JSON-RPC call for each kind of object that `extras` needs.

    With several head nodes one more call asks which is active; only if a passive one answered, the active one is asked
    again.  Raises BcmConfigError.
    """
    answer = client.devices()
    if isinstance(answer, Unknown):
        return answer
    if client.follow_active() not in (None, answer.headnode):
        again = client.devices()
        answer = answer if isinstance(again, Unknown) else again
    snapshot = Snapshot(devices=answer.devices, headnode=answer.headnode, problems=answer.problems)
    try:
        return _with_extras(snapshot, client, extras)
    except _RpcFailed as failure:
        return failure.unknown


def _with_extras(snapshot: Snapshot, client: BcmClient, extras: Extras) -> Snapshot:
    changes: dict[str, t.Any] = {}
    need_overlays, need_images = extras.overlays or extras.roles, extras.images or extras.software_images
    if need_overlays or extras.racks or need_images:
        devices = _objects(client, "cmdevice", "getDevices")
        placed = _Placed(snapshot.devices, devices)
        categories = _by_uuid(_objects(client, "cmdevice", "getCategories")) if need_overlays or need_images else {}
        if need_overlays:
            overlays = [_overlay(item) for item in _objects(client, "cmdevice", "getConfigurationOverlays")]
            if extras.overlays:
                changes["overlays"] = placed.overlays(overlays)
            if extras.roles:
                changes["devices"] = placed.with_roles(categories, overlays)
        if extras.racks:
            changes["racks"] = placed.racks(_by_uuid(_objects(client, "cmpart", "getRacks")))
    if need_images:
        images, problems = _images(_objects(client, "cmpart", "getSoftwareImages"))
        changes["problems"] = (*snapshot.problems, *problems)
        changes["images"] = placed.images(categories, images)
        if extras.software_images:
            changes["software_images"] = tuple(sorted(images.values(), key=lambda image: image.name))
    return dataclasses.replace(snapshot, **changes)


def _objects(client: BcmClient, service: str, call: str) -> list[Object]:
    answer = client.rpc(service, call, keep=_KEEP)
    if isinstance(answer, Unknown):
        raise _RpcFailed(f"{service}.{call}", answer)
    if not isinstance(answer.value, list) or not all(isinstance(item, dict) for item in answer.value):
        what = Unknown(f"{answer.headnode} answered no list of objects but {shown(answer.value)}.", "malformed")
        raise _RpcFailed(f"{service}.{call}", what)
    return answer.value


def _printable(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _images(objects: list[Object]) -> tuple[dict[str, SoftwareImage], list[str]]:
    """The software images by uuid, and a sentence for each object that is none."""
    images: dict[str, SoftwareImage] = {}
    problems: list[str] = []
    for item in objects:
        try:
            images[str(item.get("uuid"))] = software_image(item.get("name"), item.get("path"))
        except BadRecord as error:
            problems.append(str(error))
    return images, problems


def _by_uuid(objects: Iterable[Object]) -> dict[str, Object]:
    return {str(item.get("uuid")): item for item in objects}


def _names(value: object) -> tuple[str, ...]:
    """The names of role objects."""
    if not isinstance(value, list):
        return ()
    return tuple(item["name"] for item in value if isinstance(item, dict) and _printable(item.get("name")))


def _texts(value: object) -> frozenset[str]:
    return frozenset(item for item in value if isinstance(item, str)) if isinstance(value, list) else frozenset()


def _overlay(item: Object) -> Overlay:
    """`minify` leaves default values out; BCM's default priority is 500."""
    priority = item.get("priority", 500)
    return Overlay(
        name=str(item.get("name")),
        priority=priority if isinstance(priority, int) else 500,
        roles=_names(item.get("roles")),
        nodes=_texts(item.get("nodes")),
        categories=_texts(item.get("categories")),
        all_head_nodes=item.get("allHeadNodes") is True,
    )


def _reference(item: Object | None, holder: str, key: str) -> str | None:
    """The uuid under `key` in the object under `holder`; None for BCM's null reference."""
    inner = (item or {}).get(holder)
    value = inner.get(key) if isinstance(inner, dict) else None
    return value if isinstance(value, str) and value != NULL_UUID else None


class _Placed:
    """The REST devices, each with its JSON-RPC object: by uuid, else by name."""

    def __init__(self, devices: tuple[Device, ...], objects: list[Object]) -> None:
        by_uuid = _by_uuid(objects)
        by_name = {str(item.get("hostname")): item for item in objects}
        self._pairs = [
            (device, by_uuid.get(device.uuid or "") or by_name.get(device.hostname) or {}) for device in devices
        ]
        lost = [device.hostname for device, item in self._pairs if not item]
        if lost:
            what = f"JSON-RPC does not list {shown(lost[0])} and {len(lost) - 1} other devices that REST lists."
            raise _RpcFailed("cmdevice.getDevices", Unknown(what, "malformed"))

    def _matching(self, device: Device, item: Object, overlays: list[Overlay]) -> list[Overlay]:
        uuid, category, head = str(item.get("uuid")), item.get("category"), device.type == "HeadNode"
        return [overlay for overlay in overlays if overlay.matches(uuid, category, head)]

    def overlays(self, overlays: list[Overlay]) -> dict[str, tuple[str, ...]]:
        """The enabled overlays of each host."""
        enabled = [overlay for overlay in overlays if overlay.enabled and _printable(overlay.name)]
        return {
            device.hostname: tuple(sorted(overlay.name for overlay in self._matching(device, item, enabled)))
            for device, item in self._pairs
        }

    def with_roles(self, categories: dict[str, Object], overlays: list[Overlay]) -> tuple[Device, ...]:
        """The devices with roles by BCM's rule in place of what REST listed."""
        return tuple(
            device._replace(
                roles=tuple(
                    sorted(
                        effective_roles(
                            str(item.get("uuid")),
                            category=item.get("category"),
                            is_head_node=device.type == "HeadNode",
                            device_roles=_names(item.get("roles")),
                            category_roles=_names(categories.get(str(item.get("category")), {}).get("roles")),
                            overlays=overlays,
                        )
                    )
                ),
            )
            for device, item in self._pairs
        )

    def racks(self, racks: dict[str, Object]) -> dict[str, Rack]:
        """The rack of each host that is in one."""
        found: dict[str, Rack] = {}
        for device, item in self._pairs:
            name = racks.get(_reference(item, "rackPosition", "rack") or "", {}).get("name")
            if isinstance(name, str) and _printable(name):
                position = item["rackPosition"].get("position")
                found[device.hostname] = Rack(name, position if isinstance(position, int) else None)
        return found

    def images(self, categories: dict[str, Object], images: dict[str, SoftwareImage]) -> dict[str, SoftwareImage]:
        """The software image of each host: the device's own, else its category's."""
        found: dict[str, SoftwareImage] = {}
        for device, item in self._pairs:
            own = _reference(item, "softwareImageProxy", "parentSoftwareImage")
            category = categories.get(str(item.get("category")))
            image = images.get(own or _reference(category, "softwareImageProxy", "parentSoftwareImage") or "")
            if image is not None:
                found[device.hostname] = image
        return found
