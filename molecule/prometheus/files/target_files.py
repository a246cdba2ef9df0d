# SPDX-License-Identifier: GPL-3.0-or-later
"""target_files.py DIRECTORY: the target files of twenty nodes; the last names no cluster.

Each has an address of its own on the loopback, where every host has the exporters.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

EXPORTERS = {"node_exporter": 9100, "cgroup_exporter": 9306, "gpu_exporter": 9445}
LAST = 20

directory = Path(sys.argv[1])
directory.mkdir(parents=True, exist_ok=True)
for number in range(1, LAST + 1):
    labels = {"hostname": f"node-{number:02d}"} | ({} if number == LAST else {"cluster": "slurm"})
    groups = [
        {"targets": [f"127.0.1.{number}:{port}"], "labels": {"job": job, **labels}} for job, port in EXPORTERS.items()
    ]
    (directory / f"node-{number:02d}.json").write_text(json.dumps(groups))
