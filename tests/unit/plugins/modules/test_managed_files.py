# SPDX-License-Identifier: GPL-3.0-or-later
"""managed_files: what it refuses, what it changes, and that a refusal changes nothing at all."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import typing as t
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from ansible_collections.superpod.monitoring.plugins.modules import managed_files
from unit.plugins.modules.ansible_run import Task, play

ME = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}
SPEC_DEFAULTS: dict[str, t.Any] = {
    "state": "file",
    "content": None,
    "target": None,
    "mode": None,
    "validate": None,
    "parents": False,
    "only_empty": False,
    "show_content": True,
}


class Module:
    """What run() uses of AnsibleModule."""

    def __init__(self, files: list[dict[str, t.Any]], check_mode: bool = False) -> None:
        self.params = {
            "files": [{**SPEC_DEFAULTS, **ME, **{key: _text(wanted[key]) for key in wanted}} for wanted in files]
        }
        self.check_mode = check_mode
        self.commands: list[list[str]] = []
        self.answers: dict[str, tuple[int, str, str]] = {}

    def get_bin_path(self, name: str) -> str | None:
        return f"/usr/bin/{name}" if name in self.answers else None

    def run_command(self, command: list[str]) -> tuple[int, str, str]:
        self.commands.append([command[0], *command[1:-1], Path(command[-1]).read_text(encoding="utf-8")])
        return self.answers[command[0]]


def _text(value: t.Any) -> t.Any:
    return str(value) if isinstance(value, Path) else value


def run(files: list[dict[str, t.Any]], check_mode: bool = False) -> dict[str, t.Any]:
    return managed_files.run(t.cast(t.Any, Module(files, check_mode)))


def tree(directory: Path) -> dict[str, t.Any]:
    """Everything below the directory, with what it holds and its permissions."""
    return {
        str(path.relative_to(directory)): (
            os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None,
            stat.S_IMODE(path.lstat().st_mode),
        )
        for path in sorted(directory.rglob("*"))
    }


def wanted_tree(top: Path) -> list[dict[str, t.Any]]:
    return [
        {"path": top / "etc/app", "state": "directory", "mode": "0750"},
        {"path": top / "etc/app/conf", "content": "port = 1\n", "mode": "0640"},
        {"path": top / "etc/app/mask", "state": "link", "target": "/dev/null"},
        {"path": top / "old", "state": "absent"},
    ]


def test_everything_is_made_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "old/sub").mkdir(parents=True)
    first = run(wanted_tree(tmp_path))
    assert first["changed_paths"] == [str(entry["path"]) for entry in wanted_tree(tmp_path)]
    made = tree(tmp_path)
    assert made == {
        "etc": (None, 0o755),
        "etc/app": (None, 0o750),
        "etc/app/conf": (b"port = 1\n", 0o640),
        "etc/app/mask": ("/dev/null", 0o777),
    }
    second = run(wanted_tree(tmp_path))
    assert (second["changed"], second["changed_paths"], second["diff"]) == (False, [], [])
    assert tree(tmp_path) == made


def test_check_mode_foretells_the_run_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x", encoding="utf-8")
    before = tree(tmp_path)
    foretold = run(wanted_tree(tmp_path), check_mode=True)
    assert tree(tmp_path) == before
    assert foretold == run(wanted_tree(tmp_path))


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda top: (top / "etc/app/conf").write_text("port = 2\n", encoding="utf-8"), "etc/app/conf"),
        (lambda top: (top / "etc/app/conf").chmod(0o644), "etc/app/conf"),
        (lambda top: (top / "etc/app/conf").unlink(), "etc/app/conf"),
        (lambda top: (top / "etc/app").chmod(0o700), "etc/app"),
        (lambda top: (top / "old").symlink_to("/nowhere"), "old"),
    ],
)
def test_only_what_somebody_changed_is_put_right(
    tmp_path: Path, spoil: t.Callable[[Path], t.Any], expected: str
) -> None:
    run(wanted_tree(tmp_path))
    made = tree(tmp_path)
    spoil(tmp_path)
    assert run(wanted_tree(tmp_path))["changed_paths"] == [str(tmp_path / expected)]
    assert tree(tmp_path) == made


def test_a_link_elsewhere_is_turned_and_a_link_in_place_of_a_file_is_replaced_not_followed(tmp_path: Path) -> None:
    run(wanted_tree(tmp_path))
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    for name in ("conf", "mask"):
        (tmp_path / "etc/app" / name).unlink()
        (tmp_path / "etc/app" / name).symlink_to(victim)
    run(wanted_tree(tmp_path))
    assert victim.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "etc/app/conf").is_symlink()
    assert os.readlink(tmp_path / "etc/app/mask") == "/dev/null"


@pytest.mark.parametrize(
    ("entry", "code", "says"),
    [
        ({"path": "relative", "content": ""}, "bad_entry", "absolute"),
        ({"path": "/", "state": "absent"}, "bad_entry", "below /"),
        ({"path": "/etc/..", "state": "absent"}, "bad_entry", "below /"),
        ({"path": "/x"}, "bad_entry", "needs 'content'"),
        ({"path": "/x", "state": "link"}, "bad_entry", "needs 'target'"),
        ({"path": "/x", "content": "", "mode": "u+x"}, "bad_entry", "octal"),
        ({"path": "/x", "content": "", "mode": "9"}, "bad_entry", "octal"),
        ({"path": "/x", "content": "", "validate": "true"}, "bad_entry", "%s"),
        ({"path": "DIR", "content": ""}, "conflict", "is a directory"),
        ({"path": "DIR", "state": "link", "target": "/x"}, "conflict", "is a directory"),
        ({"path": "FILE", "state": "directory"}, "conflict", "is a file, where a directory is needed"),
        ({"path": "FILE", "state": "link", "target": "/x"}, "conflict", "is a regular file"),
        ({"path": "NEW", "content": "", "owner": "no-such-user"}, "no_owner", "no user 'no-such-user'"),
        ({"path": "NEW", "content": "", "group": "no-such-group"}, "no_owner", "no group 'no-such-group'"),
        ({"path": "NEW", "content": "", "validate": "no-such-program %s"}, "not_installed", "no-such-program"),
    ],
)
def test_what_is_refused_changes_nothing(tmp_path: Path, entry: dict[str, t.Any], code: str, says: str) -> None:
    (tmp_path / "DIR").mkdir()
    (tmp_path / "FILE").touch()
    before = tree(tmp_path)
    here = tmp_path / entry["path"] if entry["path"].isupper() else entry["path"]
    with pytest.raises(Failure) as failure:
        run([{"path": tmp_path / "first", "content": "x"}, {**entry, "path": here}])
    assert failure.value.code == code
    assert says in failure.value.message
    assert tree(tmp_path) == before


def test_one_content_that_its_command_refuses_leaves_all_files_as_they_were(tmp_path: Path) -> None:
    module = Module(
        [
            {"path": tmp_path / "good", "content": "good", "validate": "lint --quiet %s"},
            {"path": tmp_path / "bad", "content": "bad", "validate": "check %s"},
        ]
    )
    module.answers = {"lint": (0, "", ""), "check": (3, "", "line 1:\n  bad word\n")}
    with pytest.raises(Failure) as failure:
        managed_files.run(t.cast(t.Any, module))
    assert (
        failure.value.message == f"{tmp_path}/bad is left as it was: 'check %s' ended with 3 and said: line 1: bad word"
    )
    assert module.commands == [["lint", "--quiet", "good"], ["check", "bad"]]
    assert tree(tmp_path) == {}


def test_missing_parents_are_made_and_those_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    files = [
        {"path": tmp_path / "theirs/a/b/file", "content": "x", "parents": True},
        {"path": tmp_path / "theirs/links/link", "state": "link", "target": "/x", "parents": True},
        {"path": tmp_path / "none/gone", "state": "absent", "parents": True},
    ]
    before = os.umask(0o077)
    try:
        assert run(files)["changed"]
    finally:
        os.umask(before)
    assert not run(files)["changed"]
    modes = {name: mode for name, (_, mode) in tree(tmp_path).items()}
    assert modes["theirs"] == 0o700
    assert modes["theirs/a"] == modes["theirs/a/b"] == modes["theirs/links"] == 0o755
    assert "none" not in modes
    with pytest.raises(FileNotFoundError):
        run([{"path": tmp_path / "other/file", "content": "x"}])


def test_what_has_gone_with_its_directory_is_gone(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/conf").write_text("")
    files = [{"path": tmp_path / "etc", "state": "absent"}, {"path": tmp_path / "etc/conf", "state": "absent"}]
    assert run(files)["changed"]
    assert not run(files)["changed"]


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_directory_goes_only_if_nothing_is_left_in_it(tmp_path: Path, check_mode: bool) -> None:
    for name in ("shared/ours", "shared/mine"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("")
    (tmp_path / "shared/mine/other").write_text("")
    (tmp_path / "shared/link").symlink_to("ours")
    files = [
        {"path": tmp_path / "shared/ours/file", "state": "absent"},
        {"path": tmp_path / "shared/ours", "state": "absent", "only_empty": True},
        {"path": tmp_path / "shared/mine/file", "state": "absent"},
        {"path": tmp_path / "shared/mine", "state": "absent", "only_empty": True},
        {"path": tmp_path / "shared/link", "state": "absent", "only_empty": True},
        {"path": tmp_path / "shared", "state": "absent", "only_empty": True},
    ]
    there = tree(tmp_path)
    result = run(files, check_mode)
    assert result["changed_paths"] == [str(tmp_path / "shared" / name) for name in ("ours/file", "ours", "mine/file")]
    left = {"shared", "shared/link", "shared/mine", "shared/mine/other"}
    assert set(tree(tmp_path)) == (set(there) if check_mode else left)
    if not check_mode:
        assert not run(files)["changed"]


def test_what_was_in_a_file_that_goes_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("tell-nobody")
    (diff,) = run([{"path": tmp_path / "key", "state": "absent"}])["diff"]
    assert (diff["before"], diff["after"], diff["before_header"]) == ("file\n", "absent\n", str(tmp_path / "key"))


def test_an_unchanged_content_is_not_checked_again(tmp_path: Path) -> None:
    entry = {"path": tmp_path / "conf", "content": "x", "validate": "check %s"}
    module = Module([entry])
    module.answers = {"check": (0, "", "")}
    managed_files.run(t.cast(t.Any, module))
    managed_files.run(t.cast(t.Any, module))
    assert len(module.commands) == 1


def test_check_mode_does_without_a_checker_and_owners_that_are_not_there_yet(tmp_path: Path) -> None:
    entry = {"path": tmp_path / "a/b", "content": "x", "validate": "no-such-program %s", "owner": "no-such-user"}
    assert run([entry], check_mode=True)["changed_paths"] == [str(tmp_path / "a/b")]


def test_the_diff_shows_content_and_attributes_apart(tmp_path: Path) -> None:
    path = tmp_path / "conf"
    path.write_text("a\n", encoding="utf-8")
    path.chmod(0o600)
    (content, attributes) = run([{"path": path, "content": "b\n"}])["diff"]
    assert (content["before"], content["after"]) == ("a\n", "b\n")
    assert "mode: 0600" in attributes["before"]
    assert "mode: 0644" in attributes["after"]
    (hidden,) = run([{"path": path, "content": "secret\n", "show_content": False}])["diff"]
    assert "secret" not in str(hidden)
    path.write_bytes(b"\xff\xfe")
    assert run([{"path": path, "content": "b\n"}])["diff"][0]["before"] == "(2 bytes that are not text)\n"


@pytest.mark.plays
def test_as_ansible_runs_it(tmp_path: Path) -> None:
    wanted = [{**entry, **ME, "path": str(entry["path"])} for entry in wanted_tree(tmp_path / "host")]
    (tmp_path / "host").mkdir()
    (tmp_path / "run").mkdir()
    played = play(
        tmp_path / "run",
        [
            Task("managed_files", {"files": wanted}, check_mode=True),
            Task("managed_files", {"files": wanted}),
            Task("managed_files", {"files": wanted}),
            Task("managed_files", {"files": [{"path": "relative", "content": "tell-nobody", "show_content": False}]}),
        ],
        verbose=True,
    )
    foretold, first, second, failed = played.results
    assert foretold["changed_paths"] == first["changed_paths"] == [entry["path"] for entry in wanted[:3]]
    assert first["diff"][1]["after"] == "port = 1\n"
    assert (second["changed"], second["changed_paths"], second["diff"]) == (False, [], [])
    assert failed["failure"]["code"] == "bad_entry"
    assert failed["msg"] == "path 'relative' must be absolute and below /."
    assert played.output.count("tell-nobody") == 0
    assert "WARNING" not in played.output


def test_a_directory_has_open_ones_above_it_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        run([{"path": tmp_path / "a/b", "state": "directory", "mode": "0750"}])
    finally:
        os.umask(before)
    assert {name: mode for name, (_content, mode) in tree(tmp_path).items()} == {"a": 0o755, "a/b": 0o750}


def test_a_link_that_cannot_be_made_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("old")
    with pytest.raises(OSError, match="name too long"):
        run([{"path": tmp_path / "link", "state": "link", "target": "x" * 5000}])
    assert os.readlink(tmp_path / "link") == "old"


def test_what_is_removed_is_not_checked(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("x")
    module = Module([{"path": tmp_path / "conf", "state": "absent", "validate": "check %s"}])
    assert managed_files.run(t.cast(t.Any, module))["changed"]
    assert (module.commands, list(tmp_path.iterdir())) == ([], [])


def test_a_link_that_a_service_puts_in_place_gives_nobody_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs").write_text("")
    (tmp_path / "theirs").chmod(0o600)

    def swapped(path: str, *_rest: t.Any) -> bool:
        os.symlink(tmp_path / "theirs", path)
        return True

    monkeypatch.setattr(managed_files.atomic_file, "write_if_changed", swapped)
    monkeypatch.setattr(os, "chown", lambda *_rest: None)
    monkeypatch.setattr(managed_files, "ids_of", lambda _wanted: (12345, 12345))
    with pytest.raises(OSError, match="symbolic links"):
        run([{"path": tmp_path / "conf", "content": "x", "mode": "0666"}])
    assert stat.S_IMODE((tmp_path / "theirs").stat().st_mode) == 0o600
