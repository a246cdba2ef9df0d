# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP on one connection: read a request, let rest.py or rpc.py answer it, deliver the answer as a fault wants it."""

from __future__ import annotations

import ssl
import urllib.parse
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from cryptography import x509

from . import auth, rest, rpc
from .answer import REASONS, Answer, text_answer
from .distort import change_answer, replace_answer
from .faults import Fault, FaultError
from .record import Request
from .state import StateError
from .view import View

if TYPE_CHECKING:
    from .server import HeadNodeServer

_MAX_REQUEST_BODY = 4 * 1024 * 1024


class Handler(BaseHTTPRequestHandler):
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
