# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd: the state of units, starting and stopping them, and the daemon's own word to the service manager."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Sequence

from superpod_monitoring import atomic_file

SHOW_TIMEOUT = 10.0
CHANGE_TIMEOUT = 20.0
"""Seconds.  Starting and stopping only queue a job, so that a slow exporter cannot hold up a cycle."""


class SystemdError(Exception):
    """systemctl did not do what it was asked; the message is one sentence."""


def unit_states(units: Sequence[str]) -> dict[str, str]:
    """ActiveState of each unit, or ``not-found`` or ``masked``, in one call.  Raises :class:`SystemdError`."""
    output = _systemctl(["show", "--property=LoadState", "--property=ActiveState", "--", *units], SHOW_TIMEOUT)
    return parse_show(output, units)


def parse_show(output: str, units: Sequence[str]) -> dict[str, str]:
    """The states in the output of ``systemctl show``: a block of NAME=VALUE lines for each unit, in their order."""
    blocks = [block for block in output.split("\n\n") if block.strip()]
    if len(blocks) != len(units):
        raise SystemdError(f"systemctl showed {len(blocks)} of {len(units)} units.")
    states = {}
    for unit, block in zip(units, blocks):
        values = dict(line.partition("=")[::2] for line in block.strip().splitlines())
        if not values.get("ActiveState") or not values.get("LoadState"):
            raise SystemdError(f"systemctl did not show the state of {unit}.")
        # Such a unit cannot be started, but it may still run from before.
        barred = values["LoadState"] in ("not-found", "masked") and values["ActiveState"] in ("inactive", "failed")
        states[unit] = values["LoadState"] if barred else values["ActiveState"]
    return states


def start(units: Sequence[str]) -> None:
    """Queue the start of all the units.  Raises :class:`SystemdError`."""
    _systemctl(["start", "--no-block", "--", *units], CHANGE_TIMEOUT)


def stop(units: Sequence[str]) -> None:
    """Queue the stop of all the units.  Raises :class:`SystemdError`."""
    _systemctl(["stop", "--no-block", "--", *units], CHANGE_TIMEOUT)


def _systemctl(arguments: list[str], timeout: float) -> str:
    try:
        done = subprocess.run(
            ["systemctl", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise SystemdError(f"systemctl {arguments[0]} did not end within {timeout:g} s.") from None
    except OSError as error:
        raise SystemdError(f"systemctl cannot be run: {error.strerror}.") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[:300]
        raise SystemdError(f"systemctl {arguments[0]} failed with exit status {done.returncode}: {said}")
    return done.stdout.decode("utf-8", "replace")


def boot_id() -> str:
    """What tells this boot of the host from others; "" where nothing does.

    A file in the unit's runtime directory, which lives as long as the boot; the kernel's boot id is hidden from a
    sandboxed service.
    """
    directory = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    path = os.path.join(directory, "boot") if directory else "/proc/sys/kernel/random/boot_id"
    try:
        if directory and not os.path.exists(path):
            atomic_file.write_if_changed(path, os.urandom(16).hex().encode() + b"\n")
        with open(path, encoding="ascii") as file:
            return file.read(100).strip()
    except (OSError, ValueError):
        return ""


class Notifier:
    """Tells the service manager how the daemon is doing (sd_notify(3)); silent when it was not asked to."""

    def __init__(self) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", "")
        for_us = os.environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        timeout = os.environ.pop("WATCHDOG_USEC", "")
        self.watchdog_interval: float | None = None
        """Seconds between two signs of life: a third of what the service manager waits for."""
        if for_us and timeout.isdigit() and int(timeout) > 0:
            self.watchdog_interval = int(timeout) / 3_000_000

    def send(self, *lines: str) -> None:
        """Send NAME=VALUE lines; a service manager that cannot be reached is no reason to stop."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
                link.settimeout(1)
                link.sendto("\n".join(lines).encode("utf-8", "replace"), address)
        except OSError:
            return
