# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests on real systemd hosts: a simulated SuperPOD with the role monitor deployed by its role.

SUPERPOD_LAB_TESTS=1 as root; LAB_ID chooses the lab (default 13), SUPERPOD_LAB_KEEP=1 leaves it up.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from first_run import FirstRun, deploy, foretell
from superpod_site import SuperpodSite

NODE = "dgx-01"
TARGETS = "/cm/shared/apps/jobstats/prometheus-targets"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "lab: needs root and a simulated SuperPOD (SUPERPOD_LAB_TESTS=1)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("SUPERPOD_LAB_TESTS") == "1" and os.geteuid() == 0:
        return
    for item in items:
        item.add_marker(pytest.mark.skip(reason="lab tests need root and SUPERPOD_LAB_TESTS=1"))


class Lab:
    """Deployed in one run, of which is kept what it would do (`foretold`) and what it has said (`first_run`)."""

    foretold: FirstRun
    first_run: str

    def __init__(self) -> None:
        self.site = SuperpodSite("13")
        self.superpod = self.site.superpod

    def run(self, script: str, host: str = NODE, timeout: float = 120) -> str:
        """A bash script on a host; an exit status other than 0 fails the test."""
        return self.superpod("exec", host, "bash", "-ec", script, timeout=timeout).strip()

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


def until(wanted: Callable[[], bool], seconds: float = 40) -> float:
    """Wait; returns how long it took."""
    begun = time.monotonic()
    while not wanted():
        if time.monotonic() - begun > seconds:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.5)
    return time.monotonic() - begun


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab()
    made.site.boot(1)
    try:
        made.foretold = foretell(made.site, tmp_path_factory.mktemp("grafana"))
        made.first_run = deploy(made.site)
        yield made
    finally:
        if os.environ.get("SUPERPOD_LAB_KEEP") != "1":
            made.superpod("down")


@pytest.fixture
def node(lab: Lab) -> Iterator[Lab]:
    """The node, in step with the role held, and with nothing of an earlier test."""
    lab.run(
        "rm -rf /run/systemd/system/*.service.d; systemctl daemon-reload; systemctl reset-failed; "
        "systemctl restart bcm-role-monitor"
    )
    lab.assign(True)
    until(lambda: lab.in_step(True))
    # ... and the role monitor has seen that.
    until(lambda: lab.holds(f"grep -q '\"units\": {{}}' /var/lib/bcm-role-monitor/{NODE}_state.json"))
    yield lab
    sys.stdout.write("\n".join(["the journal ends:", *lab.journal()[-15:]]))  # shown if the test has failed
    config = "/etc/bcm-role-monitor/config.json"
    lab.run(f"[ ! -e {config}.kept ] || mv {config}.kept {config}")
