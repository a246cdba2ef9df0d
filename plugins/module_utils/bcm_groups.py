# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From BCM's devices to Ansible's hosts, variables and groups.  Pure: no I/O, no Ansible import."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import typing as t
from dataclasses import dataclass, field

from .bcm_device import Device, is_address, shown
from .bcm_snapshot import Snapshot
from .bcm_tls import BcmConfigError

Globs = tuple[str, ...]

HOST_TYPES: Globs = ("HeadNode", "PhysicalNode", "CloudNode", "LiteNode")
"""Device types that run an operating system Ansible can manage."""

OTHER_TYPES = frozenset(
    (
        "chassis",
        "dpu",
        "ethernetswitch",
        "fabricresourcebox",
        "fabricswitch",
        "genericdevice",
        "ibswitch",
        "powerdistributionunit",
        "racksensor",
        "switch",
        "unmanagednode",
    )
)
"""Device types that are left out without a word."""

IMAGE_GROUP = "bcm_images"
# What an image needs beside its directory: this collection's way into it, nothing started or written for one node, and
# no directory for modules that would be left in it.
IMAGE_VARIABLES = {
    "ansible_connection": "superpod.monitoring.software_image",
    "ansible_remote_tmp": "/tmp",  # noqa: S108 - modules come over a pipe
    "superpod_deploy_mode": "image",
}

DEFAULT_SYSTEM_GROUPS: dict[str, dict[str, list[str]]] = {
    "dgx_nodes": {"categories": ["dgx*"]},
    "slurm_controllers": {"roles": ["slurmserver"]},
    "login_nodes": {"roles": ["slurmsubmit"], "not_groups": ["dgx_nodes", "slurm_controllers"]},
    "prometheus_servers": {},
    "grafana_servers": {},
    "bcm_headnodes": {"types": ["HeadNode"]},
}

_CRITERIA = ("hosts", "categories", "roles", "types")
_GROUP_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOSTNAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_SHOWN_NAMES = 5


class Matcher:
    """A list of globs, those with a leading `!` exclude; answers are remembered, because categories repeat."""

    def __init__(self, globs: Globs, fold: bool = False) -> None:
        self._fold = fold
        globs = tuple(glob.lower() for glob in globs) if fold else globs
        wanted = [glob for glob in globs if not glob.startswith("!")]
        self._wanted = _compiled(wanted) if wanted or not globs else _compiled(["*"])
        self._unwanted = _compiled([glob[1:] for glob in globs if glob.startswith("!")])
        self._known: dict[str, bool] = {}

    def __call__(self, value: str | None) -> bool:
        if value is None:
            value = ""
        found = self._known.get(value)
        if found is None:
            text = value.lower() if self._fold else value
            found = bool(self._wanted.match(text)) and not self._unwanted.match(text)
            self._known[value] = found
        return found


def _compiled(globs: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(glob) for glob in globs) if globs else r"(?!)")


@dataclass(frozen=True)
class Filters:
    """Which devices become hosts: each criterion that is set must hold; globs, `!glob` excludes."""

    hostnames: Globs = ()
    categories: Globs = ()
    roles: Globs = ()
    types: Globs = HOST_TYPES


@dataclass(frozen=True)
class SystemGroup:
    """A rule of `system_groups`: members are hosts that meet any criterion and are in none of `not_groups`."""

    hosts: Globs = ()
    categories: Globs = ()
    roles: Globs = ()
    types: Globs = ()
    not_groups: tuple[str, ...] = ()


@dataclass
class Plan:
    """What goes into the inventory.  `warnings` are sentences, each said once."""

    hosts: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class StrictDevicesError(ValueError):
    """Devices that would be missing from the inventory or be wrong in it; the text is one sentence."""


def _globs(value: object, where: str) -> Globs:
    if value is None:
        return ()
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) and item for item in value):
        raise BcmConfigError(f"{where} must be a list of names or globs, not {shown(value)}.")
    return tuple(str(item) for item in value)


