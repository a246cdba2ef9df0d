# SPDX-License-Identifier: GPL-3.0-or-later
"""How a real Prometheus takes 10,000 target files with 40,000 targets, and how soon it sees a change.

Peer for time and memory: the same Prometheus with three scrape jobs that read the same files and keep their part by
`job`.  Nothing is scraped (the interval is a day), so that what is measured is discovery.  Peer for a change: the same
directory seen through bindfs, where inotify tells nothing, as on NFS.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests")]

from prometheus_programs import prometheus  # noqa: E402

NODES = int(os.environ.get("SUPERPOD_BENCH_NODES", "10000"))
EXPORTERS = {"node_exporter": 9100, "cgroup_exporter": 9306, "gpu_exporter": 9445, "dcgm_exporter": 9400}
REFRESH = 30  # the role's default, in seconds
CHANGES = 3
THREE_JOBS = ("node_exporter", "cgroup_exporter", "gpu_exporter|dcgm_exporter")
PATIENCE = 300


def tell(name: str, value: float, unit: str, peer: str, peer_value: float, *, goal: str) -> None:
    line = {"name": name, "value": round(value, 3), "unit": unit, "peer": peer, "peer_value": round(peer_value, 3)}
    print(json.dumps({**line, "ratio": round(value / peer_value, 4), "goal": goal}), flush=True)


def document(host: str) -> str:
    """A node's target file, as the role monitor writes it."""
    return json.dumps(
        [
            {"targets": [f"{host}:{port}"], "labels": {"job": job, "cluster": "slurm", "hostname": host}}
            for job, port in sorted(EXPORTERS.items())
        ]
    )


def publish(directory: Path, host: str) -> None:
    """Write a node's file and rename it into place."""
    hidden = directory / f".{host}.tmp"
    hidden.write_text(document(host))
    hidden.rename(directory / f"{host}.json")


def scrape_job(name: str, directory: Path, keep: str | None = None) -> dict[str, Any]:
    """A scrape job over the directory, like the role's."""
    relabel: list[dict[str, Any]] = [
        {"source_labels": ["cluster"], "regex": "", "target_label": "cluster", "replacement": "slurm"}
    ]
    if keep is not None:
        relabel.append({"source_labels": ["job"], "regex": keep, "action": "keep"})
    return {
        "job_name": name,
        "file_sd_configs": [{"files": [f"{directory}/*.json"], "refresh_interval": f"{REFRESH}s"}],
        "relabel_configs": relabel,
    }


class Server:
    """A running Prometheus."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, began: float) -> None:
        self.process = process
        self.url = url
        self.began = began

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
            return str(answer.read().decode())

    def targets(self) -> int:
        """How many targets its scrape pools have."""
        try:
            text = self.get("/metrics")
        except (urllib.error.URLError, OSError):
            return -1
        lines = [line for line in text.splitlines() if line.startswith("prometheus_target_scrape_pool_targets{")]
        return sum(int(float(line.rpartition(" ")[2])) for line in lines)

    def wait(self, targets: int) -> float:
        """Seconds until it has exactly so many targets."""
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            if self.targets() == targets:
                return time.monotonic() - began
            time.sleep(0.1)
        raise SystemExit(f"Prometheus has {self.targets()} targets after {PATIENCE} s, and not {targets}.")

    def resident(self) -> float:
        """MB (10^6 bytes)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024 / 1e6

    def peak(self) -> float:
        """MB (10^6 bytes) at most so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024 / 1e6

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def server(jobs: list[dict[str, Any]]) -> Iterator[Server]:
    """A Prometheus with these scrape jobs."""
    with tempfile.TemporaryDirectory(prefix="discovery-") as name, socket.socket() as listener:
        directory = Path(name)
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        listener.close()
        config = {"global": {"scrape_interval": "1d", "scrape_timeout": "10s"}, "scrape_configs": jobs}
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        argv = [
            prometheus(),
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        began = time.monotonic()
        with (directory / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
            try:
                yield Server(process, f"http://127.0.0.1:{port}", began)
            finally:
                process.terminate()


def loaded(jobs: list[dict[str, Any]]) -> dict[str, float]:
    """What it costs to load all target files, and to keep them for two refreshes."""
    with server(jobs) as running:
        running.wait(NODES * len(EXPORTERS))
        seconds = time.monotonic() - running.began
        spent = running.cpu()
        time.sleep(2 * REFRESH)
        return {
            "seconds": seconds,
            "cpu": spent,
            "peak": running.peak(),
            "refresh": (running.cpu() - spent) / 2,
        }


def loading(directory: Path) -> None:
    ours = loaded([scrape_job("superpod", directory)])
    peer = loaded([scrape_job(keep.partition("|")[0], directory, keep) for keep in THREE_JOBS])
    words = "three scrape jobs over the same files"
    size = f"{NODES}_files"
    tell(f"discovery.load.{size}", ours["seconds"], "s", words, peer["seconds"], goal="ratio < 1")
    tell(f"discovery.load_cpu.{size}", ours["cpu"], "s of CPU", words, peer["cpu"], goal="ratio < 1")
    tell(f"discovery.memory.{size}", ours["peak"], "MB at most", words, peer["peak"], goal="ratio < 1")
    tell(f"discovery.refresh_cpu.{size}", ours["refresh"], "s of CPU/refresh", words, peer["refresh"], goal="ratio < 1")


def changes(directory: Path, seen: Path) -> list[float]:
    """Seconds from each rename in the directory to the target in the API of a Prometheus that reads it as `seen`."""
    found = []
    with server([scrape_job("superpod", seen)]) as running:
        count = len(list(directory.glob("*.json")))
        running.wait(count * len(EXPORTERS))
        for number in range(CHANGES):
            host = f"new-{number}"
            # at another moment of the refresh interval each time
            time.sleep(REFRESH / CHANGES * 0.9)
            publish(directory, host)
            began = time.monotonic()
            count += 1
            running.wait(count * len(EXPORTERS))
            found.append(time.monotonic() - began)
        # once: with 40,000 targets the answer is tens of megabytes
        answer = running.get("/api/v1/targets?state=active")
        if not all(f'"hostname":"new-{number}"' in answer for number in range(CHANGES)):
            raise SystemExit("The API lacks targets that the metrics count.")
    for number in range(CHANGES):
        (directory / f"new-{number}.json").unlink()
    return found


@contextlib.contextmanager
def through_fuse(directory: Path) -> Iterator[Path]:
    """The directory through bindfs, where nothing tells of changes."""
    with tempfile.TemporaryDirectory(prefix="discovery-fuse-") as name:
        subprocess.run(["bindfs", "--no-allow-other", str(directory), name], check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


def main() -> None:
    if shutil.which("bindfs") is None:
        raise SystemExit("discovery: there is no bindfs; script/bootstrap installs it")
    with tempfile.TemporaryDirectory(prefix="targets-") as name:
        directory = Path(name)
        for number in range(NODES):
            publish(directory, f"dgx-{number:05d}")
        loading(directory)
        with through_fuse(directory) as seen:
            told, untold = max(changes(directory, directory)), max(changes(directory, seen))
    size, goal = f"{NODES}_files", f"<= {REFRESH} + 10"
    tell(f"discovery.change.{size}", told, "s", "without inotify (bindfs)", untold, goal=goal)
    tell(f"discovery.change_unannounced.{size}", untold, "s", "inotify", told, goal=goal)


if __name__ == "__main__":
    main()
