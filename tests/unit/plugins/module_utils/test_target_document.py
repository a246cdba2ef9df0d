# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils import target_document as td
from hypothesis import given
from hypothesis import strategies as st

EXPORTERS = [("node_exporter", 9100), ("cgroup_exporter", 9306), ("gpu_exporter", 9445)]
GROUP = {"targets": ["dgx-01:9100"], "labels": {"job": "node_exporter", "cluster": "slurm", "hostname": "dgx-01"}}


def test_the_seeds_format() -> None:
    assert json.loads(td.encode(td.build("dgx-01", "slurm", EXPORTERS))) == [
        {"targets": ["dgx-01:9306"], "labels": {"job": "cgroup_exporter", "cluster": "slurm", "hostname": "dgx-01"}},
        {"targets": ["dgx-01:9445"], "labels": {"job": "gpu_exporter", "cluster": "slurm", "hostname": "dgx-01"}},
        {"targets": ["dgx-01:9100"], "labels": {"job": "node_exporter", "cluster": "slurm", "hostname": "dgx-01"}},
    ]


def test_bytes_do_not_depend_on_order() -> None:
    one = td.encode(td.build("dgx-01", "slurm", EXPORTERS))
    assert one == td.encode(td.build("dgx-01", "slurm", reversed(EXPORTERS)))
    assert one == td.encode(list(reversed(td.decode(one))))
    assert one.endswith(b"]\n")


@pytest.mark.parametrize(
    ("host", "cluster", "exporters", "says"),
    [
        ("", "slurm", EXPORTERS, "not a host name"),
        ("../x", "slurm", EXPORTERS, "not a host name"),
        ("a_b", "slurm", EXPORTERS, "not a host name"),
        ("dgx-01.", "slurm", EXPORTERS, "not a host name"),
        ("dgx-01\n", "slurm", EXPORTERS, "not a host name"),
        ("x" * 64, "slurm", EXPORTERS, "not a host name"),
        ("dgx-01", "", EXPORTERS, "cluster name is empty"),
        ("dgx-01", "\ud800", EXPORTERS, "'cluster' must have a text"),
        ("dgx-01", "slurm", [("node", 0)], "no port between"),
        ("dgx-01", "slurm", [("node", 65536)], "no port between"),
        ("dgx-01", "slurm", [("node", 1), ("node", 2)], "given twice"),
    ],
)
def test_what_cannot_be_built(host: str, cluster: str, exporters: list[tuple[str, int]], says: str) -> None:
    with pytest.raises(td.TargetDocumentError, match=says):
        td.build(host, cluster, exporters)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "list of groups"),
        (None, "list of groups"),
        ([None], "group 1 is not an object"),
        ([GROUP, {"targets": ["a:1"], "label": {}}], "group 2 has the unknown key 'label'"),
        ([{"labels": {}}], "targets must be a list"),
        ([{"targets": []}], "targets must be a list"),
        ([{"targets": [9100]}], "targets must be a list"),
        ([{"targets": ["http://dgx-01:9100"]}], "not a host:port"),
        ([{"targets": ["dgx-01:9100/metrics"]}], "not a host:port"),
        ([{"targets": ["dgx-01"]}], "not a host:port"),
        ([{"targets": ["dgx 01:9100"]}], "not a host:port"),
        ([{"targets": ["dgx-01:http"]}], "no port"),
        ([{"targets": ["dgx-01:\u0663"]}], "no port"),
        ([{"targets": ["dgx-01:9100"], "labels": []}], "labels must be an object"),
        ([{"targets": ["dgx-01:9100"], "labels": {"a-b": "c"}}], "'a-b' is not a label name"),
        ([{"targets": ["dgx-01:9100"], "labels": {"a": 1}}], "'a' must have a text"),
    ],
)
def test_what_prometheus_would_refuse(document: object, says: str) -> None:
    assert any(says in problem for problem in td.problems(document)), td.problems(document)
    assert td.recognise(document) is None


@pytest.mark.parametrize(
    "content", [b"", b"[", b"\xff", b"[" * 100000, b'[{"targets":["a:1"],"targets":["a:2"]}]', b"{}"]
)
def test_unreadable_files(content: bytes) -> None:
    with pytest.raises(td.TargetDocumentError):
        td.decode(content)


def test_recognises_its_own() -> None:
    own = td.recognise(td.build("dgx-01", "slurm", EXPORTERS))
    assert own == td.OwnDocument("dgx-01", "slurm", tuple(sorted(td.Target(*exporter) for exporter in EXPORTERS)))


def changed(**labels: str) -> dict[str, Any]:
    return {"targets": ["dgx-01:9100"], "labels": {**GROUP["labels"], **labels}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "document",
    [
        [],
        [{"targets": ["dgx-01:9100"]}],
        [{**GROUP, "targets": ["dgx-01:9100", "dgx-01:9306"]}],
        [changed(rack="r1")],
        [changed(hostname="dgx-02")],
        [GROUP, changed(cluster="other", job="x")],
        [{"targets": ["a_b:9100"], "labels": {"job": "x", "cluster": "slurm", "hostname": "a_b"}}],
    ],
)
def test_leaves_others_files_alone(document: object) -> None:
    assert td.recognise(document) is None


def test_file_name() -> None:
    assert td.file_name("dgx-01") == "dgx-01.json"
    assert td.file_name("dgx-01", "dcgm") == "dgx-01_dcgm.json"
    with pytest.raises(td.TargetDocumentError):
        td.file_name("../etc/x")


@given(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), st.integers(1, 65535), max_size=5),
)
def test_whatever_is_built_comes_back(host: str, cluster: str, exporters: dict[str, int]) -> None:
    document = td.build(host, cluster, exporters.items())
    assert td.problems(document) == []
    read = td.decode(td.encode(document))
    assert td.encode(read) == td.encode(document)
    if exporters:
        assert td.recognise(read) == td.OwnDocument(
            host, cluster, tuple(sorted(td.Target(*item) for item in exporters.items()))
        )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["targets", "labels", "x"]), inner),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_judged_without_an_exception(value: object) -> None:
    td.problems(value)
    td.recognise(value)


@pytest.mark.parametrize("port", ["000080" + "0" * 5000, "065535123", "009100"])
def test_a_port_has_five_digits_at_most(port: str) -> None:
    document = [{"targets": [f"n:{port}"], "labels": {"job": "a", "cluster": "c", "hostname": "n"}}]
    assert td.problems(document) == [f"group 1: {f'n:{port}'[:80]!r} has no port between 1 and 65535."]
    assert td.recognise(document) is None
