# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's program: keeps cores busy and memory filled for a while, then prints what it used by its own account."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import socket
import sys
import time

PAGE = resource.getpagesize()


def burn(end: float, waited: multiprocessing.SimpleQueue[float]) -> None:
    while time.monotonic() < end:
        pass
    # nanoseconds on a processor, nanoseconds that it was wanted and others had it
    with open("/proc/self/schedstat", encoding="ascii") as file:
        waited.put(int(file.read().split()[1]) / 1e9)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cores", type=int, default=0)
    parser.add_argument("--mib", type=int, default=0)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    began, start = time.time(), time.monotonic()
    memory = bytearray(options.mib << 20)
    for page in range(0, len(memory), PAGE):
        memory[page] = 1
    waited: multiprocessing.SimpleQueue[float] = multiprocessing.SimpleQueue()
    work = (start + options.seconds, waited)
    workers = [multiprocessing.Process(target=burn, args=work) for _ in range(options.cores)]
    for worker in workers:
        worker.start()
    time.sleep(max(0, start + options.seconds - time.monotonic()))
    for worker in workers:
        worker.join()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    found = {
        "host": socket.gethostname(),
        "began": began,
        "cpu_seconds": sum(one.ru_utime + one.ru_stime for one in used),
        "waited_seconds": sum(waited.get() for _ in workers),
        "seconds": time.monotonic() - start,
        "gpus": os.environ.get("SLURM_STEP_GPUS") or os.environ.get("SLURM_JOB_GPUS", ""),
    }
    # one write, since the tasks of a step share a file
    sys.stdout.write(json.dumps(found) + "\n")


main()
