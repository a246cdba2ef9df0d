# SPDX-License-Identifier: GPL-3.0-or-later
"""Effective roles, against a slower statement of BCM's rules that shares no code with the one under test."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_roles import Origin, Overlay, effective_roles
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROLES = ["slurmclient", "slurmserver", "slurmsubmit", "monitoring", "storage"]
NODES = ["n1", "n2", "head"]
CATEGORIES = ["dgx", "login"]


def by_the_book(cluster, node):
    """The rules one after the other: every assignment that reaches the node, then for each role the one that wins."""
    reaching = []  # (role, priority, position, where from)
    for role in cluster["category_roles"].get(cluster["category_of"][node], []):
        reaching.append((role, 250, 0, ("category", None)))
    for position, overlay in enumerate(cluster["overlays"], 1):
        # "<= -1 = disabled"
        if overlay["priority"] <= -1:
            continue
        # "matches if the node is in nodes, or its category is in categories, or allHeadNodes is set and it is one"
        reasons = [
            node in overlay["nodes"],
            cluster["category_of"][node] in overlay["categories"],
            overlay["all_head_nodes"] and node == "head",
        ]
        for role in overlay["roles"]:
            if True in reasons:
                reaching.append((role, overlay["priority"], position, ("overlay", overlay["name"])))
    for role in cluster["node_roles"].get(node, []):
        reaching.append((role, 750, 10_000, ("device", None)))
    result = {}
    for role in {entry[0] for entry in reaching}:
        # "the higher priority wins; an equal one replaces", so the last of the highest
        same = [entry for entry in reaching if entry[0] == role]
        same.sort(key=lambda entry: (entry[1], entry[2]))
        result[role] = same[-1][3] + (same[-1][1],)
    return result


priorities = st.sampled_from([-1000, -1, 0, 249, 251, 500, 500, 600, 749, 751, 1000])
overlays = st.lists(
    st.fixed_dictionaries(
        {
            "priority": priorities,
            "roles": st.lists(st.sampled_from(ROLES), unique=True, max_size=3),
            "nodes": st.sets(st.sampled_from(NODES)),
            "categories": st.sets(st.sampled_from(CATEGORIES)),
            "all_head_nodes": st.booleans(),
        }
    ),
    max_size=6,
).map(lambda items: [{**item, "name": f"overlay-{number}"} for number, item in enumerate(items)])
clusters = st.fixed_dictionaries(
    {
        "overlays": overlays,
        "category_of": st.fixed_dictionaries(
            {"n1": st.sampled_from(CATEGORIES), "n2": st.sampled_from(CATEGORIES), "head": st.none()}
        ),
        "category_roles": st.dictionaries(
            st.sampled_from(CATEGORIES), st.lists(st.sampled_from(ROLES), unique=True, max_size=3)
        ),
        "node_roles": st.dictionaries(
            st.sampled_from(NODES), st.lists(st.sampled_from(ROLES), unique=True, max_size=3)
        ),
    }
)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters)
def test_effective_roles_by_bcms_rules(cluster):
    configured = [
        Overlay(
            item["name"],
            item["priority"],
            tuple(item["roles"]),
            frozenset(item["nodes"]),
            frozenset(item["categories"]),
            item["all_head_nodes"],
        )
        for item in cluster["overlays"]
    ]
    for node in NODES:
        category = cluster["category_of"][node]
        found = effective_roles(
            node,
            category=category,
            is_head_node=node == "head",
            device_roles=cluster["node_roles"].get(node, []),
            category_roles=cluster["category_roles"].get(category, []),
            overlays=configured,
        )
        assert {role: (o.kind, o.name, o.priority) for role, o in found.items()} == by_the_book(cluster, node)


def test_an_express_slurm_setup():
    """The overlays that cm-wlm-setup makes (Administrator Manual, ch. 7)."""
    configured = [
        Overlay("slurm-accounting", 500, ("slurmaccounting",), all_head_nodes=True),
        Overlay("slurm-client", 500, ("slurmclient",), categories=frozenset({"default"})),
        Overlay("slurm-server", 500, ("slurmserver",), all_head_nodes=True),
        Overlay("slurm-submit", 500, ("slurmsubmit",), categories=frozenset({"default"})),
        Overlay("wlm-headnode-submit", 600, ("slurmsubmit",), all_head_nodes=True),
    ]
    node = effective_roles(
        "node001", category="default", is_head_node=False, device_roles=[], category_roles=[], overlays=configured
    )
    assert set(node) == {"slurmclient", "slurmsubmit"}
    head = effective_roles(
        "head", category=None, is_head_node=True, device_roles=["storage"], category_roles=[], overlays=configured
    )
    assert set(head) == {"slurmaccounting", "slurmserver", "slurmsubmit", "storage"}
    assert head["slurmsubmit"] == Origin("overlay", "wlm-headnode-submit", 600)


@pytest.mark.parametrize(("priority", "has"), [(-1, False), (0, True)])
def test_a_negative_priority_disables(priority, has):
    overlay = Overlay("x", priority, ("slurmclient",), nodes=frozenset({"n1"}))
    found = effective_roles(
        "n1", category=None, is_head_node=False, device_roles=[], category_roles=[], overlays=[overlay]
    )
    assert ("slurmclient" in found) is has


def test_what_is_shared_by_many_devices_cannot_be_changed():
    for shared in (Origin("device", None, 750), Overlay("x", 500, ())):
        with pytest.raises(dataclasses.FrozenInstanceError):
            shared.priority = 0
