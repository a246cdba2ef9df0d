# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Run = Callable[..., "CompletedProcess[str]"]


def test_help_needs_nothing(run: Run) -> None:
    done = run("script/demo", "--help")
    assert done.returncode == 0
    for option in ("--dgx N", "--json FILE", "--down"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--dgx", "0"], "1 to 99 DGX nodes"),
        (["--dgx", "100"], "1 to 99 DGX nodes"),
        (["--dgx", "two"], "invalid int value"),
        (["--json", "/nowhere/x.json"], "give a file in a directory that exists"),
        (["--json", "/tmp"], "give a file in a directory that exists"),
        (["--everything"], "unrecognized arguments: --everything"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_done(
    run: Run, tmp_path: Path, arguments: list[str], reason: str
) -> None:
    done = run("script/demo", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert reason in done.stderr.splitlines()[-1]
    assert "==>" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin"]
