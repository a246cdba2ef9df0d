# SPDX-License-Identifier: GPL-3.0-or-later
"""Artifact directories for tests: small programs that are ELF enough, in real archives with a real manifest."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

from ansible_collections.superpod.monitoring.plugins.module_utils import artifact_manifest
from ansible_collections.superpod.monitoring.plugins.module_utils.artifact_manifest import Artifact, Program

HERE = artifact_manifest.MACHINES[os.uname().machine]
ELSEWHERE = "arm64" if HERE == "amd64" else "amd64"
MACHINE_NUMBER = {"amd64": 62, "arm64": 183, "riscv64": 243}


def elf(arch: str, text: str) -> bytes:
    """The first bytes of an ELF program, and then anything."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + MACHINE_NUMBER[arch].to_bytes(2, "little") + text.encode()


def tar_gz(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755
            archive.addfile(entry, io.BytesIO(content))


class Site:
    """An artifact directory that can be added to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.manifest = directory / artifact_manifest.FILE_NAME
        self.artifacts: tuple[Artifact, ...] = ()
        directory.mkdir()

    def add(
        self, version: str, name: str = "tool", arch: str = HERE, content: bytes | None = None, programs: int = 1
    ) -> Artifact:
        """Put a version into the directory and the manifest; its programs are `name`, `name`-2, ..."""
        file = f"{name}-{version}.linux-{arch}.tar.gz"
        names = [name if number == 1 else f"{name}-{number}" for number in range(1, programs + 1)]
        contents = {
            each: content if content is not None else elf(arch, f"{each} {version}") + b"." * 3000 for each in names
        }
        folder = file.removesuffix(".tar.gz")
        tar_gz(
            self.directory / file,
            {f"{folder}/LICENSE": b"text"} | {f"{folder}/{each}": contents[each] for each in names},
        )
        packed = (self.directory / file).read_bytes()
        artifact = Artifact(
            name,
            version,
            arch,
            file,
            hashlib.sha256(packed).hexdigest(),
            len(packed),
            tuple(
                Program(each, f"{folder}/{each}", hashlib.sha256(contents[each]).hexdigest(), len(contents[each]))
                for each in sorted(names)
            ),
        )
        self.write(artifact_manifest.replace(self.artifacts, artifact))
        return artifact

    def write(self, artifacts: tuple[Artifact, ...]) -> None:
        self.artifacts = artifacts
        self.manifest.write_bytes(artifact_manifest.serialize(artifacts))

    def forget(self, version: str) -> None:
        """Remove a version from the manifest and its files from the directory."""
        for artifact in self.artifacts:
            if artifact.version == version:
                (self.directory / artifact.file).unlink()
        self.write(tuple(artifact for artifact in self.artifacts if artifact.version != version))
