# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``artifact`` with its action, through ansible-playbook on localhost."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.superpod.monitoring.plugins.action.artifact import read_candidates
from ansible_collections.superpod.monitoring.plugins.module_utils import artifact_manifest, artifact_store
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from ansible_collections.superpod.monitoring.plugins.modules import artifact
from artifact_site import ELSEWHERE, HERE, Site, elf
from unit.plugins.modules.ansible_run import Task, play


class Host:
    """A host's directories, and an artifact directory to install from."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.site = Site(tmp_path / "artifacts")
        self.root = tmp_path / "opt"
        self.bin = tmp_path / "bin"

    def task(self, check_mode: bool = False, **args: Any) -> Task:
        """A task for ansible-playbook."""
        defaults = {"name": "tool", "artifacts_dir": str(self.site.directory)}
        places = {"root": str(self.root), "bin_dir": str(self.bin)}
        return Task("artifact", {**defaults, **places, **args}, check_mode=check_mode)

    def one(self, **args: Any) -> dict[str, Any]:
        """What that task does, without Ansible in between."""
        params = {name: option.get("default") for name, option in artifact.ARGUMENTS.items()} | self.task(**args).args
        try:
            found = read_candidates(params["artifacts_dir"], params["name"], params["version"])
            params["version"] = params["version"] or next(iter(found.values())).version
            params["candidates"] = {arch: candidate.to_json() for arch, candidate in found.items()}
            result = artifact.run(params, False, os.uname().machine)
            if needed := result.get("archive_needed"):
                params["archive"] = f"{params['artifacts_dir']}/{needed['file']}"
                result = artifact.run(params, False, os.uname().machine)
        except Failure as failure:
            return {"failed": True, "msg": failure.message, "code": failure.code, "details": failure.details}
        return result

    def in_use(self, program: str = "tool") -> str:
        """What a service would run now."""
        return (self.bin / program).read_bytes()[20:].decode().strip(".")

    def files(self) -> list[str]:
        """Everything that is installed."""
        found = [p for top in (self.root, self.bin) for p in top.rglob("*") if not p.is_dir() or p.is_symlink()]
        return sorted(str(p.relative_to(self.tmp_path)) for p in found)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def known(result: dict[str, Any]) -> dict[str, Any]:
    """The documented fields."""
    return {key: value for key, value in result.items() if key not in ("failed", "diff", "invocation")}


@pytest.mark.plays
def test_every_field_from_a_fresh_host_to_removal(host: Host) -> None:
    host.site.add("1.0", programs=2)
    host.site.add("2.0", programs=2)
    host.site.add("2.0", arch=ELSEWHERE)
    path = {version: str(host.root / "tool" / version) for version in ("1.0", "2.0")}
    links = {
        version: {str(host.bin / each): f"{path[version]}/{each}" for each in ("tool", "tool-2")} for version in path
    }
    present: dict[str, Any] = {"name": "tool", "arch": HERE, "removed_versions": []}
    first = present | {
        "changed": True,
        "version": "1.0",
        "previous_version": "",
        "path": path["1.0"],
        "links": links["1.0"],
        "switched": True,
        "versions": ["1.0"],
    }
    second = first | {
        "version": "2.0",
        "previous_version": "1.0",
        "path": path["2.0"],
        "links": links["2.0"],
        "versions": ["2.0", "1.0"],
    }
    gone = present | {
        "changed": True,
        "version": "",
        "previous_version": "1.0",
        "arch": "",
        "path": "",
        "links": {},
        "switched": True,
        "versions": [],
        "removed_versions": ["1.0", "2.0"],
    }
    steps: list[tuple[Task, dict[str, Any]]] = [
        (host.task(version="1.0", check_mode=True), first),
        (host.task(version="1.0"), first),
        (host.task(version="1.0"), first | {"changed": False, "previous_version": "1.0", "switched": False}),
        (host.task(version="2.0", check_mode=True), second),
        (host.task(version="2.0"), second),
        (host.task(version="2.0"), second | {"changed": False, "previous_version": "2.0", "switched": False}),
        (host.task(version="1.0"), first | {"previous_version": "2.0", "versions": ["1.0", "2.0"]}),
        (host.task(state="absent", check_mode=True), gone),
        (host.task(state="absent"), gone),
        (
            host.task(state="absent"),
            gone | {"changed": False, "previous_version": "", "switched": False, "removed_versions": []},
        ),
    ]
    played = play(host.tmp_path, [task for task, _ in steps], verbose=True)
    results = played.results
    assert [known(result) for result in results] == [expected for _, expected in steps]
    assert results[0]["diff"]["before"] == ""
    assert results[4]["diff"]["before"].startswith("version: 1.0\n")
    assert results[4]["diff"]["after"].startswith("version: 2.0\n")
    assert results[3]["diff"] == results[4]["diff"]
    assert results[5]["diff"]["before"] == results[5]["diff"]["after"]
    assert results[8]["diff"]["after"] == ""
    assert host.files() == []
    assert not host.root.exists()
    # one module execution for each task, and a second one for each of the two that had to copy the file
    used = [line for line in played.output.splitlines() if "Using module file" in line and "artifact.py" in line]
    assert len(used) == len(steps) + 2


@pytest.mark.plays
def test_failures_and_check_mode_through_ansible(host: Host) -> None:
    damaged = host.site.add("1.0")
    (host.site.directory / damaged.file).write_bytes(b"damaged")
    host.site.add("2.0", arch=ELSEWHERE)
    host.site.add("3.0", content=elf(ELSEWHERE, "in disguise"))
    (host.tmp_path / "empty").mkdir()
    expected = [
        (host.task(version="1.0", check_mode=True), None),
        (host.task(version="1.0"), "bad_checksum"),
        (host.task(version="2.0"), "not_available"),
        (host.task(version="3.0"), "wrong_architecture"),
        (host.task(), "manifest"),
        (host.task(artifacts_dir=str(host.tmp_path / "empty")), "manifest"),
        (host.task(version="../1"), "bad_name"),
    ]
    results = play(host.tmp_path, [task for task, _ in expected]).results
    assert [result.get("failure", {}).get("code") for result in results] == [code for _, code in expected]
    assert results[0]["changed"] is True
    for result in results[1:]:
        assert result["failed"] is True
        assert result["failure"]["message"] == result["msg"]
        assert set(result["failure"]) == {"message", "code", "details"}
    assert host.files() == []
    assert not host.root.exists()


def test_going_back_needs_no_artifact_any_more_as_long_as_the_host_has_it(host: Host) -> None:
    for version in ("1.0", "2.0"):
        host.site.add(version)
        host.one(version=version)
    host.site.forget("1.0")
    result = host.one(version="1.0")
    assert (result["changed"], result["version"], host.in_use()) == (True, "1.0", "tool 1.0")
    lost = host.one(version="0.9")
    assert lost["code"] == "not_available"
    assert "this host (which has: 1.0, 2.0)" in lost["msg"]


def test_old_versions_are_kept_by_their_last_use(host: Host) -> None:
    for version in ("1", "2", "3", "4"):
        host.site.add(version)
    for version in ("1", "2", "1", "3"):
        host.one(version=version)
    result = host.one(version="4", keep_versions=2)
    assert result["removed_versions"] == ["2"]
    assert result["versions"] == ["4", "3", "1"]
    result = host.one(version="4", keep_versions=0)
    assert (result["changed"], result["switched"], result["removed_versions"]) == (True, False, ["3", "1"])
    assert [p.name for p in (host.root / "tool").iterdir()] == ["4"]


def test_the_version_in_use_is_the_first_to_go_back_to_whatever_the_times_say(host: Host) -> None:
    for version in ("1", "2"):
        host.site.add(version)
        host.one(version=version)
    os.utime(host.root / "tool" / "2" / "artifact.json", (0, 0))
    host.site.add("3")
    assert host.one(version="3", keep_versions=1)["removed_versions"] == ["1"]


def test_links_are_switched_together_or_not_at_all(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1.0", "2.0"):
        host.site.add(version, programs=2)
    host.one(version="1.0")
    made = []

    def symlink(target: str, path: str) -> None:
        made.append(path)
        if len(made) > 1:
            raise OSError(errno.ENOSPC, "No space left on device", path)
        Path(path).touch()

    with monkeypatch.context() as patched:
        patched.setattr(artifact_store.os, "symlink", symlink)
        assert host.one(version="2.0")["code"] == "no_space"
    assert len(made) == 2
    assert (host.in_use(), host.in_use("tool-2")) == ("tool 1.0", "tool-2 1.0")
    assert sorted(p.name for p in host.bin.iterdir()) == ["tool", "tool-2"]
    assert host.one(version="2.0")["changed"] is True


def test_links_of_a_program_that_the_new_version_lacks_go(host: Host) -> None:
    host.site.add("1.0", programs=2)
    host.site.add("2.0", programs=1)
    host.one(version="1.0")
    host.one(version="2.0")
    assert [p.name for p in host.bin.iterdir()] == ["tool"]


@pytest.fixture
def running(host: Host) -> Host:
    """A host with 1.0 in use and 2.0 waiting in the artifact directory."""
    host.site.add("1.0")
    host.one(version="1.0")
    host.site.add("2.0")
    return host


def refused(host: Host, before: list[str]) -> dict[str, Any]:
    """Ask for 2.0; it must fail with one sentence and leave everything as it was, byte for byte."""
    result = host.one(version="2.0")
    assert result["failed"] is True
    assert "\n" not in result["msg"]
    assert host.in_use() == "tool 1.0"
    assert host.files() == before
    return result


def test_a_damaged_file_leaves_the_old_version_in_use(running: Host) -> None:
    before = running.files()
    file = running.site.directory / running.site.artifacts[-1].file
    content = file.read_bytes()
    for damaged in (content[:-10], content[:-1] + bytes([content[-1] ^ 1]), b"", content + b"x"):
        file.write_bytes(damaged)
        assert refused(running, before)["code"] == "bad_checksum"
    file.unlink()
    assert refused(running, before)["code"] == "missing_file"


def test_a_program_that_is_not_the_manifests_leaves_the_old_version_in_use(running: Host) -> None:
    before = running.files()
    new = running.site.artifacts[-1]
    program = dataclasses.replace(new.programs[0], sha256="0" * 64)
    running.site.write(artifact_manifest.replace(running.site.artifacts, dataclasses.replace(new, programs=(program,))))
    assert refused(running, before)["code"] == "bad_checksum"


def test_another_architecture_leaves_the_old_version_in_use(running: Host) -> None:
    before = running.files()
    # the manifest says so
    running.site.forget("2.0")
    running.site.add("2.0", arch=ELSEWHERE)
    result = refused(running, before)
    assert (result["code"], result["details"]) == ("not_available", {"arch": HERE})
    assert f"for {ELSEWHERE} only and this host is {HERE}" in result["msg"]
    # the manifest says otherwise, the program does not lie
    running.site.add("2.0", content=elf(ELSEWHERE, "tool 2.0"))
    assert refused(running, before)["code"] == "wrong_architecture"
    running.site.add("2.0", content=b"not a program")
    assert refused(running, before)["code"] == "wrong_architecture"


def test_a_script_runs_on_any_architecture(host: Host) -> None:
    host.site.add("1.0", arch="any", content=b"#!/bin/sh\necho yes\n")
    assert host.one()["arch"] == "any"
    assert subprocess.run([host.bin / "tool"], capture_output=True, text=True, check=True).stdout == "yes\n"


def test_something_in_the_way_is_not_overwritten(running: Host) -> None:
    running.site.add("2.0", programs=2)
    (running.bin / "tool-2").write_text("installed by hand")
    before = running.files()
    result = refused(running, before)
    assert result["code"] == "in_the_way"
    assert str(running.bin / "tool-2") in result["msg"]
    (running.bin / "tool-2").unlink()
    (running.bin / "tool-2").symlink_to("/usr/bin/true")
    refused(running, running.files())


@pytest.mark.parametrize("kind", ["file", "link", "directory"])
def test_what_was_installed_by_hand_makes_room_if_it_may_and_is_no_directory(host: Host, kind: str) -> None:
    host.site.add("1.0")
    host.bin.mkdir()
    path = host.bin / "tool"
    if kind == "file":
        path.write_text("installed by hand")
    elif kind == "link":
        path.symlink_to("/usr/bin/true")
    else:
        path.mkdir()
    result = host.one(version="1.0", replace=True)
    if kind == "directory":
        assert result["code"] == "in_the_way"
        return
    assert (result["switched"], result["previous_version"]) == (True, "")
    assert os.readlink(path) == str(host.root / "tool/1.0/tool")
    assert host.one(version="1.0", replace=True)["changed"] is False


def test_what_somebody_changed_or_removed_comes_back(running: Host) -> None:
    program = running.root / "tool" / "1.0" / "tool"
    for harm in (
        lambda: program.write_bytes(b"tampered with"),
        program.unlink,
        lambda: program.chmod(0o644),
        (running.bin / "tool").unlink,
        lambda: (program.parent / "artifact.json").write_text("{"),
    ):
        harm()
        result = running.one(version="1.0")
        assert (result["changed"], result["switched"]) == (True, True)
        assert running.in_use() == "tool 1.0"
        assert os.access(program, os.X_OK)
        assert running.one(version="1.0")["changed"] is False


def test_services_may_run_the_programs_whatever_the_umask(host: Host) -> None:
    host.site.add("1.0")
    before = os.umask(0o077)
    try:
        host.one()
    finally:
        os.umask(before)
    program = (host.bin / "tool").resolve()
    for path in (program, *list(program.parents)[:3], host.bin):
        assert path.stat().st_mode & 0o7777 == 0o755
    assert (program.parent / "artifact.json").stat().st_mode & 0o7777 == 0o644


def test_what_a_killed_run_left_does_not_matter(running: Host) -> None:
    (running.root / "tool" / ".2.0-x").mkdir()
    (running.root / "tool" / ".2.0-x" / "tool").write_text("half")
    (running.bin / ".tool.superpod").symlink_to("nowhere")
    assert running.one(version="2.0")["versions"] == ["2.0", "1.0"]
    assert running.files() == [
        "bin/tool",
        *(f"opt/tool/{version}/{file}" for version in ("1.0", "2.0") for file in ("artifact.json", "tool")),
    ]


@pytest.mark.parametrize(
    ("prepare", "args", "code", "says"),
    [
        (lambda site: site.manifest.unlink(), {}, "manifest", "fill the artifact directory"),
        (lambda site: site.manifest.write_text("{"), {}, "manifest", "is not JSON"),
        (lambda site: site.add("2.0"), {}, "manifest", "the versions 1.0, 2.0 of tool; say which one"),
        (lambda site: None, {"name": "other"}, "manifest", "no version of other"),
        (lambda site: None, {"name": "../other", "version": "1.0"}, "bad_name", "must consist of letters"),
        (lambda site: None, {"version": "../1"}, "bad_name", "must consist of letters"),
        (lambda site: None, {"version": "1.0", "keep_versions": -1}, "bad_name", "0 or more"),
    ],
)
def test_what_cannot_be_meant(host: Host, prepare: Any, args: dict[str, Any], code: str, says: str) -> None:
    host.site.add("1.0")
    prepare(host.site)
    result = host.one(**args)
    assert result["failed"] is True
    assert (result["code"], host.files()) == (code, [])
    assert says in result["msg"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for one version."""
    directory = tmp_path / "small"
    directory.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", directory], check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system")
    yield directory
    subprocess.run(["umount", "-l", directory], check=True)


def test_a_full_disk_leaves_the_old_version_in_use(host: Host, small_disk: Path) -> None:
    host.root, host.bin = small_disk / "opt", small_disk / "bin"
    host.site.add("1.0")
    host.site.add("2.0", content=elf(HERE, "tool 2.0") + os.urandom(300_000))
    host.one(version="1.0")
    before = host.files()
    assert "There is no room left for" in refused(host, before)["msg"]
    assert host.one(version="1.0")["changed"] is False
    # not even room for a link
    host.site.add("2.0")
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))
    assert refused(host, before)["code"] == "no_space"
    filler.unlink()
    assert host.one(version="2.0")["version"] == "2.0"
