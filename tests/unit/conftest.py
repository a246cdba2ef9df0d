# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tests may run Ansible's programs: those that say so, because each run costs seconds."""

from __future__ import annotations

import ansible_command
import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    ansible_command.permitted = item.get_closest_marker("plays") is not None
