# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboards as they are committed, and faults put into them that need no data to be seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashboards import document, static_checks

FILES = {
    path.stem: path.read_text() for path in sorted((Path(__file__).parents[3] / "files/dashboards").glob("*.json"))
}
Json = dict[str, Any]


def test_the_dashboards_have_no_findings() -> None:
    assert sorted(FILES) == ["superpod-fleet", "superpod-gpu", "superpod-health", "superpod-job", "superpod-node"]
    assert static_checks.check([document.parse(text) for text in FILES.values()]) == []


def panel(dashboard: Json, title: str) -> Json:
    return next(panel for panel in dashboard["panels"] if panel["title"] == title)


def _graph(d: Json) -> Json:
    return panel(d, "GPU memory")


def _variable(d: Json, name: str) -> Json:
    return next(variable for variable in d["templating"]["list"] if variable["name"] == name)


FAULTS: dict[str, tuple[str, Callable[[Json], object]]] = {
    "no uid": ("uid", lambda d: d.pop("uid")),
    "long uid": ("uid", lambda d: d.update(uid="u" * 41)),
    "id of some Grafana": ("id", lambda d: d.update(id=7)),
    "inputs": ("inputs", lambda d: d.update(__inputs=[])),
    "no variable datasource": ("datasource", lambda d: d["templating"]["list"].pop(0)),
    "fixed uid in a panel": ("datasource", lambda d: _graph(d)["datasource"].update(uid="P1809F7CD0C75ACF3")),
    "fixed uid in a query": ("datasource", lambda d: _graph(d)["targets"][1]["datasource"].update(uid="prometheus")),
    "default datasource in a query": ("datasource", lambda d: _graph(d)["targets"][0].pop("datasource")),
    "datasource by name": ("datasource", lambda d: _graph(d).update(datasource="Prometheus")),
    "fixed uid in a variable": ("datasource", lambda d: _variable(d, "job")["datasource"].update(uid="prometheus")),
    "undefined variable in a query": ("variable", lambda d: _graph(d)["targets"][0].update(expr="up{job='$jobs'}")),
    "undefined variable in braces": ("variable", lambda d: _graph(d)["targets"][0].update(expr="up{j='${jobs:csv}'}")),
    "undefined variable in brackets": ("variable", lambda d: _graph(d)["targets"][0].update(expr="up{job='[[jobs]]'}")),
    "undefined variable in a title": ("variable", lambda d: _graph(d).update(title="GPUs of $user")),
    "variable used before it is there": ("variable", lambda d: d["templating"]["list"].reverse()),
    "unused variable": ("variable", lambda d: d["templating"]["list"].append({"name": "x", "type": "custom"})),
    "raw window": ("window", lambda d: _graph(d)["targets"][0].update(expr="rate(up[5m])")),
    "raw subquery": ("window", lambda d: _graph(d)["targets"][0].update(expr="max_over_time(up[$__range:1m])")),
    "raw offset": ("window", lambda d: _graph(d)["targets"][0].update(expr="up offset 1h")),
    "old panel": ("type", lambda d: _graph(d).update(type="graph")),
    "no query": ("target", lambda d: _graph(d)["targets"].clear()),
    "same refId": ("target", lambda d: _graph(d)["targets"][1].update(refId="A")),
    "range query in a number": ("target", lambda d: panel(d, "Nodes")["targets"][0].update(instant=False)),
    "time series in a table": ("target", lambda d: panel(d, "Nodes").update(type="table")),
    "no unit": ("unit", lambda d: _graph(d)["fieldConfig"]["defaults"].pop("unit")),
    "unknown unit": ("unit", lambda d: _graph(d)["fieldConfig"]["defaults"].update(unit="byte")),
    "no legend": ("legend", lambda d: _graph(d)["targets"][0].pop("legendFormat")),
    "same legend": ("legend", lambda d: _graph(d)["targets"][1].update(legendFormat="{{hostname}} GPU {{gpu}}")),
    "same title": ("title", lambda d: _graph(d).update(title="Nodes")),
    "no id": ("id", lambda d: _graph(d).pop("id")),
    "same id": ("id", lambda d: _graph(d).update(id=panel(d, "Nodes")["id"])),
    "row with id 0": ("id", lambda d: d["panels"][0].update(id=0)),
    "over another": ("grid", lambda d: _graph(d)["gridPos"].update(x=0)),
    "too wide": ("grid", lambda d: _graph(d)["gridPos"].update(w=13)),
    "link to nowhere": ("link", lambda d: _graph(d)["fieldConfig"]["defaults"]["links"][0].update(url="/d/gpus")),
    "link with a variable that is not there": (
        "link",
        lambda d: _graph(d)["fieldConfig"]["defaults"]["links"][0].update(url="/d/superpod-gpu?var-nodes=${node}"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("code", "put"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found(code: str, put: Callable[[Json], object]) -> None:
    faulty = json.loads(FILES["superpod-job"])
    put(faulty)
    others = [text for uid, text in FILES.items() if uid != "superpod-job"]
    found = static_checks.check([document.parse(text) for text in (*others, json.dumps(faulty))])
    assert code in {
        finding.code for finding in found if finding.dashboard not in FILES or finding.dashboard == "superpod-job"
    }


def test_two_dashboards_with_one_uid() -> None:
    twice = [document.parse(text) for text in (*FILES.values(), FILES["superpod-job"])]
    assert [str(finding) for finding in static_checks.check(twice)] == [
        "uid: superpod-job: 2 dashboards have this uid; give each its own"
    ]


def test_what_is_no_dashboard() -> None:
    for text in ("[", "[]", "{}", '{"panels": [{}], "templating": {"list": []}, "title": "x"}'):
        with pytest.raises(document.DashboardError):
            document.parse(text)


def test_panels_inside_a_collapsed_row_are_seen() -> None:
    dashboard = json.loads(FILES["superpod-job"])
    inner = dashboard["panels"].pop(1)
    dashboard["panels"][0]["panels"] = [inner]
    assert inner["title"] in {panel.title for panel in document.parse(json.dumps(dashboard)).panels}
