# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

from superpod_lab.privilege import Privilege
from superpod_lab.report import HostRow, Report, hints


def test_the_json_document() -> None:
    report = Report(
        hosts=[HostRow("dgx-01", "dgx-h200", ["slurmclient"], ["node_exporter", "cgroup_exporter"], 2)],
        expected=2,
        up=2,
        phases={"image": 0.21, "boot": 3.46, "site": 20.0, "converge": 7.123},
        role_assigned_to_up=6.04,
        role_removed_to_gone=5.55,
        cgroup_exporter="cgroup_exporter: lab stand-in, because of this",
        certificate=Privilege("dgx-01", ("GET /rest/v1/device",), 34),
    )
    document = json.loads(json.dumps(report.document()))
    assert document == {
        "hosts": [
            {
                "host": "dgx-01",
                "category": "dgx-h200",
                "roles": ["slurmclient"],
                "exporters": ["node_exporter", "cgroup_exporter"],
                "targets_up": 2,
            }
        ],
        "targets": {"expected": 2, "up": 2},
        "phases": {"image": 0.2, "boot": 3.5, "site": 20.0, "converge": 7.1},
        "role_assigned_to_up": 6.0,
        "role_removed_to_gone": 5.5,
        "cgroup_exporter": "cgroup_exporter: lab stand-in, because of this",
        "certificate": {"host": "dgx-01", "let_through": ["GET /rest/v1/device"], "refused": 34},
    }


def test_a_demo_that_broke_off_has_null_for_what_it_did_not_reach() -> None:
    document = Report(phases={"image": 1.0}).document()
    assert document["phases"] == {"image": 1.0, "boot": None, "site": None, "converge": None}
    assert document["role_assigned_to_up"] is None
    assert document["certificate"] is None


def test_the_table_has_a_row_for_each_host_and_says_what_is_not_there() -> None:
    rows = [HostRow("bcm-head-01", "", [], [], 0), HostRow("dgx-01", "dgx-h200", ["slurmclient"], ["node_exporter"], 1)]
    lines = Report(hosts=rows).table().splitlines()
    assert lines[0].split() == ["HOST", "CATEGORY", "ROLES", "EXPORTERS", "RUNNING", "TARGETS", "UP"]
    assert lines[1].split() == ["bcm-head-01", "-", "-", "-", "0"]
    assert lines[2].index("slurmclient") == lines[0].index("ROLES")


def test_the_hints_name_the_lab_only_where_it_is_not_the_default_one() -> None:
    assert "LAB_ID" not in hints("10.77.0", 0, "dgx-02")
    assert "LAB_ID=7 script/demo --down" in hints("10.77.7", 7, "dgx-02")