def parse_filters(raw: object) -> Filters:
    """`filters` as the user wrote it.  Raises BcmConfigError."""
    if raw is None:
        return Filters()
    if not isinstance(raw, dict):
        raise BcmConfigError(f"filters must be a mapping, not {shown(raw)}.")
    known = ("hostnames", "categories", "roles", "types")
    _only_known(raw, known, "filters")
    values = {key: _globs(raw.get(key), f"filters.{key}") for key in known}
    return Filters(**{**values, "types": values["types"] or HOST_TYPES})


def parse_system_groups(raw: object) -> dict[str, SystemGroup]:
    """The defaults with the user's rules in their place, in an order where `not_groups` come first.

    Raises BcmConfigError.
    """
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise BcmConfigError(f"system_groups must be a mapping of group names to rules, not {shown(raw)}.")
    rules: dict[str, SystemGroup] = {}
    for name, rule in {**DEFAULT_SYSTEM_GROUPS, **raw}.items():
        where = f"system_groups.{name}"
        if not isinstance(name, str) or not _GROUP_NAME.fullmatch(name) or name in ("all", "ungrouped"):
            raise BcmConfigError(f"{shown(name)} in system_groups cannot be the name of a group: use a-z, 0-9 and _.")
        given = {} if rule is None else rule
        if not isinstance(given, dict):
            raise BcmConfigError(f"{where} must be a mapping with {', '.join(_CRITERIA)} or not_groups.")
        _only_known(given, (*_CRITERIA, "not_groups"), where)
        values = {key: _globs(given.get(key), f"{where}.{key}") for key in (*_CRITERIA, "not_groups")}
        rules[str(name)] = SystemGroup(**values)
    return _ordered(rules)


def _only_known(given: dict[t.Any, t.Any], known: t.Iterable[str], where: str) -> None:
    unknown = [str(key) for key in given if key not in known]
    if unknown:
        raise BcmConfigError(f"{where} has no key {', '.join(unknown)}; it has {', '.join(known)}.")


def _ordered(rules: dict[str, SystemGroup]) -> dict[str, SystemGroup]:
    ordered: dict[str, SystemGroup] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in ordered:
            return
        if name in path:
            raise BcmConfigError(f"not_groups in system_groups goes in a circle: {' -> '.join([*path, name])}.")
        for other in rules[name].not_groups:
            if other not in rules:
                raise BcmConfigError(f"system_groups.{name}.not_groups names {shown(other)}, which is no system group.")
            visit(other, (*path, name))
        ordered[name] = rules[name]

    for name in rules:
        visit(name, ())
    return ordered


def host_variables(device: Device, headnode: str) -> dict[str, t.Any]:
    """The variables of one host; what BCM does not say is None, and roles it does not say are [].

    `ansible_host` goes into ssh's command line, so only an address gets there.
    """
    variables: dict[str, t.Any] = {
        "bcm_category": device.category,
        "bcm_cluster": device.cluster,
        "bcm_headnode": headnode,
        "bcm_ip": device.ip,
        "bcm_mac": device.mac,
        "bcm_network": device.network,
        "bcm_roles": list(device.roles or ()),
        "bcm_type": device.type,
        "bcm_uuid": device.uuid,
    }
    if is_address(device.ip):
        variables["ansible_host"] = device.ip
    return variables


def plan_inventory(
    snapshot: Snapshot, filters: Filters, system_groups: dict[str, SystemGroup], strict_devices: bool
) -> Plan:
    """Hosts, variables and groups of one snapshot.

    With `strict_devices` a record that cannot become the host it stands for raises StrictDevicesError; else it is left
    out with a warning.
    """
    plan = Plan()
    devices, problems = _unique(snapshot.devices)
    problems = [*snapshot.problems, *problems]
    if problems:
        text = _listed("BCM lists devices that cannot be hosts", problems)
        if strict_devices:
            raise StrictDevicesError(f"{text} Correct them in BCM, or set strict_devices to false to leave them out.")
        plan.warnings.append(f"{text} They are left out.")
    devices = _wanted(devices, filters, plan.warnings)
    _remark(devices, plan.warnings)
    plan.hosts = {device.hostname: host_variables(device, snapshot.headnode) for device in devices}
    _add_native_groups(plan, devices)
    _add_rpc_groups(plan, snapshot)
    _add_system_groups(plan, devices, system_groups)
    _add_software_images(plan, snapshot, tuple(system_groups))
    return plan


