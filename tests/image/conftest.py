# SPDX-License-Identifier: GPL-3.0-or-later
"""BCM's software images on a simulated SuperPOD: deployed into, grabbed, audited, and brought to nodes.

SUPERPOD_LAB_TESTS=1 as root; LAB_ID chooses the lab (default 22), SUPERPOD_LAB_KEEP=1 leaves it up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from image_lab import ImageLab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("SUPERPOD_LAB_TESTS") == "1" and os.geteuid() == 0:
        return
    for item in items:
        item.add_marker(pytest.mark.skip(reason="lab tests need root and SUPERPOD_LAB_TESTS=1"))


@pytest.fixture(scope="session")
def lab() -> Iterator[ImageLab]:
    made = ImageLab()
    try:
        made.up()
        yield made
    finally:
        made.close_terminals()
        if os.environ.get("SUPERPOD_LAB_KEEP") != "1":
            made.superpod("down")
