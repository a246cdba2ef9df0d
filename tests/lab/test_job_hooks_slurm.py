# SPDX-License-Identifier: GPL-3.0-or-later
"""The job hooks under a real Slurm: its environment, its jobs, and BCM's way of running every script of a directory."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from node_lab import NODE, Lab
from superpod_site import COLLECTION, until

pytestmark = pytest.mark.lab
CONTROLLER = "slurm-ctl-01"
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-client munge"
CONFIGURATION = f"""
cat >/etc/slurm/slurm.conf <<'EOF'
ClusterName=lab
SlurmctldHost={CONTROLLER}
AuthType=auth/munge
SlurmUser=slurm
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
Prolog=/cm/local/apps/cmd/scripts/prolog
Epilog=/cm/local/apps/cmd/scripts/epilog
PrologFlags=Alloc
GresTypes=gpu,shard
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
NodeName={NODE} CPUs=2 RealMemory=2000 Gres=gpu:h200:8,shard:32 State=UNKNOWN
PartitionName=gpu Nodes={NODE} Default=YES MaxTime=10:00 State=UP DefMemPerCPU=100
EOF
cat >/etc/slurm/gres.conf <<'EOF'
NodeName={NODE} Name=gpu Type=h200 File=/dev/nvidia[0-7]
NodeName={NODE} Name=shard Count=32
EOF
install -d -o slurm -g slurm /var/lib/slurm /var/lib/slurm/slurmctld /var/lib/slurm/slurmd /var/log/slurm
id alice 2>/dev/null >&2 || useradd -u 2001 -m alice
install -o munge -g munge -m 400 /cm/shared/munge.key /etc/munge/munge.key
systemctl restart munge
"""
# what BCM's generic scripts do: all of the directory, in order, up to the first that fails
GENERIC = """
for when in prolog epilog; do
  install -d /cm/local/apps/cmd/scripts /cm/local/apps/slurm/var/${when}s
  printf '#!/bin/bash\\nfor script in /cm/local/apps/slurm/var/%ss/*; do "$script" || exit; done\\n' $when \
    >/cm/local/apps/cmd/scripts/$when
  chmod 755 /cm/local/apps/cmd/scripts/$when
  for kind in jobstats dcgm; do
    ln -sf /cm/shared/apps/slurm/var/cm/$when-$kind.sh /cm/local/apps/slurm/var/${when}s/60-$when-$kind.sh
  done
done
"""


@pytest.fixture(scope="module")
def slurm(lab: Lab) -> Iterator[Lab]:
    """The lab with a controller and a node that has the hooks."""
    lab.run("head -c 128 /dev/urandom | base64 -w0 >/cm/shared/munge.key", "bcm-head-01")
    lab.run(
        f"mkdir -p /cm/shared/apps/slurm/var/cm\ncp -L {COLLECTION}/files/slurm/*-*.sh /cm/shared/apps/slurm/var/cm/",
        "bcm-head-01",
    )
    for host, daemon in ((CONTROLLER, "slurmctld"), (NODE, "slurmd")):
        lab.run(f"{INSTALL} {daemon} >/dev/null 2>&1\n{CONFIGURATION}", host, timeout=300)
    lab.run(GENERIC)
    lab.run("systemctl restart slurmctld", CONTROLLER)
    lab.run("systemctl restart slurmd")
    until(lambda: lab.run("sinfo -h -o %T", CONTROLLER) == "idle")
    yield lab
    lab.run("systemctl stop slurmd")
    lab.run("systemctl stop slurmctld", CONTROLLER)


def submit(lab: Lab, options: str) -> str:
    return lab.run(f"cd /tmp; su alice -c 'sbatch --parsable -o /dev/null {options} --wrap \"sleep 60\"'", CONTROLLER)


def maps(lab: Lab) -> dict[str, list[str]]:
    """Every file that an exporter could read, with its lines."""
    lines = lab.run("cd /run; grep -H . dcgm-job-map/* gpustat/* 2>/dev/null || true").splitlines()
    found: dict[str, list[str]] = {}
    for line in lines:
        name, _, content = line.partition(":")
        found.setdefault(name, []).append(content)
    return {name: sorted(contents) for name, contents in found.items()}


def cancel_all(lab: Lab) -> None:
    """End all jobs; their epilogs leave nothing, and no hook complained or drained the node."""
    lab.run("scancel -u alice", CONTROLLER)
    until(lambda: maps(lab) == {} and lab.run("sinfo -h -o %T", CONTROLLER) == "idle")
    assert lab.run("journalctl -q --no-pager -t 60-prolog-dcgm.sh -t 60-prolog-jobstats.sh -t 60-epilog-dcgm.sh") == ""


def uuids(lab: Lab) -> list[str]:
    return re.findall(r"GPU-[0-9a-f-]+", lab.run("nvidia-smi -L"))


def test_a_gpu_job_and_one_without(slurm: Lab) -> None:
    cpu, gpu = submit(slurm, "-n1"), submit(slurm, "-n1 --gres=gpu:h200:1")
    until(lambda: maps(slurm) != {})
    until(lambda: slurm.run("squeue -h -t R -o %i", CONTROLLER).split() in ([cpu, gpu], [gpu, cpu]))
    expected = {"dcgm-job-map/0": [gpu], "gpustat/0": [f"{gpu} 2001"], f"gpustat/{uuids(slurm)[0]}": [f"{gpu} 2001"]}
    until(lambda: maps(slurm) == expected)
    cancel_all(slurm)


def test_an_array(slurm: Lab) -> None:
    submit(slurm, "-n1 -a 5-6 --gres=gpu:h200:1")
    raw = "squeue -h -r -t R -O JobID:10"
    until(lambda: len(slurm.run(raw, CONTROLLER).split()) == 2)
    jobs = slurm.run(raw, CONTROLLER).split()
    until(lambda: len(maps(slurm)) == 6)
    found = maps(slurm)
    assert sorted(found["dcgm-job-map/0"] + found["dcgm-job-map/1"]) == sorted(jobs)
    cancel_all(slurm)


def test_two_jobs_share_a_gpu(slurm: Lab) -> None:
    jobs = [submit(slurm, "-n1 --gres=shard:1") for _ in range(2)]
    until(lambda: maps(slurm).get("dcgm-job-map/0") == sorted(jobs))
    assert maps(slurm)["gpustat/0"] in ([f"{jobs[0]} 2001"], [f"{jobs[1]} 2001"])
    cancel_all(slurm)


def test_a_requeued_job(slurm: Lab) -> None:
    job = submit(slurm, "-n1 --requeue --gres=gpu:h200:8")
    until(lambda: len(maps(slurm)) == 24)
    slurm.run(f"scontrol requeue {job}", CONTROLLER)
    until(lambda: maps(slurm) == {})
    cancel_all(slurm)
