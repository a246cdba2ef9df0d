# SPDX-License-Identifier: GPL-3.0-or-later
"""One head node's CMDaemon: TLS, HTTP, faults.  What is answered is decided in rest.py and rpc.py."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

from .faults import Fault, FaultError, FaultFile
from .handler import Handler
from .record import Recorder, WriteJournal
from .sessions import Sessions
from .state import StateError
from .store import StateStore
from .view import View

_WATCH_SECONDS = 0.1
_HANDSHAKE_SECONDS = 10
_IDLE_SECONDS = 120


class HeadNodeServer:
    """A head node's service on one address.  `tls` holds cert.pem, cert.key, cacert.pem and cluster.pem."""

    def __init__(
        self,
        name: str,
        address: tuple[str, int],
        store: StateStore,
        tls: Path,
        *,
        faults: Path | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self.store = store
        self.faults = FaultFile(faults)
        self.recorder = recorder or Recorder()
        self.journal = WriteJournal(store.path)
        self.stopping = threading.Event()
        self.sessions = Sessions(self.stopping)
        self._context = _server_context(tls)
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._lock = threading.RLock()
        self._threads: list[threading.Thread] = []
        self._view: View | None = None
        self._stale_view: View | None = None
        self._trouble = ""

    # -- life

    def start(self) -> None:
        """Begin to listen; returns when connections are accepted (or refused, where a fault says so)."""
        self.stopping.clear()
        self.poke()
        watcher = threading.Thread(target=self._watch, name=f"{self.name}-watch", daemon=True)
        watcher.start()
        self._threads = [watcher]

    def stop(self) -> None:
        """Close the listener and every connection, and wait for the threads."""
        self.stopping.set()
        self.sessions.wake()
        self._unlisten()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _shutdown(connection)
        for thread in [*self._threads]:
            thread.join(5)

    def poke(self) -> None:
        """Look at the state and the faults now, not at the watcher's next round."""
        trouble = ""
        refused = False
        try:
            self._follow_state()
            fault = self.faults.current()
            refused = fault.kind == "refuse" or self._passive_mode(fault) == "refuse"
        except (StateError, FaultError) as error:
            # Requests are answered with 500 and this reason, so the listener must be there.
            trouble = str(error)
        if trouble and trouble != self._trouble:
            self.recorder.trouble(self.name, trouble)
        self._trouble = trouble
        if refused:
            self._unlisten()
        else:
            self._listen()

    def _watch(self) -> None:
        while not self.stopping.wait(_WATCH_SECONDS):
            # The port may be taken for a moment after a refusal; the next round tries again.
            with contextlib.suppress(OSError):
                self.poke()

    # -- state

    def _follow_state(self) -> View:
        with self._lock:
            state = self.store.snapshot()
            before = self._view
            if before is None or before.state is not state:
                self._view = View(state)
                if before is not None:
                    self.sessions.state_changed(before.state, state)
            assert self._view is not None
            if self._passive_mode(self.faults.current()) == "stale":
                self._stale_view = self._stale_view or before or self._view
            else:
                self._stale_view = None
            return self._view

    def _passive_mode(self, fault: Fault) -> str:
        """active, or how this head node behaves as the passive one."""
        if fault.kind == "passive":
            return str(fault.options["mode"])
        state = self.store.snapshot()
        return "active" if state["active"] == self.name else str(state["switches"]["passive"])

    def view(self) -> View:
        """The state as this head node shows it: the old copy when it is a stale passive one."""
        fresh = self._follow_state()
        return self._stale_view or fresh

    # -- connections

    def _listen(self) -> None:
        with self._lock:
            if self._listener is not None or self.stopping.is_set():
                return
            listener = socket.create_server(self.address, backlog=256)
            self.address = listener.getsockname()[:2]
            self._listener = listener
        thread = threading.Thread(target=self._accept, args=(listener,), name=f"{self.name}-accept", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _unlisten(self) -> None:
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            # shutdown wakes accept(); close alone would leave it waiting.
            _shutdown(listener)
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, peer), daemon=True).start()

    def _serve(self, connection: socket.socket, peer: Any) -> None:
        current: socket.socket = connection
        self._track(connection)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not self._before_tls(connection):
                return
            connection.settimeout(_HANDSHAKE_SECONDS)
            wrapped = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            self._connections.discard(connection)
            current = wrapped
            self._track(wrapped)
            wrapped.do_handshake()
            wrapped.settimeout(_IDLE_SECONDS)
            Handler(self, wrapped, peer)
        except ssl.SSLError as error:
            self.recorder.trouble(self.name, str(error))
        except OSError:
            pass  # the client went away
        except ValueError:
            if not self.stopping.is_set():  # ssl's word for a connection that stop() closed meanwhile
                raise
        finally:
            self._connections.discard(current)
            _shutdown(current)
            current.close()

    def _track(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)
        if self.stopping.is_set():
            _shutdown(connection)

    def _before_tls(self, connection: socket.socket) -> bool:
        """Faults of the connection itself; False when it is over."""
        try:
            fault = self.faults.current()
        except FaultError:
            return True  # the request is answered with the reason
        if fault.kind == "hang" and fault.options["stage"] == "handshake":
            self.hang(connection)
            return False
        if fault.kind == "tls_abort":
            connection.settimeout(_HANDSHAKE_SECONDS)
            connection.recv(1)
            self.recorder.trouble(self.name, "aborted by fault tls_abort")
            return False
        return True

    def hang(self, connection: socket.socket) -> None:
        """Wait until the client goes away or the server stops."""
        while not self.stopping.wait(0.05):
            readable, _, _ = select.select([connection], [], [], 0)
            if readable:
                try:
                    if not connection.recv(65536):
                        return
                except OSError:
                    return


def _server_context(tls: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # The certificate's size is the clients' business: switch server_key.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(tls / "cert.pem", tls / "cert.key")
    context.load_verify_locations(cadata=(tls / "cacert.pem").read_text() + (tls / "cluster.pem").read_text())
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _shutdown(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # not connected any more
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
