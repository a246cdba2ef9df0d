# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a DGX host of a lab with Slurm: jobs with all eight GPUs, in turns with prolog and epilog and without.

Prints a JSON object: milliseconds until the job is out of the queue, its epilog done, "with" and "without".
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time

PAIRS = 25
LINKS = {
    f"/cm/local/apps/slurm/var/{when}s/60-{when}-jobstats.sh": f"/cm/shared/apps/slurm/var/cm/{when}-jobstats.sh"
    for when in ("prolog", "epilog")
}
JOB = ["srun", "--quiet", "--ntasks=1", "--cpus-per-task=1", "--gres=gpu:8", "--exclusive", "true"]


def place(there: bool) -> None:
    """Have the links, or have none."""
    for path, target in LINKS.items():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        if there:
            os.symlink(target, path)


def milliseconds() -> float:
    """One job, until nothing is in the queue."""
    start = time.perf_counter()
    subprocess.run(JOB, check=True)
    while subprocess.run(["squeue", "--noheader"], stdout=subprocess.PIPE, check=True).stdout:
        pass
    return (time.perf_counter() - start) * 1000


def main() -> None:
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(PAIRS):
        for there in (True, False) if number % 2 else (False, True):
            place(there)
            times[there].append(milliseconds())
    place(True)
    print(json.dumps({"with": times[True], "without": times[False]}))


if __name__ == "__main__":
    main()
