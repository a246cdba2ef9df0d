# SPDX-License-Identifier: GPL-3.0-or-later
"""What the exporters cost a node, and what the role costs a run.

On a DGX node of a lab of its own (LAB_ID, 3 by default), with real systemd hosts.  Four kinds of measures:

* A scrape of node_exporter with the role's collectors, beside the same program with its default ones: processor time of
  the exporter for each scrape, and time that the scrape takes.  Both run on the node at once and are scraped in turns.
* The same of the other exporters, beside limits.  They are the lab's stand-ins in Python where the real ones cannot be
  had, which says little of the real ones.
* Module executions of a converged run with all exporters, beside the limit of 12.
* Time of a converged run of the role for node_exporter alone (no other exporter, no hooks), beside what one writes
  first: user, directory, file of the program, unit by template, service, each by a task of its own.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / "benchmarks" / "exporters_peer"
ENVIRONMENT = {
    **os.environ,
    "LAB_ID": os.environ.get("LAB_ID", "3"),
    "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
    "ANSIBLE_INJECT_FACT_VARS": "false",
    "ANSIBLE_PIPELINING": "true",
    "ANSIBLE_NOCOLOR": "true",
}
NODE = "dgx-01"
SCRAPES = 60
RUNS = 5
EXECUTIONS_LIMIT = 12
# of one processor core, with a scrape each 30 s: a thousandth
CPU_LIMIT_MS = 30.0
SCRAPE_LIMIT_MS = 250.0
RSS_LIMIT_MIB = 64.0
PEER_PORT = 19100


def superpod(*words: str) -> str:
    """What lab/superpod prints; ends the benchmark if it fails."""
    done = subprocess.run(
        [str(ROOT / "lab" / "superpod"), *words], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"exporters: lab/superpod {' '.join(words)} failed: {done.stderr.strip()[-400:]}")
    return done.stdout


def on_node(command: str) -> str:
    return superpod("exec", NODE, "sh", "-c", command)


def line(name: str, value: float, unit: str, peer: str, peer_value: float) -> None:
    """One measure, as script/bench promises it."""
    measure = {"name": name, "value": round(value, 3), "unit": unit, "peer": peer, "peer_value": round(peer_value, 3)}
    print(json.dumps({**measure, "ratio": round(value / peer_value, 3), "goal": 1.0}), flush=True)


class Site:
    """A playbook directory for the lab's node."""

    def __init__(self, directory: Path) -> None:
        lab = json.loads(superpod("info"))
        self.address = lab["hosts"][NODE]["address"]
        self.directory = directory
        artifacts = ROOT / ".cache" / "artifacts" / "site"
        manifest = json.loads((artifacts / "manifest.json").read_text())
        (node_exporter,) = {a["version"] for a in manifest["artifacts"] if a["name"] == "node_exporter"}
        variables = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": lab["ssh_key"],
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
            "ansible_python_interpreter": "/usr/bin/python3",
            "superpod_artifacts_dir": str(artifacts),
            "superpod_artifact_pins": {"node_exporter": {"version": node_exporter}},
            "dgx_exporters_managed_by": "systemd",
        }
        hosts = {"all": {"vars": variables, "hosts": {NODE: {"ansible_host": self.address}}}}
        (directory / "hosts.yml").write_text(json.dumps(hosts))
        play = {"hosts": NODE, "gather_facts": False, "roles": [{"role": "superpod.monitoring.dgx_exporters"}]}
        (directory / "role.yml").write_text(json.dumps([play]))

    def deploy(self, playbook: Path, **variables: Any) -> float:
        """Run the playbook; how many seconds it took."""
        began = time.perf_counter()
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                *("-i", str(self.directory / "hosts.yml"), "-e", json.dumps(variables), str(playbook)),
            ],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - began
        if done.returncode != 0:
            raise SystemExit(f"exporters: {playbook.name} failed: {done.stdout[-2000:]}{done.stderr[-400:]}")
        self.changed = int((re.search(r"changed=(\d+)", done.stdout) or [0, 1])[1])
        return seconds

    def scrape(self, port: int) -> float:
        """Seconds for one answer, read to its end."""
        began = time.perf_counter()
        with urllib.request.urlopen(f"http://{self.address}:{port}/metrics", timeout=30) as answer:
            if not answer.read():
                raise SystemExit(f"exporters: port {port} answers nothing")
        return time.perf_counter() - began


