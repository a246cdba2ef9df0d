# SPDX-License-Identifier: GPL-3.0-or-later
"""The capacity calculator against a real Prometheus: series, samples a second, memory, bytes on disk.

A stand-in for 30 nodes serves the recorded outputs of the real exporters, with 64 CPUs and 8 GPUs each, a job on every
node that is followed by another every 20 s, and values that move: a third of the series change from scrape to scrape,
counters by a steady amount with noise, gauges by a random walk.  Prometheus scrapes them every 5 s with the project's
rules.  In the end a snapshot makes a block of what is in memory.  Bytes per sample are those of random values in short
series, and no real fleet's.

Peer: what the calculator says for the same fleet.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / ".collections")]

from ansible_collections.superpod.monitoring.plugins.module_utils import prometheus_capacity as model  # noqa: E402
from prometheus_programs import free_port, prometheus  # noqa: E402

CAPTURES = ROOT / "tests" / "dashboards" / "captures"
RULES = ROOT / "files" / "rules"
NODES, CPUS, GPUS = 30, 64, 8
INTERVAL = 5
SECONDS = 150
JOB_SECONDS = 20
PORT_RANGE = ("node_exporter", "cgroup_exporter", "gpu_exporter")
LINE = re.compile(r"^([^\s{]+)(\{.*\})? (\S+)$")


def tell(name: str, value: float, unit: str, peer_value: float, *, goal: str) -> None:
    ratio = round(value / peer_value, 3)
    line = {"name": f"capacity.{name}", "value": round(value, 3), "unit": unit, "peer": "the calculator"}
    print(json.dumps({**line, "peer_value": round(peer_value, 3), "ratio": ratio, "goal": goal}), flush=True)


def capture(name: str) -> list[str]:
    return [line for line in (CAPTURES / name).read_text().splitlines() if line and not line.startswith("#")]


class Exporter:
    """One exporter of one node: series with values that move."""

    def __init__(self, series: list[str], seed: int) -> None:
        self.random = random.Random(seed)
        self.series = []
        for line in series:
            match = LINE.match(line)
            if match is None:
                continue
            name, labels, value = match.groups()
            self.series.append((name + (labels or ""), float(value)))
        self.moving = {name for name, _ in self.series if self.random.random() < 1 / 3}
        self.state = dict(self.series)

    def text(self, job: int) -> bytes:
        """What it says now, for this job's number."""
        for name in self.moving:
            value = self.state[name]
            if "_total" in name or name.startswith("node_cpu"):
                self.state[name] = value + round(self.random.gauss(100, 10), 2)
            else:
                self.state[name] = round(value + self.random.gauss(0, max(abs(value), 1) / 100), 3)
        lines = (f"{name} {value:.10g}\n" for name, value in self.state.items())
        return "".join(lines).replace('jobid="42"', f'jobid="{job}"').encode()


def node_exporter() -> list[str]:
    lines = capture("node_exporter-debian-1.5.0.prom")
    of_cpu = [line for line in lines if 'cpu="0"' in line]
    return [line for line in lines if 'cpu="' not in line] + [
        line.replace('cpu="0"', f'cpu="{cpu}"') for cpu in range(CPUS) for line in of_cpu
    ]


def cgroup_exporter() -> list[str]:
    return [line for line in capture("cgroup_exporter-0.3.4-cgroupv1-default.prom") if 'jobid="43"' not in line]


def gpu_exporter() -> list[str]:
    """All GPUs of the node are the job's."""
    lines = capture("nvidia_gpu_prometheus_exporter-master-fakenvml-2gpus-job42.prom")
    first = [line for line in lines if 'uuid="GPU-a' in line]
    made = [
        line.replace("GPU-aaaaaaaa", f"GPU-{gpu:08x}").replace('minor_number="1"', f'minor_number="{gpu}"')
        for gpu in range(GPUS)
        for line in first
    ]
    return [line for line in lines if "uuid=" not in line] + made


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    exporters: dict[str, Exporter]
    began: float

    def do_GET(self) -> None:
        node = int(self.path.split("/")[1])
        job = (int((time.monotonic() - self.began) / JOB_SECONDS) + 1) * 1000 + node
        body = self.exporters[self.path].text(job)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        """Say nothing."""


def targets(port: int) -> list[dict[str, Any]]:
    return [
        {
            "targets": [f"127.0.0.1:{port}"],
            "labels": {
                "job": job,
                "cluster": "slurm",
                "hostname": f"dgx-{node:03d}",
                "instance": f"dgx-{node:03d}:{number}",
                "__metrics_path__": f"/{node}/{job}",
            },
        }
        for node in range(NODES)
        for number, job in enumerate(PORT_RANGE)
    ]


class Api:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def value(self, query: str) -> float:
        data = json.loads(self.get(f"/api/v1/query?query={urllib.request.quote(query)}"))["data"]["result"]
        return float(data[0]["value"][1]) if data else 0.0

    def get(self, path: str, data: bytes | None = None) -> str:
        with urllib.request.urlopen(self.url + path, data=data, timeout=60) as answer:
            return str(answer.read().decode())


