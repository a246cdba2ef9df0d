# SPDX-License-Identifier: GPL-3.0-or-later
"""Serves recorded outputs of the real exporters, one for each port given as PORT=FILE, on all addresses."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def serve(port: int, body: bytes) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
            """Say nothing."""

    ThreadingHTTPServer(("", port), Handler).serve_forever()


threads = []
for argument in sys.argv[1:]:
    port, file = argument.split("=")
    threads.append(threading.Thread(target=serve, args=(int(port), Path(file).read_bytes())))
    threads[-1].start()
for thread in threads:
    thread.join()
