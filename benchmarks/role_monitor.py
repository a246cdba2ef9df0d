# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role monitor costs its node and the head node, and how soon it follows a change.

The daemon is the real process, against a simulated BCM over TLS and a stand-in for systemctl that is a small shell
script.  Peer: a plain client (role_monitor_peer/) that asks for the whole device list twice in each cycle.
CPU is that of the process, from /proc; the systemctl that the daemon runs once in each cycle has a line of its own.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "lab"), str(ROOT / "files"), str(ROOT / "tests")]

from bcm_simulator import fleet  # noqa: E402
from bcm_simulator.testing import Simulator  # noqa: E402
from faults.role_monitor.harness import ROLE, UNITS, Rig, cluster, host_name, rig  # noqa: E402

SIZES = (1, 1_000, 10_000)
CYCLES = 100
PEER_CYCLES = 5
TICK = os.sysconf("SC_CLK_TCK")
PEER = "two full device lists, new connections, requests"
PYTHON = "/usr/bin/python3"


def tell(name: str, value: float, unit: str, peer: str, peer_value: float, *, goal: str) -> None:
    ratio = round(value / peer_value, 4)
    shown = round(peer_value, 3)
    line = {"name": name, "value": round(value, 3), "unit": unit, "peer": peer, "peer_value": shown, "ratio": ratio}
    print(json.dumps({**line, "goal": goal}), flush=True)


def cpu(pid: int) -> tuple[float, float]:
    """Milliseconds of the process so far, and of the children it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, child_user, child_system = (int(field) for field in fields[11:15])
    return (user + system) * 1000 / TICK, (child_user + child_system) * 1000 / TICK


def resident(pid: int) -> float:
    """MB (10^6 bytes) that the process has resident, shared libraries included."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024 / 1e6


def sized(devices: int, host: str) -> dict[str, Any]:
    """A BCM with so many devices, one of which is this host and has the role."""
    state = fleet.big(devices, categories=min(devices, 50), racks=min(devices, 50))
    first = next(iter(state["nodes"]))
    state["nodes"] = {host if name == first else name: node for name, node in state["nodes"].items()}
    nodes = state["overlays"]["slurm-client"]["nodes"]
    nodes[:] = [host if name == first else name for name in nodes]
    return state


def daemon_costs(sim: Simulator) -> dict[str, float]:
    with rig(sim) as node:
        node.start()
        assert node.ready.wait(30)
        node.wait_checks(10)
        assert node.process is not None
        pid = node.process.pid
        asked = len(sim.requests)
        before = cpu(pid)
        checks = len(node.checks)
        node.wait_checks(CYCLES, 300)
        after = cpu(pid)
        cycles = len(node.checks) - checks
        requests = [one for one in sim.requests[asked:] if one.path.startswith("/rest")]
        assert node.out_of_step(True) == []
        return {
            "requests": len(requests) / cycles,
            "bytes": sum(one.bytes_sent for one in requests) / cycles,
            "cpu": (after[0] - before[0]) / cycles,
            "children": (after[1] - before[1]) / cycles,
            "rss": resident(pid),
        }


