# SPDX-License-Identifier: GPL-3.0-or-later
"""What `ansible-inventory --list` costs with the bcm plugin, against a plugin that only reads a JSON file.

Both give Ansible the same hosts (50 categories, 50 racks, 15 variables each) and groups; ours asks a simulated BCM over
TLS for them.  The runs alternate and the best of each counts, because other work on the machine only ever adds time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT / "lab")]

from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_client import (  # noqa: E402
    BcmClient,
    BcmSettings,
    Unknown,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_groups import (  # noqa: E402
    parse_filters,
    parse_system_groups,
    plan_inventory,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_rest import Extras, rest_snapshot  # noqa: E402
from bcm_simulator.testing import Simulator  # noqa: E402

ROUNDS = {1_000: 5, 5_500: 2, 10_000: 3}
SIZES = tuple(ROUNDS)
KEYED = """
keyed_groups:
  - {key: bcm_category, prefix: keyed_category}
  - {key: bcm_roles, prefix: keyed_role}
  - {key: bcm_type, prefix: keyed_type}
  - {key: bcm_rack, prefix: keyed_rack}
  - {key: bcm_image, prefix: keyed_image}
  - {key: bcm_overlays, prefix: keyed_overlay}
"""
RPC = "rpc_groups: [overlay, rack, image]\n"


@dataclass(frozen=True)
class Cost:
    """Of one process: wall-clock seconds, processor seconds, and peak resident MiB."""

    seconds: float
    cpu: float
    mib: float


def run(source: Path, plugin: str) -> Cost:
    """One `ansible-inventory --list` of `source`."""
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_CONFIG": str(source.with_name("ansible.cfg")),
        "ANSIBLE_INVENTORY_PLUGINS": str(ROOT / "benchmarks/inventory_peer"),
        "ANSIBLE_INVENTORY_ENABLED": plugin,
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
    }
    command = [str(Path(sys.executable).with_name("ansible-inventory")), "-i", str(source), "--list"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"benchmarks/inventory.py: ansible-inventory failed: {said.decode()}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def best(costs: list[Cost]) -> Cost:
    return Cost(*(min(getattr(cost, name) for cost in costs) for name in ("seconds", "cpu", "mib")))


class Site:
    """A simulated BCM of one size with the files that both plugins read."""

    def __init__(self, simulator: Simulator, directory: Path) -> None:
        self._simulator = simulator
        self._directory = directory
        (directory / "ansible.cfg").touch()  # nobody's own settings
        self.peer = directory / "hosts.json"
        self.peer.write_text(json.dumps(self._plan()), encoding="utf-8")

    def _plan(self) -> dict[str, Any]:
        certificate, key = self._simulator.certificate("admin")
        settings = BcmSettings(
            headnodes=(self._simulator.host,),
            port=self._simulator.port,
            certificate=certificate,
            private_key=key,
            ca_certificate=self._simulator.ca,
        )
        snapshot = rest_snapshot(BcmClient(settings), Extras(overlays=True, racks=True, images=True))
        if isinstance(snapshot, Unknown):
            raise SystemExit(f"benchmarks/inventory.py: {snapshot.reason}")
        plan = plan_inventory(snapshot, parse_filters(None), parse_system_groups(None), strict_devices=True)
        return {"hosts": plan.hosts, "groups": plan.groups}

    def ours(self, name: str, more: str) -> Path:
        """The file of our plugin with these options."""
        certificate, key = self._simulator.certificate("admin")
        source = self._directory / f"{name}.bcm.yml"
        source.write_text(
            f"plugin: superpod.monitoring.bcm\nheadnodes: [{self._simulator.host}]\nport: {self._simulator.port}\n"
            f"certificate: {certificate}\nprivate_key: {key}\nca_certificate: {self._simulator.ca}\n{more}",
            encoding="utf-8",
        )
        return source


def pair(site: Site, more: str, rounds: int) -> tuple[Cost, Cost]:
    """The best of ours and of the peer's runs, which alternate."""
    source = site.ours("measured", more)
    ours: list[Cost] = []
    peer: list[Cost] = []
    for _ in range(rounds):
        ours.append(run(source, "superpod.monitoring.bcm"))
        peer.append(run(site.peer, "json_hosts"))
    return best(ours), best(peer)


def report(name: str, value: float, unit: str, peer: tuple[str, float], goal: str) -> None:
    peer_name, peer_value = peer
    line = {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "peer": peer_name,
        "peer_value": round(peer_value, 3),
        "ratio": round(value / peer_value, 3),
        "goal": goal,
    }
    print(json.dumps(line), flush=True)


def main() -> None:
    """Measure all sizes and print the lines."""
    cpu: dict[int, float] = {}
    for size in SIZES:
        print(f"benchmarks/inventory.py: {size} devices", file=sys.stderr)
        with Simulator(devices=size) as simulator, tempfile.TemporaryDirectory() as directory:
            site = Site(simulator, Path(directory))
            ours, peer = pair(site, RPC, ROUNDS[size])
            cpu[size] = ours.cpu
            report(f"inventory_time_{size}", ours.seconds, "s", ("json_hosts", peer.seconds), "ratio <= 1.15")
            report(f"inventory_memory_{size}", ours.mib, "MiB", ("json_hosts", peer.mib), "ratio <= 1.1")
            if size == SIZES[-1]:
                whole_site(site, simulator, ours)
    first, middle, last = (cpu[size] for size in SIZES)
    # In processor time, so that the difference of two runs is not the noise of the machine.
    report(
        "inventory_growth", last - middle, "s of CPU, 5500 to 10000", ("1000 to 5500", middle - first), "ratio <= 1.25"
    )


def whole_site(site: Site, simulator: Simulator, native: Cost) -> None:
    """What is measured at the largest size only."""
    before = len(simulator.requests)
    run(site.ours("counted", RPC), "superpod.monitoring.bcm")
    requests = [request for request in simulator.requests[before:] if request.path.startswith("/rest/")]
    report("inventory_rest_requests", len(requests), "requests", ("one for everything", 1), "ratio == 1")
    keyed = run(site.ours("keyed", RPC + KEYED), "superpod.monitoring.bcm")
    # The keyed run makes the native groups as well: what they add is the price of the same groups by templates.
    report("inventory_native_groups", native.seconds, "s", ("native and keyed_groups", keyed.seconds), "ratio < 1")


if __name__ == "__main__":
    main()
