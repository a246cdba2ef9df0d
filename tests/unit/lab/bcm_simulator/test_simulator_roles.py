# SPDX-License-Identifier: GPL-3.0-or-later
"""Effective roles against a naive statement of BCM's rules."""

from __future__ import annotations

import random
from typing import Any

import pytest
from bcm_simulator.roles import RoleIndex
from bcm_simulator.state import normalise

ROLES = ["slurmclient", "slurmserver", "slurmsubmit", "monitoring", "storage"]
CATEGORIES = ["c1", "c2", "c3"]
NODES = ["n1", "n2", "n3", "n4", "n5"]
HEADS = ["h1", "h2"]


def configuration(seed: int) -> dict[str, Any]:
    """A random cluster; equal, disabled and neighbouring priorities are frequent in it."""
    chance = random.Random(seed)

    def some(names: list[str], most: int) -> list[str]:
        return chance.sample(names, chance.randint(0, most))

    def overlay() -> dict[str, Any]:
        anything = chance.choice([number for number in range(-2, 1001) if number not in (250, 750)])
        return {
            "priority": chance.choice([-1, 0, 249, 251, 500, 500, 749, 751, 1000, anything]),
            "all_head_nodes": chance.random() < 0.5,
            "nodes": some(NODES + HEADS, 3),
            "categories": some(CATEGORIES, 2),
            "roles": some(ROLES, 3),
        }

    return normalise(
        {
            "head_nodes": {name: {"roles": some(ROLES, 2)} for name in HEADS},
            "categories": {name: {"roles": some(ROLES, 2)} for name in CATEGORIES},
            "overlays": {f"o{number}": overlay() for number in range(chance.randint(0, 5))},
            "nodes": {
                name: {"category": chance.choice([*CATEGORIES, None]), "roles": some(ROLES, 2)} for name in NODES
            },
        }
    )


def naive(state: dict[str, Any], name: str) -> dict[str, tuple[str, int]]:
    """{role: (owner, priority)}: write down every claim, sort by priority, the last claim on a role wins."""
    head = name in state["head_nodes"]
    device = state["head_nodes"][name] if head else state["nodes"][name]
    claims: list[tuple[int, str, str]] = [(750, name, role) for role in device["roles"]]
    if device["category"]:
        claims += [(250, device["category"], role) for role in state["categories"][device["category"]]["roles"]]
    for overlay_name, overlay in state["overlays"].items():
        member = name in overlay["nodes"] or device["category"] in overlay["categories"]
        if (member or (head and overlay["all_head_nodes"])) and overlay["priority"] > -1:
            claims += [(overlay["priority"], overlay_name, role) for role in overlay["roles"]]
    # sorted() keeps the order of equal priorities, so a later overlay replaces an earlier one.
    return {role: (owner, priority) for priority, owner, role in sorted(claims, key=lambda claim: claim[0])}


def test_the_rules_hold_in_500_configurations() -> None:
    for seed in range(500):
        state = configuration(seed)
        index = RoleIndex(state)
        for name in NODES + HEADS:
            found = {item.role: (item.owner, item.priority) for item in index.assignments(name)}
            assert found == naive(state, name), f"seed {seed}, {name}"
            assert sorted(index.effective(name)) == sorted(found)


@pytest.mark.parametrize(("priority", "roles"), [(-2, []), (-1, []), (0, ["slurmclient"]), (1000, ["slurmclient"])])
def test_negative_priorities_disable(priority: int, roles: list[str]) -> None:
    overlay = {"nodes": ["n"], "roles": ["slurmclient"], "priority": priority}
    state = normalise({"head_nodes": {"h": {}}, "nodes": {"n": {}}, "overlays": {"o": overlay}})
    assert RoleIndex(state).effective("n") == roles
    assert RoleIndex(state).in_overlay("n", "o") is bool(roles)


def test_all_head_nodes_means_head_nodes_only() -> None:
    overlay = {"all_head_nodes": True, "roles": ["slurmserver"]}
    state = normalise({"head_nodes": {"h": {}, "i": {}}, "nodes": {"n": {}}, "overlays": {"o": overlay}})
    index = RoleIndex(state)
    assert (index.effective("h"), index.effective("i"), index.effective("n")) == (["slurmserver"], ["slurmserver"], [])
