# SPDX-License-Identifier: GPL-3.0-or-later
"""cmsh's output against the samples of BCM 11's administrator manual (names and addresses changed)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bcm_simulator.cmsh.errors import CmshError
from bcm_simulator.cmsh.table import FIT, Column, parse_format, render
from bcm_simulator.testing import Simulator

MANUAL = {
    "head_nodes": {"head": {"ip": "10.141.255.254", "mac": "FA:16:3E:B4:39:DB", "roles": ["headnode"]}},
    "categories": {"default": {"image": "default-image", "roles": ["cgroupsupervisor"]}},
    "overlays": {
        "slurm-accounting": {"all_head_nodes": True, "roles": ["slurmaccounting"]},
        "slurm-client": {"categories": ["default"], "roles": ["slurmclient"]},
        "slurm-server": {"all_head_nodes": True, "roles": ["slurmserver"]},
        "slurm-submit": {"nodes": ["node001"], "roles": ["slurmsubmit"]},
        "wlm-headnode-submit": {"all_head_nodes": True, "priority": 600, "roles": ["slurmsubmit"]},
    },
    "nodes": {
        "node001": {"category": "default", "ip": "10.141.0.1", "mac": "FA:16:3E:D5:87:71"},
        "node002": {"category": "default", "ip": "10.141.0.2", "mac": "FA:16:3E:BE:05:FE", "status": "DOWN"},
    },
    "wlm": {"slurm1": {}},
}


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(MANUAL) as simulator:
        yield simulator


def test_list_with_delimiter(cmsh: Callable[..., Any]) -> None:
    shown = [line.split("|")[:5] for line in cmsh('device; list -d "|"').lines]
    assert ["|".join(cells) for cells in shown] == [
        "Type                  |Hostname (key)  |MAC               |Category        |Ip             ",
        "----------------------|----------------|------------------|----------------|---------------",
        "HeadNode              |head            |FA:16:3E:B4:39:DB |                |10.141.255.254 ",
        "PhysicalNode          |node001         |FA:16:3E:D5:87:71 |default         |10.141.0.1     ",
        "PhysicalNode          |node002         |FA:16:3E:BE:05:FE |default         |10.141.0.2     ",
    ]


def test_list_with_fields(cmsh: Callable[..., Any]) -> None:
    assert cmsh("device; list -f hostname:14,category:15,ip").lines == [
        "hostname (key) category        ip",
        "-------------- --------------- -------------------",
        "head                           10.141.255.254",
        "node001        default         10.141.0.1",
        "node002        default         10.141.0.2",
    ]


def test_trailing_spaces_by_switch(sim: Simulator, cmsh: Callable[..., Any]) -> None:
    sim.switch(cmsh_trailing_spaces=True)
    assert cmsh("device; list -f hostname:14,ip:16").lines == [
        "hostname (key) ip              ",
        "-------------- ----------------",
        "head           10.141.255.254  ",
        "node001        10.141.0.1      ",
        "node002        10.141.0.2      ",
    ]


def test_headers_and_cells_are_cut(cmsh: Callable[..., Any]) -> None:
    assert cmsh("device; list -f hostname:10,mac:4").lines[:3] == [
        "hostname ( mac",
        "---------- ----",
        "head       FA:1",
    ]
    assert cmsh("device; list -f category:[3-5]").lines[-1] == "defau"
    assert cmsh("softwareimage; list -f path:0").lines == [
        "path",
        "-" * len("/cm/images/default-image"),
        "/cm/images/default-image",
    ]


def test_list_by_type_and_sorted(cmsh: Callable[..., Any]) -> None:
    assert cmsh("device list --type headnode -f hostname:8").lines[2:] == ["head"]
    assert cmsh("device list -t PhysicalNode -f hostname:8 -s hostname").lines[2:] == ["node001", "node002"]
    assert cmsh("device list -f mac:18,hostname:8 --sort mac").lines[2].endswith("head")


def test_roles_with_their_origin(sim: Simulator, cmsh: Callable[..., Any]) -> None:
    sim.edit(lambda state: state["overlays"]["slurm-client"].update(priority=-1))
    sim.assign("node001", "slurmclient")
    sim.edit(lambda state: state["overlays"]["slurm-submit"].update(nodes=[]))
    assert cmsh("device roles node001; list").lines == [
        "Name (key)",
        "------------------------------",
        "[category:default] cgroupsupervisor",
        "slurmclient",
    ]


def test_roles_with_priority(sim: Simulator, cmsh: Callable[..., Any]) -> None:
    assert cmsh("device; use node001; roles; list -p").lines[2:] == [
        "[category:default:250] cgroupsupervisor",
        "[overlay:slurm-client:500] slurmclient",
        "[overlay:slurm-submit:500] slurmsubmit",
    ]
    assert cmsh("device; use head; roles; list --priority").lines[-1] == "[750] headnode"
    assert "[overlay:slurm-client] slurmclient" in cmsh("device; use node001; roles; list").lines
    sim.switch(cmsh_overlay_prefix="name_priority")
    assert "[overlay:slurm-client:500] slurmclient" in cmsh("device; use node001; roles; list").lines


def test_overlays(cmsh: Callable[..., Any]) -> None:
    header, _dashes, *rows = cmsh('configurationoverlay; list -d "|"').lines
    assert [cell.strip() for cell in header.split("|")] == [
        *("Name (key)", "Priority", "All head nodes", "Nodes", "Categories", "Roles"),
    ]
    assert [[cell.strip() for cell in row.split("|")] for row in rows] == [
        ["slurm-accounting", "500", "yes", "", "", "slurmaccounting"],
        ["slurm-client", "500", "no", "", "default", "slurmclient"],
        ["slurm-server", "500", "yes", "", "", "slurmserver"],
        ["slurm-submit", "500", "no", "node001", "", "slurmsubmit"],
        ["wlm-headnode-submit", "600", "yes", "", "", "slurmsubmit"],
    ]


def test_wlm_list(cmsh: Callable[..., Any]) -> None:
    assert cmsh("wlm list").lines == [
        "Type    Name (key)            Server nodes Submit nodes     Client nodes",
        "------- --------------------- ------------ ---------------- ---------------",
        "slurm   slurm1                head         head,node001     node001,node002",
    ]


def test_status(cmsh: Callable[..., Any]) -> None:
    assert cmsh("device status node001..node002").lines == [
        "node001 ............. [   UP   ]",
        "node002 ............. [  DOWN  ]",
    ]
    assert len(cmsh("ds").lines) == 3


def test_a_refused_commit_and_validate(cmsh: Callable[..., Any]) -> None:
    table = [
        "Code  Field                    Message",
        "----- ------------------------ --------------------------",
        "1     category                 The category should be set",
    ]
    assert cmsh("device; use node001; clear category; commit").lines == table
    assert cmsh("device; use node001; clear category; validate").lines == table
    assert cmsh("device; use node001; validate").lines == ["All good"]


def test_certificates(sim: Simulator, cmsh: Callable[..., Any]) -> None:
    entries = {
        "10": {"profile": "node", "name": "fa-16-3e-74-24-dc"},
        "1": {"profile": "admin", "system_login": "root", "name": "Administrator"},
    }
    sim.edit(lambda state: state["certificates"].update(entries))
    assert cmsh("cert listcertificates").lines == [
        "Serial Revoked  Time left    Profile          System log in    Name",
        "------ -------- ------------ ---------------- ---------------- -----------------------------",
        "1      No       5214w 1d     admin            root             Administrator",
        "10     No       5214w 1d     node                              fa-16-3e-74-24-dc",
    ]


def test_inherited_values_have_a_suffix(sim: Simulator, cmsh: Callable[..., Any]) -> None:
    assert cmsh("device; use node001; get bootloader").lines == ["syslinux (default)"]
    assert cmsh("category; use default; get bootloader").lines == ["syslinux"]
    assert cmsh("device; get node001 softwareimage").lines == ["default-image (default)"]
    cmsh("device; use node001; set bootloader grub; commit")
    assert cmsh("device; get node001 bootloader").lines == ["grub"]
    assert cmsh("device; get head bootloader").lines == ["device 'head' has no property 'bootloader'"]


def test_modified(cmsh: Callable[..., Any]) -> None:
    assert cmsh("device; modified").lines == ["No modified objects of type device"]
    header, dashes, row = cmsh("device; use node001; set notes x; modified").lines
    assert header.split() == ["State", "Type", "Name"]
    assert set(dashes) == {"-", " "}
    assert row.split() == ["M", "device", "node001"]


def test_path_can_be_pasted(cmsh: Callable[..., Any]) -> None:
    there = "configurationoverlay; use slurm-client; roles; use slurmclient"
    assert cmsh(f"{there}; path").lines == ['home;configurationoverlay;use "slurm-client";roles;use slurmclient;']
    assert cmsh(cmsh(f"{there}; path").out + "get name").lines == ["slurmclient"]


def test_show(cmsh: Callable[..., Any]) -> None:
    header, dashes, *rows = cmsh("category; show default").lines
    assert header.split() == ["Parameter", "Value"]
    shown = {row[:32].strip(): row[33:] for row in rows}
    assert shown["Finalize script"] == "<0B>"
    assert re.fullmatch(r"<\d{3}B>", shown["Exclude list grab"])
    assert shown["Roles"] == "<submode>"
    assert shown["Software image"] == "default-image"
    assert dashes.split() == ["-" * 32, "-" * 48]
    role = cmsh("configurationoverlay; use slurm-client; roles; use slurmclient; show").lines
    assert [line.split(None, 1) for line in role if line.startswith("Type")] == [["Type", "SlurmClientRole"]]


def test_removal_says_so(cmsh: Callable[..., Any]) -> None:
    cmsh("profile; add mine; commit")
    assert cmsh("profile; remove mine; commit").lines == [
        "Successfully removed 1 Profiles",
        "Successfully committed 0 Profiles",
    ]


def test_tables() -> None:
    columns = [Column("A", 3, 5), Column("B", 2, FIT, cut=False)]
    assert render(columns, [("abcdefgh", "x"), ("", "long")]) == ["A     B", "----- ----", "abcde x", "      long"]
    assert render([Column("Name", 3, 3)], []) == ["Nam", "---"]


@pytest.mark.parametrize("text", ["", "a:", "a:[1]", "a:[5-2]", "a,,b", "A", "a:b"])
def test_formats_that_are_none(text: str) -> None:
    with pytest.raises(CmshError):
        parse_format(text)


def test_formats() -> None:
    found = [(field.name, field.least, field.most) for field in parse_format("a:7,b:[3-9],c:0,ip,d")]
    assert found == [("a", 7, 7), ("b", 3, 9), ("c", 0, FIT), ("ip", 19, 19), ("d", 20, 20)]
