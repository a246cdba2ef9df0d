# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m dashboards build`` writes files/dashboards; ``... check URL`` tries them on a Prometheus."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from dashboards import document, live_checks, picture, static_checks
from dashboards.findings import Finding
from dashboards.prometheus_api import Prometheus
from dashboards.substitute import Window

FILES = Path(__file__).parents[1] / "files" / "dashboards"


def main() -> int:
    """The exit code: 0, or 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m dashboards", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="write the JSON files")
    check = commands.add_parser("check", help="run every query of every panel on a Prometheus")
    check.add_argument("url", help="such as http://127.0.0.1:9090")
    check.add_argument("--minutes", type=int, default=60, help="of its newest data to ask for (default 60)")
    check.add_argument("--scrape-interval", type=int, default=30, metavar="SECONDS", help="(default 30)")
    check.add_argument(
        *("--rightly-empty", "-e"),
        metavar="PANEL",
        action="append",
        default=[],
        help="has no data there (may be given again)",
    )
    check.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="a variable's value")
    drawing = commands.add_parser("picture", help="draw one dashboard from a Prometheus' answers, as a PNG")
    drawing.add_argument("url", help="such as http://127.0.0.1:9090")
    drawing.add_argument("uid", help="such as superpod-job")
    drawing.add_argument("file", type=Path, help="to write")
    drawing.add_argument("--minutes", type=int, default=60, help="to show (default 60)")
    drawing.add_argument("--scrape-interval", type=int, default=30, metavar="SECONDS", help="(default 30)")
    drawing.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="a variable's value")
    args = parser.parse_args()

    if args.command == "picture":
        return _draw(args)
    if args.command == "build":
        from dashboards import build  # noqa: PLC0415  # needs the SDK, which checking does not

        build.write()
        return 0

    now = time.time()
    window = Window(now - 60 * args.minutes, now, args.scrape_interval, args.scrape_interval)
    run = live_checks.Run(Prometheus(args.url), window)
    wanted = dict(pair.split("=", 1) for pair in args.set)
    dashboards = [document.load(path) for path in sorted(FILES.glob("*.json"))]
    found: list[Finding] = static_checks.check(dashboards)
    for dashboard in dashboards:
        here = {name: value for name, value in wanted.items() if dashboard.variable(name)}
        found += live_checks.check(run, dashboard, here, complete=True, rightly_empty=frozenset(args.rightly_empty))
    sys.stdout.write("".join(f"{finding}\n" for finding in found))
    sys.stdout.write(f"{len(dashboards)} dashboards, {len(found)} findings\n")
    return 1 if found else 0


def _draw(args: argparse.Namespace) -> int:
    now = time.time()
    step = max(args.scrape_interval, 60 * args.minutes // 300)
    run = live_checks.Run(
        Prometheus(args.url), Window(now - 60 * args.minutes, now, step=step, scrape_interval=args.scrape_interval)
    )
    wanted = dict(pair.split("=", 1) for pair in args.set)
    note = "drawn by dashboards/picture.py, not by Grafana"
    picture.draw(run, document.load(FILES / f"{args.uid}.json"), wanted, note, args.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
