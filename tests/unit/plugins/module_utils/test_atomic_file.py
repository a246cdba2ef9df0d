# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils import atomic_file


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def test_writes_only_when_something_differs(tmp_path: Path) -> None:
    path = tmp_path / "dgx-01.json"
    assert atomic_file.write_if_changed(str(path), b"one\n")
    before = path.stat()
    assert not atomic_file.write_if_changed(str(path), b"one\n")
    assert path.stat().st_ino == before.st_ino
    assert atomic_file.write_if_changed(str(path), b"two\n")
    assert path.read_bytes() == b"two\n"
    assert path.stat().st_ino != before.st_ino
    assert names(tmp_path) == ["dgx-01.json"]


def test_mode_is_part_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "f"
    old_umask = os.umask(0o077)
    try:
        atomic_file.write_if_changed(str(path), b"x")
    finally:
        os.umask(old_umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.chmod(0o600)
    assert atomic_file.write_if_changed(str(path), b"x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_link_in_the_way_is_replaced_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"x")
    link = tmp_path / "link"
    link.symlink_to(elsewhere)
    assert atomic_file.write_if_changed(str(link), b"x")
    assert not link.is_symlink()
    assert elsewhere.read_bytes() == b"x"


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_failure_changes_nothing_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")

    def full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space"):
        atomic_file.write_if_changed(str(path), b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:3]))
    atomic_file.write_if_changed(str(tmp_path / "f"), b"0123456789")
    monkeypatch.undo()
    assert (tmp_path / "f").read_bytes() == b"0123456789"


def test_the_temporary_name_is_no_target_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = os.replace

    def watch(source: str, target: str) -> None:
        seen.extend(names(tmp_path))
        real(source, target)

    monkeypatch.setattr(os, "replace", watch)
    atomic_file.write_if_changed(str(tmp_path / "dgx-01.json"), b"x")
    assert len(seen) == 1
    assert seen[0].startswith(".")
    assert not seen[0].endswith((".json", ".yml", ".yaml"))


def test_leftovers_of_the_same_writer_only(tmp_path: Path) -> None:
    mine = tmp_path / ".f.monitor-0123.tmp"
    for name in (mine.name, ".f.other-0123.tmp", ".ff.monitor-0123.tmp", ".f.monitor-0123", "f"):
        (tmp_path / name).write_bytes(b"")
    assert atomic_file.remove_leftovers(str(tmp_path / "f"), "monitor") == [str(mine)]
    assert names(tmp_path) == sorted([".f.other-0123.tmp", ".ff.monitor-0123.tmp", ".f.monitor-0123", "f"])
    assert atomic_file.remove_leftovers(str(tmp_path / "gone" / "f"), "monitor") == []


def test_holds(tmp_path: Path) -> None:
    path = tmp_path / "f"
    assert not atomic_file.holds(str(path), b"")
    path.write_bytes(b"abc")
    assert atomic_file.holds(str(path), b"abc")
    assert not atomic_file.holds(str(path), b"abd")
    assert not atomic_file.holds(str(path), b"ab")
    assert not atomic_file.holds(str(tmp_path), b"")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert not atomic_file.holds(str(pipe), b"")


def test_remove(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"")
    assert atomic_file.remove(str(path))
    assert not atomic_file.remove(str(path))


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic_file.write_if_changed(str(tmp_path / "gone" / "f"), b"x")


def test_a_link_that_cannot_be_made_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("old")
    with pytest.raises(OSError, match="name too long"):
        atomic_file.replace_link(str(tmp_path / "link"), "x" * 5000)
    assert os.readlink(tmp_path / "link") == "old"
    atomic_file.replace_link(str(tmp_path / "link"), "new")
    assert (os.readlink(tmp_path / "link"), os.listdir(tmp_path)) == ("new", ["link"])


def test_directories_are_open_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        atomic_file.make_directories(str(tmp_path / "a/b"))
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")] == [0o755, 0o755]


def test_another_host_may_make_the_directory_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir(mode=0o700)
    there = os.path.isdir
    monkeypatch.setattr(os.path, "isdir", lambda path: there(path) and not str(path).endswith("/a"))
    atomic_file.make_directories(str(tmp_path / "a"))
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
