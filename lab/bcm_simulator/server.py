# SPDX-License-Identifier: GPL-3.0-or-later
"""One head node's CMDaemon: TLS, HTTP, faults.  What is answered is decided in rest.py and rpc.py."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from cryptography import x509

from . import auth, rest, rpc
from .answer import REASONS, Answer, text_answer
from .distort import change_answer, replace_answer
from .faults import Fault, FaultError, FaultFile
from .record import Recorder, Request, WriteJournal
from .sessions import Sessions
from .state import StateError
from .store import StateStore
from .view import View

_WATCH_SECONDS = 0.1
_HANDSHAKE_SECONDS = 10
_IDLE_SECONDS = 120
_MAX_REQUEST_BODY = 4 * 1024 * 1024


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
            _Handler(self, wrapped, peer)
        except ssl.SSLError as error:
            self.recorder.trouble(self.name, str(error))
        except OSError:
            pass  # the client went away
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


class _Handler(BaseHTTPRequestHandler):
    """One connection's requests."""

    protocol_version = "HTTP/1.1"
    server_version = "BCMSimulator"
    sys_version = ""

    def __init__(self, head: HeadNodeServer, connection: ssl.SSLSocket, peer: Any) -> None:
        self.head = head
        self.tls = connection
        self._request = Request(head.name, "", "", "", None)
        super().__init__(connection, peer, head)  # type: ignore[arg-type]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """The recorder keeps the requests; nothing goes to standard error."""

    def do_GET(self) -> None:
        self._handle(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _MAX_REQUEST_BODY:
            self.close_connection = True
            self._send(text_answer(411 if not length.isdigit() else 413, "a Content-Length of at most 4 MiB is needed"))
            return
        self._handle(self.rfile.read(int(length)))

    do_PUT = do_PATCH = do_DELETE = do_POST

    def _handle(self, body: bytes) -> None:
        split = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(split.path)
        self._request = request = Request(self.head.name, self.command, path, split.query, None)
        self.head.recorder.begin(request)
        try:
            try:
                fault = self.head.faults.take(path)
                answer = self._answer(self.head.view(), request, body, fault)
            except (StateError, FaultError) as error:
                fault, answer = Fault("none"), text_answer(500, f"the BCM simulator's own trouble: {error}")
            self._deliver(fault, answer)
        except OSError:
            self.close_connection = True
        finally:
            self.head.recorder.end(request)

    def _identity(self, view: View, path: str) -> auth.Identity:
        encoded = self.tls.getpeercert(binary_form=True)
        if encoded is not None:
            return auth.by_certificate(x509.load_der_x509_certificate(encoded), view.state)
        if path == "/json":
            return self.head.sessions.by_cookie(self.headers.get("Cookie", ""))
        return auth.by_basic_header(self.headers.get("Authorization", ""), view.state)

    def _answer(self, view: View, request: Request, body: bytes, fault: Fault) -> Answer:
        identity = self._identity(view, request.path)
        request.profile = identity.profile
        replaced = replace_answer(fault)
        if replaced is not None:
            return replaced
        if request.path == "/json":
            encoding = self.headers.get("Content-Encoding", "")
            outcome = rpc.answer(view, self.head, identity, rpc.Message(self.command, body, encoding))
            request.call = outcome.call
            return change_answer(fault, outcome.answer)
        query = dict(urllib.parse.parse_qsl(request.query, keep_blank_values=True))
        answer = rest.answer(view, self.command, request.path, query, identity)
        if self.command != "GET":
            self.head.journal.add("refused", f"{self.command} {request.path}", identity.profile)
        return change_answer(fault, answer)

    # -- delivery

    def _deliver(self, fault: Fault, answer: Answer) -> None:
        """Send the answer as the fault wants it."""
        if answer.abort or fault.kind == "close":
            self.close_connection = True
        elif fault.kind == "hang":
            self.close_connection = True
            self.head.hang(self.tls)
        elif fault.kind == "huge":
            self._send_huge(fault)
        elif fault.kind == "drip":
            self._send_dripping(fault, answer)
        elif fault.kind == "truncated" and fault.options["how"] == "connection":
            self._head(answer, len(answer.body))
            self._write(answer.body[: len(answer.body) // 2])
            self.close_connection = True
        else:
            if fault.kind == "slow":
                self.head.stopping.wait(fault.options["seconds"])
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        self._head(answer, len(answer.body))
        self._write(answer.body)

    def _head(self, answer: Answer, length: int | None) -> None:
        self._request.status = answer.status
        self.send_response(answer.status, REASONS.get(answer.status))
        self.send_header("Content-Type", answer.content_type)
        if length is None:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(length))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _write(self, content: bytes) -> None:
        self._request.bytes_sent += len(content)
        self.wfile.write(content)

    def _send_dripping(self, fault: Fault, answer: Answer) -> None:
        self._head(answer, len(answer.body))
        step = max(1, int(fault.options["bytes"]))
        for start in range(0, len(answer.body), step):
            self._write(answer.body[start : start + step])
            if self.head.stopping.wait(fault.options["interval"]):
                break

    def _send_huge(self, fault: Fault) -> None:
        """A JSON list of devices that goes on for as many bytes as asked, never held in memory."""
        total = int(fault.options["bytes"])
        self._head(Answer(200), total if fault.options["announce"] else None)
        record = b'{"hostname":"huge","ip":"10.141.0.1","roles":[],"type":"PhysicalNode","uuid":"0"},'
        block = record * (65536 // len(record))
        left = total - 1
        self._write(b"[")
        while left > 0:
            piece = block[:left] if left < len(block) else block
            if left <= len(block):
                piece = b" " * (left - 3) + b"{}]" if left >= 3 else b"]" * left
            self._write(piece)
            left -= len(piece)
