# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import hashlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from superpod_lab import artifacts
from superpod_lab.settings import LabError

PROXY_SAYS_NO = """\
go: github.com/plazonic/cgroup_exporter@v0.3.4: github.com/plazonic/cgroup_exporter@v0.3.4: reading \
https://user:secret@proxy.example/github.com/plazonic/cgroup_exporter/@v/v0.3.4.info: 403 Forbidden
\tserver response: This module version is not available.
"""


@pytest.fixture(name="go")
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Go in the PATH that does what the file `script` beside it says."""
    program = tmp_path / "bin" / "go"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\n[ "$1" != version ] || exec echo "go version go1.26.8 linux/amd64"\n. {tmp_path}/script\n'
    )
    program.chmod(0o755)
    (tmp_path / "script").write_text(f'cat >&2 <<"E"\n{PROXY_SAYS_NO}E\nexit 1\n')
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path / "script"


@pytest.fixture(name="cache")
def cache_directory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_the_users_own_file_goes_first(tmp_path: Path, cache: Path) -> None:
    program = tmp_path / "cgroup_exporter"
    program.write_text("")
    program.chmod(0o755)
    found = artifacts.obtain({"SUPERPOD_ARTIFACTS": str(tmp_path)}, cache)
    assert (found.kind, found.path) == ("given", str(program))
    assert str(found) == "cgroup_exporter: the real program, given in SUPERPOD_ARTIFACTS"
    assert not cache.exists()


def test_a_directory_without_it_is_refused(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(LabError, match="there is no executable cgroup_exporter in it"):
        artifacts.obtain({"SUPERPOD_ARTIFACTS": str(tmp_path)}, cache)


@pytest.mark.usefixtures("go")
def test_the_stand_in_comes_with_the_reasons_and_without_addresses(cache: Path) -> None:
    found = artifacts.obtain(dict(os.environ), cache)
    assert found.kind == "stand-in"
    assert found.path.endswith("lab/stand_ins/cgroup_exporter")
    assert str(found) == (
        "cgroup_exporter: lab stand-in, because no checksum of upstream's release file was given in "
        "SUPERPOD_CGROUP_EXPORTER_SHA256; go mod download of github.com/plazonic/cgroup_exporter@v0.3.4 failed "
        "(403 Forbidden)"
    )


def test_a_build_is_kept_for_the_next_time(go: Path, cache: Path) -> None:
    go.write_text('[ "$1" = mod ] || { mkdir -p "$GOBIN" && echo built >"$GOBIN/cgroup_exporter"; }\n')
    found = artifacts.obtain(dict(os.environ), cache)
    assert (found.kind, found.path) == ("built", str(cache / "cgroup_exporter"))
    assert os.access(found.path, os.X_OK)
    assert Path(found.path).read_text() == "built\n"
    go.write_text("exit 1\n")
    again = artifacts.obtain(dict(os.environ), cache)
    assert (again.kind, again.path) == (found.kind, found.path)


def test_a_refusal_is_remembered_for_a_day(go: Path, cache: Path) -> None:
    first = artifacts.obtain(dict(os.environ), cache)
    go.write_text("echo asked again >&2; exit 1\n")
    assert artifacts.obtain(dict(os.environ), cache).reason == first.reason
    record = json.loads((cache / "cgroup_exporter.json").read_text())
    old = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=2)
    (cache / "cgroup_exporter.json").write_text(json.dumps({**record, "when": old.isoformat()}))
    assert "asked again" in artifacts.obtain(dict(os.environ), cache).reason


def test_a_build_that_hangs_is_given_up(go: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go.write_text("exec sleep 60\n")
    monkeypatch.setattr(artifacts, "ASK_SECONDS", 0.2)
    assert "took more than 0.2 s" in artifacts.obtain(dict(os.environ), cache).reason


def archive(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_a_release_file_with_the_right_checksum(cache: Path) -> None:
    cache.mkdir()
    content = archive("x/cgroup_exporter-amd64", b"program")
    found = artifacts.unpack(content, hashlib.sha256(content).hexdigest(), "amd64", cache)
    assert found.kind == "release"
    assert Path(found.path).read_bytes() == b"program"


def test_a_release_file_with_another_checksum_is_refused(cache: Path) -> None:
    with pytest.raises(LabError, match="do not use it"):
        artifacts.unpack(archive("cgroup_exporter-amd64", b"program"), "0" * 64, "amd64", cache)


def test_a_release_file_without_this_machines_program(cache: Path) -> None:
    content = archive("cgroup_exporter-amd64", b"program")
    with pytest.raises(artifacts.Unobtainable, match="holds no cgroup_exporter-arm64"):
        artifacts.unpack(content, hashlib.sha256(content).hexdigest(), "arm64", cache)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version go1.19 linux/amd64", (1, 19)),
        ("", (0, 0)),
        ("bash: go: not found", (0, 0)),
    ],
)
def test_gos_version(text: str, version: tuple[int, int]) -> None:
    assert artifacts.go_version(text) == version


def test_the_stand_in_runs() -> None:
    stand_in = artifacts.CHECKOUT / "lab" / "stand_ins" / "cgroup_exporter"
    done = subprocess.run([str(stand_in), "--version"], capture_output=True, text=True, check=False)
    assert "stand-in" in done.stdout
