# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until a Prometheus scrapes exactly these targets of the target files, all with success; prints them as JSON.

targets.py URL SECONDS [HOST:PORT...]
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from typing import Any


def scraped(url: str) -> list[dict[str, Any]] | None:
    """None while it does not answer."""
    try:
        with urllib.request.urlopen(f"{url}/api/v1/targets?state=active", timeout=10) as answer:  # noqa: S310 - the lab's Prometheus
            targets = json.load(answer)["data"]["activeTargets"]
    except OSError:
        return None
    return [target for target in targets if target["scrapePool"] == "superpod"]  # not Prometheus itself


def main() -> int:
    url, seconds, *wanted = sys.argv[1:]
    give_up = time.monotonic() + float(seconds)
    while True:
        found = scraped(url)
        seen = sorted((target["labels"]["instance"], target["health"]) for target in found or [])
        if found is not None and seen == sorted((target, "up") for target in wanted):
            sys.stdout.write(json.dumps(found))
            return 0
        if time.monotonic() > give_up:
            sys.stderr.write(f"not within {seconds} s: {wanted}; there is {'no answer' if found is None else seen}\n")
            return 1
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
