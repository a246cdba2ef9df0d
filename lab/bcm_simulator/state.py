# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated cluster's state: one mapping, checked and filled with defaults.

The file form is documented in README.md.  Unknown keys are refused, so that a misspelt key never looks like a BCM that
ignores it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .profiles import TOKENS, shipped_profiles
from .switches import SwitchError, with_defaults

State = dict[str, Any]

NULL_UUID = "00000000-0000-0000-0000-000000000000"
NO_MAC = "00:00:00:00:00:00"
CATEGORY_PRIORITY = 250
NODE_PRIORITY = 750
_NAMESPACE = uuid.UUID("6f0b4c52-5a0e-4a57-9d9e-2c3b1f8e7a10")


class StateError(ValueError):
    """The state file or an edit of it is wrong; the text says what to change."""


def entity_uuid(kind: str, name: str) -> str:
    """The stable uuid of an entity that has none in the state."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind}/{name}"))


def _defaults(**values: Any) -> Callable[[str], State]:
    def make(_name: str) -> State:
        return {key: (value() if callable(value) else value) for key, value in values.items()}

    return make


# For each kind of entity: its keys with their defaults.  None = the key may be missing in BCM as well.
_ENTITIES: dict[str, Callable[[str], State]] = {
    "head_nodes": _defaults(
        ip="0.0.0.0",
        mac=NO_MAC,
        network="internalnet",
        roles=list,
        type="HeadNode",
        uuid=None,
        status="UP",
        category=None,
        rack=None,
        services=list,
        properties=dict,
    ),
    "nodes": _defaults(
        category=None,
        ip="0.0.0.0",
        mac=NO_MAC,
        network="internalnet",
        type="PhysicalNode",
        roles=list,
        root=None,
        rack=None,
        uuid=None,
        status="UP",
        services=list,
        properties=dict,
    ),
    "categories": _defaults(image=None, roles=list, uuid=None, services=list, properties=dict),
    "software_images": _defaults(path=None, uuid=None, locked=False),
    "overlays": _defaults(priority=500, all_head_nodes=False, nodes=list, categories=list, roles=list, uuid=None),
    "networks": _defaults(base="10.141.0.0", netmask_bits=16, domain="eth.cluster", uuid=None),
    "racks": _defaults(uuid=None, height=42),
    "users": _defaults(password="", profile="readonly"),
    "profiles": _defaults(nonuser=True, tokens=list, services=list),
    "certificates": _defaults(name="", profile="", system_login="", revoked=False, not_after=None),
    "wlm": _defaults(type="slurm", properties=dict, cgroups=dict),
    "role_settings": _defaults(wlmcluster=None, properties=dict),
}
# The sections whose `services` are operating system services; a profile's are names of CMDaemon's own.
_WITH_OS_SERVICES = frozenset({"head_nodes", "nodes", "categories"})
_OS_SERVICE = _defaults(
    name="",
    monitored=False,
    autostart=False,
    run_if="ALWAYS",
    managed=True,
    add_from_role=False,
    from_generic_role=False,
)
RUN_IF = ("ALWAYS", "ACTIVE", "PASSIVE", "PREFERPASSIVE")
_SCALARS: dict[str, Any] = {"cluster": "BCM 11.0 Cluster", "version": "11.0", "active": None}


def normalise(raw: object) -> State:
    """A checked copy of `raw` with every default filled in.

    Raises StateError with one sentence.
    """
    if not isinstance(raw, dict):
        raise StateError("the state must be a mapping; see lab/bcm_simulator/README.md")
    known = {*_ENTITIES, *_SCALARS, "switches"}
    for key in raw:
        if key not in known:
            raise StateError(f"the state has an unknown key {key!r}; known are: {', '.join(sorted(known))}")
    state: State = {key: raw.get(key, default) for key, default in _SCALARS.items()}
    for section, make in _ENTITIES.items():
        state[section] = _section(section, raw.get(section), make)
    _add_implied(state)
    try:
        state["switches"] = with_defaults(raw.get("switches"))
    except SwitchError as error:
        raise StateError(str(error)) from error
    _check_references(state)
    return state


def _section(section: str, raw: object, make: Callable[[str], State]) -> State:
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise StateError(f"{section} must be a mapping of names to settings")
    result: State = {}
    for name, given in raw.items():
        entity = make(str(name))
        if given is not None and not isinstance(given, dict):
            raise StateError(f"{section}: {name!r} must be a mapping of settings")
        for key, value in (given or {}).items():
            if key not in entity:
                raise StateError(
                    f"{section}: {name!r} has an unknown key {key!r}; known are: {', '.join(sorted(entity))}"
                )
            default = entity[key]
            if key == "services" and section in _WITH_OS_SERVICES:
                entity[key] = _os_services(f"{section}: {name!r}: services", value)
                continue
            if isinstance(default, list) and not _is_name_list(value):
                raise StateError(f"{section}: {name!r}: {key} must be a list of names")
            if isinstance(default, dict) and not isinstance(value, dict):
                raise StateError(f"{section}: {name!r}: {key} must be a mapping")
            entity[key] = value
        result[str(name)] = entity
    return result


def _os_services(where: str, raw: object) -> list[State]:
    if not isinstance(raw, list):
        raise StateError(f"{where} must be a list of mappings, each with a name")
    services = [_os_service(where, given) for given in raw]
    names = [service["name"] for service in services]
    for name in names:
        if names.count(name) > 1:
            raise StateError(f"{where}: {name!r} is there twice")
    return services


def _os_service(where: str, given: object) -> State:
    if not isinstance(given, dict) or not isinstance(given.get("name"), str) or not given["name"]:
        raise StateError(f"{where} must be a list of mappings, each with a name")
    service = _OS_SERVICE("")
    for key, value in given.items():
        if key not in service:
            raise StateError(
                f"{where}: {given['name']!r} has an unknown key {key!r}; known are: {', '.join(sorted(service))}"
            )
        if isinstance(service[key], bool) and not isinstance(value, bool):
            raise StateError(f"{where}: {given['name']!r}: {key} must be true or false")
        service[key] = value
    if service["run_if"] not in RUN_IF:
        raise StateError(f"{where}: {service['name']!r}: run_if must be one of {', '.join(RUN_IF)}")
    return service


def _is_name_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _add_implied(state: State) -> None:
    if not state["head_nodes"]:
        raise StateError("the state needs at least one entry under head_nodes")
    if state["active"] is None:
        state["active"] = next(iter(state["head_nodes"]))
    for name, profile in shipped_profiles().items():
        state["profiles"].setdefault(name, profile)
    for device in (*state["head_nodes"].values(), *state["nodes"].values()):
        if device["network"] is not None:
            state["networks"].setdefault(device["network"], _ENTITIES["networks"](""))
        if device["rack"] is not None:
            state["racks"].setdefault(device["rack"], _ENTITIES["racks"](""))
    for category in state["categories"].values():
        if category["image"] is not None:
            image = state["software_images"].setdefault(category["image"], _ENTITIES["software_images"](""))
            if image["path"] is None:
                image["path"] = f"/cm/images/{category['image']}"


def _check_references(state: State) -> None:
    if state["active"] not in state["head_nodes"]:
        raise StateError(f"active is {state['active']!r}, which is not under head_nodes")
    both = state["head_nodes"].keys() & state["nodes"].keys()
    if both:
        raise StateError(f"{sorted(both)[0]!r} is under head_nodes and under nodes")
    categories = state["categories"]
    for name, node in state["nodes"].items():
        if node["category"] is not None and node["category"] not in categories:
            raise StateError(f"node {name!r} has category {node['category']!r}, which is not under categories")
    for name, overlay in state["overlays"].items():
        priority = overlay["priority"]
        if isinstance(priority, bool) or not isinstance(priority, int):
            raise StateError(f"overlay {name!r}: priority must be a number")
        if priority > 1000 or priority in (CATEGORY_PRIORITY, NODE_PRIORITY):
            raise StateError(f"overlay {name!r}: priority {priority} is not 0..1000 without 250 and 750, or negative")
        _check_names(f"overlay {name!r}: nodes", overlay["nodes"], state["nodes"], state["head_nodes"])
        _check_names(f"overlay {name!r}: categories", overlay["categories"], categories)
    for name, profile in state["profiles"].items():
        _check_names(f"profile {name!r}: tokens", profile["tokens"], TOKENS)
    for name, user in state["users"].items():
        _check_names(f"user {name!r}: profile", [user["profile"]], state["profiles"])


def _check_names(where: str, names: Iterable[str], *known: Iterable[str]) -> None:
    pools: list[Any] = [pool if isinstance(pool, (Mapping, frozenset, set)) else set(pool) for pool in known]
    for name in names:
        if not any(name in pool for pool in pools):
            raise StateError(f"{where}: {name!r} does not exist")
