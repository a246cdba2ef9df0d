# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading cmsh's output: samples in the form of the Administrator Manual, and what a broken one must not become."""

from __future__ import annotations

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_client import Unknown
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_cmsh import (
    cmsh_snapshot,
    parse_role_lists,
    parse_table,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh import CmshError, CmshOutput, script

PADDED = """\
hostname (key) switchports     ip
-------------- --------------- -------------------
node001        switch01:47     10.142.0.1
node002                        10.142.0.2

"""
DELIMITED = """\
type                  |hostname (key)  |mac               |category        |ip
----------------------|----------------|------------------|----------------|--------------
HeadNode              |head            |FA:16:3E:B4:39:DB |                |10.141.255.254
PhysicalNode          |node001         |FA:16:3E:D5:87:71 |default         |10.141.0.1
"""
NARROW = """\
hostname ( ip
---------- -------------------
node001    10.142.0.1
"""
ROLES = """\
node001
Name (key)
------------------------------
[category:default] cgroupsupervisor
[overlay:slurm-client:500] slurmclient
[overlay:a b] etcd::host
[750] headnode
slurmsubmit
node002
Name (key)
------------------------------
node003
"""


def test_columns_by_width():
    assert parse_table(PADDED, ["hostname", "switchports", "ip"]) == [
        {"hostname": "node001", "switchports": "switch01:47", "ip": "10.142.0.1"},
        {"hostname": "node002", "switchports": "", "ip": "10.142.0.2"},
    ]


def test_columns_by_delimiter():
    rows = parse_table(DELIMITED, ["type", "hostname", "mac", "category", "ip"])
    assert [row["category"] for row in rows] == ["", "default"]
    assert rows[0]["mac"] == "FA:16:3E:B4:39:DB"


def test_a_header_that_is_cut_is_known():
    assert parse_table(NARROW, ["hostname", "ip"]) == [{"hostname": "node001", "ip": "10.142.0.1"}]


def test_lines_before_the_table_do_not_matter():
    assert parse_table("\nsome banner\n" + PADDED, ["hostname", "switchports", "ip"])[0]["hostname"] == "node001"


@pytest.mark.parametrize(
    ("text", "fields", "words"),
    [
        ("", ["hostname"], "no table"),
        ("Certificate authentication failed\n", ["hostname"], "Certificate authentication failed"),
        (PADDED, ["hostname", "ip"], "columns hostname"),
        (PADDED, ["hostname", "ip", "switchports"], "instead of hostname, ip"),
    ],
)
def test_a_table_that_is_not_what_was_asked_for(text, fields, words):
    with pytest.raises(ValueError, match=words):
        parse_table(text, fields)


def test_roles_with_and_without_origin():
    assert parse_role_lists(ROLES, ["node001", "node002", "node003"]) == {
        "node001": ("cgroupsupervisor", "slurmclient", "etcd::host", "headnode", "slurmsubmit"),
        "node002": (),
        "node003": (),
    }


@pytest.mark.parametrize(
    "nodes", [["node001", "node002", "node003", "node004"], ["node000"], ["node001", "node003", "node002"]]
)
def test_a_node_whose_list_is_missing_is_no_node_without_roles(nodes):
    with pytest.raises(ValueError, match="node00"):
        parse_role_lists(ROLES, nodes)


class Recorded:
    """A cmsh that says what it is told to, by the words that the command line contains."""

    def __init__(self, **answers):
        self.answers = answers
        self.lines = []

    def run(self, commands):
        self.lines.append(script(commands))
        for word, answer in self.answers.items():
            if word in self.lines[-1]:
                if isinstance(answer, Exception):
                    raise answer
                return answer if isinstance(answer, CmshOutput) else CmshOutput(0, answer, "")
        raise AssertionError(self.lines[-1])


def table(widths, *rows):
    header = [f"{name} (key)"[:width] if name in ("hostname", "name") else name for name, width in widths.items()]
    lines = [header, ["-" * width for width in widths.values()], *rows]
    return "".join(
        " ".join(cell.ljust(width) for cell, width in zip(line, widths.values())).rstrip() + "\n" for line in lines
    )


DEVICES = {"hostname": 64, "type": 32, "category": 96, "ip": 40, "mac": 20, "network": 96}
TWO = table(
    DEVICES,
    ["node001", "PhysicalNode", "default", "10.141.0.1", "FA:16:3E:D5:87:71", "internalnet"],
    ["switch01", "EthernetSwitch", "", "10.141.250.1", "00:00:00:00:00:00", "internalnet"],
)


def test_devices_with_their_roles():
    cmsh = Recorded(**{"list -f": TWO, "use node001": "node001\nName (key)\n-------\n[overlay:x:500] SlurmClient\n"})
    snapshot = cmsh_snapshot(cmsh)
    node, switch = snapshot.devices
    assert (node.hostname, node.roles, node.category) == ("node001", ("slurmclient",), "default")
    assert (switch.hostname, switch.roles, switch.category) == ("switch01", None, None)
    assert snapshot.problems == ()
    assert cmsh.lines == [
        "device; list -f hostname:64,type:32,category:96,ip:40,mac:20,network:96",
        "home; device; use node001; get hostname; roles; list",
    ]


def test_many_nodes_are_asked_for_in_few_processes():
    names = [f"n{number}" for number in range(1100)]
    rows = [[name, "PhysicalNode", "", "", "", ""] for name in names]

    class Asked(Recorded):
        def run(self, commands):
            commands = list(commands)
            if commands[0] == ("device",):
                return super().run(commands)
            self.lines.append("roles")
            used = [command[1] for command in commands if command[0] == "use"]
            return CmshOutput(0, "".join(f"{name}\nName (key)\n-----\n" for name in used), "")

    cmsh = Asked(**{"list -f": table(DEVICES, *rows)})
    assert len(cmsh_snapshot(cmsh).devices) == 1100
    assert cmsh.lines.count("roles") == 3


def test_a_name_that_cmsh_would_act_on_is_never_passed():
    rows = [["`id`", "PhysicalNode", "", "", "", ""], ["good", "PhysicalNode", "", "", "", ""]]
    cmsh = Recorded(**{"list -f": table(DEVICES, *rows), "use good": "good\nName (key)\n----\n"})
    assert [device.hostname for device in cmsh_snapshot(cmsh).devices] == ["`id`", "good"]
    assert not any("`" in line for line in cmsh.lines)


@pytest.mark.parametrize(
    ("answers", "code", "words"),
    [
        ({"device": CmshError("cmsh did not end within 5 s", "timeout")}, "timeout", "did not end"),
        ({"device": CmshError("cannot be run", "failed")}, "down", "cannot be run"),
        ({"device": CmshOutput(1, "", "authentication failed")}, "malformed", "authentication failed"),
        ({"list -f": table(DEVICES)}, "empty", "showprofile"),
        ({"list -f": table(DEVICES, ["n" * 64, *[""] * 5])}, "malformed", "may be cut"),
        ({"list -f": TWO, "use": "node001 is not a device\n"}, "malformed", "roles of 'node001'"),
        ({"list -f": TWO, "use": ""}, "malformed", "are missing"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_unknown(answers, code, words):
    answer = cmsh_snapshot(Recorded(**answers))
    assert isinstance(answer, Unknown)
    assert answer.code == code
    assert words in answer.reason
    assert answer.reason.endswith(".")


def test_software_images():
    images = {"name": 96, "path": 256}
    cmsh = Recorded(
        **{
            "softwareimage; list": table(images, ["default-image", "/cm/images/default-image"]),
            "category; list": table(
                {"name": 96, "softwareimage": 96}, ["default", "default-image"], ["lost", "gone-image"]
            ),
            "device; list": TWO,
            "use": "node001\nName (key)\n",
        }
    )
    snapshot = cmsh_snapshot(cmsh, software_images=True)
    assert [(image.name, image.path) for image in snapshot.software_images] == [
        ("default-image", "/cm/images/default-image")
    ]
    assert {host: image.name for host, image in snapshot.images.items()} == {"node001": "default-image"}


def test_a_node_that_is_called_like_a_role_has_its_own_roles():
    text = """\
head
Name (key)
----------
backup
monitoring
slurmserver
storage

storage
Name (key)
----------
monitoring
Name (key)
----------
[750] monitoring
slurmsubmit
"""
    assert parse_role_lists(text, ["head", "storage", "monitoring"]) == {
        "head": ("backup", "monitoring", "slurmserver", "storage"),
        "storage": (),
        "monitoring": ("monitoring", "slurmsubmit"),
    }
