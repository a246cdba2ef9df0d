# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's stand-in for Grafana, out of its package, on a port of the loopback; for tests."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUILD = Path(__file__).parents[1] / "lab" / "stand_ins" / "grafana" / "build"
VERSION = "13.2.3"
PASSWORD = "not-the-default"
INI = """\
[server]
http_addr = 127.0.0.1
http_port = {port}
[security]
admin_password = {password}
[users]
allow_sign_up = false
"""


@dataclass
class Grafana:
    """One that runs, or did."""

    directory: Path
    port: int
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, path: str, body: Any = None, *, method: str = "", login: str | None = f"admin:{PASSWORD}", token: str = ""
    ) -> tuple[int, Any]:
        """Status and document."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, method=method or ("POST" if data else "GET"))
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        elif login:
            request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def token(self) -> str:
        """That of a new service account."""
        self.ask("/api/serviceaccounts", {"name": "test", "role": "Admin"})
        return str(self.ask("/api/serviceaccounts/test/tokens", {"name": "one"})[1]["key"])

    def program(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run its program to the end."""
        argv = [str(self.directory / "tree/usr/share/grafana/bin/grafana"), *words]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, timeout=30)

    def server_arguments(self) -> list[str]:
        """What the unit starts it with."""
        return [
            "server",
            f"--config={self.directory / 'grafana.ini'}",
            f"--provisioning={self.directory / 'provisioning'}",
            f"--data={self.directory}",
        ]

    def start(self) -> None:
        """Start it, and wait until it answers.  Raises RuntimeError."""
        argv = [str(self.directory / "tree/usr/share/grafana/bin/grafana"), *self.server_arguments()]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.ask("/api/health", login=None)
                return
            time.sleep(0.05)
        raise RuntimeError(f"it does not start: {self.stop()}")

    def stop(self) -> str:
        """Stop it; what it said."""
        assert self.process is not None
        self.process.terminate()
        return self.process.communicate(timeout=20)[1]


@contextlib.contextmanager
def prepared(directory: Path) -> Iterator[Grafana]:
    """One that has not been started yet; stopped at the end."""
    deb = subprocess.run(
        [str(BUILD), VERSION, str(directory)], capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run(["dpkg-deb", "--extract", deb, str(directory / "tree")], check=True)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    (directory / "grafana.ini").write_text(INI.format(port=port, password=PASSWORD))
    for kind in ("datasources", "dashboards"):
        (directory / "provisioning" / kind).mkdir(parents=True)
    grafana = Grafana(directory, port)
    try:
        yield grafana
    finally:
        if grafana.process and grafana.process.poll() is None:
            grafana.stop()
