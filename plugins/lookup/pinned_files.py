# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: pinned_files
short_description: Text files of a pinned version of a project, from git, an archive or a directory
version_added: 1.0.0
author:
  - The superpod.monitoring developers (@superpod-monitoring)
description:
  - Returns the contents of files of a project on the control machine, so that a task can write them to hosts that have
    no way to the Internet. Nothing is unpacked anywhere.
  - With O(source=git) the commit is fetched once into O(cache), a repository without work tree. After that the network
    is not needed.
options:
  _terms:
    description: Paths of files in the project.
    required: true
    type: list
    elements: str
  source:
    description:
      - V(git) takes the files of the commit O(version).
      - V(archive) takes them from a tar file, compressed or not, whose SHA-256 is O(sha256). One directory round all of
        it, as in archives made by GitHub, is no part of the paths.
      - V(directory) takes what is there. Nothing holds it to a version.
    type: str
    choices: [git, archive, directory]
    required: true
  location:
    description: The URL or path that C(git) fetches from, or the path of the archive or directory.
    type: str
    required: true
  version:
    description: The commit, all 40 digits, for O(source=git).
    type: str
    default: ""
  sha256:
    description: Checksum of the archive, for O(source=archive).
    type: str
    default: ""
  cache:
    description: The repository into which O(source=git) fetches. It is made when it is needed.
    type: path
    default: ~/.cache/superpod.monitoring/pinned_files.git
"""

EXAMPLES = r"""
- name: Show the licence of jobstats at a commit
  ansible.builtin.debug:
    msg: "{{ lookup('superpod.monitoring.pinned_files', 'LICENSE.md', source='git', version=commit,
      location='https://github.com/PrincetonUniversity/jobstats.git') }}"
  vars:
    commit: dfc9aa0cebe6054184d0179bf4d483c224a6e669
"""

RETURN = r"""
_raw:
  description: The contents, in the order of the paths.
  type: list
  elements: str
"""

import contextlib
import fcntl
import hashlib
import io
import os
import re
import subprocess
import tarfile
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

LIMIT = 2**23
GIT_SECONDS = 300

Reader = t.Callable[[str], bytes]


def git(cache: str, *arguments: str) -> bytes:
    """Run git on the repository; raises AnsibleError with git's last line."""
    # a question for a password would wait for ever
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        ended = subprocess.run(
            ["git", f"--git-dir={cache}", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=GIT_SECONDS,
        )
    except FileNotFoundError:
        raise AnsibleError(
            "git is not installed on the control machine; install it, or use an archive or a directory"
        ) from None
    except subprocess.TimeoutExpired:
        raise AnsibleError(
            f"git {arguments[0]} did not end in {GIT_SECONDS} s; use an archive or a directory"
        ) from None
    if ended.returncode != 0:
        said = ended.stderr.decode(errors="replace").strip().splitlines() or [f"status {ended.returncode}"]
        raise AnsibleError(f"git {arguments[0]}: {said[-1]}")
    return ended.stdout


def has(cache: str, commit: str) -> bool:
    """Whether the repository holds the commit."""
    try:
        git(cache, "cat-file", "-e", f"{commit}^{{commit}}")
    except AnsibleError:
        return False
    return True


@contextlib.contextmanager
def alone(cache: str) -> t.Iterator[None]:
    """Nobody else fetches meanwhile: Ansible asks for several hosts at once, and git's own locks would refuse them."""
    os.makedirs(os.path.dirname(cache), exist_ok=True)
    lock = os.open(f"{cache}.lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def shown(location: str) -> str:
    """A location without the user and the password that may be in it."""
    return re.sub(r"(?<=://)[^/\s]*@", "", location)


def from_git(location: str, commit: str, cache: str) -> Reader:
    """Have the commit in the cache; a function that reads a file of it."""
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise AnsibleError(f"version is {commit!r}; give the whole commit, 40 digits, since a tag or branch can move")
    try:
        with alone(cache):
            if not os.path.isdir(cache) or not has(cache, commit):
                git(cache, "init", "--quiet", "--bare")
                git(cache, "fetch", "--quiet", "--no-tags", "--depth=1", "--", location, commit)
    except OSError as error:
        raise AnsibleError(f"the cache {cache} cannot be used: {error.strerror}; name another one") from None
    except AnsibleError as error:
        raise AnsibleError(
            f"commit {commit} cannot be fetched from {shown(location)} ({error.message}); check both, or use an "
            "archive or a directory where there is no way to it"
        ) from None
    return lambda path: git(cache, "cat-file", "blob", f"{commit}:{path}")


def from_archive(location: str, sha256: str) -> Reader:
    """Read the archive once, checked; a function that returns a file of it."""
    try:
        with open(location, "rb") as file:
            packed = file.read()
    except OSError as error:
        raise AnsibleError(f"the archive {location} cannot be read: {error.strerror}") from None
    found = hashlib.sha256(packed).hexdigest()
    if found != sha256.lower():
        raise AnsibleError(
            f"the archive {location} has the SHA-256 {found} and not {sha256 or 'one that was given'}; if it is the "
            "right one, give that"
        )
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            members = [member for member in archive.getmembers() if member.name not in (".", "./")]
            names = [os.path.normpath(member.name) for member in members]
            first = {name.split("/", 1)[0] for name in names}
            around = f"{first.pop()}/" if len(first) == 1 else ""
            contents = {}
            for name, member in zip(names, members):
                file_there = archive.extractfile(member) if member.isreg() and member.size <= LIMIT else None
                if file_there is not None:
                    contents[name.removeprefix(around)] = file_there.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise AnsibleError(f"{location} is no archive that tar can read: {error}") from None

    def read(path: str) -> bytes:
        if path not in contents:
            raise AnsibleError("it is not in there")
        return contents[path]

    return read


def from_directory(location: str) -> Reader:
    """A function that reads a file below the directory."""
    if not os.path.isdir(location):
        raise AnsibleError(f"there is no directory {location} on the control machine")

    def read(path: str) -> bytes:
        try:
            with open(os.path.join(location, path), "rb") as file:
                content = file.read(LIMIT + 1)
        except OSError as error:
            raise AnsibleError(str(error.strerror)) from None
        if len(content) > LIMIT:
            raise AnsibleError(f"it has more than {LIMIT >> 20} MiB")
        return content

    return read


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms: list[str], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        """Return the contents; raises AnsibleError with one sentence."""
        self.set_options(var_options=variables, direct=kwargs)
        source, location = self.get_option("source"), self.get_option("location")
        if source == "git":
            version = str(self.get_option("version"))
            read = from_git(location, version, os.path.expanduser(self.get_option("cache")))
        elif source == "archive":
            read = from_archive(os.path.expanduser(location), str(self.get_option("sha256")))
        else:
            read = from_directory(os.path.expanduser(location))
        contents = []
        for term in terms:
            try:
                contents.append(read(str(term)).decode())
            except (AnsibleError, UnicodeDecodeError) as error:
                raise AnsibleError(f"{shown(location)} gives no file {term}: {error}") from None
        return contents
