# SPDX-License-Identifier: GPL-3.0-or-later
"""pinned_files: the same files from a commit, an archive and a directory, and one sentence for each mistake."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import threading
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible_collections.superpod.monitoring.plugins.lookup import pinned_files

FILES = {"tool": "#!/bin/sh\n", "lib/part.py": "x = 'é'\n"}


DEFAULTS = {
    name: option.get("default") for name, option in yaml.safe_load(pinned_files.DOCUMENTATION)["options"].items()
}


class Lookup(pinned_files.LookupModule):  # type: ignore[misc]
    """With the options that Ansible would give it."""

    def set_options(self, task_keys: t.Any = None, var_options: t.Any = None, direct: t.Any = None) -> None:
        self.given = {**DEFAULTS, **direct}

    def get_option(self, option: str, hostvars: t.Any = None) -> t.Any:
        return self.given[option]


def look_up(*terms: str, **options: t.Any) -> list[str]:
    return t.cast("list[str]", Lookup().run(list(terms), variables={}, **options))


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example", "-c", "init.defaultBranch=main"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory)}
    return subprocess.run(
        ["git", *identity, *arguments], cwd=directory, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "project"


def archive(project: Path, around: str) -> tuple[Path, str]:
    path = project.parent / "project.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in FILES.items():
            member = tarfile.TarInfo(f"{around}{name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_directory(project: Path) -> None:
    assert look_up(*FILES, source="directory", location=str(project)) == list(FILES.values())


@pytest.mark.parametrize("around", ["", "./", "project-dfc9aa0/"])
def test_an_archive(project: Path, around: str) -> None:
    path, sha256 = archive(project, around)
    assert look_up(*FILES, source="archive", location=str(path), sha256=sha256.upper()) == list(FILES.values())


def test_a_commit_is_fetched_once_and_stays_what_it_was(project: Path, tmp_path: Path) -> None:
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message=one")
    commit = git(project, "rev-parse", "HEAD")
    (project / "tool").write_text("changed\n", encoding="utf-8")
    git(project, "commit", "--quiet", "--all", "--message=two")
    options = {"source": "git", "location": str(project), "version": commit, "cache": str(tmp_path / "a/b.git")}
    assert look_up(*FILES, **options) == list(FILES.values())
    project.rename(tmp_path / "away")
    assert look_up("tool", **options) == ["#!/bin/sh\n"]
    second = git(tmp_path / "away", "rev-parse", "HEAD")
    with pytest.raises(AnsibleError, match=f"commit {second} cannot be fetched from"):
        look_up("tool", **{**options, "version": second})


@pytest.mark.parametrize("version", ["main", "v1.0.0", "dfc9aa0", ""])
def test_what_can_move_is_no_version(version: str) -> None:
    with pytest.raises(AnsibleError, match="give the whole commit, 40 digits"):
        look_up("tool", source="git", location="/none", version=version)


@pytest.mark.parametrize("sha256", ["", "0" * 64])
def test_another_archive_is_refused_and_its_checksum_said(project: Path, sha256: str) -> None:
    path, right = archive(project, "")
    with pytest.raises(AnsibleError, match=right):
        look_up("tool", source="archive", location=str(path), sha256=sha256)


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00broken"])
def test_a_broken_archive_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.tar.gz"
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    with pytest.raises(AnsibleError, match=r"no archive that tar can read|gives no file tool"):
        look_up("tool", source="archive", location=str(path), sha256=sha256)


def test_what_is_not_there(project: Path, tmp_path: Path) -> None:
    path, sha256 = archive(project, "")
    with pytest.raises(AnsibleError, match="gives no file other"):
        look_up("other", source="archive", location=str(path), sha256=sha256)
    with pytest.raises(AnsibleError, match="gives no file other: No such file"):
        look_up("other", source="directory", location=str(project))
    with pytest.raises(AnsibleError, match="there is no directory"):
        look_up("tool", source="directory", location=str(tmp_path / "none"))
    with pytest.raises(AnsibleError, match="cannot be read: No such file"):
        look_up("tool", source="archive", location=str(tmp_path / "none"), sha256=sha256)


def test_several_hosts_at_once_fetch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").write_text(
        """#!/bin/sh
case "$*" in
*cat-file\\ -e*) test -e "$STATE/fetched" ;;
*fetch*)
    mkdir "$STATE/busy" || { echo "fatal: Unable to create shallow.lock: File exists." >&2; exit 128; }
    sleep 0.3
    echo >>"$STATE/fetched"
    rmdir "$STATE/busy" ;;
*init*) mkdir -p "$CACHE" ;;
*blob*) echo content ;;
esac
"""
    )
    (programs / "git").chmod(0o755)
    cache = tmp_path / "cache.git"
    for name, value in (("PATH", f"{programs}:{os.environ['PATH']}"), ("STATE", tmp_path), ("CACHE", cache)):
        monkeypatch.setenv(name, str(value))
    said: list[t.Any] = []

    def ask() -> None:
        try:
            said.append(look_up("x", source="git", location="https://h/x", version="a" * 40, cache=str(cache)))
        except AnsibleError as error:
            said.append(str(error))

    threads = [threading.Thread(target=ask) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [["content\n"]] * 4
    assert (tmp_path / "fetched").read_text() == "\n"


def test_a_password_in_the_location_is_not_said(tmp_path: Path) -> None:
    location = "https://me:hunter22@127.0.0.1:9/x.git"
    with pytest.raises(AnsibleError, match=r"from https://127\.0\.0\.1:9/x\.git ") as error:
        look_up("x", source="git", location=location, version="a" * 40, cache=str(tmp_path / "x.git"))
    assert "hunter22" not in str(error.value)


def test_a_cache_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AnsibleError, match=r"the cache .* cannot be used: (File exists|Not a directory)"):
        look_up("x", source="git", location="/x", version="a" * 40, cache=str(tmp_path / "file/x.git"))


def test_a_large_file_is_refused_and_not_cut(project: Path) -> None:
    (project / "large").write_bytes(b"x" * (pinned_files.LIMIT + 1))
    with pytest.raises(AnsibleError, match="gives no file large: it has more than 8 MiB"):
        look_up("large", source="directory", location=str(project))


def test_an_archive_of_a_single_file(project: Path) -> None:
    path = project.parent / "one.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(project / "tool", "tool")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert look_up("tool", source="archive", location=str(path), sha256=sha256) == ["#!/bin/sh\n"]
