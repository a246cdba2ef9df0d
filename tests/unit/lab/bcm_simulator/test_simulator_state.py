# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from bcm_simulator import fleet
from bcm_simulator.state import StateError, normalise
from bcm_simulator.store import StateStore
from bcm_simulator.switches import SWITCHES

HEADS: dict[str, Any] = {"head_nodes": {"head": {}}}


def test_defaults_are_filled_in() -> None:
    state = normalise({**HEADS, "categories": {"c": {"image": "i"}}, "nodes": {"n": {"category": "c"}}})
    assert state["active"] == "head"
    assert state["nodes"]["n"]["type"] == "PhysicalNode"
    assert state["software_images"]["i"]["path"] == "/cm/images/i"
    assert state["profiles"]["readonly"]["nonuser"] is False
    assert state["switches"] == {name: switch.values[0] for name, switch in SWITCHES.items()}


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"nodse": {}}, "unknown key 'nodse'"),
        ({"nodes": {"n": {"categroy": "c"}}}, "unknown key 'categroy'"),
        ({"nodes": {"n": {"category": "c"}}}, "category 'c', which is not under categories"),
        ({"nodes": {"n": {"roles": "slurmclient"}}}, "roles must be a list"),
        ({"nodes": {"head": {}}}, "under head_nodes and under nodes"),
        ({"nodes": ["n"]}, "nodes must be a mapping"),
        ({"active": "other"}, "active is 'other'"),
        ({"overlays": {"o": {"nodes": ["x"]}}}, "overlay 'o': nodes: 'x' does not exist"),
        ({"overlays": {"o": {"priority": 250}}}, "priority 250"),
        ({"overlays": {"o": {"priority": 750}}}, "priority 750"),
        ({"overlays": {"o": {"priority": 1001}}}, "priority 1001"),
        ({"overlays": {"o": {"priority": True}}}, "priority must be a number"),
        ({"profiles": {"p": {"tokens": ["FLY_TOKEN"]}}}, "'FLY_TOKEN' does not exist"),
        ({"users": {"u": {"profile": "p"}}}, "'p' does not exist"),
        ({"switches": {"emtpy_roles": "null"}}, "unknown switch 'emtpy_roles'"),
        ({"switches": {"empty_roles": "none"}}, "cannot be 'none'"),
        ({"switches": {"cmsh_error_rc": True}}, "cannot be True"),
    ],
)
def test_what_is_wrong_is_named(extra: dict[str, Any], words: str) -> None:
    with pytest.raises(StateError, match=words):
        normalise({**HEADS, **extra})


def test_head_nodes_are_needed() -> None:
    with pytest.raises(StateError, match="head_nodes"):
        normalise({})


def test_the_file_keeps_its_format_and_private_mode(tmp_path: Path) -> None:
    path = tmp_path / "state.yml"
    path.write_text(yaml.safe_dump(fleet.small()))
    StateStore(path).edit(lambda state: state["nodes"]["dgx-01"]["roles"].append("slurmclient"))
    assert not path.read_text().startswith("{")
    assert yaml.safe_load(path.read_text())["nodes"]["dgx-01"]["roles"] == ["slurmclient"]
    assert path.stat().st_mode & 0o777 == 0o600
    as_json = StateStore.create(tmp_path / "state.json", fleet.small(), as_json=True)
    as_json.edit(lambda state: state.update(version="11.30"))
    assert json.loads((tmp_path / "state.json").read_text())["version"] == "11.30"


def test_a_failed_edit_stores_nothing(tmp_path: Path) -> None:
    store = StateStore.create(tmp_path / "s", fleet.small(), as_json=True)
    before = (tmp_path / "s").read_bytes()
    with pytest.raises(StateError):
        store.edit(lambda state: state["nodes"]["dgx-01"].update(category="nowhere"))
    assert (tmp_path / "s").read_bytes() == before
    assert store.snapshot()["nodes"]["dgx-01"]["category"] == "dgx-h200"


def test_changes_by_others_are_seen_and_unchanged_state_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "s"
    one = StateStore.create(path, fleet.small(), as_json=True)
    first = one.snapshot()
    assert one.snapshot() is first
    StateStore(path).edit(lambda state: state.update(cluster="Other"))
    assert one.snapshot()["cluster"] == "Other"


def test_edits_from_several_stores_do_not_lose_each_other(tmp_path: Path) -> None:
    path = tmp_path / "s"
    StateStore.create(path, fleet.small(), as_json=True)

    def add(number: int) -> None:
        StateStore(path).edit(lambda state: state["nodes"]["dgx-01"]["roles"].append(f"role{number}"))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(StateStore(path).snapshot()["nodes"]["dgx-01"]["roles"]) == [f"role{number}" for number in range(8)]


@pytest.mark.parametrize("text", ["{", "a: [", "\x00", "- just\n- a list\n"])
def test_a_broken_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s"
    path.write_text(text)
    with pytest.raises(StateError) as caught:
        StateStore(path).snapshot()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot read the state file"):
        StateStore(tmp_path / "none").snapshot()
