# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Artifacts on a host: ``<root>/<name>/<version>/`` with the programs, and links to those of one version.

A version is unpacked beside its place and renamed into it, complete and checked; then the links are made beside theirs
and renamed over the old ones.  Whatever goes wrong before that last step leaves the old version in use.  A receipt in
each version's directory, which is the manifest's entry for it, tells later runs what must be there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import tempfile
import time
from dataclasses import dataclass

from . import artifact_archive, artifact_manifest, atomic_file
from .artifact_manifest import Artifact
from .failure import Failure

RECEIPT = "artifact.json"
MODE = 0o755


@dataclass(frozen=True)
class Found:
    """What is on the host: versions in the order of their last use, the latest first; `links` as they are."""

    versions: tuple[str, ...]
    links: dict[str, str]
    current: str | None


@dataclass(frozen=True)
class Plan:
    """What has to be done to have a version in use."""

    unpack: bool
    link: dict[str, str]
    unlink: tuple[str, ...]
    prune: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.unpack or self.link or self.unlink or self.prune)


class Store:
    """The versions of one artifact on this host."""

    def __init__(self, root: str, bin_dir: str, name: str) -> None:
        self.root = root
        self.bin_dir = bin_dir
        self.name = name
        self.directory = os.path.join(root, name)

    def path(self, version: str) -> str:
        """Return the directory of a version."""
        return os.path.join(self.directory, version)

    def look(self) -> Found:
        """Return what is there."""
        used = sorted(
            (
                (os.stat(os.path.join(entry.path, RECEIPT)).st_mtime_ns, entry.name)
                for entry in _entries(self.directory)
                if not entry.name.startswith(".") and os.path.isfile(os.path.join(entry.path, RECEIPT))
            ),
            reverse=True,
        )
        links = {
            entry.path: os.readlink(entry.path)
            for entry in _entries(self.bin_dir)
            if entry.is_symlink() and not entry.name.startswith(".")
        }
        links = {path: target for path, target in links.items() if target.startswith(self.directory + "/")}
        linked = {os.path.basename(os.path.dirname(target)) for target in links.values()}
        return Found(tuple(name for used_at, name in used), links, linked.pop() if len(linked) == 1 else None)

    def receipt(self, version: str) -> Artifact | None:
        """Return what was unpacked as that version, or None if there is no such version or its receipt is no good."""
        try:
            with open(os.path.join(self.path(version), RECEIPT), "rb") as file:
                return artifact_manifest.from_json(json.load(file))
        except (OSError, ValueError):
            return None

    def intact(self, artifact: Artifact) -> bool:
        """Whether the version is there with exactly the programs that belong to it, ready to run."""
        receipt = self.receipt(artifact.version)
        return (
            receipt is not None
            and receipt.programs == artifact.programs
            and all(
                _is_program(os.path.join(self.path(artifact.version), program.name), program.size, program.sha256)
                for program in artifact.programs
            )
        )

    def plan(self, found: Found, artifact: Artifact, keep: int, replace: bool = False) -> Plan:
        """Return what it takes to have the artifact in use and at most `keep` other versions; raises Failure.

        With `replace`, a regular file or a link to elsewhere makes room for a link.
        """
        wanted = {
            os.path.join(self.bin_dir, program.name): os.path.join(self.path(artifact.version), program.name)
            for program in artifact.programs
        }
        for path in wanted:
            if os.path.lexists(path) and path not in found.links and not (replace and _is_file(path)):
                raise Failure(
                    f"{path} is there already and is no link into {self.directory}; move it away, or remove what "
                    "installed it",
                    "in_the_way",
                    path=path,
                )
        # the version in use until now is the first to go back to, whenever it was installed
        others = sorted((v for v in found.versions if v != artifact.version), key=lambda v: v != found.current)
        return Plan(
            unpack=not self.intact(artifact),
            link={path: target for path, target in wanted.items() if found.links.get(path) != target},
            unlink=tuple(sorted(set(found.links) - set(wanted))),
            prune=tuple(others[keep:]),
        )

    def carry_out(self, plan: Plan, found: Found, artifact: Artifact, archive: str) -> None:
        """Do what the plan says; raises Failure or OSError, and then the links are as they were.

        `archive` is the artifact's file on this host; it is read only if the plan unpacks.
        """
        if plan.unpack:
            self._unpack(archive, artifact)
        if plan.link:
            _switch(plan.link)
            now = time.time_ns()
            for order, version in enumerate((found.current, artifact.version)):
                if version in (artifact.version, *found.versions):
                    os.utime(os.path.join(self.path(version), RECEIPT), ns=(now + order, now + order))
        for path in plan.unlink:
            atomic_file.remove(path)
        for version in plan.prune:
            shutil.rmtree(self.path(version))

    def holds_anything(self, found: Found) -> bool:
        """Whether there is something to remove."""
        return bool(found.links) or os.path.lexists(self.directory)

    def remove(self, found: Found) -> None:
        """Leave nothing of the artifact on the host; raises OSError."""
        for path in found.links:
            atomic_file.remove(path)
        if os.path.lexists(self.directory):
            shutil.rmtree(self.directory)
        self._remove_if_empty(self.root)

    def _unpack(self, archive: str, artifact: Artifact) -> None:
        artifact_archive.verify_file(archive, artifact)
        atomic_file.make_directories(self.directory, MODE)
        for entry in _entries(self.directory):
            if entry.name.startswith("."):  # what a killed run left
                shutil.rmtree(entry.path)
        unpacked = tempfile.mkdtemp(prefix=f".{artifact.version}-", dir=self.directory)
        try:
            artifact_archive.unpack(archive, artifact, unpacked)
            receipt = json.dumps(artifact.to_json(), indent=2, sort_keys=True).encode() + b"\n"
            atomic_file.write_if_changed(os.path.join(unpacked, RECEIPT), receipt)
            os.chmod(unpacked, MODE)
            place = self.path(artifact.version)
            if os.path.isdir(place):  # a damaged copy of the same version, perhaps in use
                for entry in _entries(unpacked):
                    os.replace(entry.path, os.path.join(place, entry.name))
            else:
                os.rename(unpacked, place)
            atomic_file.sync_directory(self.directory)
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
            self._remove_if_empty(self.directory, self.root)

    @staticmethod
    def _remove_if_empty(*directories: str) -> None:
        with contextlib.suppress(OSError):
            for directory in directories:
                os.rmdir(directory)


def _switch(links: dict[str, str]) -> None:
    """Make the links, all of them or none."""
    prepared = {path: os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.superpod") for path in links}
    try:
        for path, target in links.items():
            atomic_file.make_directories(os.path.dirname(path), MODE)
            atomic_file.remove(prepared[path])
            os.symlink(target, prepared[path])
        for path in links:
            os.replace(prepared[path], path)
    finally:
        for temporary in prepared.values():
            atomic_file.remove(temporary)


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _is_file(path: str) -> bool:
    return stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFREG, stat.S_IFLNK)


def _is_program(path: str, size: int, sha256: str) -> bool:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    return (
        stat.S_ISREG(status.st_mode)
        and stat.S_IMODE(status.st_mode) == MODE
        and status.st_size == size
        and artifact_archive.sha256_of(path) == sha256
    )
