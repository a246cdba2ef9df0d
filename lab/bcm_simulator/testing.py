# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated BCM inside a test: real TLS on loopback, its own CA, a state to change, faults to set.

with Simulator(state) as sim:
    certificate, key = sim.certificate("readonly")
    requests.get(f"{sim.url}/rest/v1/device", cert=(certificate, key), verify=sim.ca)
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import fleet
from .faults import write as write_fault
from .pki import Authority, Subject, common_name_of, load_certificate, profile_of
from .probe import let_through
from .record import Recorder, Request
from .server import HeadNodeServer
from .state import State, normalise
from .store import StateStore

_LAB = Path(__file__).resolve().parent.parent
_authority: Authority | None = None


@dataclass(frozen=True)
class Writes:
    """How many attempts to change the state were let through, and how many were refused."""

    stored: int
    refused: int
    attempts: tuple[dict[str, str], ...] = ()


class Head:
    """One head node of the simulator."""

    def __init__(self, simulator: Simulator, name: str, server: HeadNodeServer, faults: Path) -> None:
        self._simulator = simulator
        self._faults = faults
        self.name = name
        self.server = server

    @property
    def host(self) -> str:
        return str(self.server.address[0])

    @property
    def port(self) -> int:
        return int(self.server.address[1])

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    def start(self) -> None:
        """Bring the head node back on the same address."""
        self.server.start()

    def stop(self) -> None:
        """Nobody listens any more and every connection ends, as after a power cut."""
        self.server.stop()

    def fault(self, kind: str | None, **options: Any) -> None:
        """Set one fault (faults.FAULTS; also `path` and `count`), or clear it with None."""
        write_fault(self._faults, {} if kind is None else {"fault": kind, **options})
        self.server.poke()


