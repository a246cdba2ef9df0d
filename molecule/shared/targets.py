# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until a Prometheus scrapes exactly the exporters of these nodes, all up and with the labels that jobstats needs.

targets.py URL SECONDS NODE[,NODE...] [JOB/PORT...]     more exporters of each node than the lab's two; '' for no node
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "lab")]
from superpod_lab.expectation import SCRAPE_POOL, Target, active_targets, difference, expected  # noqa: E402 - found by the line above


def faults(url: str, wanted: set[Target]) -> list[str]:
    try:
        with urllib.request.urlopen(f"{url}/api/v1/targets?state=active", timeout=10) as answer:  # noqa: S310 - the lab's Prometheus
            report = json.load(answer)
    except OSError as error:
        return [f"{url} does not answer ({error})"]
    found = active_targets(report)
    listed = [item for item in report["data"]["activeTargets"] if item["scrapePool"] == SCRAPE_POOL]
    twice = ["Prometheus has a target twice, with other labels"] if len(listed) != len(found) else []
    return [*difference(wanted, found), *twice]


def main() -> int:
    url, seconds, names, *more = sys.argv[1:]
    nodes = [name for name in names.split(",") if name]
    own = [word.split("/") for word in more]
    wanted = expected(nodes) | {Target(node, job, f"{node}:{port}") for node in nodes for job, port in own}
    give_up = time.monotonic() + float(seconds)
    while wrong := faults(url, wanted):
        if time.monotonic() > give_up:
            sys.exit(f"not within {seconds} s: {'; '.join(wrong)}")
        time.sleep(0.5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
