# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook verify: a healthy site passes, every seeded fault is found and named, nothing is changed on the way."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from upkeep_lab import CONTROLLER, LOGIN, MONITORING, NODES, TARGETS, UpkeepLab
from verify_faults import AWAY_ROUND, EXPORTERS_ROUND, NODES_ROUND, SERVERS_ROUND, SLURM_CONF, Found, Round

HOSTS = ("bcm-head-01", "bcm-head-02", CONTROLLER, LOGIN, MONITORING, *NODES)
REPORT = "/tmp/verify.json"
STATE = "/cm/local/apps/cmd/simulator/state.yaml"
ROUNDS = (NODES_ROUND, EXPORTERS_ROUND, SERVERS_ROUND, AWAY_ROUND)
# What changes all the time, whoever looks: samples, accounts of jobs, logs, what a role monitor notes at each check.
LIVELY = (
    "^(/var/lib/(prometheus|mysql|grafana|systemd|logrotate|bcm-role-monitor|node_exporter)|/var/(log|cache|tmp|backups)|/tmp|/run|/proc|/sys"
    "|/dev|/root/.ansible|/cm/shared/(home|apps/slurm/var/cm/statesave))(/|$)"
)


def verify(lab: UpkeepLab, arguments: str = "", status: int = 0) -> dict[str, Any]:
    """What it says, as data."""
    lab.run(f"rm -f {REPORT}")
    said = lab.playbook("verify", f"-e superpod_verify_json={REPORT} {arguments}", status=status)
    report: dict[str, Any] = json.loads(lab.read(REPORT))
    for line in report["table"]:
        assert json.dumps(line) in said
    assert report["sentence"] in said.replace("\n", " ")
    return report


def found(report: dict[str, Any]) -> set[Found]:
    return {(entry["host"], each["check"], each["subject"]) for entry in report["hosts"] for each in entry["failures"]}


def passed(report: dict[str, Any]) -> dict[str, int]:
    """How many checks passed, by host; none failed."""
    assert (report["failures"], found(report)) == (0, set())
    return {entry["host"]: entry["passed"] for entry in report["hosts"]}


def lately_changed(lab: UpkeepLab, seconds: float) -> set[str]:
    """What of all hosts' files and directories has changed so many seconds ago or less, but the lively ones.

    By the time of the inode: it tells of new content, rights and names, and a directory's of what came or went in it.
    """
    changed = set()
    for host in HOSTS:
        look = " ".join(
            f"find {place} -newerct '{seconds:.0f} seconds ago' 2>/dev/null;" for place in ("/ -xdev", "/cm/shared")
        )
        paths = lab.run(f"({look}) | grep -Ev '{LIVELY}' || true", host)
        changed |= {f"{host}:{path}" for path in paths.split() if path != REPORT}
    return changed


def services(lab: UpkeepLab) -> dict[str, str]:
    """Which services each host has, and when they were last started."""
    units = "node_exporter cgroup_exporter nvidia_gpu_prometheus_exporter bcm-role-monitor prometheus grafana-server"
    shown = "-p Id -p ActiveState -p ActiveEnterTimestamp -p UnitFileState -p NRestarts -p MainPID"
    look = f"systemctl show {shown} {units}; systemctl list-unit-files --no-pager; dpkg -l | md5sum"
    return {host: lab.run(look, host) for host in HOSTS}


def test_a_healthy_site_passes_and_nothing_is_changed(lab: UpkeepLab) -> None:
    before, state = services(lab), lab.read(STATE)
    since = lab.run("date '+%F %T'").strip()
    begin = time.time()
    report = verify(lab)
    changed = lately_changed(lab, time.time() - begin)

    counts = passed(report)
    assert counts.keys() == set(HOSTS) - {"bcm-head-02"}
    assert counts["dgx-01"] == counts["dgx-02"] > 70
    assert all(count >= 4 for count in counts.values())
    assert report["table"] == [f"{host}: {counts[host]} passed, 0 failed" for host in sorted(counts)]

    assert changed == set()
    assert services(lab) == before
    assert lab.read(STATE) == state
    # What was asked of BCM meanwhile: reads, and the waiting of the role monitors for events.
    lines = lab.run(f"journalctl -q -o cat --no-pager -u cmd --since '{since}' | grep '\"method\"'").splitlines()
    requests = [json.loads(line) for line in lines]
    assert {request["method"] for request in requests if not request["call"]} == {"GET"}
    calls = {request["call"] for request in requests if request["call"]}
    assert {call for call in calls if not call.startswith("cmsession.") and ".get" not in call} == set()


