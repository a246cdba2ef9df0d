# SPDX-License-Identifier: GPL-3.0-or-later
"""Real jobs on the lab's Slurm, measured by exporters and stored by a Prometheus that the site's playbook has deployed.

Run by molecule's scenario `job`, which brings up the lab of LAB_ID and says so with SUPERPOD_JOB_TESTS=1.
"""

from __future__ import annotations

import os
import shlex
import shutil

import pytest
from job_lab import NODES, Cluster, gpu_mib, gpu_percent
from superpod_site import ROOT


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("SUPERPOD_JOB_TESTS") != "1":
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs the lab of molecule's scenario job"))


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    found = Cluster()
    shutil.copy(ROOT / "tests/job/load.py", found.shared / "home")
    for node in NODES:
        util = ", ".join(str(gpu_percent(node, gpu)) for gpu in range(8))
        used = ", ".join(str(gpu_mib(node, gpu)) for gpu in range(8))
        lines = f"s/^util = .*/util = {util}/; s/^memory_used_mib = .*/memory_used_mib = {used}/"
        found.run(f"sed -i {shlex.quote(lines)} /etc/fake_nvml.conf", node)
    return found
