# SPDX-License-Identifier: GPL-3.0-or-later
"""What a prolog and an epilog cost the start and the end of a job.

Peer: the pair of bash scripts that one writes first, ``>>`` in the prolog and ``sed -i`` in the epilog, with
the empty file removed (older dcgm-exporters drop a GPU whose file is empty).  It has no lock, no rename and no care
for anything unusual.  Both run in turns, on /dev/shm, so that a slow moment of the machine meets both alike; the median
of the rounds counts.  The third line is the pair for jobstats, whose peer asks nvidia-smi (a stub that answers at once)
for each GPU, as upstream's helper does.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

HOOKS = Path(__file__).resolve().parents[1] / "files" / "slurm"
ROUNDS = 120

PLAIN_DCGM = {
    "prolog": """#!/bin/bash
mkdir -p "$MAP"
IFS=,
for gpu in $SLURM_JOB_GPUS; do echo "$SLURM_JOB_ID" >>"$MAP/$gpu"; done
exit 0
""",
    "epilog": """#!/bin/bash
IFS=,
for gpu in $SLURM_JOB_GPUS; do
  sed -i "/^$SLURM_JOB_ID\\$/d" "$MAP/$gpu"
  [ -s "$MAP/$gpu" ] || rm -f "$MAP/$gpu"
done
exit 0
""",
}
PLAIN_JOBSTATS = {
    "prolog": """#!/bin/bash
mkdir -p "$MAP"
IFS=,
for gpu in $SLURM_JOB_GPUS; do
  echo "$SLURM_JOB_ID $SLURM_JOB_UID" >"$MAP/$gpu"
  uuid=$(nvidia-smi --query-gpu=uuid --format=noheader,csv -i "$gpu")
  echo "$SLURM_JOB_ID $SLURM_JOB_UID" >"$MAP/$uuid"
done
exit 0
""",
    "epilog": """#!/bin/bash
IFS=,
for gpu in $SLURM_JOB_GPUS; do
  rm -f "$MAP/$gpu"
  uuid=$(nvidia-smi --query-gpu=uuid --format=noheader,csv -i "$gpu")
  rm -f "$MAP/$uuid"
done
exit 0
""",
}
NVIDIA_SMI = """#!/bin/sh
case $1 in
-L) for i in 0 1 2 3 4 5 6 7; do echo "GPU $i: NVIDIA H200 (UUID: GPU-0000000$i-0000-4000-8000-000000000000)"; done ;;
*) for last; do :; done; echo "GPU-0000000$last-0000-4000-8000-000000000000" ;;
esac
"""


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def seconds(pair: list[Path], environment: dict[str, str]) -> float:
    """One job: its prolog, then its epilog."""
    start = time.perf_counter()
    for hook in pair:
        subprocess.run([hook], env=environment, check=True)
    return time.perf_counter() - start


def compare(name: str, kind: str, plain: dict[str, str], gpus: str, root: Path) -> dict[str, object]:
    """Medians in milliseconds of our pair and of the plain one, run in turns for one job on the GPUs."""
    ours = [HOOKS / f"{when}-{kind}.sh" for when in ("prolog", "epilog")]
    theirs = [executable(root / f"plain-{when}-{kind}", text) for when, text in plain.items()]
    directories = {root / "ours", root / "theirs"}
    environment = {
        "PATH": f"/usr/sbin:/usr/bin:/sbin:/bin:{root}",
        "GPUSTAT_DIR": str(root / "ours"),
        "DCGM_JOB_MAP_DIR": str(root / "ours"),
        "MAP": str(root / "theirs"),
        "SLURM_JOB_ID": "4242",
        "SLURM_JOB_UID": "1000",
        "SLURM_JOB_GPUS": gpus,
    }
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        times[0].append(seconds(ours, environment))
        times[1].append(seconds(theirs, environment))
    left = [path for directory in directories for path in directory.iterdir() if path.is_file()]
    if left:
        raise SystemExit(f"job_hooks: the epilogs left {left}: the measurement compares nothing")
    value, peer = (statistics.median(each) * 1000 for each in times)
    return {
        "name": name,
        "value": round(value, 2),
        "unit": "ms per prolog and epilog",
        "peer": "plain >> and sed -i in bash" if kind == "dcgm" else "bash, nvidia-smi (stub) per GPU",
        "peer_value": round(peer, 2),
        "ratio": round(value / peer, 2),
        "goal": 1.0,
    }


def main() -> None:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as directory:
        root = Path(directory)
        executable(root / "nvidia-smi", NVIDIA_SMI)
        for name, kind, plain, gpus in (
            ("job_hooks_dcgm_8_gpus", "dcgm", PLAIN_DCGM, "0,1,2,3,4,5,6,7"),
            ("job_hooks_dcgm_1_gpu", "dcgm", PLAIN_DCGM, "3"),
            ("job_hooks_jobstats_8_gpus", "jobstats", PLAIN_JOBSTATS, "0,1,2,3,4,5,6,7"),
        ):
            print(json.dumps(compare(name, kind, plain, gpus, root)), flush=True)


if __name__ == "__main__":
    main()