def test_one_role_of_one_node_while_a_job_runs(lab: UpkeepLab) -> None:
    lab.run("su - alice -c 'sbatch -D /tmp -o /dev/null -w dgx-02 --mem=64 --wrap \"sleep 60\"'", LOGIN)
    lab.run('until [ -n "$(squeue -h -t R)" ]; do sleep 0.5; done; sleep 2', CONTROLLER)
    assert passed(verify(lab, "--limit dgx-02 --tags dgx_exporters")).keys() == {"dgx-02"}
    lab.run('scancel -u alice; until [ -z "$(squeue -h)" ]; do sleep 0.5; done', CONTROLLER)


def test_jobs_have_the_same_ids_in_slurm_and_in_the_series(lab: UpkeepLab) -> None:
    """A job of dgx-02 that runs long enough to be judged; then its GPU is said to be of another one."""
    only = f"--limit {CONTROLLER} --tags slurm_controller"
    before = passed(verify(lab, only))[CONTROLLER]
    submit = "sbatch --parsable -D /tmp -o /dev/null -w dgx-02 --gres=gpu:1 --mem=64 --wrap 'sleep 300'"
    job = lab.run(f'su - alice -c "{submit}"', LOGIN).strip()
    lab.run('until [ -n "$(squeue -h -t R)" ]; do sleep 0.5; done; sleep 32', CONTROLLER)
    try:
        # of dgx-02, job_measured and job_gpus; the summary of a job from before may be due by now
        assert passed(verify(lab, only))[CONTROLLER] - before in (2, 3)
        lab.run(f"sed -i 's/^{job} /999999 /' /run/gpustat/*; grep -q 999999 /run/gpustat/*; sleep 12", "dgx-02")
        report = verify(lab, only, status=2)
        assert found(report) == {("dgx-02", "job_gpus", "jobs on dgx-02"), ("dgx-02", "job_gone", "GPUs of dgx-02")}
        seen = {each["check"]: each["seen"] for entry in report["hosts"] for each in entry["failures"]}
        assert job in seen["job_gpus"]
        assert "999999" in seen["job_gone"]
    finally:
        lab.run(f"sed -i 's/^999999 /{job} /' /run/gpustat/*", "dgx-02")
        lab.run('scancel -u alice; until [ -z "$(squeue -h)" ]; do sleep 0.5; done', CONTROLLER)


def test_what_a_site_does_not_have_is_not_looked_at_in_check_mode_either(lab: UpkeepLab) -> None:
    without = "-e login_node_state=absent -e grafana_server_state=absent -e prometheus_server_state=absent"
    lab.run(f"rm -f {REPORT}")
    said = lab.playbook(
        "verify", f"{without} --skip-tags dgx_exporters,role_monitor --check --diff -e superpod_verify_json={REPORT}"
    )
    assert "Everything is as it should be on 1 host." in said
    assert f"{CONTROLLER}: " in said
    lab.run(f"test -e {REPORT}", status=1)


def test_another_cluster_name_than_slurms(lab: UpkeepLab) -> None:
    report = verify(lab, "-e superpod_cluster_name=hal --tags login_node", status=2)
    assert found(report) == {(LOGIN, "cluster_name", "ClusterName")}
    failure = report["hosts"][0]["failures"][0]
    assert failure["seen"] == "Slurm's is slurm, and superpod_cluster_name is hal"
    assert "superpod_cluster_name: slurm" in failure["mend"]