def _listed(what: str, sentences: t.Sequence[str]) -> str:
    more = f" (and {len(sentences) - _SHOWN_NAMES} more)" if len(sentences) > _SHOWN_NAMES else ""
    return f"{what}: {' '.join(sentences[:_SHOWN_NAMES])}{more}"


def _names(devices: t.Sequence[Device]) -> str:
    names = ", ".join(shown(device.hostname) for device in devices[:_SHOWN_NAMES])
    return names + (f" and {len(devices) - _SHOWN_NAMES} more" if len(devices) > _SHOWN_NAMES else "")


def _unique(devices: t.Iterable[Device]) -> tuple[list[Device], list[str]]:
    """The devices whose name no earlier one has (host names have no case), and a sentence for each other one."""
    seen: dict[str, Device] = {}
    problems: list[str] = []
    for device in devices:
        first = seen.setdefault(device.hostname.lower(), device)
        if first is not device:
            problems.append(f"{shown(device.hostname)} is there twice (uuid {first.uuid} and {device.uuid}).")
    return list(seen.values()), problems


def _wanted(devices: list[Device], filters: Filters, warnings: list[str]) -> list[Device]:
    name, category = Matcher(filters.hostnames or ("*",)), Matcher(filters.categories or ("*",))
    role, kind = Matcher(filters.roles or ("*",), fold=True), Matcher(filters.types, fold=True)
    kept: list[Device] = []
    strangers: dict[str, int] = {}
    for device in devices:
        if not kind(device.type):
            if filters.types == HOST_TYPES and (device.type or "").lower() not in OTHER_TYPES:
                strangers[shown(device.type)] = strangers.get(shown(device.type), 0) + 1
        elif (
            name(device.hostname)
            and category(device.category)
            and (not filters.roles or _any_role(role, device, filters.roles))
        ):
            kept.append(device)
    if strangers:
        counts = ", ".join(f"{count} of type {kind_name}" for kind_name, count in sorted(strangers.items()))
        warnings.append(
            f"Left out devices of unknown types ({counts}); name their types in filters.types to have them."
        )
    return kept


def _any_role(matches: Matcher, device: Device, globs: Globs) -> bool:
    """`!role` excludes a device that has the role, whatever other roles it has."""
    roles = device.roles or ()
    unwanted = [glob[1:] for glob in globs if glob.startswith("!")]
    if unwanted and any(map(Matcher(tuple(unwanted), fold=True), roles)):
        return False
    return all(glob.startswith("!") for glob in globs) or any(map(matches, roles))


def _remark(devices: list[Device], warnings: list[str]) -> None:
    """What is odd about hosts that are in the inventory all the same."""
    odd = [device for device in devices if not _HOSTNAME.fullmatch(device.hostname)]
    if odd:
        warnings.append(f"Not valid as host names, kept as text: {_names(odd)}.")
    without_ip = [device for device in devices if not is_address(device.ip)]
    if without_ip:
        warnings.append(f"No ip in BCM, so Ansible connects by name: {_names(without_ip)}.")
    lost = [device for device in devices if device.category is None and (device.type or "").lower() == "physicalnode"]
    if lost:
        warnings.append(f"No category in BCM, so in no bcm_category_ group: {_names(lost)}.")
    if devices and all(device.roles is None for device in devices):
        warnings.append("BCM says of no device which roles it has, so every group by role is empty.")


def safe_group_names(prefix: str, names: t.Iterable[str]) -> dict[str, str]:
    """A group name for each name, each another: a-z, A-Z, 0-9 and _.

    Where two names would become one, such as `a-b` and `a.b`, those that had to be changed get a suffix made from the
    name, so that a group's name does not depend on what else there is beside the collision.
    """
    by_group: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        by_group.setdefault(re.sub(r"[^A-Za-z0-9_]", "_", name), []).append(name)
    result: dict[str, str] = {}
    for group, members in by_group.items():
        for name in members:
            suffix = "" if len(members) == 1 or name == group else "_" + hashlib.sha256(name.encode()).hexdigest()[:6]
            result[name] = f"{prefix}{group}{suffix}"
    return result