class Simulator:
    """A BCM with one or two head nodes at 127.0.0.1 and 127.0.0.2, all on the same port.

    `state` is a mapping as in README.md (default: the lab's small cluster); `devices=N` makes a big one.
    """

    def __init__(
        self, state: State | None = None, *, devices: int | None = None, head_nodes: int | None = None
    ) -> None:
        if state is not None and devices is not None:
            raise ValueError("give either a state or a number of devices")
        given = dict(state) if state is not None else (fleet.big(devices) if devices is not None else fleet.small())
        if "head_nodes" not in given or (head_nodes is not None and len(given["head_nodes"]) != head_nodes):
            given["head_nodes"] = fleet.head_nodes(head_nodes or 1)
        self._given = normalise(given)
        self.recorder = Recorder()
        self.heads: list[Head] = []

    def __enter__(self) -> Simulator:
        self._temporary = tempfile.TemporaryDirectory(prefix="bcm-simulator-")
        self.directory = Path(self._temporary.name)
        self.store = StateStore.create(self.directory / "state.yml", self._given, as_json=True)
        self._authority = _shared_authority()
        self._authority.store(self.directory)
        self.ca = str(self.directory / "ca-bundle.pem")
        Path(self.ca).write_bytes(self._authority.bundle())
        self._start_heads()
        return self

    def __exit__(self, *_exception: object) -> None:
        for head in self.heads:
            head.stop()
        self._temporary.cleanup()

    def _start_heads(self) -> None:
        names = list(self._given["head_nodes"])
        addresses = [f"127.0.0.{number}" for number in range(1, len(names) + 1)]
        for name, address in zip(names, addresses):
            self._make_tls(name, address)
        while True:
            # Another process may take the port between the choice and its use.
            port = _free_port(addresses)
            self.heads = [self._head(name, address, port) for name, address in zip(names, addresses)]
            try:
                for head in self.heads:
                    head.start()
            except OSError as error:
                for head in self.heads:
                    head.stop()
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return

    def _make_tls(self, name: str, address: str) -> None:
        tls = self.directory / "heads" / name
        tls.mkdir(parents=True)
        self._authority.store(tls, with_key=False)
        switches = self._given["switches"]
        # An elliptic key unless a switch asks for a weak one: making RSA keys would be most of a test's time.
        kind = "rsa1024" if switches["server_key"] == "rsa1024" else "ec"
        alternative = ["master", "localhost", address, self._given["head_nodes"][name]["ip"]]
        pair = self._authority.server(name, alternative, switches["server_aki"], switches["server_san"], kind)
        pair.write(tls / "cert.pem", tls / "cert.key")

    def _head(self, name: str, address: str, port: int) -> Head:
        tls = self.directory / "heads" / name
        faults = tls / "faults.yml"
        server = HeadNodeServer(name, (address, port), self.store, tls, faults=faults, recorder=self.recorder)
        return Head(self, name, server, faults)

    # -- where it is

    @property
    def host(self) -> str:
        return self.heads[0].host

    @property
    def port(self) -> int:
        return self.heads[0].port

    @property
    def url(self) -> str:
        return self.heads[0].url

    # -- who asks

    def certificate(self, profile: str, cn: str = "test", *, days: int = 30, system_login: str = "") -> tuple[str, str]:
        """Paths of a client certificate with `profile` and of its key; negative `days`: expired."""
        name = f"{profile}-{cn}-{days}-{system_login}".replace("/", "_")
        certificate, key = self.directory / "clients" / f"{name}.pem", self.directory / "clients" / f"{name}.key"
        if not certificate.exists():
            self._authority.client(Subject(cn), profile, system_login, days, key="ec").write(certificate, key)
        return str(certificate), str(key)

    def foreign_certificate(self, profile: str = "admin", cn: str = "foreign") -> tuple[str, str]:
        """The same from another cluster's CA."""
        certificate, key = self.directory / "clients" / "foreign.pem", self.directory / "clients" / "foreign.key"
        Authority.new("Another cluster", key="ec").client(Subject(cn), profile, key="ec").write(certificate, key)
        return str(certificate), str(key)

    def revoke(self, certificate_path: str) -> None:
        """Revoke a certificate that `certificate` made, or cmsh."""
        certificate = load_certificate(Path(certificate_path))
        entry = {"name": common_name_of(certificate), "profile": profile_of(certificate), "revoked": True}
        self.edit(lambda state: state["certificates"].update({str(certificate.serial_number): entry}))

    # -- what is

    def edit(self, change: Callable[[State], object]) -> None:
        """Apply `change` to the state mapping; every head node knows it at once."""
        self.store.edit(change)
        for head in self.heads:
            if not head.server.stopping.is_set():
                head.server.poke()

    def assign(self, node: str, role: str) -> None:
        """Assign a role directly to a node or head node."""
        self.edit(lambda state: _device(state, node)["roles"].append(role))

    def unassign(self, node: str, role: str) -> None:
        """Take a directly assigned role away."""
        self.edit(lambda state: _device(state, node)["roles"].remove(role))

    def switch(self, **switches: Any) -> None:
        """Set switches of switches.SWITCHES (those of the server certificate count only before the start)."""
        self.edit(lambda state: state["switches"].update(switches))

    def failover(self, head: str) -> None:
        """Make `head` the active head node."""
        self.edit(lambda state: state.update(active=head))

    def fault(self, kind: str | None, **options: Any) -> None:
        """Set or clear a fault on the first head node."""
        self.heads[0].fault(kind, **options)

    # -- what was

    @property
    def requests(self) -> list[Request]:
        """The requests to all head nodes, in the order of their end."""
        return list(self.recorder.requests)

    @property
    def writes(self) -> Writes:
        """Write attempts over REST, RPC and cmsh."""
        attempts = self.heads[0].server.journal.read()
        stored = sum(attempt["outcome"] == "stored" for attempt in attempts)
        return Writes(stored, len(attempts) - stored, tuple(attempts))

    def let_through(self, certificate: str, key: str) -> list[str]:
        """Everything known is tried with this certificate: the REST requests and RPC calls that answered 200."""
        return let_through(self.host, self.port, Path(self.ca), Path(certificate), Path(key))

    # -- cmsh

    @property
    def cmsh_path(self) -> str:
        """An executable that behaves as cmsh on this state."""
        path = self.directory / "cmsh"
        if not path.exists():
            certificate, key = self.certificate("admin", "Administrator")
            words = [sys.executable, "-m", "bcm_simulator", "cmsh", "--state", str(self.store.path)]
            words += ["--tls", str(self.directory), "--certificate", certificate, "--key", key]
            python_path = os.pathsep.join(
                [str(_LAB), *([os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else [])]
            )
            path.write_text(
                f'#!/bin/sh\nPYTHONPATH={shlex.quote(python_path)} exec {shlex.join(words)} -- "$@"\n', encoding="utf-8"
            )
            path.chmod(0o755)
        return str(path)

    def cmsh(self, commands: str, *options: str, timeout: float = 30) -> tuple[int, str, str]:
        """Run `cmsh [options] -c commands`: (exit status, standard output, standard error)."""
        done = subprocess.run(
            [self.cmsh_path, *options, "-c", commands],
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        for head in self.heads:
            if not head.server.stopping.is_set():
                head.server.poke()
        return done.returncode, done.stdout, done.stderr


def _shared_authority() -> Authority:
    """One CA for all simulators of this process, so that a test does not wait for key generation."""
    global _authority  # noqa: PLW0603
    if _authority is None:
        _authority = Authority.new("BCM 11.0 Cluster", key="ec")
    return _authority


def _free_port(addresses: list[str]) -> int:
    """A port that is free on all the addresses now."""
    while True:
        with socket.create_server((addresses[0], 0)) as first:
            port = int(first.getsockname()[1])
        with contextlib.suppress(OSError):
            for address in addresses:
                socket.create_server((address, port)).close()
            return port


def _device(state: State, name: str) -> dict[str, Any]:
    for section in ("nodes", "head_nodes"):
        if name in state[section]:
            device: dict[str, Any] = state[section][name]
            return device
    raise KeyError(f"no device {name!r} in the simulated state")