def peer_costs(sim: Simulator, host: str) -> dict[str, float]:
    certificate, key = sim.certificate("readonly")
    script = ROOT / "benchmarks/role_monitor_peer/plain_client.py"
    command = [sys.executable, str(script), sim.url, host, sim.ca, certificate, key, str(PEER_CYCLES)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "START\n"
        asked = len(sim.requests)
        before = cpu(process.pid)
        end = process.stdout.readline().split()
        after = cpu(process.pid)
        requests = sim.requests[asked:]
        process.stdin.write("\n")
        process.stdin.close()
        return {
            "requests": len(requests) / PEER_CYCLES,
            "bytes": sum(one.bytes_sent for one in requests) / PEER_CYCLES,
            "cpu": (after[0] - before[0]) / PEER_CYCLES,
            "rss": int(end[1]) * 1024 / 1e6,
        }


def costs() -> None:
    host = host_name()
    # As the unit does before the daemon starts: compiling leaves garbage resident.
    library = [str(ROOT / "files/role_monitor/superpod_role_monitor"), str(ROOT / "plugins/module_utils")]
    subprocess.run([PYTHON, "-m", "compileall", "-q", *library], check=True)
    for size in SIZES:
        with Simulator(sized(size, host)) as sim:
            ours, peer = daemon_costs(sim), peer_costs(sim, host)
        name = f"role_monitor.{{}}.{size}_devices"
        tell(name.format("requests"), ours["requests"], "requests/cycle", PEER, peer["requests"], goal="1")
        tell(name.format("bytes"), ours["bytes"], "bytes/cycle", PEER, peer["bytes"], goal="<= 1024")
        tell(name.format("cpu"), ours["cpu"], "ms/cycle", PEER, peer["cpu"], goal="<= 5")
        tell(
            name.format("systemctl_cpu"),
            ours["children"],
            "ms/cycle",
            "its own processor time",
            ours["cpu"],
            goal="one call",
        )
        tell(name.format("resident"), ours["rss"], "MB", PEER, peer["rss"], goal="<= 25")


def long_run(checks: int = 3000) -> None:
    """Resident after thousands of checks, with events, and a change of the role every hundred."""
    host = host_name()
    with Simulator(cluster(host)) as sim, rig(sim, events="auto", request_timeout=5) as node:
        node.start()
        assert node.ready.wait(30)
        node.wait_checks(100)
        assert node.process is not None
        early = resident(node.process.pid)
        for number in range(checks // 100 - 1):
            (sim.unassign if number % 2 else sim.assign)(host, ROLE)
            node.wait_checks(100, 300)
        late = resident(node.process.pid)
    name = "role_monitor.resident.long_run"
    tell(f"{name}.{checks}_checks", late, "MB", "the same daemon after 100 checks", early, goal="<= 25")


def spread() -> None:
    """2,000 daemons started in the same instant: checks in the busiest second of the interval."""
    from superpod_role_monitor import schedule  # noqa: PLC0415 - importable once the harness is

    interval, daemons = 60, 2000
    busiest = 0
    for names in (
        [f"dgx-{number:04d}" for number in range(daemons)],
        [f"node{number:03d}" for number in range(daemons)],
        [f"dgx-a{number // 40:02d}-{number % 40:02d}" for number in range(daemons)],
    ):
        seconds = [0] * interval
        for name in names:
            seconds[int(schedule.first(name, interval, 0.0)) % interval] += 1
        busiest = max(busiest, *seconds)
    tell(
        *("role_monitor.schedule.busiest_second", busiest, "checks/s", "mean second", daemons / interval),
        goal="ratio <= 2",
    )


def follow(rounds: int = 5, daemons: int = 10) -> None:
    """From the role's assignment to the exporters active and the target file written, with events."""
    root = os.geteuid() == 0
    names = [f"dgx-{number:02d}" for number in range(21, 21 + daemons)] if root else [host_name()]
    rounds = rounds if root else rounds * daemons
    delays: list[float] = []
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(Simulator(cluster(*names)))
        nodes = [
            stack.enter_context(rig(sim, name, events="auto", check_interval=60, request_timeout=5)) for name in names
        ]
        for node in nodes:
            named = ["unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', node.host, *node.command()]
            node.start(named if root else None)
        for node in nodes:
            assert node.ready.wait(30)
        for node in nodes:
            if not node.checks:
                node.wait_checks(1, 70)

        def set_nodes(held: bool) -> None:
            sim.edit(lambda state: [state["nodes"][name].update(roles=[ROLE] if held else []) for name in names])

        for _round in range(rounds):
            set_nodes(True)
            delays += followed(nodes, True)
            set_nodes(False)
            followed(nodes, False)
    delays.sort()
    p95 = delays[math.ceil(0.95 * len(delays)) - 1]
    tell("role_monitor.events.assigned_to_running.p95", p95, "s", "polling every 60 s, on average", 30.0, goal="< 2")
    tell("role_monitor.events.changes", len(delays), "changes", "limit", 50.0, goal=">= 50")


def followed(nodes: list[Rig], held: bool) -> list[float]:
    """Seconds until each node is in step; each change reaches all of them at once."""
    began = time.perf_counter()
    waiting = list(nodes)
    delays = []
    while waiting:
        if time.perf_counter() - began > 90:
            raise SystemExit(f"benchmarks/role_monitor.py: {[node.host for node in waiting]} did not follow")
        for node in list(waiting):
            active = all((node.units / unit).read_text() == "active\n" for unit in UNITS)
            if active is held and node.target.exists() is held:
                delays.append(time.perf_counter() - began)
                waiting.remove(node)
        time.sleep(0.005)
    return delays


if __name__ == "__main__":
    costs()
    long_run()
    spread()
    follow()
