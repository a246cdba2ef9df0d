# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guided setup knows before it asks: BCM's hosts, and what was seen on a few of them.  No I/O."""

from __future__ import annotations

import fnmatch
import posixpath
import typing as t
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

Json = Mapping[str, t.Any]

NETWORK_FILE_SYSTEMS = frozenset(
    (
        "9p",
        "beegfs",
        "ceph",
        "cifs",
        "fhgfs",
        "fuse.ceph",
        "fuse.glusterfs",
        "gpfs",
        "lustre",
        "nfs",
        "nfs4",
        "panfs",
        "smb3",
        "virtiofs",
        "wekafs",
    )
)
_CRITERIA = {"category": "categories", "role": "roles"}
_SHOWN = 5


@dataclass(frozen=True)
class Host:
    """A host that BCM knows."""

    name: str
    type: str
    category: str
    roles: tuple[str, ...]
    ip: str


@dataclass(frozen=True)
class Mount:
    """A mounted file system of a host; `identity` is the same on all hosts that see the same one, None if unknown."""

    target: str
    fstype: str
    source: str
    identity: str | None


@dataclass(frozen=True)
class Listener:
    """A program that listens on a TCP port. `ours`: its unit was installed by this collection, or it replaces it."""

    port: int
    program: str
    ours: bool = False


@dataclass(frozen=True)
class Seen:
    """What was seen on one host; `problem` says in a sentence why nothing was."""

    mounts: tuple[Mount, ...] = ()
    listeners: tuple[Listener, ...] = ()
    problem: str | None = None

    def listener(self, port: int) -> Listener | None:
        """Who listens on the port."""
        return next((listener for listener in self.listeners if listener.port == port), None)

    def mount_of(self, path: str) -> Mount | None:
        """The file system that the path is on."""
        holding = [mount for mount in self.mounts if _is_below(path, mount.target)]
        return max(holding, key=lambda mount: len(mount.target), default=None)


@dataclass(frozen=True)
class Findings:
    """All that was found out. `slurm_instances` are BCM's names of them."""

    hosts: tuple[Host, ...] = ()
    headnodes: tuple[str, ...] = ()
    cluster_name: str | None = None
    cluster_name_source: str = ""
    slurm_instances: tuple[str, ...] = ()
    seen: Mapping[str, Seen] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def host(self, name: str) -> Host | None:
        """The host of this name."""
        return next((host for host in self.hosts if host.name == name), None)

    def on(self, name: str) -> Seen:
        """What was seen on a host; nothing if it was not looked at."""
        return self.seen.get(name, Seen(problem=f"{name} was not looked at"))

    def running(self, programs: Container[str]) -> list[tuple[str, Listener]]:
        """Where one of the programs listens that this collection did not install: host and listener."""
        return [
            (name, listener)
            for name, seen in sorted(self.seen.items())
            for listener in seen.listeners
            if listener.program in programs and not listener.ours
        ]


def from_json(value: Json, seen: Mapping[str, Json]) -> Findings:
    """The findings of the modules guided_setup_facts and guided_setup_probe, the latter by host name."""
    hosts = tuple(
        Host(
            name=item["name"],
            type=item.get("type") or "",
            category=item.get("category") or "",
            roles=tuple(item.get("roles") or ()),
            ip=item.get("ip") or "",
        )
        for item in value.get("hosts") or ()
    )
    found = next((item["cluster_name"] for item in (value, *seen.values()) if item.get("cluster_name")), None)
    return Findings(
        hosts=hosts,
        headnodes=tuple(value.get("headnodes") or ()),
        cluster_name=found["value"] if found else None,
        cluster_name_source=found["source"] if found else "",
        slurm_instances=tuple(value.get("slurm_instances") or ()),
        seen={name: _seen(item) for name, item in seen.items()},
        notes=tuple(value.get("notes") or ()),
    )


