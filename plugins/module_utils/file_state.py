# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies at a path, and what shall lie there, in the same words: state, mode, owner, group, content or target."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import typing as t

DEFAULT_MODE = {"file": "0644", "directory": "0755"}


def mode_of(wanted: dict[str, t.Any]) -> int:
    """The permission bits asked for."""
    return int(wanted.get("mode") or DEFAULT_MODE[wanted["state"]], 8)


def describe(path: str) -> dict[str, t.Any]:
    """What lies at *path*: state, and content, target, mode, owner, group as far as it has them."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return {"state": "absent"}
    if stat.S_ISLNK(status.st_mode):
        return {"state": "link", "target": os.readlink(path)}
    found = {"mode": f"{stat.S_IMODE(status.st_mode):04o}", "owner": owner_name(status), "group": group_name(status)}
    if stat.S_ISDIR(status.st_mode):
        return {"state": "directory", **found}
    if not stat.S_ISREG(status.st_mode):
        return {"state": "special", **found}
    with open(path, "rb") as stream:
        return {"state": "file", **found, "content": stream.read()}


def describe_wanted(wanted: dict[str, t.Any]) -> dict[str, t.Any]:
    """The same description as describe() gives, of an entry of the module managed_files with all its defaults."""
    state = wanted["state"]
    if state == "absent":
        return {"state": state}
    if state == "link":
        return {"state": state, "target": wanted["target"]}
    described = {"state": state, "mode": f"{mode_of(wanted):04o}", "owner": wanted["owner"], "group": wanted["group"]}
    if state == "file":
        described["content"] = wanted["content"].encode()
    return described


def owner_name(status: os.stat_result) -> str:
    """The owner's name, or the number of one that has no name."""
    try:
        return pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        return str(status.st_uid)


def group_name(status: os.stat_result) -> str:
    """The group's name, or the number of one that has no name."""
    try:
        return grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        return str(status.st_gid)
