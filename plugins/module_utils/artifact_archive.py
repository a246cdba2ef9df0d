# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading an artifact's file, a tar archive or a bare program, and taking from it the programs and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import lzma
import os
import posixpath
import tarfile
import typing as t
import zlib
from collections.abc import Iterator

from .artifact_manifest import Artifact, Program
from .failure import Failure

BLOCK = 1 << 20
# e_machine of an ELF header
ELF_MACHINES = {62: "amd64", 183: "arm64"}


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def architecture(head: bytes) -> str | None:
    """Return what a program that begins with these bytes runs on: amd64, arm64, any (a script); None for what is no
    program or one for another machine."""
    if head.startswith(b"#!"):
        return "any"
    if len(head) < 20 or not head.startswith(b"\x7fELF"):
        return None
    order: t.Literal["little", "big"] = "little" if head[5] == 1 else "big"
    return ELF_MACHINES.get(int.from_bytes(head[18:20], order))


def verify_file(path: str, artifact: Artifact) -> None:
    """Raise Failure unless the file is, byte for byte, the one that the manifest describes."""
    try:
        size = os.stat(path).st_size
    except FileNotFoundError:
        raise Failure(
            f"The file {artifact.file} of {artifact.name} {artifact.version} is missing; build or download it again",
            "missing_file",
            file=artifact.file,
        ) from None
    if size == artifact.size and sha256_of(path) == artifact.sha256:
        return
    raise Failure(
        f"{artifact.file} is not the file that the manifest describes"
        f" ({f'{size} bytes instead of {artifact.size}' if size != artifact.size else 'its SHA-256 differs'}): "
        "it is damaged, half-written or was replaced; build or download it again",
        "bad_checksum",
        file=artifact.file,
        sha256=artifact.sha256,
    )


@contextlib.contextmanager
def _members(path: str) -> Iterator[Iterator[tuple[str, t.IO[bytes]]]]:
    """Give the regular files of an archive, with their normalized paths; a bare program has the path ''."""
    try:
        if not tarfile.is_tarfile(path):
            with open(path, "rb") as file:
                yield iter([("", file)])
            return
        with tarfile.open(path) as archive:
            yield _regular_files(archive)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        # gzip and bzip2 tell damage by an OSError without a number; those of the system are none of the file's
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Failure(f"{os.path.basename(path)} cannot be unpacked ({error}); it is damaged", "bad_archive") from None


def _regular_files(archive: tarfile.TarFile) -> Iterator[tuple[str, t.IO[bytes]]]:
    for member in archive:
        file = archive.extractfile(member) if member.isreg() else None
        if file is not None:
            with file:
                yield posixpath.normpath(member.name), file


def _copy(source: t.IO[bytes], target: t.IO[bytes] | None) -> tuple[str, int, str | None]:
    """Copy to the target, if there is one; return SHA-256, size and architecture of what was read."""
    digest, size, arch = hashlib.sha256(), 0, None
    while block := source.read(BLOCK):
        if not size:
            arch = architecture(block)
        digest.update(block)
        size += len(block)
        if target is not None:
            target.write(block)
    return digest.hexdigest(), size, arch


def find_programs(path: str, wanted: dict[str, str], arch: str) -> tuple[Program, ...]:
    """Return the programs of a file: `wanted` names each program and the base name that it has in the archive.

    Raises Failure if one is not there, is there twice, or is not for the architecture.
    """
    found: dict[str, Program] = {}
    with _members(path) as members:
        for member, file in members:
            for name, base in wanted.items():
                if member and posixpath.basename(member) != base:
                    continue
                if name in found:
                    raise Failure(f"{base} is in the archive twice ({found[name].member}, {member})", "bad_archive")
                sha256, size, is_for = _copy(file, None)
                _check_architecture(name, is_for, arch)
                found[name] = Program(name, member, sha256, size)
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise Failure(
            f"The archive has no file {wanted[missing[0]]!r}, which was to be the program {missing[0]}", "bad_archive"
        )
    return tuple(found[name] for name in sorted(found))


def _check_architecture(name: str, is_for: str | None, arch: str) -> None:
    if is_for != arch:
        raise Failure(
            f"The program {name} is {f'for {is_for}' if is_for else 'no program for amd64 or arm64'}, not for {arch}",
            "wrong_architecture",
            program=name,
        )


def unpack(path: str, artifact: Artifact, directory: str) -> None:
    """Write the artifact's programs from its file into a directory, synced, mode 0755.

    Raises Failure if one is not what the manifest says or not for its architecture; what was written stays then.
    """
    waiting = {program.member: program for program in artifact.programs}
    with _members(path) as members:
        for member, file in members:
            program = waiting.pop(member, None)
            if program is None:
                continue
            with open(os.path.join(directory, program.name), "wb") as target:
                sha256, _size, is_for = _copy(file, target)
                target.flush()
                os.fchmod(target.fileno(), 0o755)
                os.fsync(target.fileno())
            if sha256 != program.sha256:
                raise Failure(
                    f"The program {program.name} in {artifact.file} is not the one that the manifest describes; "
                    "build or download it again",
                    "bad_checksum",
                    file=artifact.file,
                )
            _check_architecture(program.name, is_for, artifact.arch)
    if waiting:
        raise Failure(f"{artifact.file} has no file {next(iter(waiting))!r}; it is damaged", "bad_archive")
