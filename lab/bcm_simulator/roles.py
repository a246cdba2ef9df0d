# SPDX-License-Identifier: GPL-3.0-or-later
"""Effective roles: what a node's category, its overlays and the node itself assign, resolved by BCM's priorities.

Source: shared facts of pythoncm 11.0 (category 250, overlay its own, node 750; disabled when negative), AM11 p. 351.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .state import CATEGORY_PRIORITY, NODE_PRIORITY, State


@dataclass(frozen=True)
class Assignment:
    """One role of one node and where it comes from; `owner` is the category's or overlay's name, or the node's."""

    role: str
    origin: str
    owner: str
    priority: int


class RoleIndex:
    """Effective roles of any node of one state, without walking all overlays for each of 10,000 nodes."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._by_node: dict[str, list[int]] = {}
        self._by_category: dict[str, list[int]] = {}
        self._for_head_nodes: list[int] = []
        self._overlays: list[tuple[str, dict[str, Any]]] = list(state["overlays"].items())
        for number, (_name, overlay) in enumerate(self._overlays):
            if overlay["priority"] < 0:
                continue
            for node in overlay["nodes"]:
                self._by_node.setdefault(node, []).append(number)
            for category in overlay["categories"]:
                self._by_category.setdefault(category, []).append(number)
            if overlay["all_head_nodes"]:
                self._for_head_nodes.append(number)

    def assignments(self, name: str) -> list[Assignment]:
        """The winning assignment of each role of the device `name`, in the order in which they were first made."""
        is_head = name in self.state["head_nodes"]
        device = self.state["head_nodes" if is_head else "nodes"][name]
        category = device["category"]
        winners: dict[str, Assignment] = {}
        if category is not None:
            for role in self.state["categories"][category]["roles"]:
                _offer(winners, Assignment(role, "category", category, CATEGORY_PRIORITY))
        for number in self._matching(name):
            overlay_name, overlay = self._overlays[number]
            for role in overlay["roles"]:
                _offer(winners, Assignment(role, "overlay", overlay_name, overlay["priority"]))
        for role in device["roles"]:
            _offer(winners, Assignment(role, "node", name, NODE_PRIORITY))
        return list(winners.values())

    def _matching(self, name: str) -> list[int]:
        """The enabled overlays that the device is in, by their numbers, in the state's order."""
        is_head = name in self.state["head_nodes"]
        category = self.state["head_nodes" if is_head else "nodes"][name]["category"]
        numbers = set(self._by_node.get(name, ()))
        if category is not None:
            numbers.update(self._by_category.get(category, ()))
        if is_head:
            numbers.update(self._for_head_nodes)
        return sorted(numbers)

    def in_overlay(self, name: str, overlay: str) -> bool:
        """Whether the device is in an enabled overlay."""
        return any(self._overlays[number][0] == overlay for number in self._matching(name))

    def effective(self, name: str) -> list[str]:
        """The names of the roles that the device has, whatever assigned them."""
        return [assignment.role for assignment in self.assignments(name)]


def _offer(winners: dict[str, Assignment], new: Assignment) -> None:
    # An equal priority replaces: the later overlay wins.
    old = winners.get(new.role)
    if old is None or new.priority >= old.priority:
        winners[new.role] = new
