# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of an artifact directory: what lies in it, for which architecture, with which checksums, and whence.

An artifact directory holds ``manifest.json`` and the files that it names, nothing in subdirectories.  Pure: no I/O.
"""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Iterable
from dataclasses import dataclass, field

FILE_NAME = "manifest.json"
SCHEMA = 1
# Names, versions and files become parts of paths on hosts.
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
SHA256 = re.compile(r"[0-9a-f]{64}")
# What Go and release files call what the kernel (uname) calls otherwise.
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
# "any" is a script, which runs wherever its interpreter does.
ARCHITECTURES = (*MACHINES.values(), "any")

Json = dict[str, t.Any]


class ManifestError(ValueError):
    """What is wrong with a manifest or one artifact, in one sentence."""


@dataclass(frozen=True)
class Program:
    """One executable of an artifact: `member` is its path in the archive, empty if the file is the program itself."""

    name: str
    member: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Artifact:
    """One version of one program or set of programs for one architecture; `origin` says where it came from."""

    name: str
    version: str
    arch: str
    file: str
    sha256: str
    size: int
    programs: tuple[Program, ...]
    origin: Json = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        """What there is at most one of in a manifest."""
        return self.name, self.version, self.arch

    def to_json(self) -> Json:
        """Return what from_json() reads."""
        return {
            "name": self.name,
            "version": self.version,
            "arch": self.arch,
            "file": self.file,
            "sha256": self.sha256,
            "size": self.size,
            "programs": {
                program.name: {"member": program.member, "sha256": program.sha256, "size": program.size}
                for program in self.programs
            },
            "origin": self.origin,
        }


def check_word(what: str, value: object) -> str:
    """Return the value if it can be part of a path; raises ManifestError."""
    if not isinstance(value, str) or not SAFE.fullmatch(value):
        raise ManifestError(f"{what} {value!r} must consist of letters, digits, '.', '_', '+' and '-'")
    return value


def from_json(entry: object) -> Artifact:
    """Return the artifact that a JSON object describes; raises ManifestError."""
    if not isinstance(entry, dict):
        raise ManifestError(f"an artifact must be an object, not {type(entry).__name__}")
    name = check_word("the name", entry.get("name"))
    version = check_word(f"{name}: the version", entry.get("version"))
    where = f"{name} {version}"
    arch = entry.get("arch")
    if arch not in ARCHITECTURES:
        raise ManifestError(f"{where}: the architecture {arch!r} is none of {', '.join(ARCHITECTURES)}")
    programs = entry.get("programs")
    if not isinstance(programs, dict) or not programs:
        raise ManifestError(f"{where}: it lists no programs")
    origin = entry.get("origin", {})
    if not isinstance(origin, dict):
        raise ManifestError(f"{where}: origin must be an object")
    return Artifact(
        name=name,
        version=version,
        arch=arch,
        file=check_word(f"{where}: the file", entry.get("file")),
        sha256=_sha256(where, entry),
        size=_size(where, entry),
        programs=tuple(_program(where, program, programs[program]) for program in sorted(programs)),
        origin=origin,
    )


def _program(where: str, name: object, entry: object) -> Program:
    if not isinstance(entry, dict) or not isinstance(entry.get("member"), str):
        raise ManifestError(f"{where}: the program {name!r} must be an object with member, sha256 and size")
    name = check_word(f"{where}: the program", name)
    return Program(name, entry["member"], _sha256(f"{where}: {name}", entry), _size(f"{where}: {name}", entry))


def _sha256(where: str, entry: Json) -> str:
    value = entry.get("sha256")
    if not isinstance(value, str) or not SHA256.fullmatch(value):
        raise ManifestError(f"{where}: sha256 {value!r} must be 64 digits 0-9a-f")
    return value


def _size(where: str, entry: Json) -> int:
    value = entry.get("size")
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ManifestError(f"{where}: size {value!r} must be a number of bytes")
    return value


def parse(text: bytes) -> tuple[Artifact, ...]:
    """Return what a manifest lists; raises ManifestError."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ManifestError(f"it is not JSON ({error})") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ManifestError(f"it is not a manifest of schema {SCHEMA}")
    entries = document.get("artifacts")
    if not isinstance(entries, list):
        raise ManifestError("it has no list of artifacts")
    artifacts = tuple(from_json(entry) for entry in entries)
    keys = [artifact.key for artifact in artifacts]
    for key in keys:
        if keys.count(key) > 1:
            raise ManifestError(f"{' '.join(key)} stands in it twice")
    return artifacts


def serialize(artifacts: Iterable[Artifact]) -> bytes:
    """Return the manifest's bytes, the same for the same artifacts in any order."""
    entries = [artifact.to_json() for artifact in sorted(artifacts, key=lambda artifact: artifact.key)]
    return json.dumps({"schema": SCHEMA, "artifacts": entries}, indent=2, sort_keys=True).encode() + b"\n"


def replace(artifacts: Iterable[Artifact], new: Artifact) -> tuple[Artifact, ...]:
    """Return the artifacts with `new` in the place of what it succeeds."""
    return (*(artifact for artifact in artifacts if artifact.key != new.key), new)


def find(artifacts: Iterable[Artifact], name: str, version: str, arch: str) -> Artifact | None:
    """Return that artifact."""
    return next((artifact for artifact in artifacts if artifact.key == (name, version, arch)), None)


def candidates(artifacts: Iterable[Artifact], name: str, version: str | None) -> dict[str, Artifact]:
    """Return the version's artifacts by architecture, empty if it is not there.

    Without a version it is the only one that the manifest has of this name; raises ManifestError if there are several
    or none.
    """
    named = [artifact for artifact in artifacts if artifact.name == name]
    if version is None:
        versions = sorted({artifact.version for artifact in named})
        if len(versions) != 1:
            raise ManifestError(
                f"it has {'the versions ' + ', '.join(versions) if versions else 'no version'} of {name}; "
                + ("say which one" if versions else "build or download one first")
            )
        version = versions[0]
    return {artifact.arch: artifact for artifact in named if artifact.version == version}
