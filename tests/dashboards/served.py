# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet served on the loopback, and a real Prometheus that scrapes it every second with the project's rules."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from fleet import FLEET, PORTS, Exposition, expositions
from prometheus_programs import free_port, prometheus

from dashboards.live_checks import Run
from dashboards.prometheus_api import Prometheus, PrometheusError
from dashboards.substitute import Window

RULES = Path(__file__).parents[2] / "files" / "rules"
SHOWN_SECONDS = 10
PATIENCE_SECONDS = 90

# The last links of the chains of rules, and how many series each has when everything has arrived.
ARRIVED = {
    "up": "count(up == 1) == {up}",
    "rules on rules": "count(user:gpus_idle:sum offset {shown}s) >= 2",
    "alerts": 'count(ALERTS{{alertname="NodeInBcmNotScraped", alertstate="firing"}} offset {shown}s) == 1',
    "rates": "count(job:cpu_utilization:ratio offset {shown}s) >= 2",
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: dict[str, Exposition | None]

    def do_GET(self) -> None:
        exposition = self.answers.get(self.path)
        body = exposition.text().encode() if exposition else b""
        self.send_response(200 if exposition else 503)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """An engine that takes everything that Prometheus writes to it."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        """Say nothing."""


@contextlib.contextmanager
def exporters(kind: type[Exposition] = Exposition) -> Iterator[list[dict[str, object]]]:
    """Serves every exporter of the fleet; gives the target groups that lead there."""
    answers = {f"/{'/'.join(key)}": exposition for key, exposition in expositions(kind).items()}
    handler = type("Handler", (_Handler,), {"answers": answers})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield [
            {
                "targets": [f"127.0.0.1:{server.server_port}"],
                "labels": {
                    "job": job,
                    "cluster": node.cluster,
                    "hostname": node.hostname,
                    "instance": f"{node.hostname}:{PORTS[job]}",
                    "__metrics_path__": f"/{node.cluster}/{node.hostname}/{job}",
                },
            }
            for node in FLEET
            for job in node.exporters
        ]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def hurried(rules: str) -> str:
    """Rules evaluated every second and without waiting, so that seconds of data are enough."""
    rules = re.sub(r"^( *interval:) \w+$", r"\1 1s", rules, flags=re.MULTILINE)
    return re.sub(r"^( *for:) \w+$", r"\1 0s", rules, flags=re.MULTILINE)


def configure(
    directory: Path,
    targets: list[dict[str, object]],
    port: int,
    interval: str = "1s",
    edit: Callable[[str], str] = hurried,
) -> Path:
    """Write Prometheus' configuration and its rules, each *edited*; the configuration's path."""
    for file in RULES.glob("*.yml"):
        (directory / file.name).write_text(edit(file.read_text()))
    (directory / "targets.json").write_text(json.dumps(targets))
    config: dict[str, object] = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [str(directory / file.name) for file in RULES.glob("*.yml")],
        "scrape_configs": [
            {"job_name": "superpod", "file_sd_configs": [{"files": [str(directory / "targets.json")]}]},
            {"job_name": "prometheus", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]},
        ],
    }
    if targets:  # its own series of that are there only if it writes somewhere
        (address,) = targets[0]["targets"]
        engine = {"url": f"http://{address}/write", "queue_config": {"batch_send_deadline": "1s"}}
        config["remote_write"] = [engine]
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


@contextlib.contextmanager
def scraped(directory: Path) -> Iterator[Run]:
    """A Prometheus with SHOWN_SECONDS of everything: scraped, recorded, alerted. Raises RuntimeError."""
    port = free_port()
    with exporters() as targets, (directory / "log").open("w") as log:
        argv = [
            prometheus(),
            f"--config.file={configure(directory, targets, port)}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        process = subprocess.Popen(argv, stdout=log, stderr=log)
        client = Prometheus(f"http://127.0.0.1:{port}")
        try:
            _wait(client, sum(exposition is not None for exposition in expositions().values()) + 1, directory / "log")
            now = int(time.time()) - 1
            yield Run(client, Window(now - SHOWN_SECONDS, now, step=1, scrape_interval=1))
        finally:
            client.close()
            process.terminate()
            process.wait()


def _wait(client: Prometheus, up: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    missing: object = "an answer"
    while time.monotonic() < deadline:
        try:
            now = time.time()
            conditions = {name: query.format(up=up, shown=SHOWN_SECONDS) for name, query in ARRIVED.items()}
            missing = [name for name, query in conditions.items() if not client.instant(query, now)]
            if not missing:
                return
        except PrometheusError as error:
            missing = error
        time.sleep(0.5)
    raise RuntimeError(f"Prometheus still lacks {missing} after {PATIENCE_SECONDS} s:\n{log.read_text()[-2000:]}")
