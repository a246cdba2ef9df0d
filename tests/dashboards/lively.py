# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet with changing values, on a Prometheus that goes on until it is stopped: for pictures, for looking around.

``python tests/dashboards/lively.py PORT`` prints a line when Prometheus scrapes. Series, labels and highest values are
those of the captures; how they go up and down is made up here. The rules are this project's; alerts fire at once.
"""

from __future__ import annotations

import itertools
import math
import re
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet import Exposition
from prometheus_programs import prometheus
from served import configure, exporters

SCRAPE = "5s"
# What goes up and down on a busy cluster: name -> how far below the captured value, and the period in seconds
WAVES = {
    r"DCGM_FI_DEV_GPU_UTIL|DCGM_FI_PROF_\w+|nvidia_gpu_(duty_cycle|\w+_percent)": (0.5, 240.0),
    r"DCGM_FI_DEV_POWER_USAGE|nvidia_gpu_power_usage_milliwatts": (0.3, 240.0),
    r"DCGM_FI_DEV_GPU_TEMP|nvidia_gpu_temperature_celsius": (0.1, 300.0),
    r"DCGM_FI_DEV_(FB_USED|SM_CLOCK)|nvidia_gpu_memory_used_bytes": (0.2, 500.0),
    r"cgroup_memory_(rss|used|cache)_bytes|node_load\d+|node_memory_MemAvailable_bytes": (0.4, 400.0),
}
_CPUS = re.compile(r"^cgroup_cpus\{(.*\}) (\S+)$", re.MULTILINE)
COMPILED = [(re.compile(rf"(?:{pattern})[{{ ]"), depth, period) for pattern, (depth, period) in WAVES.items()]


def wave(series: str, depth: float, period: float, seconds: float, phase: float) -> float:
    """From 1 - depth to 1; the phase hangs on the series' labels, too, so those of a GPU go together."""
    phase += zlib.crc32("".join(re.findall(r'(?:UUID|uuid|jobid)="[^"]*"', series)).encode()) % 1000 / 1000
    slow, fast = (math.sin(2 * math.pi * (seconds / one + phase)) for one in (period, period / 7.3))
    return 1 - depth * (0.5 + 0.35 * slow + 0.15 * fast)


_phases = itertools.count(0, 0.37)


@dataclass
class Lively(Exposition):
    """An exposition some of whose gauges go up and down, and whose counters grow faster and slower."""

    phase: float = field(default_factory=lambda: next(_phases))

    def text(self) -> str:
        """The exposition now."""
        seconds = time.time() - self.start
        cpus = dict(_CPUS.findall("\n".join(line for line in self.lines if isinstance(line, str))))
        lines = []
        for line in self.lines:
            if isinstance(line, str):
                lines.append(self._gauge(line, seconds))
            else:
                series, first, growth = line
                lines.append(f"{series} {first + self._grown(series, growth, cpus, seconds)!r}")
        return "\n".join(lines) + "\n" + self.more()

    def _grown(self, series: str, growth: float, cpus: Mapping[str, str], seconds: float) -> float:
        """By how much a counter has grown; a job's CPU time in proportion to its CPUs."""
        name, _, labels = series.partition("{")
        share = {"cgroup_cpu_total_seconds": 0.8, "cgroup_cpu_user_seconds": 0.7, "cgroup_cpu_system_seconds": 0.1}
        if name in share:
            growth = share[name] * float(cpus.get(labels, 1))
        phase = zlib.crc32(labels.encode()) % 628 / 100 + 2 * math.pi * self.phase
        swing = 300 / (2 * math.pi)
        return growth * (seconds + 0.25 * swing * (math.sin(seconds / swing + phase) - math.sin(phase)))

    def _gauge(self, line: str, seconds: float) -> str:
        if line.startswith("#"):
            return line
        for pattern, depth, period in COMPILED:
            if pattern.match(line):
                series, _, value = line.rpartition(" ")
                return f"{series} {float(value) * wave(series, depth, period, seconds, self.phase)!r}"
        return line


def main() -> int:
    """Runs until it is stopped."""
    port = int(sys.argv[1])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as name, exporters(Lively) as targets:
        directory = Path(name)
        configured = configure(
            directory, targets, port, SCRAPE, lambda rules: re.sub(r"(?m)^( *for:) \w+$", r"\1 0s", rules)
        )
        argv = [prometheus(), f"--config.file={configured}", f"--storage.tsdb.path={directory / 'data'}"]
        with (directory / "log").open("w") as log:
            process = subprocess.Popen([*argv, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
            sys.stdout.write(f"Prometheus at http://127.0.0.1:{port} scrapes the fleet every {SCRAPE}\n")
            sys.stdout.flush()
            try:
                return process.wait()
            except KeyboardInterrupt:
                return 0
            finally:
                process.terminate()
                process.wait()


if __name__ == "__main__":
    sys.exit(main())