@pytest.fixture
def broken(lab: UpkeepLab, request: pytest.FixtureRequest) -> Iterator[Round]:
    """A round's faults, for as long as the test takes."""
    faults: Round = request.param
    try:
        if faults is SERVERS_ROUND:
            take_role(lab)
        for host in faults.hosts:
            assert "UNDONE" not in lab.run(faults.script(host, mending=False), host)
        time.sleep(faults.seconds)
        for node in NODES:  # a stopped role monitor's state gets old by itself; where that is the fault it stays so
            if (node, "last_success", "bcm-role-monitor.service") not in lines_of(faults):
                lab.run("touch /var/lib/bcm-role-monitor/*_state.json", node)
        yield faults
    finally:
        said = [lab.run(faults.script(host, mending=True), host) for host in faults.hosts]
        if faults is SERVERS_ROUND:
            give_role(lab)
        assert [line for line in said if "UNDONE" in line] == []
        lab.wait_for_targets(TARGETS, 120)


def lines_of(faults: Round) -> set[Found]:
    """All lines that verify must have."""
    return EXTRA.get(faults.name, set()).union(*(fault.finds for fault in faults.faults))


def take_role(lab: UpkeepLab) -> None:
    """dgx-02 loses the role while its role monitor does not notice; BCM gives Slurm other settings."""
    lab.run("systemctl kill -s STOP bcm-role-monitor", "dgx-02")
    lab.cmsh("configurationoverlay; use slurm-client; set nodes dgx-01; commit")
    lab.cmsh("wlm; use slurm; cgroups; set constraincores no; commit")
    lab.cmsh("wlm; use slurm; set epilogslurmctld /bin/true; commit")
    wait_for_slurm(lab, "EpilogSlurmctld *= /bin/true")
    lab.run("systemctl stop cmd-slurm")  # it would mend slurm.conf


def give_role(lab: UpkeepLab) -> None:
    lab.run(f"mv {SLURM_CONF}.kept {SLURM_CONF}", CONTROLLER)
    lab.cmsh("configurationoverlay; use slurm-client; set nodes dgx-01 dgx-02; commit")
    lab.cmsh("wlm; use slurm; cgroups; set constraincores yes; commit")
    lab.cmsh("wlm; use slurm; set epilogslurmctld /usr/local/sbin/epilogslurmctld-slurm.sh; commit")
    lab.run("systemctl start cmd-slurm")
    lab.run("systemctl restart slurmctld", CONTROLLER)
    wait_for_slurm(lab, "EpilogSlurmctld *= /usr/local/sbin/")
    lab.run("until sinfo -hN -o %T | grep -v idle; [ $? = 1 ]; do sleep 1; done", CONTROLLER, timeout=120)


def wait_for_slurm(lab: UpkeepLab, pattern: str) -> None:
    """Until slurmctld has a setting."""
    wait = (
        f"for i in $(seq 60); do scontrol show config 2>/dev/null | grep -q '^{pattern}' && exit; sleep 1; done; exit 1"
    )
    lab.run(wait, CONTROLLER)


EXTRA: dict[str, set[Found]] = {
    SERVERS_ROUND.name: {
        (CONTROLLER, "bcm_setting", "wlm slurm epilogslurmctld"),
        (CONTROLLER, "epilogslurmctld", "EpilogSlurmctld"),
        (CONTROLLER, "bcm_setting", "wlm slurm cgroups constraincores"),
        (CONTROLLER, "slurm_setting", "ConstrainCores"),
    }
}


@pytest.mark.parametrize("broken", ROUNDS, ids=[each.name for each in ROUNDS], indirect=True)
def test_every_fault_is_found_and_named(lab: UpkeepLab, broken: Round) -> None:
    report = verify(lab, status=2)
    assert found(report) == lines_of(broken)
    for entry in report["hosts"]:
        for failure in entry["failures"]:
            assert failure["seen"], failure
            assert failure["expected"], failure
            assert failure["mend"], failure


def test_afterwards_all_is_well(lab: UpkeepLab) -> None:
    passed(verify(lab))


def test_enough_faults_were_seeded() -> None:
    seeded = {fault.name for each in ROUNDS for fault in each.faults}
    assert len(seeded) >= 25
