# SPDX-License-Identifier: GPL-3.0-or-later
"""A SuperPOD with one DGX node, to which everything is deployed in one run."""

from __future__ import annotations

from first_run import FirstRun
from superpod_site import SuperpodSite

NODE = "dgx-01"
TARGETS = "/cm/shared/apps/jobstats/prometheus-targets"


class Lab:
    """Deployed in one run, of which is kept what it would do (`foretold`) and what it has said (`first_run`)."""

    foretold: FirstRun
    first_run: str

    def __init__(self) -> None:
        self.site = SuperpodSite("13")
        self.superpod = self.site.superpod

    def run(self, script: str, host: str = NODE, timeout: float = 120) -> str:
        """A bash script on a host; an exit status other than 0 fails the test."""
        return self.site.output(script, host, timeout)

    def holds(self, script: str, host: str = NODE) -> bool:
        """Whether a bash script ends with 0."""
        try:
            self.run(script, host)
        except AssertionError:
            return False
        return True

    def assign(self, held: bool) -> None:
        verb = "append" if held else "removefrom"
        nodes = self.superpod("cmsh", "configurationoverlay; get slurm-client nodes").split()
        if (NODE in nodes) is not held:
            self.superpod("cmsh", f"configurationoverlay; use slurm-client; {verb} nodes {NODE}; commit")

    def in_step(self, held: bool) -> bool:
        states = self.run("systemctl is-active node_exporter cgroup_exporter || true").split()
        there = self.holds(f"test -s {TARGETS}/{NODE}.json")
        return states == ["active" if held else "inactive"] * 2 and there is held

    def journal(self) -> list[str]:
        return self.run("journalctl -u bcm-role-monitor -o cat --no-pager").splitlines()
