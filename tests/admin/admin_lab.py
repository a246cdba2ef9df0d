# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated SuperPOD for the administrator's tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from superpod_site import COLLECTION, VARIABLES, SuperpodSite, grafana_repository
from terminal import Terminal

SETUP = "ansible-playbook superpod.monitoring.guided_setup"
# The guided setup makes the inventory, so that it runs without one.
NO_INVENTORY = ("No inventory was parsed", "provided hosts list is empty")

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

    def up(self) -> None:
        self.boot(dgx=2)

    def guided_setup(self, arguments: str, status: int = 0, warns: Iterable[str] = ()) -> str:
        """What it says, without a terminal."""
        return self.run(f"{SETUP} {arguments}", status=status, warns=(*NO_INVENTORY, *warns))

    def guided_setup_in_terminal(self, arguments: str) -> Terminal:
        return self.terminal(f"{SETUP} {arguments}", NO_INVENTORY)

    def own_settings(self, slurm: bool = False) -> str:
        """An administrator's own settings beside those of the guided setup: what this place without a network has.

        There is no Slurm in the lab before slurm.yml has made one, and then jobstats is a stand-in; the programs have
        the versions that the lab has; and Grafana's packages come from a repository of stand-ins.
        """
        lines = self.read(VARIABLES).splitlines()
        pins = [line for line in lines if line.startswith("superpod_artifact_pins:")]
        jobstats = f"{COLLECTION}/lab/stand_ins/jobstats"
        summaries = ["slurm_controller_state: absent", "login_node_state: absent"]
        if slurm:
            summaries = ["jobstats_source: directory", f"jobstats_directory: {jobstats}"]
        return "\n".join([*pins, *summaries, *self._grafana, ""])

    def slurm_settings(self) -> dict[str, str]:
        lines = self.run("scontrol show config", "slurm-ctl-01").splitlines()
        return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}

    def grafana(self, host: str, password: str) -> None:
        """Somebody else's Grafana, which the guided setup finds there."""
        self.run("dpkg -i /cm/shared/grafana/pool/grafana_13.2.3_all.deb && systemctl start grafana-server", host)
        self.run("for i in $(seq 100); do curl -sf localhost:3000/api/health && exit; sleep 0.1; done; exit 1", host)
        reset = "runuser -u grafana -- grafana-cli admin reset-admin-password --password-from-stdin"
        self.run(f"echo {password} | {reset}", host)

    def dashboards(self, host: str, password: str) -> list[str]:
        """Their uids, as that Grafana lists them."""
        found = self.run(f"curl -sf -u admin:{password} 'http://localhost:3000/api/search?type=dash-db'", host)
        return sorted(one["uid"] for one in json.loads(found))

    def grafana_repository(self, directory: Path) -> None:
        """Make one on the shared storage."""
        self._grafana = [
            f"{name}: {json.dumps(value)}" for name, value in grafana_repository(self.shared, directory).items()
        ]
