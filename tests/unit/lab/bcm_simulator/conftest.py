# SPDX-License-Identifier: GPL-3.0-or-later
"""A running simulator, and cmsh on its state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from bcm_simulator.cmsh.main import main as cmsh_main
from bcm_simulator.testing import Simulator


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@dataclass(frozen=True)
class Output:
    """What cmsh left: exit status and both streams."""

    rc: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@pytest.fixture
def cmsh(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> Callable[..., Output]:
    """Run cmsh on the simulator's state in this process: cmsh("commands", *options, pair=(certificate, key))."""

    def run(commands: str, *options: str, pair: tuple[str, str] | None = None) -> Output:
        capsys.readouterr()
        given = ["-n", *options, "-c", commands]
        rc = cmsh_main(sim.store.path, sim.directory, given, pair or sim.certificate("admin", "Administrator"))
        captured = capsys.readouterr()
        return Output(rc, captured.out, captured.err)

    return run
