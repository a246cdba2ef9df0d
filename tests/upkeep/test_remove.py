# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/remove.yml: parts, all of it, and that everything is afterwards as it was before the deployment.

The last file here, since it leaves a lab without monitoring; the tests follow each other.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.installed_files import classify
from snapshot import Entry, Snapshot, compare
from superpod_site import COMMAND, SITE, playbook_command, recap, until
from upkeep_lab import CONTROLLER, LOGIN, MONITORING, NODES, TARGETS, Everything, UpkeepLab

DATA = "-e prometheus_server_keep_data=false -e grafana_server_keep_data=false"
YES = "-e superpod_remove_confirm=yes"

# What is not as it was, and why that is so.
CHANGES_BY_ITSELF = {
    r"/etc/(passwd|group|shadow|gshadow)-": "the copies that the system keeps of the files before their last change",
    r"/var/lib/mysql/.*": "the database of Slurm's accounting",
    r"/cm/local/apps/slurm/var/spool/.*": "slurmd's state",
    r"/cm/shared/apps/slurm/var/cm/statesave/.*": "slurmctld's state",
}
# What packages make besides the files that they bring, so that no list of theirs has it.
MADE_BY_PACKAGES = {
    r"/usr/lib/python3/dist-packages/.*": "compiled Python",
    r"/etc/rc[0-6]\.d/.*": "links for another init",
    r"/etc/lighttpd/conf-enabled.*": "links for another web server",
}


def matches(path: str, reasons: dict[str, str]) -> bool:
    return any(re.fullmatch(pattern, path) for pattern in reasons)


def differences(before: Everything, after: Everything) -> list[str]:
    """One line for each thing that is not as before and ought to be."""
    found = []
    for host, was in before.hosts.items():
        found += [f"{host}: {line}" for line in without(was).differences(without(after.hosts[host]))]
    found += [f"shared: {line}" for line in compare("", kept(before.shared), kept(after.shared))]
    keys = before.bcm.keys() | after.bcm.keys()
    # BCM goes on listing a certificate that was revoked.
    found += [f"BCM: {key}" for key in sorted(keys) if valid(before.bcm, key) != valid(after.bcm, key)]
    return found


def kept(files: dict[str, Entry]) -> dict[str, Entry]:
    return {path: entry for path, entry in files.items() if not matches(path, CHANGES_BY_ITSELF)}


def without(host: Snapshot) -> Snapshot:
    return replace(host, files=kept(host.files))


def valid(bcm: dict[str, object], key: str) -> object:
    value = bcm.get(key)
    if key == "certificates" and isinstance(value, dict):
        return {serial: entry for serial, entry in value.items() if not entry["revoked"]}
    return value


def certificates(lab: UpkeepLab) -> list[tuple[str, str]]:
    """Whether the role monitors' certificates are revoked, and the profile of each."""
    rows = [
        line.split()
        for line in lab.cmsh("cert; listcertificates").splitlines()
        if line.strip().endswith("role-monitor")
    ]
    return [(row[1], row[-2]) for row in rows]


def changed(said: str) -> dict[str, int]:
    """Hosts on which something was changed."""
    return {host: count for host, (count, _failed) in recap(said).items() if count}


@pytest.fixture(scope="module")
def deployed(lab: UpkeepLab) -> Everything:
    return lab.snapshots()


def test_every_new_file_is_one_that_the_collection_knows_of(lab: UpkeepLab, deployed: Everything) -> None:
    unknown = []
    for host, after in deployed.hosts.items():
        before = lab.before.hosts[host]
        brought = " ".join(after.packages.keys() - before.packages.keys())
        of_packages = set(lab.run(f"dpkg -L {brought}", host).splitlines()) if brought else set()
        for path in before.new_files(after):
            real = re.sub("^/usr(?=/(bin|sbin|lib)/)", "", path)
            if not {path, real} & of_packages and not matches(path, MADE_BY_PACKAGES) and not classify(path):
                unknown.append(f"{host}: {path}")
    new = deployed.shared.keys() - lab.before.shared.keys()
    unknown += [path for path in sorted(new) if not matches(path, CHANGES_BY_ITSELF) and not classify(path)]
    assert unknown == []
    assert len(lab.before.hosts[NODES[0]].new_files(deployed.hosts[NODES[0]])) > 50


