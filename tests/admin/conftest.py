# SPDX-License-Identifier: GPL-3.0-or-later
"""The administrator's way on a simulated SuperPOD: the guided setup and the deployment document.

SUPERPOD_LAB_TESTS=1 as root; LAB_ID chooses the lab (default 19), SUPERPOD_LAB_KEEP=1 leaves it up.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from admin_lab import MONITORING, AdminLab
from superpod_site import skip_without_lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip_without_lab(items)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminLab]:
    made = AdminLab()
    with made.removed_afterwards():
        made.up()
        made.grafana_repository(tmp_path_factory.mktemp("grafana"))
        yield made


@pytest.fixture(autouse=True)
def terminals(lab: AdminLab) -> Iterator[None]:
    yield
    lab.close_terminals()


@pytest.fixture(scope="session")
def monitoring(lab: AdminLab) -> AdminLab:
    """With a Prometheus (9091) and a Grafana (3001) that somebody else set up on the monitoring host."""
    lab.put(MONITORING, "/tmp/monitoring.py", "mon-01")
    lab.run("systemctl is-active -q others || systemd-run --unit=others python3 /tmp/monitoring.py", "mon-01")
    lab.run("for i in $(seq 50); do (echo > /dev/tcp/mon-01/3001) 2>/dev/null && exit; sleep 0.1; done; exit 1")
    return lab
