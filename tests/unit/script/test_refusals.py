# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that cannot boot the lab: one sentence, status 2, nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Run = Callable[..., "CompletedProcess[str]"]


CASES = [
    ({"uname": "echo Darwin"}, "it does not run Linux"),
    ({"id": "echo 1000"}, "run the command again with sudo"),
    ({"unshare": "exit 1"}, "does not allow mount and process namespaces"),
    ({"unshare": 'test "$1" != --net'}, "does not allow network namespaces"),
    ({"awk": "exit 1"}, "mount -t cgroup2"),
    ({"unshare": 'case "$*" in *"mount -t overlay"*) exit 1;; esac'}, "overlayfs does not work"),
]


@pytest.mark.parametrize("program", ["lab/check-machine", "script/bootstrap", "script/demo"])
@pytest.mark.parametrize("case", CASES, ids=[reason for _, reason in CASES])
def test_one_sentence_and_status_2(
    run: Run, fake: Callable[..., None], tmp_path: Path, program: str, case: tuple[dict[str, str], str]
) -> None:
    conditions, reason = case
    fake(**conditions)
    done = run(program, *([str(tmp_path / "data")] if program == "lab/check-machine" else []))
    assert done.returncode == 2
    assert done.stdout == ""
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin"]


def test_a_willing_machine(run: Run, tmp_path: Path) -> None:
    done = run("lab/check-machine", str(tmp_path / "data"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin"]
