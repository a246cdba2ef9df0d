# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.superpod.monitoring.plugins.module_utils import setup_look
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_findings import (
    Host,
    from_json,
    group_rule,
    matching,
    members,
    worth_a_look,
)
from hypothesis import given
from hypothesis import strategies as st
from setup_worlds import HOSTS

MOUNTINFO = r"""25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 25 0:24 / /sys rw shared:2 - sysfs sysfs rw
40 25 0:45 / /cm/shared rw,relatime shared:9 - nfs4 master:/cm/shared rw,vers=4.2,hard
41 25 0:46 / /mnt/with\040blank rw - xfs /dev/sdb1 rw
42 25 0:47 / /cm/shared rw,relatime - lustre 10.0.0.1@tcp:/fs rw
"""


def test_mountinfo_with_blanks_and_one_mount_over_another() -> None:
    assert setup_look.parse_mountinfo(MOUNTINFO) == [
        ("/", "ext4", "/dev/sda1"),
        ("/sys", "sysfs", "sysfs"),
        ("/mnt/with blank", "xfs", "/dev/sdb1"),
        ("/cm/shared", "lustre", "10.0.0.1@tcp:/fs"),
    ]


@given(st.text(max_size=80))
def test_any_text_is_no_mountinfo(text: str) -> None:
    setup_look.parse_mountinfo(text)
    setup_look.parse_cluster_name(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ClusterName=slurm\n", "slurm"),
        ("# ClusterName=no\nclustername = pod1 # ours\n", "pod1"),
        ("SlurmctldHost[0]         = ctl\nClusterName             = big-pod\n", "big-pod"),
        ("NodeName=ClusterName\n", None),
    ],
)
def test_cluster_name(text: str, name: str | None) -> None:
    assert setup_look.parse_cluster_name(text) == name


def test_this_host() -> None:
    """The root file system has an identity, a socket that listens is seen, pseudo file systems are not."""
    mounts = {mount["target"]: mount for mount in setup_look.mounts()}
    assert mounts["/"]["identity"]
    assert "/proc" not in mounts
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        [found] = [listener for listener in setup_look.listeners() if listener["port"] == port]
    assert found["program"]
    assert found["ours"] is False


@pytest.mark.parametrize(
    ("unit", "content", "ours"),
    [
        ("", "", False),
        ("sshd.service", "[Unit]\n", False),
        ("prometheus.service", "# Managed by superpod.monitoring.prometheus_server\n", True),
        ("prometheus.service", "[Unit]\n", False),
        ("node_exporter.service", "[Unit]\n", True),
        ("prometheus-node-exporter.service", "", False),
    ],
)
def test_a_unit_is_ours_by_what_it_says_or_if_the_role_replaces_it(
    monkeypatch: pytest.MonkeyPatch, unit: str, content: str, ours: bool
) -> None:
    monkeypatch.setattr(setup_look, "_content", lambda _path: content)
    assert setup_look.is_ours(unit) is ours


def test_the_units_that_are_replaced_are_the_roles() -> None:
    role = Path(__file__).parents[4] / "roles/dgx_exporters/vars/main/exporters.yml"
    units = yaml.safe_load(role.read_text(encoding="utf-8"))["_dgx_exporters_own_units"]
    assert set(units) == setup_look.TAKEN_OVER


def test_findings_from_what_the_modules_return() -> None:
    found = {
        "hosts": [{"name": "dgx-01", "type": "PhysicalNode", "category": None, "roles": None, "ip": "10.0.0.1"}],
        "headnodes": ["bcm-head-01"],
        "cluster_name": None,
        "slurm_instances": ["slurm"],
        "notes": [],
    }
    seen = {
        "dgx-01": {"mounts": [], "listeners": [{"port": 22, "program": "sshd", "ours": False}]},
        "ctl": {"cluster_name": {"value": "pod1", "source": "scontrol"}},
        "gone": {"unreachable": True, "msg": "ssh:\n no route"},
    }
    findings = from_json(found, seen)
    assert (findings.cluster_name, findings.cluster_name_source) == ("pod1", "scontrol")
    assert findings.on("gone").problem == "ssh: no route"
    listener = findings.on("dgx-01").listener(22)
    assert listener is not None
    assert listener.program == "sshd"
    assert findings.on("nobody").problem == "nobody was not looked at"


def test_patterns() -> None:
    assert [host.name for host in matching("dgx-*", HOSTS)] == ["dgx-01", "dgx-02"]
    assert [host.name for host in matching("category:login", HOSTS)] == ["login-01"]
    assert [host.name for host in members(["role:slurmsubmit", "login-01"], HOSTS)] == ["slurm-ctl-01", "login-01"]
    assert group_rule(["dgx-01", "category:dgx*", "role:slurmclient", "dgx-02"]) == {
        "hosts": ["dgx-01", "dgx-02"],
        "categories": ["dgx*"],
        "roles": ["slurmclient"],
    }


def test_servers_are_looked_at_and_a_few_of_many_nodes() -> None:
    many = [Host(f"dgx-{number:03d}", "PhysicalNode", "dgx", (), "10.1.0.1") for number in range(9)]
    down = Host("new", "PhysicalNode", "login", (), "")
    chosen = [host.name for host in worth_a_look([*HOSTS, *many, down])]
    assert chosen == [*(host.name for host in HOSTS), "dgx-000", "dgx-001"]


def test_a_program_that_cannot_even_be_killed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen[str]] = []
    monkeypatch.setattr(subprocess.Popen, "kill", lambda process: begun.append(process))  # noqa: PLW0108 - a method
    monkeypatch.setattr(setup_look, "_LIMIT", 0.1)
    assert setup_look._output(["sleep", "8"]) == ""
    assert begun[0].poll() is None
    monkeypatch.undo()
    begun[0].kill()
    begun[0].communicate()


def test_a_fuse_file_system_is_not_asked_by_the_module_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_look, "_output", lambda argv: f"{argv[0]} {argv[-1]}\n")
    assert setup_look._identity("/mnt/a", "fuse.sshfs") == "stat /mnt/a"
