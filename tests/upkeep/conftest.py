# SPDX-License-Identifier: GPL-3.0-or-later
"""Upkeep of a site on a simulated SuperPOD with Slurm: one lab, deployed once, for all files here.

SUPERPOD_LAB_TESTS=1 as root; LAB_ID chooses the lab (default 23), SUPERPOD_LAB_KEEP=1 leaves it up.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from superpod_site import skip_without_lab
from upkeep_lab import TARGETS, UpkeepLab

LAST = "test_remove.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == LAST)
    skip_without_lab(items)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpkeepLab]:
    """With Slurm, and with monitoring deployed by the literal command; see upkeep_lab.py."""
    made = UpkeepLab()
    with made.removed_afterwards():
        made.up(tmp_path_factory.mktemp("grafana"))
        made.before = made.snapshots()
        made.deploy()
        made.wait_for_targets(TARGETS)
        yield made
