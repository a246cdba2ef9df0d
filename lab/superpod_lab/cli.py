# SPDX-License-Identifier: GPL-3.0-or-later
"""lab/superpod's command line."""

from __future__ import annotations

import argparse
import json
import os
import sys

from . import control
from .settings import LabError, Settings


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="lab/superpod",
        description="A simulated DGX SuperPOD on this machine: systemd hosts, BCM simulator, stub GPUs.",
        epilog="LAB_ID (0 to 99) keeps labs apart; LAB_IMAGE and LAB_DATA say where files lie.",
    )
    commands = result.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="boot it; does nothing when it is up")
    up.add_argument("--dgx", type=int, default=2, metavar="N", help="DGX nodes (2)")
    up.add_argument("--head-nodes", type=int, default=2, metavar="N", help="BCM head nodes (2)")
    commands.add_parser("down", help="remove it, also after a crash")
    commands.add_parser("info", help="what there is, as JSON")
    prepare = commands.add_parser("prepare", help="make what a lab needs: the hosts' root file system, artifacts")
    prepare.add_argument(
        "--build", action="append", default=[], metavar="NAME", help="also build this artifact with Go: node_exporter"
    )
    run = commands.add_parser("exec", help="run a command in a host, as root")
    run.add_argument("host")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    hosts = commands.add_parser("labhost", help="a command of labhost on this lab: labhost stop bcm-head-01")
    hosts.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    shell = commands.add_parser("cmsh", help="run BCM commands: cmsh 'device; list'")
    shell.add_argument("commands")
    return result


def run(arguments: list[str]) -> None:
    options = parser().parse_args(arguments)
    settings = Settings.from_environment(os.environ)
    if options.command == "up":
        control.up(settings, options.dgx, options.head_nodes)
    elif options.command == "down":
        control.down(settings)
    elif options.command == "info":
        print(json.dumps(control.require(settings), indent=1))
    elif options.command == "prepare":
        control.prepare(settings, options.build)
    elif options.command == "exec":
        if not options.words:
            raise LabError("exec HOST COMMAND...: give a command.", 2)
        control.run_in_host(settings, options.host, options.words)
    elif options.command == "labhost":
        control.labhost(settings, options.words)
    else:
        control.cmsh(settings, options.commands)


def main() -> int:
    try:
        run(sys.argv[1:])
    except LabError as error:
        print(error, file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("Interrupted; remove what is there with: lab/superpod down", file=sys.stderr)
        return 130
    return 0
