# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests on real systemd hosts: a simulated SuperPOD with the role monitor deployed by its role.

SUPERPOD_LAB_TESTS=1 as root; LAB_ID chooses the lab (default 13), SUPERPOD_LAB_KEEP=1 leaves it up.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from first_run import deploy, foretell
from node_lab import NODE, Lab
from superpod_site import skip_without_lab, until


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "lab: needs root and a simulated SuperPOD (SUPERPOD_LAB_TESTS=1)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip_without_lab(items)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab()
    with made.site.removed_afterwards():
        made.site.boot(1)
        made.foretold = foretell(made.site, tmp_path_factory.mktemp("grafana"))
        made.first_run = deploy(made.site)
        yield made


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