def test_it_says_what_would_go_and_takes_no_for_an_answer(lab: UpkeepLab) -> None:
    said = lab.playbook("remove", DATA, status=2, warns=["Not waiting for response to prompt"])
    assert "Nothing was removed; answer yes, or give -e superpod_remove_confirm=yes where nobody can be asked" in said
    terminal = lab.terminal(f"cd {SITE} && {playbook_command('remove', DATA)}")
    asked = terminal.until("Type yes to remove this")
    assert f"dgx_exporters from {', '.join(NODES)}" in asked
    assert f"login_node from {LOGIN}" in asked
    assert f"Lost for good: Prometheus' samples on {MONITORING}, Grafana's database, users" in asked
    terminal.type("no")
    assert terminal.end() == 2
    assert "Nothing was removed" in terminal.seen
    assert lab.targets() == dict.fromkeys(TARGETS, "up")


def test_check_mode_shows_it_and_does_nothing(lab: UpkeepLab) -> None:
    said = lab.playbook("remove", "--check --diff --tags role_monitor,slurm_controller")
    assert set(changed(said)) == {*NODES, CONTROLLER}
    for shown in ("/etc/bcm-role-monitor", "-  token GET_DEVICE_TOKEN", "-constrainramspace", "/usr/local/jobstats"):
        assert shown in said
    assert "BEGIN RSA" not in said
    assert lab.targets() == dict.fromkeys(TARGETS, "up")
    assert certificates(lab)[-1][0] == "No"


def test_the_role_monitor_of_one_node(lab: UpkeepLab) -> None:
    said = lab.playbook("remove", f"{YES} --tags role_monitor --limit dgx-01")
    assert set(changed(said)) == {"dgx-01"}
    lab.run("systemctl is-active node_exporter && test ! -e /etc/bcm-role-monitor", "dgx-01")
    lab.wait_for_targets({target for target in TARGETS if target.startswith("dgx-02")})
    assert certificates(lab)[-1][0] == "No", "dgx-02 still needs it"


def test_a_node_that_does_not_answer(lab: UpkeepLab) -> None:
    """The others are left alone by it; it is named, not scraped any more, and what it needs stays."""
    lab.superpod("labhost", "partition", "dgx-02")
    try:
        said = lab.playbook("remove", f"{YES} --tags role_monitor,login_node", status=2)
        assert "dgx-02 did not answer, so all is still there; run this again when it does." in said
        assert "/cm/shared/apps/jobstats/prometheus-targets/dgx-02.json" not in lab.run("find /cm/shared/apps/jobstats")
        lab.run("test ! -e /usr/local/bin/jobstats -a ! -e /usr/local/jobstats", LOGIN)
        assert certificates(lab)[-1][0] == "No"
        until(lambda: lab.targets() == {}, 30)
    finally:
        lab.superpod("labhost", "heal", "dgx-02")
    lab.run("for i in $(seq 30); do ping -c1 -W1 dgx-02 >/dev/null && exit; sleep 0.5; done; exit 1")


def test_all_of_it_also_what_somebody_has_begun_to_remove(lab: UpkeepLab) -> None:
    lab.run(
        "systemctl stop cgroup_exporter; rm -rf /etc/systemd/system/cgroup_exporter.service /opt/superpod", "dgx-01"
    )
    lab.run("dpkg --purge grafana", MONITORING)
    lab.run("rm -r /usr/local/jobstats/jobstats.py /etc/jobstats", CONTROLLER)
    said = lab.playbook("remove", f"{YES} {DATA}")
    assert f"Lost: Prometheus' samples on {MONITORING}" in said
    assert differences(lab.before, lab.snapshots()) == []


def test_jobs_run_as_before(lab: UpkeepLab) -> None:
    assert sorted(line.split()[1] for line in lab.job().splitlines()) == list(NODES)
    until(lambda: set(lab.run("sinfo -h -N -o %T", CONTROLLER).split()) == {"idle"}, 20)


def test_once_more_changes_nothing(lab: UpkeepLab) -> None:
    assert changed(lab.playbook("remove", f"{YES} {DATA}")) == {}


@pytest.mark.skipif(not os.environ.get("SUPERPOD_TEST_FULL"), reason="long; SUPERPOD_TEST_FULL=1")
def test_what_a_deployment_left_that_was_killed_half_way(lab: UpkeepLab) -> None:
    half = "test -e /etc/systemd/system/node_exporter.service"
    # what it says when it is killed is nobody's concern
    killed = f"{COMMAND} >/dev/null 2>&1 & pid=$!; until ssh dgx-02 {half}; do sleep 1; done; kill $pid; wait"
    lab.run(f"cd {SITE} && ({killed}); true")
    lab.playbook("remove", f"{YES} {DATA}")
    assert differences(lab.before, lab.snapshots()) == []