def usage(unit: str) -> tuple[float, float]:
    """Processor milliseconds that a unit's process has used so far, and the MiB of memory that it has resident now."""
    pid = on_node(f"systemctl show --property=MainPID --value {unit}").strip()
    text = on_node(f"cat /proc/{pid}/stat; grep VmRSS /proc/{pid}/status")
    fields = text.splitlines()[0].rpartition(")")[2].split()
    rss = int((re.search(r"VmRSS:\s+(\d+)", text) or [0, 0])[1]) / 1024
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK"), rss


def scrapes(site: Site, exporters: dict[str, int]) -> dict[str, tuple[float, float, float]]:
    """By unit: processor ms for a scrape, median ms of a scrape, MiB resident, scraped in turns."""
    for port in exporters.values():
        site.scrape(port)
    before = {unit: usage(unit)[0] for unit in exporters}
    times: dict[str, list[float]] = {unit: [] for unit in exporters}
    for _ in range(SCRAPES):
        for unit, port in exporters.items():
            times[unit].append(site.scrape(port) * 1000)
    after = {unit: usage(unit) for unit in exporters}
    return {
        unit: ((after[unit][0] - before[unit]) / SCRAPES, statistics.median(times[unit]), after[unit][1])
        for unit in exporters
    }


def executions(site: Site, **variables: Any) -> int:
    """Modules that ran on the node in a converged run: each leaves a line in the node's own log."""
    cursor = on_node("journalctl --quiet --lines=0 --show-cursor").split("cursor: ")[1].strip()
    site.deploy(site.directory / "role.yml", **variables)
    if site.changed:
        raise SystemExit("exporters: the run was not converged")
    command = f"journalctl --no-pager --output=cat --quiet --after-cursor='{cursor}' --grep='^Invoked with' | wc -l"
    return int(on_node(command))


def measure(site: Site) -> None:
    role, peer = site.directory / "role.yml", PEER / "node_exporter.yml"
    for gpu, unit, port in (
        ("dcgm_exporter", "dcgm-exporter", 9400),
        ("nvidia_gpu_prometheus_exporter", "nvidia_gpu_prometheus_exporter", 9445),
    ):
        site.deploy(role, superpod_gpu_exporter=gpu)
        count = executions(site, superpod_gpu_exporter=gpu)
        line(f"exporters_executions_{gpu}", count, "module executions of a converged run", "limit", EXECUTIONS_LIMIT)
        (found,) = scrapes(site, {unit: port}).values()
        cost(unit, found)
    (found,) = scrapes(site, {"cgroup_exporter": 9306}).values()
    cost("cgroup_exporter", found)

    on_node(
        "systemd-run --unit=peer --property=DynamicUser=yes /usr/local/bin/node_exporter --no-collector.systemd "
        f"--web.listen-address=:{PEER_PORT}"
    )
    time.sleep(2)
    both = scrapes(site, {"node_exporter": 9100, "peer": PEER_PORT})
    on_node("systemctl stop peer")
    own, default = both["node_exporter"], both["peer"]
    for kind, unit, index in (
        ("cpu", "ms of processor per scrape", 0),
        ("duration", "ms per scrape", 1),
        ("rss", "MiB", 2),
    ):
        line(f"exporters_node_exporter_{kind}", own[index], unit, "its default collectors", default[index])

    alone = {
        "superpod_gpu_exporter": "none",
        "dgx_exporters_job_hooks": False,
        "_dgx_exporters_names": ["node_exporter"],  # no variable of the role's: every DGX node needs cgroup_exporter
    }
    site.deploy(role, **alone)
    site.deploy(peer)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(RUNS):
        times[0].append(site.deploy(role, **alone))
        times[1].append(site.deploy(peer))
    ours, theirs = (statistics.median(each) for each in times)
    line("exporters_role_node_exporter", ours, "s, converged run", "a task for each thing, as one writes it", theirs)


def cost(unit: str, found: tuple[float, float, float]) -> None:
    cpu, duration, rss = found
    name = unit.replace("-", "_")
    line(f"exporters_{name}_cpu", cpu, "ms of processor per scrape", "limit: 0.1% of a core at 30 s", CPU_LIMIT_MS)
    line(f"exporters_{name}_duration", duration, "ms per scrape", "limit", SCRAPE_LIMIT_MS)
    line(f"exporters_{name}_rss", rss, "MiB", "limit", RSS_LIMIT_MIB)


def main() -> None:
    superpod("up", "--dgx", "1", "--head-nodes", "1")
    try:
        with tempfile.TemporaryDirectory() as directory:
            measure(Site(Path(directory)))
    finally:
        superpod("down")


if __name__ == "__main__":
    main()
