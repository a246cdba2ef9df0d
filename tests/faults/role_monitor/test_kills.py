# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL at random instants: no partial, stray or unreadable file, and in step after the next start."""

from __future__ import annotations

import glob
import os
import random
import signal
import time
from pathlib import Path

from bcm_simulator.testing import Simulator
from faults.role_monitor.harness import Rig, Truth, Watcher, cluster, host_name, report, rig

KILLS = 1000 if os.environ.get("SUPERPOD_TEST_FULL") else 40
SEED = int(os.environ.get("SUPERPOD_TEST_SEED", "20261120"))


def test_kills_at_random_instants() -> None:
    rng = random.Random(SEED)
    # BCM is well here, but the machine may be busy: no check may end unknown.
    with Simulator(cluster(host_name())) as sim, rig(sim, request_timeout=20) as node:
        truth = Truth(sim, node.host)
        watcher = Watcher(node)
        watcher.start()
        leftovers = killed_with_file = 0
        for number in range(KILLS):
            node.start()
            assert node.ready.wait(60), node.log[-5:]
            # Most of the time of a check is waiting; the instants of interest are after a change of the role.
            end = time.monotonic() + rng.uniform(0.0, 0.6)
            while time.monotonic() < end:
                truth.set(not truth.held)
                time.sleep(min(rng.uniform(0.02, 0.2), max(0.0, end - time.monotonic())))
            node.stop(signal.SIGKILL)
            seen_by_prometheus(node)
            state_is_whole(node)
            leftovers += sum(one.name.startswith(".") for one in [*node.targets.iterdir(), *node.state_dir.iterdir()])
            killed_with_file += node.target.exists()
            if number % 10 == 9:
                comes_back_in_step(node, truth)
        comes_back_in_step(node, truth)
        watcher.finish()
        report(
            f"{KILLS} kills, {killed_with_file} with a target file, {leftovers} left a temporary file, "
            f"{len(watcher.wrong)} torn files"
        )
        assert watcher.wrong == []


def seen_by_prometheus(node: Rig) -> None:
    """What matches Prometheus' glob (which takes dot-files too) is the node's own whole file."""
    for path in glob.glob(f"{node.targets}/*.json") + glob.glob(f"{node.targets}/.*.json"):
        assert Path(path) == node.target
        assert node.target.read_bytes() == node.expected


def state_is_whole(node: Rig) -> None:
    for path in node.state_dir.glob("*.json"):
        assert path.name == f"{node.host}_state.json"
        assert path.read_bytes().endswith(b"}\n")


def comes_back_in_step(node: Rig, truth: Truth) -> None:
    """Started again and left alone for one check: in step, and nothing left over."""
    node.start()
    assert node.ready.wait(60), node.log[-5:]
    node.whole_check()
    assert node.out_of_step(truth.held) == [], node.log[-10:]
    assert node.strays() == []
    assert node.stop() == 0
