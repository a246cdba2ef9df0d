# Copyright: superpod.monitoring contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a reader, a crash or a full disk never sees half-written.

A file is written beside its final name under a dot-name, synced, and renamed over the old one.  The dot-name ends in
``.tmp`` because Prometheus' ``*.json`` glob matches dot-files too.

The paths may lie on a hard NFS mount: any of these functions can hang for as long as the file server is away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

SUFFIX = ".tmp"


def write_if_changed(path: str, content: bytes, mode: int = 0o644, tag: str = "", durable: bool = True) -> bool:
    """Make *path* hold exactly *content* with permission *mode*; return whether anything had to be written.

    *tag* names the writer in the temporary file's name, so that it can find what it left behind when it was killed
    (:func:`remove_leftovers`).  *durable* makes the file survive a power loss; without it, it is only never torn for
    its readers.  Raises OSError, and then has changed nothing and left nothing behind.
    """
    if holds(path, content, mode):
        return False
    temporary = _temporary_name(path, tag)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            _write_all(descriptor, content)
            os.fchmod(descriptor, mode)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise
    if durable:
        sync_directory(os.path.dirname(path) or ".")
    return True


def replace_link(path: str, target: str) -> None:
    """Make *path* a symbolic link, in the place of a link or a file if there is one.  Raises OSError, and then has
    changed nothing."""
    temporary = _temporary_name(path, "")
    os.symlink(target, temporary)
    try:
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise


def make_directories(path: str, mode: int = 0o755) -> None:
    """Make what is missing of a directory and those above it, with permission *mode* whatever the umask is.

    Another host may be making the same on shared storage.  Raises OSError.
    """
    if path and not os.path.isdir(path):
        make_directories(os.path.dirname(path), mode)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
            os.chmod(path, mode)


def holds(path: str, content: bytes, mode: int | None = None) -> bool:
    """Whether *path* is a regular file with exactly these bytes (and, where given, this permission mode)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return False
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != len(content):
            return False
        if mode is not None and stat.S_IMODE(status.st_mode) != mode:
            return False
        return _read_up_to(descriptor, len(content) + 1) == content
    finally:
        os.close(descriptor)


def remove(path: str) -> bool:
    """Remove the file; return whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def remove_leftovers(path: str, tag: str) -> list[str]:
    """Remove what an earlier, killed writer with this *tag* left beside *path*; return the removed paths."""
    directory, name = os.path.split(path)
    prefix = _temporary_prefix(name, tag)
    try:
        found = [entry for entry in os.listdir(directory or ".") if entry.startswith(prefix) and entry.endswith(SUFFIX)]
    except FileNotFoundError:
        return []
    leftovers = [os.path.join(directory, entry) for entry in sorted(found)]
    return [leftover for leftover in leftovers if remove(leftover)]


def sync_directory(directory: str) -> None:
    """Make renames and removals in *directory* survive a power loss, where its file system can do that."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EROFS):
            raise
    finally:
        os.close(descriptor)


def _temporary_prefix(name: str, tag: str) -> str:
    return f".{name}.{tag}-"


def _temporary_name(path: str, tag: str) -> str:
    directory, name = os.path.split(path)
    return os.path.join(directory, f"{_temporary_prefix(name, tag)}{os.urandom(6).hex()}{SUFFIX}")


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_up_to(descriptor: int, limit: int) -> bytes:
    chunks = []
    while limit > 0:
        chunk = os.read(descriptor, limit)
        if not chunk:
            break
        chunks.append(chunk)
        limit -= len(chunk)
    return b"".join(chunks)
