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

from . import tcp_listeners
from .setup_findings import NETWORK_FILE_SYSTEMS

Json = dict[str, t.Any]

OURS = "Managed by superpod.monitoring"
"""What stands at the top of every unit that the collection installs."""
_EXPORTERS = ("node_exporter", "cgroup_exporter", "nvidia_gpu_prometheus_exporter", "dcgm-exporter")
TAKEN_OVER = frozenset(f"{name}.service" for name in _EXPORTERS)
"""Units that the role dgx_exporters replaces, whoever wrote them; their ports are not in its way."""

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

    A network file system, as most of FUSE are, is asked in a process of its own, since its server may be away and the
    answer never come.
    """
    if fstype not in NETWORK_FILE_SYSTEMS and not fstype.startswith("fuse"):
        try:
            status = os.stat(target)
        except OSError:
            return None
        return f"{status.st_ino}-{int(status.st_ctime)}"
    said = _output(["stat", "-L", "-c", "%i-%Z", "--", target])
    return said.strip() or None


# --- ports ---


def is_ours(unit: str) -> bool:
    """Whether the collection wrote this unit, or will."""
    return unit in TAKEN_OVER or (unit != "" and OURS in _content(f"/etc/systemd/system/{unit}"))


def listeners() -> list[Json]:
    """Port, program and whether its unit is the collection's, or one it replaces; needs root to see other users'."""
    by_port: dict[int, Json] = {}
    for listener in tcp_listeners.listeners(set(range(1, 65536))):
        by_port[listener.port] = {
            "port": listener.port,
            "program": listener.process,
            "ours": is_ours(listener.unit),
        }
    return list(by_port.values())


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
    """What a program prints; empty if it fails or does not end.  One that hangs in the kernel is not waited for."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    try:
        process = subprocess.Popen(argv, text=True, errors="replace", **streams)  # type: ignore[call-overload]
    except OSError:
        return ""
    try:
        said: str = process.communicate(timeout=_LIMIT)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return ""
    return said if process.returncode == 0 else ""
