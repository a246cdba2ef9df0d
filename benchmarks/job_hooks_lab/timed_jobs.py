# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a DGX host of a lab with Slurm: jobs with all eight GPUs, in turns with prolog and epilog and without.

Prints a JSON object: milliseconds from srun until the node is free again, its epilog done, "with" and "without", in
pairs.  Not until the job is out of the queue: there it stays until EpilogSlurmctld is done, which keeps no node.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time

PAIRS = 40
LINKS = {
    f"/cm/local/apps/slurm/var/{when}s/60-{when}-jobstats.sh": f"/cm/shared/apps/slurm/var/cm/{when}-jobstats.sh"
    for when in ("prolog", "epilog")
}
NODE = os.uname().nodename
JOB = [
    "srun",
    "--quiet",
    f"--nodelist={NODE}",
    "--ntasks=1",
    "--cpus-per-task=1",
    "--gres=gpu:8",
    "--exclusive",
    "true",
]
STATE = ["sinfo", "--noheader", f"--nodes={NODE}", "--format=%T"]


def place(there: bool) -> None:
    """Have the links, or have none."""
    for path, target in LINKS.items():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        if there:
            os.symlink(target, path)


def milliseconds() -> float:
    """One job, until its node is free."""
    start = time.perf_counter()
    subprocess.run(JOB, check=True)
    while subprocess.run(STATE, stdout=subprocess.PIPE, check=True).stdout.strip() != b"idle":
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
