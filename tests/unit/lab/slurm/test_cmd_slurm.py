# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab's Slurm takes from the simulated BCM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bcm_simulator.state import State, normalise
from slurm import cmd_slurm
from slurm.cmd_slurm import cgroup_conf, commands, gres_conf, merge, slurm_conf, update
from superpod_lab.plan import bcm_state, hosts

OUTSIDE = "ClusterName=one\nDebugFlags=gres\n"


def state(*clients: str, properties: dict[str, Any] | None = None, cgroups: dict[str, Any] | None = None) -> State:
    raw = bcm_state(hosts("10.77.0", 2, 1))
    raw["overlays"]["slurm-client"]["nodes"] = list(clients)
    raw["wlm"] = {"slurm": {"properties": properties or {}, "cgroups": cgroups or {}}}
    return normalise(raw)


def sections(of: State) -> dict[str, str]:
    return {
        "slurm.conf": slurm_conf(of, "slurm", 2, 8000),
        "cgroup.conf": cgroup_conf(of, "slurm"),
        "gres.conf": gres_conf(of),
    }


def test_servers_and_nodes_are_those_with_the_roles() -> None:
    lines = slurm_conf(state("dgx-02", "dgx-01"), "slurm", 2, 8000).splitlines()
    assert "SlurmctldHost=slurm-ctl-01" in lines
    assert "AccountingStorageHost=slurm-ctl-01" in lines
    assert [line for line in lines if line.startswith("NodeName")] == [
        "NodeName=dgx-01 CPUs=2 RealMemory=8000 Gres=gpu:h200:8",
        "NodeName=dgx-02 CPUs=2 RealMemory=8000 Gres=gpu:h200:8",
    ]
    assert "PartitionName=defq Default=YES MaxTime=UNLIMITED State=UP Nodes=dgx-01,dgx-02" in lines


def test_bcms_defaults() -> None:
    lines = slurm_conf(state("dgx-01"), "slurm", 2, 8000).splitlines()
    assert {"Prolog=/cm/local/apps/cmd/scripts/prolog", "PrologFlags=Alloc", "SelectTypeParameters=CR_Core"} < {*lines}
    assert "EpilogSlurmctld" not in "".join(lines)
    assert set(cgroup_conf(state(), "slurm").splitlines()) == {
        f"Constrain{what}=no" for what in ("Cores", "Devices", "RAMSpace", "SwapSpace")
    }


def test_settings_made_in_cmsh() -> None:
    found = sections(
        state(
            "dgx-01",
            properties={"epilogslurmctld": "/usr/local/sbin/e.sh", "selecttypeparameters": ["CR_Core_Memory"]},
            cgroups={"constrainramspace": True},
        )
    )
    assert "EpilogSlurmctld=/usr/local/sbin/e.sh\n" in found["slurm.conf"]
    assert "SelectTypeParameters=CR_Core_Memory\n" in found["slurm.conf"]
    assert "ConstrainRAMSpace=yes\nConstrainSwapSpace=no\n" in found["cgroup.conf"]


def test_a_cluster_without_nodes_has_one_that_does_not_exist() -> None:
    assert "NodeName=none State=FUTURE\n" in slurm_conf(state(), "slurm", 2, 8000)
    assert gres_conf(state()) == ""


def test_only_the_section_is_replaced() -> None:
    first = merge(OUTSIDE, "A=1\n")
    second = merge(first + "Own=1\n", "B=\\1\n")
    assert first.startswith(OUTSIDE)
    assert second == first.replace("A=1", r"B=\1") + "Own=1\n"


def test_a_file_is_written_when_it_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "etc/slurm.conf"
    update(path, "A=1\n", OUTSIDE)
    assert path.read_text().startswith(OUTSIDE)
    inode = path.stat().st_ino
    update(path, "A=1\n", "never read")
    assert path.stat().st_ino == inode
    assert capsys.readouterr().out.count("changed") == 1
    assert [one.name for one in path.parent.iterdir()] == ["slurm.conf"]


def restarted(daemon: str) -> str:
    return cmd_slurm.RESTARTED.format(daemon)


def test_nothing_new_is_nothing_to_do() -> None:
    same = sections(state("dgx-01"))
    assert commands(same, same, ["slurm-ctl-01"]) == {}


def test_at_first_everything_starts() -> None:
    nothing = dict.fromkeys(("slurm.conf", "cgroup.conf", "gres.conf"), "")
    todo = commands(nothing, sections(state("dgx-01")), ["slurm-ctl-01"])
    assert todo == {"slurm-ctl-01": restarted("slurmctld"), "dgx-01": restarted("slurmd")}


def test_a_node_that_loses_the_role_stops() -> None:
    todo = commands(sections(state("dgx-01", "dgx-02")), sections(state("dgx-02")), ["slurm-ctl-01"])
    assert todo["dgx-01"] == "systemctl stop slurmd"
    assert todo["dgx-02"] == restarted("slurmd")


def test_the_last_node_may_go() -> None:
    todo = commands(sections(state("dgx-01")), sections(state()), ["slurm-ctl-01"])
    assert todo == {"slurm-ctl-01": restarted("slurmctld"), "dgx-01": "systemctl stop slurmd"}


def test_an_epilog_needs_no_restart() -> None:
    new = sections(state("dgx-01", properties={"epilogslurmctld": "/e"}))
    assert commands(sections(state("dgx-01")), new, ["slurm-ctl-01"]) == {"slurm-ctl-01": "scontrol reconfigure"}


def test_constraints_are_slurmds() -> None:
    new = sections(state("dgx-01", cgroups={"constraincores": True}))
    todo = commands(sections(state("dgx-01")), new, ["slurm-ctl-01"])
    assert todo == {"slurm-ctl-01": "scontrol reconfigure", "dgx-01": restarted("slurmd")}
