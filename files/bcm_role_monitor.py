#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps this node's exporters and its Prometheus target file in step with its BCM roles.

While BCM gives the node a watched role (slurmclient), the exporters' units are started and the node's target file
is kept; when BCM says that the node has it no more, they are stopped and the file is removed.  Any doubt about BCM's
answer changes nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

INSTALLED_LIBRARY = "/usr/local/lib/bcm-role-monitor"
NODES_OWN = "/cm/local/apps/cmd/etc/"
EXIT_IN_STEP = 0
EXIT_COULD_NOT_TELL = 1
EXIT_BAD_CONFIGURATION = 2
EXIT_ALREADY_RUNNING = 3


def find_library() -> str:
    """The directory of the program's modules: beside it in a checkout, else where the role installs them."""
    beside = os.path.join(os.path.dirname(os.path.realpath(__file__)), "role_monitor")
    return beside if os.path.isdir(beside) else INSTALLED_LIBRARY


LIBRARY = find_library()
sys.path.insert(0, LIBRARY)

from superpod_role_monitor import __version__  # noqa: E402
from superpod_role_monitor.bcm import Bcm  # noqa: E402
from superpod_role_monitor.config import Config, ConfigError  # noqa: E402
from superpod_role_monitor.daemon import ConfigSource, Daemon, LockError, lock  # noqa: E402
from superpod_role_monitor.decision import Unknown  # noqa: E402
from superpod_role_monitor.journal import Journal  # noqa: E402
from superpod_role_monitor.monitor import Monitor, short_host_name  # noqa: E402


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bcm_role_monitor.py",
        description="Keep this node's exporters and its Prometheus target file in step with its BCM roles.",
        epilog="Exit status: 0 in step (or stopped by a signal), 1 could not tell or not in step, "
        "2 bad configuration, 3 another role monitor is running.",
        allow_abbrev=False,
        # A width of its own: argparse would load shutil and three compression libraries to ask for the terminal's.
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=100),
    )
    parser.add_argument("--config", default="/etc/bcm-role-monitor/config.json", help="default: %(default)s")
    parser.add_argument(
        "--prometheus-targets-dir", metavar="DIR", help="goes before prometheus_targets_dir of the configuration"
    )
    parser.add_argument("--once", action="store_true", help="check once, tell the result by the exit status, and end")
    parser.add_argument("--check-config", action="store_true", help="only say whether the configuration is good")
    parser.add_argument(
        "--check-access", action="store_true", help="only ask BCM for this node's roles, and say what it answers"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """The program; returns its exit status."""
    options = arguments(given)
    overrides = {}
    if options.prometheus_targets_dir is not None:
        overrides["prometheus_targets_dir"] = options.prometheus_targets_dir
    source = ConfigSource(options.config, os.path.join(LIBRARY, "config.schema.json"), overrides)
    try:
        config = source.load()
    except ConfigError as error:
        print(f"bcm_role_monitor.py: {error}", file=sys.stderr)
        return EXIT_BAD_CONFIGURATION
    if options.check_config:
        print(f"{options.config} is a good configuration.")
        return EXIT_IN_STEP
    if options.check_access:
        return check_access(config)
    journal = Journal(config.log_level)
    try:
        with lock(config.state_dir, config.instance):
            return run(options.once, source, config, journal)
    except LockError as error:
        journal.say("error", str(error))
        return EXIT_ALREADY_RUNNING


def check_access(config: Config) -> int:
    """Ask BCM as a check does, and print its answer; nothing is changed, and a running role monitor does not mind."""
    host = short_host_name()
    answer = Bcm(config).answer(host, lambda _answer: False)
    nodes_own = config.cert_path.startswith(NODES_OWN)
    if isinstance(answer, Unknown):
        advice = " If BCM denies nodes' own certificates, set role_monitor_auth to certificate." if nodes_own else ""
        print(f"bcm_role_monitor.py: {answer.reason}{advice}", file=sys.stderr)
        return EXIT_COULD_NOT_TELL
    print(f"BCM gives {host} these roles: {' '.join(answer.roles or ()) or 'none'}.")
    return EXIT_IN_STEP


def run(once: bool, source: ConfigSource, config: Config, journal: Journal) -> int:
    """One check, or checks until a signal."""
    if once:
        in_step = Monitor(config, journal, Bcm(config)).check_once()
        return EXIT_IN_STEP if in_step else EXIT_COULD_NOT_TELL
    journal.say("info", f"bcm_role_monitor {__version__} watches for the role {' or '.join(config.roles)}.")
    Daemon(source, config, journal).run()
    return EXIT_IN_STEP


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # A thread that is stuck on a hung file server must not keep the process.
    os._exit(status)
