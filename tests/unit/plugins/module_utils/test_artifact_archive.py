# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import io
import os
import tarfile
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils import artifact_archive
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from artifact_site import ELSEWHERE, HERE, Site, elf, tar_gz


@pytest.mark.parametrize(
    ("head", "arch"),
    [
        (elf("amd64", ""), "amd64"),
        (elf("arm64", ""), "arm64"),
        (elf("riscv64", ""), None),
        (b"\x7fELF\x02\x02" + bytes(12) + b"\x00\xb7", "arm64"),
        (b"#!/usr/bin/python3\n", "any"),
        (b"\x7fELF", None),
        (b"", None),
        (b"text, long enough for a header", None),
    ],
)
def test_architecture(head: bytes, arch: str | None) -> None:
    assert artifact_archive.architecture(head) == arch


def test_find_programs_in_an_archive_and_in_a_bare_program(tmp_path: Path) -> None:
    path = tmp_path / "file"
    tar_gz(path, {"./a/README": b"x", "./a/tool-amd64": elf("amd64", "1"), "a/b/tool-arm64": elf("arm64", "2")})
    found = artifact_archive.find_programs(str(path), {"tool": "tool-arm64"}, "arm64")
    assert [(p.name, p.member, p.size) for p in found] == [("tool", "a/b/tool-arm64", 21)]
    path.write_bytes(b"#!/bin/sh\n")
    assert artifact_archive.find_programs(str(path), {"tool": "whatever"}, "any")[0].member == ""


@pytest.mark.parametrize(
    ("files", "arch", "code"),
    [
        ({"a/other": elf("amd64", "")}, "amd64", "bad_archive"),
        ({"a/tool": elf("amd64", ""), "b/tool": elf("amd64", "")}, "amd64", "bad_archive"),
        ({"a/tool": elf("amd64", "")}, "arm64", "wrong_architecture"),
        ({"a/tool": b"no program at all, whatever its name says"}, "amd64", "wrong_architecture"),
        ({"a/tool": b"#!/bin/sh"}, "amd64", "wrong_architecture"),
    ],
)
def test_find_programs_refuses(tmp_path: Path, files: dict[str, bytes], arch: str, code: str) -> None:
    tar_gz(tmp_path / "file", files)
    with pytest.raises(Failure) as raised:
        artifact_archive.find_programs(str(tmp_path / "file"), {"tool": "tool"}, arch)
    assert raised.value.code == code


def test_links_and_devices_in_an_archive_are_not_programs(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "file", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE):
            entry = tarfile.TarInfo("a/tool")
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry, io.BytesIO())
    with pytest.raises(Failure, match="no file 'tool'"):
        artifact_archive.find_programs(str(tmp_path / "file"), {"tool": "tool"}, "amd64")


def test_verify_file(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    artifact = site.add("1.0")
    path = site.directory / artifact.file
    artifact_archive.verify_file(str(path), artifact)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(Failure, match="bytes instead of"):
        artifact_archive.verify_file(str(path), artifact)
    path.write_bytes(content[:-1] + b"!")
    with pytest.raises(Failure, match="its SHA-256 differs"):
        artifact_archive.verify_file(str(path), artifact)
    path.unlink()
    with pytest.raises(Failure, match="is missing"):
        artifact_archive.verify_file(str(path), artifact)


def test_unpack_takes_the_programs_only(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    artifact = site.add("1.0", programs=2)
    artifact_archive.unpack(str(site.directory / artifact.file), artifact, str(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["site", "tool", "tool-2"]
    assert (tmp_path / "tool-2").stat().st_mode & 0o7777 == 0o755


def test_unpack_refuses_another_program_than_the_manifests(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    artifact = site.add("1.0")
    program = artifact.programs[0]
    path = str(site.directory / artifact.file)
    for changed, code in (
        (dataclasses.replace(artifact, programs=(dataclasses.replace(program, sha256="0" * 64),)), "bad_checksum"),
        (dataclasses.replace(artifact, programs=(dataclasses.replace(program, member="x/tool"),)), "bad_archive"),
        (dataclasses.replace(artifact, arch=ELSEWHERE), "wrong_architecture"),
    ):
        with pytest.raises(Failure) as raised:
            artifact_archive.unpack(path, changed, str(tmp_path))
        assert raised.value.code == code
    assert HERE != ELSEWHERE


@pytest.mark.parametrize("cut", [100, 5000])
def test_a_cut_archive_is_told(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "file"
    tar_gz(path, {"a/tool": elf("amd64", "") + os.urandom(20000)})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Failure) as raised:
        artifact_archive.find_programs(str(path), {"tool": "tool"}, "amd64")
    assert raised.value.code in ("bad_archive", "wrong_architecture")


@pytest.mark.parametrize("packed", ["gz", "xz", "bz2"])
def test_a_damaged_archive_of_any_kind_is_told_as_one(tmp_path: Path, packed: str) -> None:
    path = tmp_path / f"file.tar.{packed}"
    with tarfile.open(path, f"w:{packed}") as archive:  # type: ignore[call-overload]
        member = tarfile.TarInfo("a/tool")
        member.size = 3 << 20
        archive.addfile(member, io.BytesIO(os.urandom(member.size)))
    damaged = bytearray(path.read_bytes())
    # in a later block: of what is broken from the beginning nobody knows that it is an archive
    damaged[-len(damaged) // 4 :] = bytes(len(damaged) // 4)
    path.write_bytes(damaged)
    with pytest.raises(Failure, match=r"file.tar.*cannot be unpacked \(.+\); it is damaged") as raised:
        artifact_archive.find_programs(str(path), {"tool": "tool"}, "amd64")
    assert raised.value.code == "bad_archive"


def test_a_file_that_cannot_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        artifact_archive.find_programs(str(tmp_path / "none"), {"tool": "tool"}, "amd64")
