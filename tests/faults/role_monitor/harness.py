# SPDX-License-Identifier: GPL-3.0-or-later
"""The real daemon as a process, between a simulated BCM on loopback, a systemctl stand-in and a watched directory."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcm_role_monitor  # noqa: F401 - makes the daemon's modules importable
from bcm_simulator import fleet
from bcm_simulator.testing import Simulator
from superpod_monitoring import target_document
from superpod_role_monitor import state_file

HERE = Path(__file__).resolve().parent
PROGRAM = HERE.parents[2] / "files" / "bcm_role_monitor.py"
PYTHON = os.environ.get("ROLE_MONITOR_PYTHON", "/usr/bin/python3")
"""The host's own Python, as in the unit; another one to try a release."""
ROLE = "slurmclient"
UNITS = ("node_exporter.service", "cgroup_exporter.service")
EXPORTERS = [
    {"unit": UNITS[0], "job": "node_exporter", "port": 9100},
    {"unit": UNITS[1], "job": "cgroup_exporter", "port": 9306},
]
INTERVAL = 0.1
TIMEOUT = 0.4


def report(line: str) -> None:
    """Counts, for whoever runs pytest with -s or reads a failure."""
    sys.stdout.write(f"\n{line}\n")


def host_name() -> str:
    return socket.gethostname().split(".", 1)[0]


def cluster(*names: str, head_nodes: int = 2) -> dict[str, Any]:
    """A state with these nodes, on head nodes that know the loopback addresses they have here."""
    state = fleet.small()
    state["head_nodes"] = fleet.head_nodes(head_nodes)
    for number, head in enumerate(state["head_nodes"].values(), 1):
        head["ip"] = f"127.0.0.{number}"
    for number, name in enumerate(names, 101):
        state["nodes"].setdefault(
            name,
            {"category": "dgx-h200", "ip": f"10.141.0.{number}", "mac": f"fa:16:3e:00:01:{number:02x}", "rack": "r1"},
        )
    return state


