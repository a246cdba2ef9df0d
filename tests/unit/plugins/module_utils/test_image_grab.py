# SPDX-License-Identifier: GPL-3.0-or-later
"""grabimage waited for: which lines are events of it, and how it ends when BCM says nothing, no, or goes away."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh import CmshError, script
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from ansible_collections.superpod.monitoring.plugins.module_utils.image_grab import about, commands, grab

STARTED = "Fri Nov 20 09:43:59 2026 [notice] head: Provisioning started on node dgx-01"
COMPLETED = "[notice] head: Provisioning completed on node dgx-01"


def cmsh(directory: Path, body: str) -> str:
    """A program that reads one line, as a cmsh would, and goes on as told."""
    path = directory / "cmsh"
    path.write_text(f'#!/bin/sh\nread line\necho "$line" | tee "{directory}/line"\n{body}\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (STARTED, ("started", "Provisioning started on node dgx-01")),
        (COMPLETED, ("completed", "Provisioning completed on node dgx-01")),
        ("[warning] h: Provisioning failed on node dgx-01: no", ("failed", "Provisioning failed on node dgx-01: no")),
        (
            "[notice] h: Provisioning started: sending h:/cm/images/x to dgx-01:/, mode UPDATE",
            ("started", "Provisioning started: sending h:/cm/images/x to dgx-01:/, mode UPDATE"),
        ),
        ("[notice] head: Provisioning completed on node dgx-010", None),
        ("[notice] head: Provisioning completed on node xdgx-01", None),
        ("[notice] head: Provisioning completed on node a.dgx-01", None),
        ("[notice] head: dgx-01 is up", None),
        ("Provisioning completed on node dgx-01", None),
        ("", None),
    ],
)
def test_which_lines_are_events(line: str, expected: tuple[str, str] | None) -> None:
    assert about(line, "dgx-01") == expected


@pytest.mark.parametrize(
    ("image", "write", "line"),
    [
        (None, False, "device; use dgx-01; grabimage"),
        (None, True, "device; use dgx-01; grabimage -w"),
        ("gold", True, "device; use dgx-01; grabimage -i gold -w"),
    ],
)
def test_the_commands(image: str | None, write: bool, line: str) -> None:
    assert script(commands("dgx-01", image, write)) == line


@pytest.mark.parametrize(("node", "image"), [("dgx-01; quit", None), ("dgx-01", "`id`"), ("dgx-01", "-w")])
def test_what_cannot_be_passed_safely_is_refused_before_cmsh_is_run(
    node: str, image: str | None, tmp_path: Path
) -> None:
    with pytest.raises(CmshError):
        grab(cmsh(tmp_path, ""), node, image, write=True, timeout=5)
    assert not (tmp_path / "line").exists()


def test_it_waits_for_the_end(tmp_path: Path) -> None:
    others = "[notice] head: Provisioning completed on node dgx-02"
    program = cmsh(tmp_path, f"echo '{STARTED}'; echo '{others}'; sleep 0.2; echo '{COMPLETED}'; sleep 60")
    done = grab(program, "dgx-01", None, write=True, timeout=30)
    assert done.events == ("Provisioning started on node dgx-01", "Provisioning completed on node dgx-01")
    assert (tmp_path / "line").read_text() == "device; use dgx-01; grabimage -w\n"


def failure(program: str, timeout: float = 30) -> Failure:
    with pytest.raises(Failure) as caught:
        grab(program, "dgx-01", None, write=True, timeout=timeout)
    return caught.value


def test_bcm_that_refuses_is_quoted(tmp_path: Path) -> None:
    caught = failure(cmsh(tmp_path, "echo 'No such image'; exit 1"))
    assert (caught.code, caught.details) == ("refused", {"bcm": "No such image"})
    assert "it said: No such image" in caught.message


def test_a_grab_that_fails(tmp_path: Path) -> None:
    caught = failure(
        cmsh(tmp_path, f"echo '{STARTED}'; echo '[warning] h: Provisioning failed on node dgx-01: disk full'; sleep 60")
    )
    assert caught.code == "failed"
    assert caught.details["events"][-1] == "Provisioning failed on node dgx-01: disk full"


def test_a_grab_that_does_not_end_is_left_to_go_on(tmp_path: Path) -> None:
    caught = failure(cmsh(tmp_path, f"echo '{STARTED}'; sleep 60"), timeout=1)
    assert (caught.code, caught.details["events"]) == ("timeout", ["Provisioning started on node dgx-01"])
    assert "it may go on" in caught.message


def test_bcm_that_says_nothing(tmp_path: Path) -> None:
    caught = failure(cmsh(tmp_path, "sleep 60"), timeout=1)
    assert (caught.code, caught.details) == ("refused", {"bcm": "nothing"})


def test_a_cmsh_that_goes_away_in_between(tmp_path: Path) -> None:
    assert failure(cmsh(tmp_path, f"echo '{STARTED}'"), timeout=20).code == "timeout"


def test_no_cmsh(tmp_path: Path) -> None:
    with pytest.raises(CmshError) as caught:
        grab(str(tmp_path / "gone"), "dgx-01", None, write=True, timeout=5)
    assert caught.value.code == "no_cmsh"
