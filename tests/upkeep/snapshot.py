# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab host is like, for the comparison of before and after: files, accounts, units, packages.

Files are read from outside, through the host's own root directory: hosts share an image, so a file that all of them
have is hashed once.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

# Not the host's state, or changed by whoever looks: what the kernel shows, what is gone after a boot, logs and caches.
NOT_LOOKED_AT = frozenset({
    "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log", "/var/cache",
    "/var/lib/apt",  # package lists, which apt makes anew
    "/var/lib/dpkg",  # compared as packages
    "/var/lib/systemd",  # time stamps and random seeds of systemd's own
    "/var/lib/logrotate", "/var/backups",  # what timers of the distribution do at midnight
    "/root/.ansible",  # Ansible's own temporary files
})  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One path: its type (file, directory, link, other), rights and owner; a file's size and hash, a link's target."""

    kind: str
    mode: str
    owner: str
    size: int
    content: str

    def __str__(self) -> str:
        return f"{self.kind} {self.mode} {self.owner} {self.size} {self.content[:60]}"


@dataclass
class Snapshot:
    """A host at one time.

    files: path -> Entry; accounts: lines of passwd, group and shadow without passwords and dates, behind the name of
    their file; units: ``<unit> enabled``, ``<unit> active`` and so on; packages: name -> version and dpkg's status.
    """

    files: dict[str, Entry] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)
    units: set[str] = field(default_factory=set)
    packages: dict[str, str] = field(default_factory=dict)

    def differences(self, later: Snapshot) -> list[str]:
        """One line for each thing that is not as it was, beginning with + (new), - (gone) or ! (changed)."""
        found = compare("", self.files, later.files)
        found += compare("package ", self.packages, later.packages)
        for kind, was, now in (("account", self.accounts, later.accounts), ("unit", self.units, later.units)):
            found += [f"- {kind} {line}" for line in sorted(was - now)]
            found += [f"+ {kind} {line}" for line in sorted(now - was)]
        return found

    def new_files(self, later: Snapshot) -> list[str]:
        """Paths that were not there."""
        return sorted(later.files.keys() - self.files.keys())


def compare(kind: str, was: dict[str, Entry] | dict[str, str], now: dict[str, Entry] | dict[str, str]) -> list[str]:
    found = []
    for name in sorted(was.keys() | now.keys()):
        if name not in now:
            found.append(f"- {kind}{name}: {was[name]}")
        elif name not in was:
            found.append(f"+ {kind}{name}: {now[name]}")
        elif was[name] != now[name]:
            found.append(f"! {kind}{name}: {was[name]} -> {now[name]}")
    return found


class Files:
    """Reads trees of files; remembers what it has hashed."""

    def __init__(self) -> None:
        self._hashes: dict[tuple[int, int, int, int], str] = {}

    def below(self, root: Path, skip: frozenset[str] = frozenset(), shown_as: str = "") -> dict[str, Entry]:
        """Every path below a directory on the same file system, but those in `skip`, under the names that hosts use."""
        found: dict[str, Entry] = {}
        device = root.stat().st_dev
        names = _Names(root)
        waiting = [str(root)]
        cut = len(str(root))
        while waiting:
            with os.scandir(waiting.pop()) as listing:
                for item in listing:
                    path = shown_as + item.path[cut:]
                    try:
                        about = item.stat(follow_symlinks=False)
                        entry = self._entry(item.path, about, names)
                    except FileNotFoundError:  # gone since the directory was read
                        continue
                    if path in skip:
                        continue
                    found[path] = entry
                    if entry.kind == "directory" and about.st_dev == device:
                        waiting.append(item.path)
        return found

    def _entry(self, path: str, about: os.stat_result, names: _Names) -> Entry:
        mode, owner = oct(stat.S_IMODE(about.st_mode))[2:], names.owner(about)
        if stat.S_ISDIR(about.st_mode):
            return Entry("directory", mode, owner, 0, "")
        if stat.S_ISLNK(about.st_mode):
            return Entry("link", mode, owner, 0, os.readlink(path))
        if not stat.S_ISREG(about.st_mode):
            return Entry("other", mode, owner, 0, "")
        key = (about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        if key not in self._hashes:
            self._hashes[key] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        return Entry("file", mode, owner, about.st_size, self._hashes[key])


class _Names:
    """Names of a host's users and groups."""

    def __init__(self, root: Path) -> None:
        self._users = _numbers(root / "etc/passwd")
        self._groups = _numbers(root / "etc/group")

    def owner(self, about: os.stat_result) -> str:
        return f"{self._users.get(about.st_uid, about.st_uid)}:{self._groups.get(about.st_gid, about.st_gid)}"


def _numbers(path: Path) -> dict[int, str]:
    if not path.exists():
        return {}
    rows = (line.split(":") for line in path.read_text().splitlines())
    return {int(row[2]): row[0] for row in rows if len(row) > 2}


def accounts(root: Path) -> set[str]:
    """Who there is, of passwd, group and shadow; of shadow only the names."""
    found = set()
    for name in ("passwd", "group", "shadow", "gshadow"):
        for line in (root / "etc" / name).read_text().splitlines():
            found.add(f"{name} {line.split(':')[0] if 'shadow' in name else line}")
    return found