class Rig:
    """One node with its daemon.  The directories outlive the daemon, as a node's do."""

    def __init__(self, simulator: Simulator, directory: Path, host: str, **config: Any) -> None:
        self.sim = simulator
        self.host = host
        self.directory = directory
        self.targets = directory / "targets"
        self.state_dir = directory / "state"
        self.units = directory / "units"
        self.config_path = directory / "config.json"
        for path in (self.targets, self.state_dir, self.units, directory / "textfile"):
            path.mkdir(parents=True)
        certificate, key = simulator.certificate("readonly")
        self.config = {
            "bcm_headnodes": [head.host for head in simulator.heads],
            "bcm_port": simulator.port,
            "cert_path": certificate,
            "key_path": key,
            "ca_path": simulator.ca,
            "request_timeout": TIMEOUT,
            "check_interval": INTERVAL,
            "retry_interval": 0,
            "max_retries": 1000,
            "exporters": EXPORTERS,
            "prometheus_targets_dir": str(self.targets),
            "file_timeout": 2,
            "state_dir": str(self.state_dir),
            "textfile_dir": str(directory / "textfile"),
            **config,
        }
        self.write_config()
        for unit in UNITS:
            self.set_unit(unit, "inactive")
        self.process: subprocess.Popen[str] | None = None
        self.log: list[str] = []
        self.checks: list[float] = []
        self._news = threading.Condition()
        self._socket: socket.socket | None = None
        self.ready = threading.Event()

    def write_config(self, **changes: Any) -> None:
        self.config.update(changes)
        temporary = self.config_path.with_suffix(".new")
        temporary.write_text(json.dumps(self.config))
        temporary.replace(self.config_path)

    # -- the daemon

    def command(self, *arguments: str) -> list[str]:
        return [PYTHON, str(PROGRAM), "--config", str(self.config_path), *arguments]

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{HERE / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "FAKE_UNITS": str(self.units),
            "MALLOC_ARENA_MAX": "1",  # as in the unit
        }

    def start(self, command: list[str] | None = None) -> None:
        self.ready.clear()
        address = str(self.directory / "notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(address)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self.process = subprocess.Popen(
            command or self.command(),
            env={**self.environment(), "NOTIFY_SOCKET": address},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read_log, args=(self.process,), daemon=True).start()
        threading.Thread(target=self._read_notifications, args=(self._socket, self.process), daemon=True).start()

    def _read_log(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.log.append(line.rstrip())
        process.stderr.close()

    def _read_notifications(self, link: socket.socket, process: subprocess.Popen[str]) -> None:
        with link:
            while process.poll() is None:
                if not select.select([link], [], [], 0.5)[0]:
                    continue
                message = link.recv(4096).decode()
                if "READY=1" in message:
                    self.ready.set()
                elif "STATUS=" in message:
                    with self._news:
                        self.checks.append(time.time())
                        self._news.notify_all()

    def wait_checks(self, number: int, timeout: float = 30) -> None:
        """Until so many more checks have ended."""
        with self._news:
            wanted = len(self.checks) + number
            if not self._news.wait_for(lambda: len(self.checks) >= wanted, timeout):
                raise AssertionError(f"no {number} checks in {timeout} s; the log ends: {self.log[-5:]}")

    def whole_check(self) -> None:
        """Until a check that begins from now on has ended."""
        self.wait_checks(2)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 10) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # -- what is

    def set_unit(self, unit: str, state: str) -> None:
        temporary = self.units / f".{unit}.new"
        temporary.write_text(state + "\n")
        temporary.replace(self.units / unit)

    def unit(self, unit: str) -> str:
        return (self.units / unit).read_text().strip()

    @property
    def target(self) -> Path:
        return self.targets / f"{self.host}.json"

    @property
    def expected(self) -> bytes:
        targets = [(str(one["job"]), int(str(one["port"]))) for one in EXPORTERS]
        return target_document.encode(target_document.build(self.host, "slurm", targets))

    def systemctl_log(self) -> list[tuple[float, str, str]]:
        """(time, verb, units) of every call that changes something."""
        try:
            lines = (self.units / ".log").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [(float(moment), verb, units) for moment, verb, units in (line.split(" ", 2) for line in lines)]

    def out_of_step(self, held: bool) -> list[str]:
        """What is not as it should be; empty when all is."""
        found = []
        for unit in UNITS:
            if (self.unit(unit) == "active") is not held:
                found.append(f"{unit} is {self.unit(unit)}")
        content = self.target.read_bytes() if self.target.exists() else None
        if content != (self.expected if held else None):
            found.append(f"the target file holds {content!r}")
        return found

    def strays(self) -> list[str]:
        """Files that should not be there, or that cannot be read for what they are."""
        found = [f"targets: {one.name}" for one in self.targets.iterdir() if one != self.target]
        state = self.state_dir / f"{self.host}_state.json"
        allowed = {state, self.state_dir / "bcm-role-monitor.lock"}
        found += [f"state: {one.name}" for one in self.state_dir.iterdir() if one not in allowed]
        if state.exists():
            state_file.decode(state.read_bytes())
        return found


class Watcher(threading.Thread):
    """Looks at the target file all the time: when it was missing, and whether it was ever anything but whole."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(daemon=True)
        self._rig = rig
        self._done = threading.Event()
        self.gone: list[float] = []
        self.wrong: list[bytes] = []

    def run(self) -> None:
        there = self._rig.target.exists()
        while not self._done.wait(0.004):
            try:
                content = self._rig.target.read_bytes()
            except FileNotFoundError:
                if there:
                    self.gone.append(time.time())
                there = False
                continue
            there = True
            if content != self._rig.expected:
                self.wrong.append(content)

    def finish(self) -> None:
        self._done.set()
        self.join()


class Truth:
    """Who has the role, and since when: what stops and removals are judged by."""

    def __init__(self, sim: Simulator, host: str) -> None:
        self._sim = sim
        self._host = host
        self.held = False
        self._absent: list[list[float]] = [[0.0, float("inf")]]

    def set(self, held: bool) -> None:
        if held is self.held:
            return
        if held:
            self._sim.assign(self._host, ROLE)
            self._absent[-1][1] = time.time()
        else:
            self._absent.append([time.time(), float("inf")])
            self._sim.unassign(self._host, ROLE)
        self.held = held

    def was_absent(self, since: float, until: float) -> bool:
        return any(begin <= until and end >= since for begin, end in self._absent)


@contextlib.contextmanager
def rig(simulator: Simulator, host: str | None = None, **config: Any) -> Iterator[Rig]:
    """A node in a directory of its own."""
    directory = Path(tempfile.mkdtemp(prefix="role-monitor-"))
    made = Rig(simulator, directory, host or host_name(), **config)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(directory, ignore_errors=True)
