# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-ins for exporters share: Prometheus' text format as Go programs write it, and a web server.

Standard library only.  A stand-in travels as one file; `superpod_lab/stock.py` packs it with what it imports.
"""

from __future__ import annotations

import hmac
import os
import socket
import ssl
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


class ScrapeError(Exception):
    """A scrape that the real program answers with status 500 and this text."""


@dataclass
class Family:
    """One metric: its samples are (labels, value as text), the labels in the order in which they are to be written."""

    name: str
    kind: str
    text: str
    samples: list[tuple[Mapping[str, str], str]] = field(default_factory=list)


def go_float(value: float) -> str:
    """As Go's strconv 'g' prints it: an exponent from 1e+06 on and below 1e-04."""
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{value:e}".partition("e")
    shortest = repr(float(value))
    if -4 <= int(exponent) < 6:
        text = format(float(shortest), "f") if "e" in shortest else shortest
        return text.rstrip("0").rstrip(".") if "." in text else text
    digits = "".join(c for c in shortest.partition("e")[0] if c.isdigit()).strip("0")
    mantissa = ("-" if value < 0 else "") + digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
    return f"{mantissa}e{int(exponent):+03d}"


def escape(text: str) -> str:
    """A label's value between quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def render(families: Iterable[Family]) -> str:
    """The families that have samples, in their order."""
    lines: list[str] = []
    for family in families:
        if family.samples:
            lines += [f"# HELP {family.name} {family.text}", f"# TYPE {family.name} {family.kind}"]
            for labels, value in family.samples:
                inner = ",".join(f'{name}="{escape(label)}"' for name, label in labels.items())
                lines.append(f"{family.name}{{{inner}}} {value}" if inner else f"{family.name} {value}")
    return "".join(line + "\n" for line in lines)


def process_metrics(started: float) -> str:
    """Series about this process itself."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    page = os.sysconf("SC_PAGE_SIZE")
    rows = (
        ("cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", time.process_time()),
        ("open_fds", "gauge", "Number of open file descriptors.", len(os.listdir("/proc/self/fd"))),
        ("resident_memory_bytes", "gauge", "Resident memory size in bytes.", int(fields[21]) * page),
        ("start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.", started),
        ("virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", int(fields[20])),
    )
    return render(Family(f"process_{name}", kind, text, [({}, go_float(value))]) for name, kind, text, value in rows)


def allowed(header: str, accepts: Callable[[str, str], bool]) -> bool:
    """Whether an Authorization header carries a user name and password that `accepts` takes."""
    kind, _, encoded = header.partition(" ")
    try:
        user, colon, password = b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return False
    return kind.lower() == "basic" and bool(colon) and accepts(user, password)


def serve(
    listen: str,
    pages: Mapping[str, Callable[[], tuple[str, str]]],
    *,
    home: str,
    tls: ssl.SSLContext | None = None,
    accepts: Callable[[str, str], bool] | None = None,
    ready: Callable[[str], None] = lambda _: None,
    request_log: Callable[[str], None] = lambda _: None,
) -> None:
    """Answer for ever on `listen` ("host:port", the host may be empty or in brackets); raises OSError, ValueError.

    `pages` gives content type and text for a path; every other path answers with `home`.  `ready` is told the address.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if accepts is not None and not allowed(self.headers.get("Authorization", ""), accepts):
                self.answer(401, "text/plain; charset=utf-8", "Unauthorized\n")
                return
            page = pages.get(self.path.partition("?")[0])
            try:
                self.answer(200, *(page() if page else ("text/html", home)))
            except ScrapeError as error:
                self.answer(500, "text/plain; charset=utf-8", f"{error}\n")

        def answer(self, status: int, kind: str, body: str) -> None:
            data = body.encode()
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            request_log(format % args)

    host, _, port = listen.rpartition(":")
    host = host.strip("[]")

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            request_log(f"{client_address}: {sys.exc_info()[1]}")

    server = Server((host, int(port)), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    ready(f"{host}:{server.server_address[1]}")
    server.serve_forever()


def same(one: str, other: str) -> bool:
    """Compare secrets without telling by the time where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())
