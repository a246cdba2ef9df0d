# SPDX-License-Identifier: GPL-3.0-or-later
"""A SuperPOD that runs Slurm jobs, before and after monitoring was deployed to it.

Hosts: bcm-head-01, bcm-head-02, slurm-ctl-01, login-01, mon-01, dgx-01, dgx-02. Tests get it from the fixture `lab`
with everything deployed and all targets up. It is one lab for all tests here: a test leaves it as it found it, or
comes last (conftest.py says in which order the files run). What one has::

    lab.run("systemctl is-active bcm-role-monitor", "dgx-01")   # a bash script on a host; asserts its exit status
    lab.playbook("verify", "--limit dgx-01", status=2)          # superpod.monitoring.verify, in the site directory
    lab.deploy()                                                # the literal command of the README once more
    lab.cmsh("device; list")
    lab.targets()                                               # Prometheus': {"dgx-01:9100": "up", ...}
    lab.put(text, path, host); lab.read(path, host)
    lab.terminal(command)                                       # on the head node, to type answers
    lab.before                                                  # Snapshots of everything from before the deployment
    lab.snapshots()                                             # and as it is now
"""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bcm_simulator.store import parse
from snapshot import NOT_LOOKED_AT, Entry, Files, Snapshot, accounts
from superpod_site import SuperpodSite

NODES = ("dgx-01", "dgx-02")
CONTROLLER, LOGIN, MONITORING = "slurm-ctl-01", "login-01", "mon-01"
EXPORTERS = {"node_exporter": 9100, "cgroup_exporter": 9306, "gpu_exporter": 9445}
TARGETS = {f"{node}:{port}" for node in NODES for port in EXPORTERS.values()}
LOOK = """
systemctl list-unit-files --no-legend --no-pager --state=enabled,masked,enabled-runtime | awk '{print $1, $2}'
systemctl list-units --all --no-legend --no-pager --plain --type=service,socket,timer,path |
    awk '$3 == "active" || $3 == "failed" {print $1, $3}'
echo ----
dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n'
"""


@dataclass(frozen=True)
class Everything:
    """All hosts, the shared storage, and BCM: its state, and under `slurm` what cmsh shows of Slurm's settings."""

    hosts: dict[str, Snapshot]
    shared: dict[str, Entry]
    bcm: dict[str, Any]


class UpkeepLab(SuperpodSite):
    """The lab of LAB_ID."""

    def __init__(self) -> None:
        super().__init__("23")
        self._files = Files()
        self.before: Everything

    def up(self, directory: Path) -> None:
        """Boot it and make it the site that will be monitored; `directory` is for what is built on the way."""
        self.boot(dgx=len(NODES))
        self._bcm = Path(self.info["bcm"]["state_file"])
        self._addresses = {name: host["address"] for name, host in self.info["hosts"].items()}
        self._roots = {
            name: Path("/proc", self.superpod("labhost", "pid", name).strip(), "root") for name in self._addresses
        }
        more = {
            "grafana_server_state": "present",
            # what is judged only after this long is judged in the time that tests have
            "jobstats_settings": {"MIN_RUNTIME_SECONDS": 20},
            "slurm_controller_summary_seconds": 10,
            "slurm_controller_store_seconds": 10,
        }
        self.want_everything(directory, more)
        self.slurm(NODES)
        self.job()

    def deploy(self) -> str:
        """What the README says; returns what it said."""
        return self.playbook("site.yml")

    def job(self, command: str = "hostname", options: str = "-N2 --gres=gpu:1") -> str:
        """Run a job to its end; what it says, each line behind the number of its task."""
        return self.run(f"su - alice -c 'srun -l -t 5 --mem=64 {options} {command}'", LOGIN, timeout=120)

    def ask_prometheus(self, path: str) -> Any:
        """`data` of an answer of Prometheus' API, for example of ``/api/v1/query?query=up``."""
        with urllib.request.urlopen(f"http://{self._addresses[MONITORING]}:9090{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def targets(self) -> dict[str, str]:
        """Address and health of what Prometheus finds in the target files."""
        found = self.ask_prometheus("/api/v1/targets?state=active")["activeTargets"]
        return {one["labels"]["instance"]: one["health"] for one in found if one["scrapePool"] == "superpod"}

    def wait_for_targets(self, wanted: set[str], seconds: float = 90) -> None:
        """Until Prometheus scrapes these, with success, and nothing else."""
        give_up = time.monotonic() + seconds
        while (found := self.targets()) != dict.fromkeys(wanted, "up"):
            assert time.monotonic() < give_up, f"not within {seconds} s: {sorted(wanted)}; there is {found}"
            time.sleep(1)

    def snapshots(self) -> Everything:
        """Everything as it is now."""
        hosts = {name: self._snapshot(name, root) for name, root in self._roots.items()}
        return Everything(hosts, self._files.below(Path(self.shared), shown_as="/cm/shared"), self._state())

    def _snapshot(self, host: str, root: Path) -> Snapshot:
        units, packages = self.run(LOOK, host).split("----\n")
        rows = (line.split(maxsplit=1) for line in packages.splitlines())
        return Snapshot(
            files=self._files.below(root, NOT_LOOKED_AT),
            accounts=accounts(root),
            units=set(units.splitlines()),
            packages={name: version.strip() for name, version in rows},
        )

    def _state(self) -> dict[str, Any]:
        state = dict(parse(self._bcm.read_text(), str(self._bcm)))
        del state["wlm"]  # which does not tell a default from the same value
        return {**state, "slurm": self.cmsh("wlm; use slurm; show; cgroups; show").splitlines()}
