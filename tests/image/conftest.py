# SPDX-License-Identifier: GPL-3.0-or-later
"""BCM's software images on a simulated SuperPOD: deployed into, grabbed, audited, and brought to nodes.

SUPERPOD_LAB_TESTS=1 as root; LAB_ID chooses the lab (default 22), SUPERPOD_LAB_KEEP=1 leaves it up.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from image_lab import ImageLab
from superpod_site import skip_without_lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip_without_lab(items)


@pytest.fixture(scope="session")
def lab() -> Iterator[ImageLab]:
    made = ImageLab()
    with made.removed_afterwards():
        made.up()
        yield made
