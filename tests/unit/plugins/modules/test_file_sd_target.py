# SPDX-License-Identifier: GPL-3.0-or-later
"""file_sd_target: what it refuses, what it writes, and each field that it returns."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from ansible_collections.superpod.monitoring.plugins.module_utils.target_document import decode, encode
from ansible_collections.superpod.monitoring.plugins.modules.file_sd_target import document, ensure
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.modules.ansible_run import Task, play

GROUPS = [
    {"targets": ["ctl:9100"], "labels": {"job": "node_exporter", "cluster": "slurm", "hostname": "ctl"}},
    {"targets": ["ctl:8080", "ctl:8081"], "labels": {"job": "slurm", "__scheme__": "https"}},
]


@pytest.mark.parametrize(
    ("group", "says"),
    [
        ({"targets": ["ctl"], "labels": {}}, "'ctl'"),
        ({"targets": ["ctl:0"], "labels": {}}, "port"),
        ({"targets": ["ctl:70000"], "labels": {}}, "port"),
        ({"targets": ["http://ctl:9100"], "labels": {}}, "host:port"),
        ({"targets": ["ctl:9100/metrics"], "labels": {}}, "host:port"),
        ({"targets": [], "labels": {}}, "list of host:port"),
        ({"targets": ["ctl:1"], "labels": {"a-b": "x"}}, "'a-b' is not a label name"),
        ({"targets": ["ctl:1"], "labels": {"1a": "x"}}, "'1a' is not a label name"),
        ({"targets": ["ctl:1"], "labels": {"rack": 7}}, "'rack' must have a text"),
        ({"targets": ["ctl:1"], "labels": {"rack": None}}, "'rack' must have a text"),
        ({"targets": ["ctl:1"], "labels": {"__address__": "other:1"}}, "'__address__'"),
        ({"targets": ["ctl:1"], "labels": {"__name__": "up"}}, "'__name__'"),
        ({"targets": ["ctl:1"], "labels": {"__owner": "me"}}, "'__owner'"),
        ({"targets": ["ctl:1"], "labels": {"__meta_x": "me"}}, "'__meta_x'"),
    ],
)
def test_what_prometheus_would_refuse_or_drop_is_refused(group: dict[str, t.Any], says: str) -> None:
    with pytest.raises(Failure) as failure:
        document([group])
    assert says in failure.value.message
    assert failure.value.code == "bad_target"


def test_no_groups_is_refused() -> None:
    with pytest.raises(Failure, match="groups is empty"):
        document([])


@given(st.permutations(GROUPS), st.permutations(["ctl:8081", "ctl:8080", "ctl:8081"]))
def test_the_order_does_not_change_the_bytes(groups: list[dict[str, t.Any]], targets: list[str]) -> None:
    changed = [dict(group, targets=targets) if len(group["targets"]) > 1 else group for group in groups]
    assert encode(document(changed)) == encode(document(GROUPS))


def test_what_is_accepted_can_be_read_back() -> None:
    listed = document([{"targets": ["[::1]:9100", "10.0.0.1:9100"], "labels": {"__param_target": "x"}}])
    assert decode(encode(listed)) == listed


def test_a_file_that_is_no_target_file_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"not": "targets"}', encoding="utf-8")
    with pytest.raises(Failure) as failure:
        ensure(str(path), None, check_mode=False)
    assert failure.value.code == "not_a_target_file"
    assert path.exists()


@pytest.mark.parametrize("wanted", [None, b"[]\n"])
def test_links_and_directories_are_left_alone(tmp_path: Path, wanted: bytes | None) -> None:
    (tmp_path / "real").write_text("[]", encoding="utf-8")
    (tmp_path / "link.json").symlink_to(tmp_path / "real")
    (tmp_path / "dir.json").mkdir()
    for name in ("link.json", "dir.json"):
        with pytest.raises(Failure, match="not a regular file"):
            ensure(str(tmp_path / name), wanted, check_mode=False)
    assert (tmp_path / "real").read_text(encoding="utf-8") == "[]"


def test_a_wrong_name_or_a_missing_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"does not end in \.json"):
        ensure(str(tmp_path / "x.yml"), b"[]\n", check_mode=False)
    with pytest.raises(Failure, match=r"directory of .* does not exist"):
        ensure(str(tmp_path / "none" / "x.json"), b"[]\n", check_mode=False)
    # on a fresh host the task that makes the directory did nothing in check mode
    assert ensure(str(tmp_path / "none" / "x.json"), b"[]\n", check_mode=True) == (True, "absent", None)
    assert ensure(str(tmp_path / "none" / "x.json"), None, check_mode=False) == (False, "absent", None)


def test_an_unusable_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("[{", encoding="utf-8")
    assert ensure(str(path), b"[]\n", check_mode=False) == (True, "invalid", b"[{")
    assert path.read_bytes() == b"[]\n"


@pytest.mark.plays
def test_through_ansible(tmp_path: Path) -> None:
    """Starts with check mode; each returned field of each kind of run."""
    path = tmp_path / "ctl.json"
    present = {"path": str(path), "groups": GROUPS}
    absent = {"path": str(path), "state": "absent"}
    checked = play(tmp_path, [Task("file_sd_target", present, check_mode=True)])
    assert not path.exists()

    played = play(
        tmp_path,
        [
            Task("file_sd_target", present),
            Task("file_sd_target", {"path": str(path), "groups": [GROUPS[1], GROUPS[0]]}),
            Task("file_sd_target", {"path": str(path), "groups": GROUPS[:1]}, check_mode=True),
            Task("file_sd_target", absent, check_mode=True),
            Task("file_sd_target", {"path": str(path), "groups": [{"targets": ["ctl"]}]}),
        ],
    )
    text = encode(document(GROUPS)).decode()
    assert path.read_text(encoding="utf-8") == text
    assert path.stat().st_mode & 0o777 == 0o644
    assert json.loads(text)[0]["targets"] == ["ctl:8080", "ctl:8081"]
    assert [entry.name for entry in tmp_path.iterdir() if "ctl" in entry.name] == ["ctl.json"]

    targets = ["ctl:8080", "ctl:8081", "ctl:9100"]
    header = {"before_header": str(path), "after_header": str(path)}
    created = {
        "changed": True,
        "failed": False,
        "path": str(path),
        "previous": "absent",
        "targets": targets,
        "diff": {**header, "before": "", "after": text},
    }
    again, fewer, removed, refused = played.results[1:]
    assert checked.results[0] == created
    assert played.results[0] == created
    assert again == {**created, "changed": False, "previous": "same", "diff": {**header, "before": text, "after": text}}
    one = encode(document(GROUPS[:1])).decode()
    assert fewer == {
        **created,
        "previous": "different",
        "targets": ["ctl:9100"],
        "diff": {**header, "before": text, "after": one},
    }
    assert removed == {
        **created,
        "previous": "different",
        "targets": [],
        "diff": {**header, "before": text, "after": ""},
    }
    message = "group 1: 'ctl' is not a host:port address."
    assert refused["failed"] is True
    assert refused["msg"] == message
    assert refused["failure"] == {"message": message, "code": "bad_target", "details": {"problems": [message]}}

    gone = play(tmp_path, [Task("file_sd_target", absent), Task("file_sd_target", absent)]).results
    assert not path.exists()
    assert [result["changed"] for result in gone] == [True, False]
    assert [result["previous"] for result in gone] == ["different", "absent"]
