# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Effective roles: what a device's category, its configuration overlays and the device itself assign together.

BCM's own rule (shared by pythoncm and CMDaemon): a category assigns with priority 250, an overlay with its own, the
device with 750; a negative priority disables an overlay; the higher priority wins, an equal one replaces.  JSON-RPC
lists direct assignments only, so whoever reads roles over JSON-RPC needs this.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

CATEGORY_PRIORITY = 250
DEVICE_PRIORITY = 750


@dataclass(frozen=True)
class Overlay:
    """A configuration overlay; devices and categories by whatever identifies them for the caller (name or uuid)."""

    name: str
    priority: int
    roles: tuple[str, ...]
    nodes: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    all_head_nodes: bool = False

    @property
    def enabled(self) -> bool:
        return self.priority >= 0

    def matches(self, device: str, category: str | None, is_head_node: bool) -> bool:
        """Whether the overlay is for this device, disabled or not."""
        return (
            device in self.nodes
            or (category is not None and category in self.categories)
            or (self.all_head_nodes and is_head_node)
        )


@dataclass(frozen=True)
class Origin:
    """Where an effective role comes from: `kind` is category, overlay or device, `name` the overlay's name."""

    kind: str
    name: str | None
    priority: int


def effective_roles(
    device: str,
    *,
    category: str | None,
    is_head_node: bool,
    device_roles: t.Iterable[str],
    category_roles: t.Iterable[str],
    overlays: t.Iterable[Overlay],
) -> dict[str, Origin]:
    """The roles (lower case) that a device has, each with the assignment that wins.  `overlays` in BCM's order."""
    result: dict[str, Origin] = {}

    def assign(roles: t.Iterable[str], origin: Origin) -> None:
        for role in roles:
            name = role.lower()
            if name not in result or origin.priority >= result[name].priority:
                result[name] = origin

    assign(category_roles, Origin("category", None, CATEGORY_PRIORITY))
    for overlay in overlays:
        if overlay.enabled and overlay.matches(device, category, is_head_node):
            assign(overlay.roles, Origin("overlay", overlay.name, overlay.priority))
    assign(device_roles, Origin("device", None, DEVICE_PRIORITY))
    return result
