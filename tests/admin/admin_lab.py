# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated SuperPOD for the administrator's tests, and a terminal on its head node."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pexpect
from superpod_site import HEAD, SuperpodSite, grafana_repository

SETUP = "ansible-playbook superpod.monitoring.guided_setup"
PATIENCE = 240
PAUSE = 20
SSH = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]

# Answers like Prometheus on one port and like Grafana, with a password, on another.
MONITORING = """
import base64, http.server, json, threading
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        right = "Basic " + base64.b64encode(b"admin:right password").decode()
        bodies = {"/api/v1/status/buildinfo": {"status": "success", "data": {}}, "/api/health": {"database": "ok"}}
        body, status = bodies.get(self.path), 200
        if self.path == "/api/org":
            body, status = {}, 200 if self.headers.get("Authorization") == right else 401
        if body is None:
            body, status = {}, 404
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())
servers = [http.server.ThreadingHTTPServer(("", port), Answer) for port in (9091, 3001)]
[threading.Thread(target=server.serve_forever).start() for server in servers]
"""


class AdminLab(SuperpodSite):
    """A SuperPOD of two DGX nodes."""

    def __init__(self) -> None:
        super().__init__("19")
        self._children: list[pexpect.spawn] = []

    def up(self) -> None:
        self.superpod("up", "--dgx", "2")
        info = json.loads(self.superpod("info"))
        self.shared = info["shared_dir"]
        self._login = ["-i", info["ssh_key"], *SSH, f"root@{info['hosts'][HEAD]['address']}"]

    def own_settings(self) -> str:
        """An administrator's own settings beside those of the guided setup: what this place without a network has.

        There is no Slurm in the lab before slurm.yml has made one; the programs have the versions that the lab has; and
        Grafana's packages come from a repository of stand-ins.
        """
        lines = self.read("/root/superpod/group_vars/all.yml").splitlines()
        pins = [line for line in lines if line.startswith("superpod_artifact_pins:")]
        return "\n".join([*pins, "slurm_controller_state: absent", "login_node_state: absent", *self._grafana, ""])

    def grafana_repository(self, directory: Path) -> None:
        """Make one on the shared storage."""
        self._grafana = [
            f"{name}: {json.dumps(value)}" for name, value in grafana_repository(self.shared, directory).items()
        ]

    def terminal(self, command: str) -> Terminal:
        """A command on the head node, in a terminal, as somebody sits there."""
        child = pexpect.spawn("ssh", ["-tt", *self._login, command], timeout=PATIENCE, encoding="utf-8")
        self._children.append(child)
        return Terminal(child)

    def close_terminals(self) -> None:
        """End what a failed test has left at a terminal."""
        while self._children:
            self._children.pop().close(force=True)


class Terminal:
    """Sees what the guided setup says and types answers."""

    def __init__(self, child: pexpect.spawn) -> None:
        self._child = child
        self._child.setwinsize(50, 200)
        self.seen = ""
        self._typed: str | None = None

    def until(self, pattern: str) -> str:
        """Wait for a text; returns what came before it and with it.

        Ansible throws away what was typed before it asks. A busy machine can be late with that, so what was typed is
        typed again where nothing happens; between two questions that does no harm, for the same reason.
        """
        for _attempt in range(PATIENCE // PAUSE):
            if self._child.expect([pattern, pexpect.TIMEOUT], timeout=PAUSE) == 0:
                text = str(self._child.before) + str(self._child.after)
                self.seen += text
                self._typed = None
                return text
            if self._typed is not None and not self._child.before.strip("\r\n"):
                self._child.sendline(self._typed)
        raise AssertionError(f"{pattern} did not come:\n{self._child.before}")

    def type(self, text: str) -> None:
        time.sleep(0.5)
        self._typed = text
        self._child.sendline(text)

    def answer(self, key: str, text: str = "") -> str:
        """Answer the question of this name, which must be the next one; returns what was said before it."""
        before = self.until(r"\n([a-z_]+)( \[[^\r\n]*\])?:\r\n")
        asked = self._child.match[1]
        assert asked == key, f"{asked} was asked, not {key}:\n{before}"
        self.type(text)
        return before

    def interrupt(self) -> None:
        time.sleep(0.5)
        self._child.sendcontrol("c")

    def end(self) -> int:
        """Wait for the end; returns the exit status."""
        self._child.expect(pexpect.EOF)
        self.seen += str(self._child.before)
        self._child.close()
        status: int = self._child.exitstatus
        return status
