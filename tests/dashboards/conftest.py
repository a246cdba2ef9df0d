# SPDX-License-Identifier: GPL-3.0-or-later
"""One Prometheus for all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from served import scraped

from dashboards.live_checks import Run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A Prometheus that has scraped the fleet."""
    with scraped(tmp_path_factory.mktemp("prometheus")) as started:
        yield started
