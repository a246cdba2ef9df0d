# SPDX-License-Identifier: GPL-3.0-or-later
"""Random faults of BCM with role changes between: no stop and no removal without BCM's word, in step when they end."""

from __future__ import annotations

import os
import random
import time
from typing import Any

from bcm_simulator.testing import Simulator
from faults.role_monitor.harness import UNITS, Truth, Watcher, cluster, host_name, report, rig

SEQUENCES = 1000 if os.environ.get("SUPERPOD_TEST_FULL") else 40
SEED = int(os.environ.get("SUPERPOD_TEST_SEED", "20261120"))

FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("refuse", {}),
    ("hang", {}),
    ("hang", {"stage": "handshake"}),
    ("close", {}),
    ("tls_abort", {}),
    ("slow", {"seconds": 0.2}),
    ("slow", {"seconds": 2.0}),
    ("drip", {"interval": 0.05, "bytes": 8}),
    ("status", {"status": 401}),
    ("status", {"status": 403}),
    ("status", {"status": 500}),
    ("status", {"status": 501}),
    ("status", {"status": 635}),
    ("status", {"status": 640}),
    ("html", {}),
    ("redirect", {}),
    ("error_body", {}),
    ("body", {"body": "[]"}),
    ("body", {"body": "null"}),
    ("body", {"body": '[{"hostname": "HOST", "roles": "slurmclient"}]'}),
    ("body", {"body": '[{"hostname": "HOST", "roles": {}}]'}),
    ("body", {"body": '[{"roles": []}]'}),
    ("empty_list", {}),
    ("empty_object", {}),
    ("truncated", {}),
    ("truncated", {"how": "connection"}),
    ("missing_node", {"hostname": "HOST"}),
    ("nameless_node", {"hostname": "HOST"}),
    ("nameless_node", {"hostname": "HOST", "how": "null"}),
    ("duplicate_node", {"hostname": "HOST"}),
    ("upper_case_names", {}),
    ("null_roles", {}),
    ("absent_roles", {}),
]


def test_random_fault_sequences() -> None:
    host = host_name()
    # Answers without roles are never enough here; that they are, three in a row, is a test of its own.
    with Simulator(cluster(host)) as sim, rig(sim, absent_roles_confirmations=1000) as node:
        truth = Truth(sim, host)
        watcher = Watcher(node)
        node.start()
        assert node.ready.wait(10)
        watcher.start()
        late = []
        for number in range(SEQUENCES):
            rng = random.Random(f"{SEED}-{number}")
            story = one_sequence(rng, node, sim, truth)
            found = node.out_of_step(truth.held) + node.strays()
            if found:
                late.append((number, story, found, node.log[-8:]))
        watcher.finish()
        stops = [moment for moment, verb, _units in node.systemctl_log() if verb == "stop"]
        wrong_stops = [moment for moment in stops if not truth.was_absent(check_before(node.checks, moment), moment)]
        wrong_removals = [
            moment for moment in watcher.gone if not truth.was_absent(check_before(node.checks, moment), moment)
        ]
        report(
            f"seed {SEED}, {SEQUENCES} sequences, {len(node.checks)} checks: {len(stops)} stops "
            f"({len(wrong_stops)} wrong), {len(watcher.gone)} removals ({len(wrong_removals)} wrong), "
            f"{len(watcher.wrong)} torn files, {len(late)} sequences not in step"
        )
        assert late == []
        assert wrong_stops == []
        assert wrong_removals == []
        assert watcher.wrong == []
        # The faults were felt, and the role changes carried out: otherwise this proves nothing.
        assert any("Nothing is changed" in line for line in node.log)
        assert len(stops) >= SEQUENCES // 20
        assert node.stop() == 0


def one_sequence(rng: random.Random, node: Any, sim: Simulator, truth: Truth) -> list[str]:
    """Faults and changes, then peace and one whole check; returns what was done."""
    story = []
    if rng.random() < 0.5:
        truth.set(rng.random() < 0.6)
        story.append(f"role {truth.held}")
        node.whole_check()
    for _step in range(rng.randint(1, 3)):
        heads = rng.choice([sim.heads[:1], sim.heads[1:], sim.heads])
        kind, options = rng.choice(FAULTS)
        options = {
            key: value.replace("HOST", node.host) if isinstance(value, str) else value for key, value in options.items()
        }
        if rng.random() < 0.2:
            options["count"] = rng.randint(1, 2)
        for head in heads:
            head.fault(kind, **options)
        story.append(f"{kind} {options} at {[head.name for head in heads]}")
        change = rng.random()
        if change < 0.25:
            truth.set(not truth.held)
            story.append(f"role {truth.held}")
        elif change < 0.35:
            sim.switch(passive=rng.choice(["fresh", "stale", "refuse"]))
            story.append("passive head node changed")
        elif change < 0.45:
            active = rng.choice(sim.heads).name
            sim.failover(active)
            story.append(f"{active} active")
        elif change < 0.55 and truth.held:
            node.set_unit(rng.choice(UNITS), rng.choice(["failed", "inactive"]))
            story.append("an exporter died")
        node.wait_checks(rng.randint(1, 2))
        if rng.random() < 0.5:
            for head in sim.heads:
                head.fault(None)
    for head in sim.heads:
        head.fault(None)
    sim.switch(passive="fresh")
    time.sleep(0.01)
    node.whole_check()
    return story


def check_before(checks: list[float], moment: float) -> float:
    """When the check in which something happened can have begun: when the one before it ended."""
    before = [one for one in checks if one < moment]
    return before[-1] if before else 0.0
