# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection into a software image; tests/image uses it on a real one."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.playbook.play_context import PlayContext
from ansible_collections.superpod.monitoring.plugins.connection.software_image import UNSHARE, Connection, objection

# Says what it was called with, and runs what is behind the directory as chroot would, but here.
UNSHARE_STAND_IN = """\
#!/bin/sh
echo "$@" | head -n 1 >>"$UNSHARE_LOG"
while [ "$1" != software_image ]; do shift; done
shift 2
exec "$@"
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    root = tmp_path / "image"
    for name in ("proc", "sys", "dev", "run", "usr/bin"):
        (root / name).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    (root / "usr/bin/sh").touch()
    return root


@pytest.fixture
def connect(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., t.Any]:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "unshare").write_text(UNSHARE_STAND_IN)
    (programs / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("UNSHARE_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def connected(directory: Path = image) -> t.Any:
        connection = Connection(PlayContext())
        # Ansible finds the options by the collection that it loaded the plugin from, and here it loaded none
        monkeypatch.setattr(
            connection, "get_option", {"remote_addr": str(directory), "executable": "/bin/sh"}.__getitem__
        )
        return connection._connect()

    return connected


def test_a_root_file_system_is_fine(image: Path) -> None:
    assert objection(str(image), "/bin/sh", 0) is None


@pytest.mark.parametrize("directory", ["images/dgx", "dgx-image"])
def test_a_relative_directory(directory: str) -> None:
    assert "set ansible_host" in (objection(directory, "/bin/sh", 0) or "")


@pytest.mark.parametrize("directory", ["/", "//", "/usr/.."])
def test_the_hosts_own_root(directory: str) -> None:
    assert "this host's own root" in (objection(directory, "/bin/sh", 0) or "")


def test_no_such_directory(tmp_path: Path) -> None:
    assert "run Ansible on the head node" in (objection(str(tmp_path / "gone"), "/bin/sh", 0) or "")


def test_a_directory_that_is_no_root(image: Path) -> None:
    (image / "proc").rmdir()
    assert "has no /proc" in (objection(str(image), "/bin/sh", 0) or "")


def test_a_root_without_the_shell(image: Path) -> None:
    (image / "usr/bin/sh").unlink()
    assert "has no /bin/sh" in (objection(str(image), "/bin/sh", 0) or "")


def test_not_root(image: Path) -> None:
    assert "as root" in (objection(str(image), "/bin/sh", 1000) or "")


def test_an_objection_ends_the_connection_with_its_sentence(connect: t.Callable[..., t.Any], tmp_path: Path) -> None:
    with pytest.raises(AnsibleConnectionFailure, match=r"There is no .*/gone on this host"):
        connect(tmp_path / "gone")


def test_a_command_and_its_status(connect: t.Callable[..., t.Any], image: Path, tmp_path: Path) -> None:
    assert connect().exec_command("cat; echo err >&2; exit 3", in_data=b"in\n") == (3, b"in\n", b"err\n")
    # own mounts, own processes, and an end to what is left running
    words = (tmp_path / "log").read_text().split()
    assert words[: len(UNSHARE) - 1] == UNSHARE[1:]
    assert {"--mount", "--pid", "--kill-child"} <= set(UNSHARE)


def test_files_go_in_and_out(connect: t.Callable[..., t.Any], tmp_path: Path) -> None:
    source, inside, back = tmp_path / "a b", tmp_path / "in 'side", tmp_path / "back"
    source.write_bytes(b"\0\xff\n")
    connection = connect()
    connection.put_file(str(source), str(inside))
    assert inside.stat().st_mode & 0o777 == 0o600
    connection.fetch_file(str(inside), str(back))
    assert back.read_bytes() == b"\0\xff\n"


def test_a_file_that_cannot_be_copied(connect: t.Callable[..., t.Any], tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    connection = connect()
    with pytest.raises(AnsibleConnectionFailure, match="cannot be read"):
        connection.put_file(str(tmp_path / "gone"), "/tmp/x")
    with pytest.raises(AnsibleConnectionFailure, match=r"cannot be copied: .*[Nn]o such file|nonexistent"):
        connection.put_file(str(tmp_path / "a"), str(tmp_path / "gone/x"))
    with pytest.raises(AnsibleConnectionFailure, match="cannot be written"):
        connection.fetch_file(str(tmp_path / "a"), str(tmp_path / "gone/x"))


def test_modules_come_over_the_pipe(connect: t.Callable[..., t.Any]) -> None:
    connection = connect()
    assert connection.has_pipelining
    assert connection.always_pipeline_modules