def _add_groups(plan: Plan, prefix: str, members: dict[str, list[str]]) -> None:
    groups = safe_group_names(prefix, members)
    for name in sorted(members):
        plan.groups[groups[name]] = members[name]
    merged = {group: name for name, group in groups.items() if group != prefix + re.sub(r"[^A-Za-z0-9_]", "_", name)}
    if merged:
        said = ", ".join(f"{shown(name)} is {group}" for group, name in sorted(merged.items()))
        plan.warnings.append(f"Names that would give one group have groups of their own: {said}.")


def _add_native_groups(plan: Plan, devices: list[Device]) -> None:
    categories: dict[str, list[str]] = {}
    roles: dict[str, list[str]] = {}
    types: dict[str, list[str]] = {}
    for device in devices:
        if device.category is not None:
            categories.setdefault(device.category, []).append(device.hostname)
        if device.type is not None:
            types.setdefault(device.type, []).append(device.hostname)
        for role in device.roles or ():
            roles.setdefault(role, []).append(device.hostname)
    _add_groups(plan, "bcm_category_", categories)
    _add_groups(plan, "bcm_role_", roles)
    _add_groups(plan, "bcm_type_", types)


def _add_rpc_groups(plan: Plan, snapshot: Snapshot) -> None:
    racks: dict[str, list[str]] = {}
    images: dict[str, list[str]] = {}
    overlays: dict[str, list[str]] = {}
    for hostname, variables in plan.hosts.items():
        if snapshot.racks is not None:
            rack = snapshot.racks.get(hostname)
            variables["bcm_rack"] = None if rack is None else rack.name
            variables["bcm_rack_position"] = None if rack is None else rack.position
            if rack is not None:
                racks.setdefault(rack.name, []).append(hostname)
        if snapshot.images is not None:
            image = snapshot.images.get(hostname)
            variables["bcm_image"] = None if image is None else image.name
            variables["bcm_image_path"] = None if image is None else image.path
            if image is not None:
                images.setdefault(image.name, []).append(hostname)
        if snapshot.overlays is not None:
            names = snapshot.overlays.get(hostname, ())
            variables["bcm_overlays"] = list(names)
            for name in names:
                overlays.setdefault(name, []).append(hostname)
    _add_groups(plan, "bcm_rack_", racks)
    _add_groups(plan, "bcm_image_", images)
    _add_groups(plan, "bcm_overlay_", overlays)


def _add_system_groups(plan: Plan, devices: list[Device], system_groups: dict[str, SystemGroup]) -> None:
    members: dict[str, set[str]] = {}
    for group, rule in system_groups.items():
        host, category = Matcher(rule.hosts), Matcher(rule.categories)
        role, kind = Matcher(rule.roles, fold=True), Matcher(rule.types, fold=True)
        excluded = set().union(*(members[other] for other in rule.not_groups))
        names = [
            device.hostname
            for device in devices
            if device.hostname not in excluded
            and (
                (rule.hosts and host(device.hostname))
                or (rule.categories and device.category is not None and category(device.category))
                or (rule.types and kind(device.type))
                or (rule.roles and any(map(role, device.roles or ())))
            )
        ]
        members[group] = set(names)
        # Also without hosts: a play for a group that does not exist is a warning about a misspelt name.
        plan.groups[group] = names


def _add_software_images(plan: Plan, snapshot: Snapshot, system_groups: tuple[str, ...]) -> None:
    if snapshot.software_images is None:
        return
    used: dict[str, set[str]] = {}
    for group in system_groups:
        for host in plan.groups[group]:
            own = (snapshot.images or {}).get(host)
            if own is not None:
                used.setdefault(own.name, set()).add(group)
    taken = {name.lower() for name in plan.hosts}
    names: list[str] = []
    for image in snapshot.software_images:
        name = image.name if image.name.lower() not in taken else f"image-{image.name}"
        if name != image.name:
            plan.warnings.append(f"A host has the name of software image {shown(image.name)}: the image is {name}.")
        plan.hosts[name] = {
            **IMAGE_VARIABLES,
            "ansible_host": image.path,
            "bcm_headnode": snapshot.headnode,
            "bcm_image": image.name,
            "bcm_image_groups": sorted(used.get(image.name, ())),
            "bcm_image_path": image.path,
        }
        names.append(name)
    plan.groups[IMAGE_GROUP] = names
