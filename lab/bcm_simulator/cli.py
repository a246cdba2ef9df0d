# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `python3 -m bcm_simulator COMMAND`; README.md has the commands."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from . import faults, provisioning
from .pki import Authority, PkiError, Subject, load_certificate
from .state import NO_MAC, State, StateError
from .store import StateStore


class UsageError(ValueError):
    """A wrong argument; the text says what to change."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; wrong input gives one sentence on standard error and status 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    try:
        result: int = options.run(options)
    except (StateError, faults.FaultError, PkiError, UsageError) as error:
        print(f"bcm_simulator: {error}", file=sys.stderr)
        return 2
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bcm_simulator", description="A simulated Base Command Manager.")
    commands = parser.add_subparsers(dest="command", required=True)

    serve = commands.add_parser("serve", help="run one head node's CMDaemon until SIGTERM")
    _add_state(serve)
    serve.add_argument("--host", required=True, help="this head node's name in the state, e.g. bcm-head-01")
    serve.add_argument("--address", default="0.0.0.0", help="address to listen on (default %(default)s)")
    serve.add_argument("--port", type=int, default=8081, help="port to listen on (default %(default)s)")
    serve.add_argument(
        "--tls", type=Path, required=True, help="directory with cert.pem cert.key cacert.pem cluster.pem"
    )
    serve.add_argument("--faults", type=Path, help="this head node's faults file; it need not exist")
    serve.set_defaults(run=_serve)

    pki = commands.add_parser(
        "init-pki", help="make the CA and the certificates of all hosts of the state; keeps what is there"
    )
    _add_state(pki)
    pki.add_argument("--dir", type=Path, required=True, help="directory to fill; see README.md")
    pki.set_defaults(run=_init_pki)

    fault = commands.add_parser("fault", help="set or clear the fault of one head node")
    fault.add_argument("--faults", type=Path, required=True, help="the faults file that `serve` was given")
    fault.add_argument("action", choices=("set", "clear", "show"))
    fault.add_argument("kind", nargs="?", help=f"one of: {', '.join(faults.FAULTS)}")
    fault.add_argument("option", nargs="*", metavar="name=value", help="options of the fault, and path=GLOB, count=N")
    fault.set_defaults(run=_fault)

    for name, text in (("assign", "assign a role directly to a device"), ("unassign", "take a direct role away")):
        command = commands.add_parser(name, help=text)
        _add_state(command)
        command.add_argument("device")
        command.add_argument("role")
        command.set_defaults(run=_assign)

    failover = commands.add_parser("failover", help="make a head node the active one")
    _add_state(failover)
    failover.add_argument("head")
    failover.set_defaults(run=_failover)

    cmsh = commands.add_parser("cmsh", help="the cmsh stand-in; its own arguments follow --")
    _add_state(cmsh)
    cmsh.add_argument("--tls", type=Path, required=True, help="directory with cacert.pem cluster.pem cluster.key")
    cmsh.add_argument("--certificate", help="instead of $HOME/.cm/admin.pem")
    cmsh.add_argument("--key", help="instead of $HOME/.cm/admin.key")
    cmsh.add_argument("arguments", nargs=argparse.REMAINDER)
    cmsh.set_defaults(run=_cmsh)

    probe = commands.add_parser(
        "probe", help="try everything with a client certificate; print what is let through, as JSON"
    )
    probe.add_argument("--address", default="127.0.0.1", help="the head node (default %(default)s)")
    probe.add_argument("--port", type=int, default=8081, help="its port (default %(default)s)")
    for name, text in (("ca", "CA bundle"), ("certificate", "client certificate"), ("key", "its key")):
        probe.add_argument(f"--{name}", type=Path, required=True, help=text)
    probe.set_defaults(run=_probe)

    _add_provision(commands)

    switch = commands.add_parser("switch", help="set switches of the state, e.g. empty_roles=null")
    _add_state(switch)
    switch.add_argument("switch", nargs="+", metavar="name=value")
    switch.set_defaults(run=_switch)
    return parser


def _add_provision(commands: Any) -> None:
    provision = commands.add_parser(
        "provision", help="one transfer between a node and an image: what CMDaemon, or a booting node's installer, does"
    )
    _add_state(provision)
    provision.add_argument("node")
    provision.add_argument("mode", choices=tuple(provisioning.MODES))
    provision.add_argument("--image", help="default: the node's own")
    provision.add_argument("--dry-run", action="store_true")
    provision.set_defaults(run=_provision)


def _add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", type=Path, required=True, help="the state file")


def _serve(options: argparse.Namespace) -> int:
    # Imported here: cmsh is started often and needs no server.
    from .record import Recorder  # noqa: PLC0415
    from .server import HeadNodeServer  # noqa: PLC0415

    store = StateStore(options.state)
    if options.host not in store.snapshot()["head_nodes"]:
        raise UsageError(f"--host {options.host} is not under head_nodes of {options.state}")
    for name in ("cert.pem", "cert.key", "cacert.pem", "cluster.pem"):
        if not (options.tls / name).is_file():
            raise UsageError(f"--tls {options.tls} has no {name}; make it with init-pki")
    recorder = Recorder(sys.stdout)
    server = HeadNodeServer(
        options.host, (options.address, options.port), store, options.tls, faults=options.faults, recorder=recorder
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        server.start()
    except OSError as error:
        raise UsageError(f"cannot listen on {options.address}:{options.port}: {error.strerror}") from error
    print(
        f"bcm_simulator: {options.host} listens on {options.address}:{server.address[1]}", file=sys.stderr, flush=True
    )
    stop.wait()
    server.stop()
    return 0


def _init_pki(options: argparse.Namespace) -> int:
    store = StateStore(options.state)
    state = store.snapshot()
    directory: Path = options.dir
    if (directory / "cluster.key").exists():
        authority = Authority.load(directory)
    else:
        authority = Authority.new(state["cluster"])
        authority.store(directory)
    (directory / "ca-bundle.pem").write_bytes(authority.bundle())
    issued = _Issued(authority, state)
    issued.client(directory / "admin.pem", directory / "admin.key", Subject("Administrator"), "admin", "root")
    switches = state["switches"]
    for name, head in state["head_nodes"].items():
        own = directory / "heads" / name
        if not (own / "cert.pem").exists():
            names = ["master", "localhost", "127.0.0.1", head["ip"]]
            pair = authority.server(name, names, switches["server_aki"], switches["server_san"], switches["server_key"])
            pair.write(own / "cert.pem", own / "cert.key")
        authority.store(own)
    for name, node in state["nodes"].items():
        own = directory / "nodes" / name
        common_name = (node["mac"] or NO_MAC).lower().replace(":", "-")
        issued.client(own / "cert.pem", own / "cert.key", Subject(common_name), "node", "")
        authority.store(own, with_key=False)
    if issued.entries:
        store.edit(lambda changed: changed["certificates"].update(issued.entries))
    return 0


class _Issued:
    """Client certificates made now, with the serial numbers and entries that listcertificates shows."""

    def __init__(self, authority: Authority, state: State) -> None:
        self._authority = authority
        self._known = state["certificates"]
        self._serial = max((int(serial) for serial in self._known), default=0)
        self.entries: dict[str, dict[str, Any]] = {}

    def client(self, certificate: Path, key: Path, subject: Subject, profile: str, login: str) -> None:
        """Make one where there is none; one that is there is entered where the state does not have it."""
        if certificate.exists():
            serial = str(load_certificate(certificate).serial_number)
            if serial not in self._known:
                self.entries[serial] = {"name": subject.common_name, "profile": profile, "system_login": login}
                self._serial = max(self._serial, int(serial))
            return
        self._serial += 1
        # An elliptic key: a hundred nodes must not take a minute.
        pair = self._authority.client(subject, profile, login, key="ec", serial=self._serial)
        pair.write(certificate, key)
        self.entries[str(self._serial)] = {"name": subject.common_name, "profile": profile, "system_login": login}


def _fault(options: argparse.Namespace) -> int:
    if options.action == "show":
        print(options.faults.read_text(encoding="utf-8").strip() if options.faults.exists() else "{}")
        return 0
    if options.action == "clear":
        faults.write(options.faults, {})
        return 0
    if options.kind is None:
        raise UsageError(f"fault set needs a fault: {', '.join(faults.FAULTS)}")
    faults.write(options.faults, {"fault": options.kind, **_pairs(options.option)})
    return 0


def _assign(options: argparse.Namespace) -> int:
    def change(state: State) -> None:
        section = "nodes" if options.device in state["nodes"] else "head_nodes"
        if options.device not in state[section]:
            raise UsageError(f"no device {options.device!r} in {options.state}")
        roles: list[str] = state[section][options.device]["roles"]
        if options.command == "assign" and options.role not in roles:
            roles.append(options.role)
        elif options.command == "unassign":
            if options.role not in roles:
                raise UsageError(f"{options.device} has no directly assigned role {options.role!r}")
            roles.remove(options.role)

    StateStore(options.state).edit(change)
    return 0


def _failover(options: argparse.Namespace) -> int:
    StateStore(options.state).edit(lambda state: state.update(active=options.head))
    return 0


def _cmsh(options: argparse.Namespace) -> int:
    from .cmsh.main import main as cmsh_main  # noqa: PLC0415

    arguments = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
    pair = (options.certificate, options.key) if options.certificate and options.key else None
    return cmsh_main(options.state, options.tls, arguments, pair)


def _probe(options: argparse.Namespace) -> int:
    from .probe import let_through  # noqa: PLC0415

    try:
        found = let_through(options.address, options.port, options.ca, options.certificate, options.key)
    except OSError as error:
        raise UsageError(f"cannot ask {options.address}:{options.port}: {error}") from error
    print(json.dumps(found))
    return 0


def _provision(options: argparse.Namespace) -> int:
    state = StateStore(options.state).snapshot()
    transfer = provisioning.plan(state, options.node, options.mode, options.image, options.dry_run)
    return 0 if provisioning.perform(transfer, provisioning.Journal(options.state), subprocess.run) else 1


def _switch(options: argparse.Namespace) -> int:
    pairs = _pairs(options.switch)
    StateStore(options.state).edit(lambda state: state["switches"].update(pairs))
    return 0


def _pairs(texts: Sequence[str]) -> dict[str, Any]:
    """name=value words, the values read as YAML (true, 5, text)."""
    result: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{text!r} must have the form name=value")
        try:
            result[name] = yaml.safe_load(value) if value else ""
        except yaml.YAMLError:
            result[name] = value
    return result
