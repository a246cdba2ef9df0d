# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests find besides what they test, and which of them may run Ansible's programs: each run costs seconds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# pyproject.toml says the same to pytest, but ansible-test gives it a configuration of its own.
UNDER_ANSIBLE_TEST = "ansible_forked" in sys.modules
if UNDER_ANSIBLE_TEST:
    sys.path[:0] = [str(ROOT / name) for name in ("lab", "files", "tests", "tests/unit/plugins/module_utils")]


def pytest_configure(config: pytest.Config) -> None:
    if UNDER_ANSIBLE_TEST:
        config.addinivalue_line("markers", "plays: as in pyproject.toml")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if UNDER_ANSIBLE_TEST and item.get_closest_marker("plays"):
            item.add_marker(pytest.mark.skip(reason="ansible-test isolates modules from Ansible's programs"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    import ansible_command  # noqa: PLC0415 - found by what stands above

    ansible_command.permitted = item.get_closest_marker("plays") is not None
