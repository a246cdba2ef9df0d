# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The peer of the inventory benchmark: reads hosts and groups from a JSON file and adds them, nothing else."""

# ruff: noqa: E402
from __future__ import annotations

DOCUMENTATION = r"""
name: json_hosts
short_description: Hosts and groups from a JSON file
description:
  - Reads an object with C(hosts), variables by host name, and C(groups), host names by group name.
author: [The superpod.monitoring developers]
options: {}
"""

import json
from typing import Any

from ansible.plugins.inventory import BaseInventoryPlugin


class InventoryModule(BaseInventoryPlugin):
    NAME = "json_hosts"

    def verify_file(self, path: str) -> bool:
        return path.endswith(".json")

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        with open(path, encoding="utf-8") as stream:
            content = json.load(stream)
        for host, variables in content["hosts"].items():
            inventory.add_host(host)
            for name, value in variables.items():
                inventory.set_variable(host, name, value)
        for group, hosts in content["groups"].items():
            inventory.add_group(group)
            for host in hosts:
                inventory.add_child(group, host)
