# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated cmsh without a process for each call, for tests that make many; the others run it as a program."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh import (
    Cmsh,
    CmshOutput,
    Command,
    script,
    without_events,
)
from bcm_simulator.cmsh.main import main
from bcm_simulator.testing import Simulator


def run_in_process(monkeypatch: pytest.MonkeyPatch, sim: Simulator) -> None:
    """From now on `Cmsh.run` asks the simulator itself, with the same options and the same command line."""
    pair = sim.certificate("admin", "Administrator")

    def run(self: Cmsh, commands: Iterable[Command]) -> CmshOutput:
        line, out, err = script(commands), io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            rc = main(sim.store.path, sim.directory, [*self._options, "-c", line], pair)
        return CmshOutput(rc, without_events(out.getvalue()), without_events(err.getvalue()))

    monkeypatch.setattr(Cmsh, "run", run)