def _seen(value: Json) -> Seen:
    return Seen(
        mounts=tuple(
            Mount(item["target"], item["fstype"], item["source"], item.get("identity"))
            for item in value.get("mounts") or ()
        ),
        listeners=tuple(
            Listener(int(item["port"]), item.get("program") or "an unknown program", bool(item.get("ours")))
            for item in value.get("listeners") or ()
        ),
        problem=_problem(value),
    )


def _problem(value: Json) -> str | None:
    """Ansible's words for a host that could not be reached or where the look failed."""
    if not (value.get("unreachable") or value.get("failed")):
        return None
    return " ".join(str(value.get("msg") or "the look failed").split())


def _is_below(path: str, directory: str) -> bool:
    path, directory = posixpath.normpath(path), posixpath.normpath(directory)
    return directory in ("/", path) or path.startswith(directory + "/")


# --- which hosts a pattern means ---


def matching(pattern: str, hosts: Iterable[Host]) -> list[Host]:
    """The hosts of a name, a glob, `category:GLOB` or `role:NAME`."""
    kind, colon, glob = pattern.partition(":")
    if colon and kind == "category":
        return [host for host in hosts if host.category and fnmatch.fnmatchcase(host.category, glob)]
    if colon and kind == "role":
        return [host for host in hosts if glob.lower() in host.roles]
    return [host for host in hosts if fnmatch.fnmatchcase(host.name, pattern)]


def members(patterns: Iterable[str], hosts: Iterable[Host]) -> list[Host]:
    """The hosts that any of the patterns means, each once, in BCM's order."""
    hosts = list(hosts)
    names = {host.name for pattern in patterns for host in matching(pattern, hosts)}
    return [host for host in hosts if host.name in names]


def group_rule(patterns: Iterable[str]) -> dict[str, list[str]]:
    """The patterns as a rule of the inventory's `system_groups`."""
    rule: dict[str, list[str]] = {}
    for pattern in patterns:
        kind, colon, glob = pattern.partition(":")
        key = _CRITERIA.get(kind) if colon else None
        rule.setdefault(key or "hosts", []).append(glob if key else pattern)
    return rule


# --- which hosts are worth a look ---


def worth_a_look(hosts: Iterable[Host], few: int = 8, of_many: int = 2) -> list[Host]:
    """All hosts of a category with few, the first ones of a category with many.

    Servers of all kinds are in small categories, compute nodes that are alike in large ones.
    """
    kinds: dict[str, list[Host]] = {}
    for host in hosts:
        if host.ip:
            kinds.setdefault(host.category or host.type, []).append(host)
    return [host for alike in kinds.values() for host in (alike if len(alike) <= few else alike[:of_many])]


# --- shared directories ---


def not_shared(path: str, findings: Findings, names: Iterable[str]) -> str | None:
    """Why the hosts do not see the same directory, or None if they do or if that cannot be told.

    A file system is the same where its identity is (that of its root directory, which NFS hands through), or where
    it comes over the network from the same source.
    """
    mounts: dict[str, Mount] = {}
    for name in names:
        mount = findings.on(name).mount_of(path)
        if mount is not None:
            mounts[name] = mount
    if not mounts:
        return None
    local = [name for name, mount in mounts.items() if mount.target == "/" and mount.fstype not in NETWORK_FILE_SYSTEMS]
    if local:
        return (
            f"{path} is on the root file system of {_some(local)}, which nobody else sees; name a directory on storage "
            "that DGX nodes and Prometheus' host mount, such as one below /cm/shared"
        )
    first_name, first = next(iter(mounts.items()))
    for name, mount in mounts.items():
        if not _same(first, mount):
            return (
                f"{path} is on {_told(first)} on {first_name}, but on {_told(mount)} on {name}; name a directory that "
                "both see"
            )
    return None


def _same(a: Mount, b: Mount) -> bool:
    if a.identity is not None and a.identity == b.identity:
        return True
    return a.fstype in NETWORK_FILE_SYSTEMS and (a.fstype, a.source) == (b.fstype, b.source)


def _told(mount: Mount) -> str:
    return f"{mount.source} ({mount.fstype})"


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
