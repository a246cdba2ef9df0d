# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of the whole site costs where nothing is to be done: 20 hosts, all roles, the literal command.

A lab of its own (LAB_ID, 3 by default): 15 DGX nodes, two head nodes, a Slurm controller, a login node, a monitoring
host; with Slurm, Prometheus, Grafana (a stand-in) and jobstats (a stand-in).  Everything is deployed once, and then run
again on the head node.  Measures:

* Module executions on a host of each kind, by the host's own log, beside a limit of 12.
* Time of that run, beside a play that does nothing on the same hosts but look at one file 12 times: what as many
  executions cost at least, with the same forks, on the same machine, right after it.

What `dgx_exporters` takes for node_exporter alone is a measure of `exporters`.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from superpod_site import SITE, SuperpodSite, recap  # noqa: E402 - found by the line above

DGX = 15
NODES = [f"dgx-{number:02d}" for number in range(1, DGX + 1)]
LIMIT = 12
RUNS = 3
PATIENCE = 1800
KINDS = {"dgx": NODES, "monitoring": ["mon-01"], "slurm_controller": ["slurm-ctl-01"], "login_node": ["login-01"]}
FLOOR = [
    {
        "name": "As many module executions that do nothing",
        "hosts": "dgx_nodes:prometheus_servers:slurm_controllers:login_nodes",
        "gather_facts": False,
        "tasks": [{"name": f"Look {number}", "ansible.builtin.stat": {"path": "/etc"}} for number in range(LIMIT)],
    }
]


def line(name: str, value: float, unit: str, peer: str, peer_value: float) -> None:
    """One measure, as script/bench promises it."""
    measure = {"name": name, "value": round(value, 3), "unit": unit, "peer": peer, "peer_value": round(peer_value, 3)}
    print(json.dumps({**measure, "ratio": round(value / peer_value, 3), "goal": 1.0}), flush=True)


def prepare(site: SuperpodSite, directory: Path) -> None:
    """The site's variables, Slurm on all nodes, everything deployed."""
    site.want_everything(directory)
    site.put(json.dumps(FLOOR), f"{SITE}/floor.yml")
    site.slurm(NODES, PATIENCE)
    site.playbook("site.yml", timeout=PATIENCE)


def timed(site: SuperpodSite, playbook: str) -> float:
    """Seconds of a run that changes nothing."""
    began = time.perf_counter()
    said = site.playbook(playbook, timeout=PATIENCE)
    seconds = time.perf_counter() - began
    if changed := {host: one for host, one in recap(said).items() if one != (0, 0)}:
        done = re.findall(r"^TASK \[([^\n]*?)\] \**\n(?:(?!TASK).*\n)*?changed: ", said, re.MULTILINE)
        raise SystemExit(f"site: the run was not converged: {changed} by {done}")
    return seconds


def executions(site: SuperpodSite) -> dict[str, int]:
    """Modules that ran on each host in one run: each leaves a line in the host's own log."""
    hosts = [host for kind in KINDS.values() for host in kind]
    look = "journalctl --quiet --lines=0 --show-cursor"
    cursors = {host: site.run(look, host).split("cursor: ")[1].strip() for host in hosts}
    timed(site, "site.yml")
    found = {}
    for host, cursor in cursors.items():
        count = f"journalctl --no-pager --output=cat --quiet --after-cursor='{cursor}' --grep='^Invoked with' | wc -l"
        found[host] = int(site.run(count, host))
    return found


def measure(site: SuperpodSite) -> None:
    counted = executions(site)
    for kind, hosts in KINDS.items():
        most = max(counted[host] for host in hosts)
        line(f"site_executions_{kind}", most, "module executions of a converged run", "limit", LIMIT)
    ours, floor = [], []
    for _ in range(RUNS):
        ours.append(timed(site, "site.yml"))
        floor.append(timed(site, "floor.yml"))
    line(
        "site_run_20_hosts",
        statistics.median(ours),
        "s, converged run of site.yml over 20 hosts",
        "12 module executions on each host that do nothing",
        statistics.median(floor),
    )


def main() -> int:
    if os.geteuid() != 0:
        raise SystemExit("site: the lab needs root")
    site = SuperpodSite("3")
    with tempfile.TemporaryDirectory() as directory:
        try:
            site.boot(DGX)
            print("site: 20 hosts are up", file=sys.stderr)
            prepare(site, Path(directory))
            measure(site)
        finally:
            site.superpod("down")
    return 0


if __name__ == "__main__":
    sys.exit(main())
