# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be seen on a host without changing it: mounts, listening ports, Slurm's ClusterName."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import typing as t

from .setup_findings import NETWORK_FILE_SYSTEMS

Json = dict[str, t.Any]

OURS = "Managed by superpod.monitoring"
"""What stands at the top of every unit that the collection installs."""

_LISTEN = "0A"
_PSEUDO = frozenset(
    (
        "autofs",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "devtmpfs",
        "fusectl",
        "hugetlbfs",
        "mqueue",
        "nsfs",
        "proc",
        "pstore",
        "ramfs",
        "rpc_pipefs",
        "securityfs",
        "sysfs",
        "tracefs",
    )
)
_ESCAPE = re.compile(r"\\([0-7]{3})")
_SLURM_BIN = ("/cm/shared/apps/slurm/current/bin", "/cm/local/apps/slurm/current/bin")
_SLURM_CONF = (
    "/etc/slurm/slurm.conf",
    "/cm/shared/apps/slurm/var/etc/slurm.conf",
    "/cm/shared/apps/slurm/var/etc/*/slurm.conf",
)
_LIMIT = 10.0


# --- mounts ---


def parse_mountinfo(text: str) -> list[tuple[str, str, str]]:
    """Target, type and source of each file system in /proc/self/mountinfo; of those over each other, the last."""
    found: dict[str, tuple[str, str, str]] = {}
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if not dash or len(fields) < 5 or len(rest) < 2:
            continue
        target = _unescaped(fields[4])
        found.pop(target, None)
        found[target] = (target, rest[0], _unescaped(rest[1]))
    return list(found.values())


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)


def mounts() -> list[Json]:
    """The file systems that hold files, each with what identifies it on all hosts that mount it."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        known = parse_mountinfo(file.read())
    return [
        {"target": target, "fstype": fstype, "source": source, "identity": _identity(target, fstype)}
        for target, fstype, source in known
        if fstype not in _PSEUDO
    ]


def _identity(target: str, fstype: str) -> str | None:
    """Inode number and change time of the root directory: NFS and its like hand the server's through.

    A network file system is asked in a process of its own, since its server may be away and the answer never come.
    """
    if fstype not in NETWORK_FILE_SYSTEMS:
        try:
            status = os.stat(target)
        except OSError:
            return None
        return f"{status.st_ino}-{int(status.st_ctime)}"
    said = _output(["stat", "-L", "-c", "%i-%Z", "--", target])
    return said.strip() or None


# --- ports ---


def parse_listening(text: str) -> dict[str, int]:
    """Ports that are listened on in /proc/net/tcp or tcp6, by the socket's inode."""
    found = {}
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTEN:
            found[fields[9]] = int(fields[1].rsplit(":", 1)[1], 16)
    return found


def listeners() -> list[Json]:
    """Port, program and whether its unit is the collection's; needs root to see other users' programs."""
    sockets: dict[str, int] = {}
    for name in ("tcp", "tcp6"):
        text = _content(f"/proc/net/{name}")
        if text:
            sockets.update(parse_listening(text))
    by_port: dict[int, Json] = {port: {"port": port, "program": "", "ours": False} for port in sockets.values()}
    for process in glob.glob("/proc/[0-9]*"):
        for inode in _sockets(process):
            if inode in sockets:
                program = _content(f"{process}/comm").strip()
                by_port[sockets[inode]].update(program=program, ours=_is_ours(_content(f"{process}/cgroup")))
    return [by_port[port] for port in sorted(by_port)]


def _sockets(process: str) -> list[str]:
    found = []
    try:
        names = os.listdir(f"{process}/fd")
    except OSError:
        return []
    for name in names:
        try:
            target = os.readlink(f"{process}/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            found.append(target[8:-1])
    return found


def unit_of(cgroup: str) -> str | None:
    """The service of a process from its /proc/PID/cgroup."""
    found = re.search(r"/([^/\s]+\.service)(?:/|$)", cgroup, re.MULTILINE)
    return found[1] if found else None


def _is_ours(cgroup: str) -> bool:
    unit = unit_of(cgroup)
    return unit is not None and OURS in _content(f"/etc/systemd/system/{unit}")


# --- Slurm ---


def parse_cluster_name(text: str) -> str | None:
    """ClusterName in slurm.conf or in the output of `scontrol show config`."""
    found = re.search(r"^\s*ClusterName\s*=\s*([A-Za-z0-9_.-]+)", text, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else None


def cluster_name() -> Json | None:
    """Slurm's ClusterName as this host knows it, and from where."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SLURM_BIN])
    scontrol = shutil.which("scontrol", path=path)
    if scontrol:
        value = parse_cluster_name(_output([scontrol, "show", "config"]))
        if value:
            return {"value": value, "source": "scontrol"}
    for pattern in _SLURM_CONF:
        for name in sorted(glob.glob(pattern)):
            value = parse_cluster_name(_content(name))
            if value:
                return {"value": value, "source": name}
    return None


# --- helpers ---


def _content(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _output(argv: list[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=_LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