def status(pid: int, key: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) * 1024


def size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def measure(directory: Path, port: int) -> dict[str, float]:
    own = free_port()
    (directory / "targets.json").write_text(json.dumps(targets(port)))
    rules = []
    for file in ("recording.yml", "alerts.yml"):
        text = re.sub(r"^( *interval:) \w+$", rf"\1 {INTERVAL}s", (RULES / file).read_text(), flags=re.MULTILINE)
        (directory / file).write_text(text)
        rules.append(str(directory / file))
    drop = {"source_labels": ["job", "__name__"], "regex": "node_exporter;go_.*", "action": "drop"}
    job = {"job_name": "superpod", "file_sd_configs": [{"files": [str(directory / "targets.json")]}]}
    config = {
        "global": {"scrape_interval": f"{INTERVAL}s", "evaluation_interval": f"{INTERVAL}s"},
        "rule_files": rules,
        "scrape_configs": [
            {**job, "metric_relabel_configs": [drop]},
            {"job_name": "prometheus", "static_configs": [{"targets": [f"127.0.0.1:{own}"]}]},
        ],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    data = directory / "data"
    argv = [prometheus(), f"--config.file={directory / 'prometheus.yml'}", f"--storage.tsdb.path={data}"]
    argv += [f"--web.listen-address=127.0.0.1:{own}", "--web.enable-admin-api"]
    with (directory / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        try:
            time.sleep(SECONDS)
            api = Api(own)
            found = {
                "active": api.value('count({cluster="slurm"})'),
                "head": api.value("prometheus_tsdb_head_series"),
                "rate": api.value("rate(prometheus_tsdb_head_samples_appended_total[1m])"),
                "appended": api.value("prometheus_tsdb_head_samples_appended_total"),
                "memory": status(process.pid, "VmHWM"),
                "wal": size(data / "wal"),
                "missed": api.value("count(up == 0)"),
            }
            snapshot = json.loads(api.get("/api/v1/admin/tsdb/snapshot", b""))["data"]["name"]
        finally:
            process.terminate()
    blocks = list((data / "snapshots" / snapshot).glob("*/meta.json"))
    stats = [json.loads(block.read_text())["stats"] for block in blocks]
    found["samples"] = sum(one["numSamples"] for one in stats)
    found["chunks"] = sum(size(block.parent / "chunks") for block in blocks)
    found["index"] = sum((block.parent / "index").stat().st_size for block in blocks)
    found["series"] = sum(one["numSeries"] for one in stats)
    return found


def main() -> None:
    kinds = {"node_exporter": node_exporter(), "cgroup_exporter": cgroup_exporter(), "gpu_exporter": gpu_exporter()}
    exporters = {f"/{node}/{job}": Exporter(lines, node) for node in range(NODES) for job, lines in kinds.items()}
    handler = type("Fleet", (Handler,), {"exporters": exporters, "began": time.monotonic()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="capacity-") as name:
        found = measure(Path(name), server.server_port)
    server.shutdown()

    jobs_per_day = NODES * model.DAY / JOB_SECONDS
    fleet = model.Fleet(
        nodes=NODES,
        cpus_per_node=CPUS,
        gpus_per_node=GPUS,
        jobs_per_day=jobs_per_day,
        gpus_per_job=GPUS,
        hours_per_job=JOB_SECONDS / 3600,
        scrape_interval=INTERVAL,
    )
    needs = model.capacity(fleet)
    # The run is shorter than the time that the head holds series of ended jobs for.
    ended = jobs_per_day / model.DAY * SECONDS * needs.series_per_job
    head = needs.head_series - jobs_per_day * model.HEAD_SECONDS / model.DAY * needs.series_per_job + ended
    tell("active_series", found["active"], "series", needs.active_series, goal="0.9 to 1.1")
    tell("head_series", found["head"], "series", head, goal="0.9 to 1.1")
    tell("samples_per_second", found["rate"], "samples/s", needs.samples_per_second, goal="0.9 to 1.1")
    memory = model.MEMORY_BASE + head * model.MEMORY_PER_SERIES
    tell("memory", found["memory"] / 1e6, "MB at most", memory / 1e6, goal="<= 1")
    tell(
        "sample",
        found["chunks"] / found["samples"],
        "bytes/sample",
        model.BYTES_PER_SAMPLE,
        goal="none: made-up values",
    )
    tell("index", found["index"] / found["series"], "bytes/series", model.INDEX_PER_SERIES, goal="<= 1")
    tell("wal", found["wal"] / found["appended"], "bytes/sample", model.WAL_PER_SAMPLE, goal="<= 1")
    if found["missed"]:
        print(f"capacity: {found['missed']:.0f} targets were not answered in time", file=sys.stderr)


if __name__ == "__main__":
    main()
