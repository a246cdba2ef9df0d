# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

# Root with everything allowed, whoever runs the tests and wherever; what a test wants otherwise it overwrites.
WILLING = {"id": "echo 0", "uname": "echo Linux", "unshare": "exit 0", "awk": "exit 0"}


@pytest.fixture(name="fake")
def fake_programs(tmp_path: Path) -> Callable[..., None]:
    """fake(name="shell commands") puts a program in the way of the real one."""

    def fake(**programs: str) -> None:
        for name, body in programs.items():
            program = tmp_path / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/sh\n{body}\n")
            program.chmod(0o755)

    fake(**WILLING)
    return fake


@pytest.fixture(name="run")
def run_program(tmp_path: Path, fake: Callable[..., None]) -> Run:
    """Run a program of the checkout with the fakes first in its PATH."""

    def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "LAB_DATA": str(tmp_path / "data"),
        }
        return subprocess.run(
            [str(ROOT / program), *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
