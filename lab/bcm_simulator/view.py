# SPDX-License-Identifier: GPL-3.0-or-later
"""One state as REST shows it, serialised once: 10,000 devices must not cost a second per request."""

from __future__ import annotations

import json
import zlib
from typing import Any

from .roles import RoleIndex
from .state import State, entity_uuid

Record = dict[str, Any]


class View:
    """The REST records of one unchanging state; made on first use and kept."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.roles = RoleIndex(state)
        # Serialised JSON-RPC answers by call and minify.
        self.rpc_bodies: dict[tuple[str, bool], bytes] = {}
        self._devices: list[Record] | None = None
        self._device_body: bytes | None = None
        self._category_body: bytes | None = None

    def devices(self) -> list[Record]:
        """All devices as /rest/v1/device lists them: nodes first, head nodes after them."""
        if self._devices is None:
            state = self.state
            self._devices = [
                *(self._device(name, node) for name, node in state["nodes"].items()),
                *(self._device(name, node) for name, node in state["head_nodes"].items()),
            ]
        return self._devices

    def device_body(self) -> bytes:
        """The whole device list, serialised."""
        if self._device_body is None:
            self._device_body = json.dumps(self.devices(), separators=(",", ":")).encode()
        return self._device_body

    def device(self, hostname: str) -> Record | None:
        """The record of one device by its exact name."""
        for section in ("nodes", "head_nodes"):
            node = self.state[section].get(hostname)
            if node is not None:
                return self._device(hostname, node)
        return None

    def categories(self, name: str | None = None) -> list[Record]:
        """The categories as /rest/v1/category lists them."""
        members: dict[str, list[str]] = {category: [] for category in self.state["categories"]}
        for node_name, node in self.state["nodes"].items():
            if node["category"] is not None:
                members[node["category"]].append(node_name)
        return [
            {"image": category["image"] or "", "name": category_name, "nodes": members[category_name]}
            for category_name, category in self.state["categories"].items()
            if name is None or category_name == name
        ]

    def category_body(self) -> bytes:
        """The whole category list, serialised."""
        if self._category_body is None:
            self._category_body = json.dumps(self.categories(), separators=(",", ":")).encode()
        return self._category_body

    def _device(self, name: str, node: Record) -> Record:
        switches = self.state["switches"]
        direct = switches["rest_roles"] == "direct"
        roles = [role.lower() for role in (node["roles"] if direct else self.roles.effective(name))]
        # BCM's order is neither alphabetical nor that of assignment; a checksum is neither, and is stable.
        roles.sort(key=lambda role: zlib.crc32(f"{name}/{role}".encode()))
        record: Record = {
            "category": node["category"],
            "cluster": self.state["cluster"],
            "hostname": name,
            "ip": node["ip"],
            "mac": node["mac"].upper() if isinstance(node["mac"], str) else node["mac"],
            "network": node["network"],
            "roles": roles,
            "type": node["type"],
            "uuid": node["uuid"] or entity_uuid("device", name),
        }
        if not roles:
            record["roles"] = {"list": [], "null": None, "absent": None}[switches["empty_roles"]]
        kept_null = "roles" if switches["empty_roles"] == "null" else ""
        return {key: value for key, value in record.items() if value is not None or key == kept_null}
