# SPDX-License-Identifier: GPL-3.0-or-later
"""What a prolog and an epilog cost the start and the end of a job.

Peer: the pair of bash scripts that one writes first, ``>>`` in the prolog and ``sed -i`` in the epilog, with the empty
file removed (older dcgm-exporters drop a GPU whose file is empty).  It has no lock, no rename and no care for anything
unusual.  Both run in turns, on /dev/shm, so that a slow moment of the machine meets both alike; of the rounds the
fastest tenth counts, since the others show what else the machine did.  The third line is the pair for jobstats, whose
peer asks nvidia-smi (a stub that answers at once) for each GPU, as upstream's helper does.

Then what the pair for jobstats adds to a job with 8 GPUs, with the lab's nvidia-smi over its stub of NVML: the time of
the hooks themselves, beside the same job (a program that does nothing) without them.  And of real Slurm jobs, from srun
until the node is free again: the median of what a job took longer than the same job without the hooks right before or
after it.  In the lab of LAB_ID (3 by default) if it is up (`molecule converge -s job`), else in one that is booted for
it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]
from superpod_site import SuperpodSite  # noqa: E402 - found by the line above

HOOKS = ROOT / "files" / "slurm"
FAKE_NVML = ROOT / "lab" / "fake_nvml"
ROUNDS = 120
JOBS = 60
LIMIT = 50  # ms that the hooks may add to a job
NODE = "dgx-01"

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


def fastest_tenth(times: list[float]) -> float:
    """The time below which a tenth of them lies."""
    return statistics.quantiles(times, n=10)[0]


def quartiles(times: list[float]) -> str:
    return ", ".join(f"{quarter:.0f}" for quarter in statistics.quantiles(times, n=4)) + " ms"


def compare(name: str, kind: str, plain: dict[str, str], gpus: str, root: Path) -> dict[str, object]:
    """Milliseconds of our pair and of the plain one, run in turns for one job on the GPUs."""
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
    value, peer = (fastest_tenth(each) * 1000 for each in times)
    return {
        "name": name,
        "value": round(value, 2),
        "unit": "ms per prolog and epilog",
        "peer": "plain >> and sed -i in bash" if kind == "dcgm" else "bash, nvidia-smi (stub) per GPU",
        "peer_value": round(peer, 2),
        "ratio": round(value / peer, 2),
        "goal": 1.0,
    }


def added(name: str, peer: str, value: float, peer_value: float) -> dict[str, object]:
    """What the hooks add to a job, in milliseconds, beside what the job takes without them."""
    return {
        "name": name,
        "value": round(value, 1),
        "unit": "ms added to a job with 8 GPUs",
        "peer": peer,
        "peer_value": round(peer_value, 1),
        "limit": LIMIT,
        "ratio": round(value / LIMIT, 2),
        "goal": f"<= {LIMIT}",
    }


def own_time(root: Path) -> dict[str, object]:
    """Prolog, job, epilog beside the job alone, with the lab's nvidia-smi."""
    stub = root / "nvml"
    shutil.copytree(FAKE_NVML, stub)
    subprocess.run(["make", "-s", "-C", str(stub), "libnvidia-ml.so.1"], check=True, stdout=sys.stderr)
    environment = {
        "PATH": f"{stub}:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": str(stub),
        "FAKE_NVML_CONF": str(stub / "fake_nvml.conf"),
        "GPUSTAT_DIR": str(root / "gpustat"),
        "SLURM_JOB_ID": "4242",
        "SLURM_JOB_UID": "1000",
        "SLURM_JOB_GPUS": "0-7",
    }
    job = Path("/bin/true")
    hooked = [HOOKS / "prolog-jobstats.sh", job, HOOKS / "epilog-jobstats.sh"]
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(JOBS):
        times[0].append(seconds(hooked, environment) * 1000)
        times[1].append(seconds([job], environment) * 1000)
    if list((root / "gpustat").iterdir()):
        raise SystemExit("job_hooks: the epilog left files: the measurement is of no use")
    fastest, plain = (fastest_tenth(each) for each in times)
    return added("job_hooks_own_time_8_gpus", "the same job without them", fastest - plain, plain)


@contextlib.contextmanager
def lab_with_slurm() -> Iterator[SuperpodSite]:
    """The one that is up, or one for as long as it is used."""
    site = SuperpodSite("3")
    try:
        site.learn()
    except AssertionError:  # no lab is up
        print("job_hooks: booting a lab with Slurm (a minute)", file=sys.stderr)
        with site.removed_afterwards():
            site.boot(1)
            site.slurm([NODE])
            site.playbook("site.yml", "-e superpod_gpu_exporter=nvidia_gpu_prometheus_exporter --tags dgx_exporters")
            yield site
        return
    try:
        site.output("command -v srun && test -x /cm/local/apps/slurm/var/prologs/60-prolog-jobstats.sh", NODE)
    except AssertionError:
        raise SystemExit("job_hooks: the lab that is up has no Slurm with the hooks; choose another LAB_ID") from None
    yield site


def slurm_time() -> dict[str, object]:
    """Jobs of a real Slurm."""
    with lab_with_slurm() as site:
        site.put((ROOT / "benchmarks" / "job_hooks_lab" / "timed_jobs.py").read_text(), "/tmp/timed_jobs.py", NODE)
        times = json.loads(site.output("python3 /tmp/timed_jobs.py", NODE, timeout=600))
    longer = [hooked - plain for hooked, plain in zip(times["with"], times["without"])]
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"job_hooks: {len(longer)} pairs, quartiles of the difference {quartiles(longer)}, {load}", file=sys.stderr)
    peer = "the same job without them, in Slurm"
    return added("job_hooks_slurm_8_gpus", peer, statistics.median(longer), statistics.median(times["without"]))


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
        if not (shutil.which("make") and shutil.which("gcc")):
            raise SystemExit("job_hooks: the lab's nvidia-smi needs gcc and make; script/bootstrap installs them")
        print(json.dumps(own_time(root)), flush=True)
    print(json.dumps(slurm_time()), flush=True)


if __name__ == "__main__":
    main()
