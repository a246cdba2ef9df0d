# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults put into the real dashboards, each of which the checks must find, by the code it is meant to have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from dashboards import document, live_checks, static_checks
from dashboards.live_checks import Run

FILES = Path(__file__).parents[2] / "files" / "dashboards"
UIDS = ("superpod-fleet", "superpod-gpu", "superpod-health", "superpod-job", "superpod-node")
HERE = {"cluster": "slurm"}
JOB = {"cluster": "slurm", "job": "42"}


class Fault(NamedTuple):
    """The code it must be found with, the dashboard, the text put in place of another, the variables' values."""

    code: str
    uid: str
    was: str
    becomes: str
    wanted: Mapping[str, str] = HERE


FAULTS = {
    # wrong metric
    "metric": Fault("empty", "superpod-gpu", "gpu:power:watts{", "gpu:power:wats{"),
    "metric of node_exporter": Fault(
        "empty", "superpod-node", "node_disk_written_bytes_total", "node_disk_write_bytes_total"
    ),
    "metric behind an or": Fault(
        "selector", "superpod-gpu", '"count(gpu:jobs:count{', '"count(gpus:jobs:count) or count(gpu:jobs:count{'
    ),
    "metric of one of two queries": Fault(
        "empty", "superpod-job", "cgroup_cpu_system_seconds", "cgroup_cpu_sys_seconds", JOB
    ),
    # wrong label
    "label in a matcher": Fault("empty", "superpod-job", 'jobid=\\"$job\\", host', 'job_id=\\"$job\\", host', JOB),
    "label that All hides": Fault(
        "empty", "superpod-gpu", 'hostname=~\\"$node\\"', 'host=~\\"$node\\"', {**HERE, "node": "dgx-02"}
    ),
    "label value": Fault("empty", "superpod-node", 'mode=\\"idle\\"', 'mode=\\"idel\\"'),
    "label in a grouping": Fault(
        "legend", "superpod-node", "max by (hostname) (node_load5", "max by (host) (node_load5"
    ),
    "label in a legend": Fault("legend", "superpod-fleet", "{{user}} ({{cluster}})", "{{username}} ({{cluster}})", {}),
    "label in a table": Fault("column", "superpod-node", '"jobid": "Job"', '"job_id": "Job"'),
    "label that no column shows": Fault(
        "column", "superpod-gpu", "max by (hostname, gpu, jobid, user)", "max by (cluster, hostname, gpu, jobid, user)"
    ),
    "label in a link": Fault("link", "superpod-fleet", "${__field.labels.hostname}", "${__field.labels.node}", {}),
    "column in a link": Fault("link", "superpod-fleet", "${__data.fields.Cluster}", "${__data.fields.cluster}", {}),
    # variables
    "one value where there may be several": Fault(
        "empty", "superpod-gpu", 'hostname=~\\"$node\\"', 'hostname=\\"$node\\"'
    ),
    "undefined variable": Fault("variable", "superpod-job", "$node", "$nodes", JOB),
    "variable that offers nothing": Fault(
        "variable", "superpod-gpu", "label_values(gpu:memory_total:bytes,", "label_values(gpus,", {}
    ),
    # results
    "duplicate legends": Fault("duplicate", "superpod-gpu", "{{hostname}} GPU {{gpu}}", "GPU {{gpu}}"),
    "several series in one number": Fault(
        "duplicate", "superpod-fleet", '"sum(gpu:power:watts{', '"avg without (x) (gpu:power:watts{', {}
    ),
    "nothing but NaN": Fault(
        "nan", "superpod-gpu", "sum(gpu:power:watts{", "sum(0 * gpu:power:watts{} / 0 * gpu:power:watts{"
    ),
    "no PromQL": Fault("error", "superpod-node", "count(node_uname_info{", "count((node_uname_info{"),
    "matching that is not one to one": Fault("error", "superpod-node", " group_left (user)", ""),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_live_checks_find_it(run: Run, fault: Fault) -> None:
    text = (FILES / f"{fault.uid}.json").read_text()
    assert fault.was in text, "seed another fault: the dashboard does not say that any more"
    assert fault.code not in _codes(run, text, fault.wanted), "the dashboard has this fault already"
    assert fault.code in _codes(run, text.replace(fault.was, fault.becomes), fault.wanted)


def _codes(run: Run, text: str, wanted: Mapping[str, str]) -> set[str]:
    return {found.code for found in live_checks.check(run, document.parse(text), wanted, complete=True)}


def test_a_panel_that_is_said_to_be_empty_must_be(run: Run) -> None:
    dashboard = document.load(FILES / "superpod-gpu.json")
    found = live_checks.check(run, dashboard, HERE, complete=True, rightly_empty=frozenset({"Temperature"}))
    assert [finding.code for finding in found] == ["not_empty"]


@pytest.mark.parametrize("uid", UIDS)
def test_a_wrong_metric_in_any_query_of_any_panel_is_found(run: Run, uid: str) -> None:
    """Each query in turn needs a metric that does not exist; that is found, and nothing else."""
    original = json.loads((FILES / f"{uid}.json").read_text())
    wanted = JOB if uid == "superpod-job" else HERE
    asked = [(panel, target) for panel in original["panels"] for target in panel.get("targets", [])]
    for panel, target in asked:
        expr = target["expr"]
        target["expr"] = f"({expr}) and on () no_such_metric"
        found = live_checks.check(run, document.parse(json.dumps(original)), wanted, complete=True)
        target["expr"] = expr
        assert {finding.code for finding in found} >= {"empty", "selector"}, expr
        assert {finding.panel for finding in found} == {panel["title"]}
    assert len(asked) > 10


@pytest.mark.parametrize(
    ("was", "becomes", "code"),
    [
        ('"uid": "${datasource}"', '"uid": "P1809F7CD0C75ACF3"', "datasource"),
        ("[$__rate_interval]", "[5m]", "window"),
        ('cluster=\\"$cluster\\"', 'cluster=\\"$clustre\\"', "variable"),
    ],
)
@pytest.mark.parametrize("uid", ["superpod-job", "superpod-node"])
def test_static_checks_find_it(uid: str, was: str, becomes: str, code: str) -> None:
    dashboards = {path.stem: path.read_text() for path in FILES.glob("*.json")}
    assert was in dashboards[uid]
    dashboards[uid] = dashboards[uid].replace(was, becomes, 1)
    found = static_checks.check([document.parse(text) for text in dashboards.values()])
    assert code in {finding.code for finding in found}
    assert {finding.dashboard for finding in found} == {uid}
