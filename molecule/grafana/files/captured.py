# SPDX-License-Identifier: GPL-3.0-or-later
"""captured.py DIR NODE PORT: what the real exporters of a node put out, as files, and a target file that leads there.

From the fleet of tests/dashboards, that is from the captures. For a web server on PORT of the host mon-01.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fleet import PORTS, expositions


def main() -> None:
    """Writes DIR/NODE.json and DIR/NODE/<job>."""
    directory, node, port = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    groups = []
    for (cluster, hostname, job), exposition in expositions().items():
        if (cluster, hostname) == ("slurm", node) and exposition is not None:
            path = directory / node / job
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(exposition.text())
            labels = {"job": job, "cluster": cluster, "hostname": node, "instance": f"{node}:{PORTS[job]}"}
            groups.append({"targets": [f"mon-01:{port}"], "labels": {**labels, "__metrics_path__": f"/{node}/{job}"}})
    # A node that is gone and an exporter that is down, for the panels that show what is wrong.
    for hostname, job in (("dgx-09", "node_exporter"), (node, "gpu_exporter")):
        labels = {"job": job, "cluster": "slurm", "hostname": hostname, "instance": f"{hostname}:{PORTS[job]}"}
        groups.append({"targets": ["mon-01:1"], "labels": labels})
    (directory / f"{node}.json").write_text(json.dumps(groups))


main()
