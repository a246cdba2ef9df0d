# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which process listens on a TCP port of this host, and which systemd unit it belongs to, from the kernel's /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

LISTENING = "0A"


@dataclass(frozen=True)
class Listener:
    """Who listens; `pid` is 0 and the names are empty for a process of another namespace, and for the kernel."""

    port: int
    pid: int = 0
    process: str = ""
    unit: str = ""

    def __str__(self) -> str:
        if not self.pid:
            return "a process that cannot be seen, perhaps a container's"
        return f"{self.process} (process {self.pid}{', unit ' + self.unit if self.unit else ''})"


def listening_sockets(table: str) -> dict[str, int]:
    """Return the port of each listening socket by inode, from the text of /proc/net/tcp or tcp6."""
    found = {}
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == LISTENING:
            found[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    return found


def unit_of(cgroups: str) -> str:
    """Return the service that a process belongs to, from the text of /proc/PID/cgroup; empty if to none."""
    for line in cgroups.splitlines():
        for part in reversed(line.split(":", 2)[-1].split("/")):
            if part.endswith(".service"):
                return part
    return ""


def listeners(ports: set[int], proc: str = "/proc") -> list[Listener]:
    """Return who listens on any address at one of the ports, ordered by port; one line for each process."""
    sockets: dict[str, int] = {}
    for table in ("tcp", "tcp6"):
        sockets |= listening_sockets(_read(f"{proc}/net/{table}"))
    sockets = {inode: port for inode, port in sockets.items() if port in ports}
    if not sockets:
        return []
    found, seen = set(), set()
    for pid in _processes(proc):
        for inode in _sockets_of(f"{proc}/{pid}/fd") & sockets.keys():
            seen.add(inode)
            unit = unit_of(_read(f"{proc}/{pid}/cgroup"))
            found.add(Listener(sockets[inode], int(pid), _read(f"{proc}/{pid}/comm").strip() or "?", unit))
    found |= {Listener(port) for inode, port in sockets.items() if inode not in seen}
    return sorted(found, key=lambda listener: (listener.port, listener.pid))


def _processes(proc: str) -> Iterator[str]:
    return (name for name in os.listdir(proc) if name.isdigit())


def _sockets_of(directory: str) -> set[str]:
    """Return the inodes of the sockets that a process has open; none if it ended meanwhile."""
    found = set()
    try:
        for name in os.listdir(directory):
            try:
                target = os.readlink(os.path.join(directory, name))
            except OSError:
                continue
            if target.startswith("socket:["):
                found.add(target[len("socket:[") : -1])
    except OSError:
        pass
    return found


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
