# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An artifact directory on the machine that fills it: reading it, and adding a file that is complete and checked."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tarfile
import tempfile
import typing as t
from collections.abc import Iterator
from gzip import GzipFile

from . import artifact_archive, artifact_manifest, atomic_file
from .artifact_manifest import Artifact, Json, ManifestError
from .failure import Failure

SUFFIXES = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar")


def load(directory: str) -> tuple[Artifact, ...]:
    """Return what the directory's manifest lists, nothing if there is none yet; raises Failure."""
    path = os.path.join(directory, artifact_manifest.FILE_NAME)
    try:
        with open(path, "rb") as file:
            return artifact_manifest.parse(file.read())
    except FileNotFoundError:
        return ()
    except ManifestError as error:
        raise Failure(f"{path} cannot be used: {error}", "manifest", path=path) from None


def is_complete(directory: str, artifact: Artifact) -> bool:
    """Whether the artifact's file lies in the directory as the manifest describes it."""
    try:
        artifact_archive.verify_file(os.path.join(directory, artifact.file), artifact)
    except Failure:
        return False
    return True


@contextlib.contextmanager
def scratch(directory: str) -> Iterator[str]:
    """Give a directory to work in, on the same file system; it and everything in it goes at the end."""
    os.makedirs(directory, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=directory) as path:
        yield path


def add(
    directory: str, key: tuple[str, str, str], path: str, *, programs: dict[str, str], suffix: str, origin: Json
) -> Artifact:
    """Move a file into the directory and enter it into the manifest; return what was entered.

    `key` is name, version and architecture; `path` lies on the directory's file system; `programs` gives each program
    its base name in the file.  Raises Failure if the programs are not in it or not for the architecture, and has
    changed nothing then.
    """
    name, version, arch = key
    try:
        artifact_manifest.check_word("the name", name)
        artifact_manifest.check_word("the version", version)
        artifact = Artifact(
            name=name,
            version=version,
            arch=arch,
            file=f"{name}-{version}.linux-{arch}{suffix}",
            sha256=artifact_archive.sha256_of(path),
            size=os.stat(path).st_size,
            programs=artifact_archive.find_programs(path, programs, arch),
            origin=origin,
        )
        artifact_manifest.from_json(artifact.to_json())
    except ManifestError as error:
        raise Failure(f"{name} {version}: {error}", "bad_name") from None
    os.chmod(path, 0o644)
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        manifest = artifact_manifest.replace(load(directory), artifact)
        os.replace(path, os.path.join(directory, artifact.file))
        atomic_file.write_if_changed(
            os.path.join(directory, artifact_manifest.FILE_NAME), artifact_manifest.serialize(manifest)
        )
    finally:
        os.close(lock)
    return artifact


def suffix_of(url: str) -> str:
    """Return the ending that tells the kind of archive, nothing for a bare program."""
    return next((suffix for suffix in SUFFIXES if url.endswith(suffix)), "")


def write_tar(path: str, files: dict[str, str], gz: bool) -> None:
    """Write a tar archive of files, given as path in the archive and path here: the same bytes for the same files."""
    with open(path, "wb") as raw, contextlib.ExitStack() as stack:
        stream: t.Any = raw
        if gz:
            stream = stack.enter_context(GzipFile(filename="", mode="wb", fileobj=raw, mtime=0))
        archive = stack.enter_context(tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT))
        for name in sorted(files):
            with open(files[name], "rb") as file:
                status = os.fstat(file.fileno())
                entry = tarfile.TarInfo(name)
                entry.size = status.st_size
                entry.mode = 0o755 if status.st_mode & 0o100 else 0o644
                archive.addfile(entry, file)


def bundle(directory: str, dest: str, check_mode: bool) -> tuple[bool, str, tuple[Artifact, ...]]:
    """Make one tar archive of the directory's artifacts and manifest; return (changed, its SHA-256, the artifacts).

    Raises Failure if a file is not what the manifest says.
    """
    artifacts = load(directory)
    if not artifacts:
        raise Failure(f"There is no artifact in {directory}; build or download some first", "manifest", path=directory)
    for artifact in artifacts:
        artifact_archive.verify_file(os.path.join(directory, artifact.file), artifact)
    files = {
        name: os.path.join(directory, name) for name in (artifact_manifest.FILE_NAME, *(a.file for a in artifacts))
    }
    with scratch(directory if check_mode else os.path.dirname(dest)) as work:
        new = os.path.join(work, "bundle")
        write_tar(new, files, gz=False)
        sha256 = artifact_archive.sha256_of(new)
        if os.path.isfile(dest) and artifact_archive.sha256_of(dest) == sha256:
            return False, sha256, artifacts
        if not check_mode:
            os.chmod(new, 0o644)
            os.replace(new, dest)
    return True, sha256, artifacts
