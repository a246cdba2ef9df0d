# SPDX-License-Identifier: GPL-3.0-or-later
"""The state file: what goes in comes out, anything else is refused and not fatal, a renamed host finds its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from superpod_role_monitor import state_file
from superpod_role_monitor.decision import State, UnitRecord

STATE = State(
    "dgx-01", "uuid", True, 2, {"a.service": UnitRecord(1, 12.5), "b.service": UnitRecord(3, 0.0, True)}, {"/t/x": "x"}
)

short = st.text('ab_-/.\u00e9"', max_size=5)
states = st.builds(
    State,
    short,
    short,
    st.none() | st.booleans(),
    st.integers(0, 9),
    st.dictionaries(
        short,
        st.builds(UnitRecord, st.integers(0, 9), st.floats(allow_nan=False, allow_infinity=False), st.booleans()),
        max_size=3,
    ),
    st.dictionaries(short, short, max_size=3),
    short,
)


@given(states)
def test_what_goes_in_comes_out(state: State) -> None:
    assert state_file.decode(state_file.encode(state)) == state


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"host": None},
        {"held": "yes"},
        {"answers_without_roles": -1},
        {"answers_without_roles": True},
        {"units": []},
        {"units": {"a": []}},
        {"units": {"a": {"attempts": 1, "next_attempt": "soon", "given_up": False}}},
        {"units": {"a": {"attempts": 1, "next_attempt": True, "given_up": False}}},
        {"units": {"a": {"attempts": 1.5, "next_attempt": 1, "given_up": False}}},
        {"units": {"a": {"attempts": 1, "next_attempt": 1, "given_up": 0}}},
        {"files": {"/t/x": 1}},
        {"boot": None},
    ],
)
def test_what_is_no_state(change: dict[str, Any]) -> None:
    content = {**json.loads(state_file.encode(STATE)), **change}
    with pytest.raises(state_file.StateError):
        state_file.decode(json.dumps(content).encode())


@given(
    st.binary(max_size=100) | st.recursive(st.none() | st.integers(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_any_bytes_are_a_state_or_refused(content: bytes) -> None:
    with pytest.raises(state_file.StateError):
        state_file.decode(content)


def test_infinity_is_no_time() -> None:
    content = state_file.encode(STATE).replace(b"12.5", b"Infinity")
    with pytest.raises(state_file.StateError, match="no number"):
        state_file.decode(content)


def test_stored_and_loaded(tmp_path: Path) -> None:
    assert state_file.load(str(tmp_path), "dgx-01", "") == (State(), None)
    state_file.save(str(tmp_path), STATE, "")
    assert [one.name for one in tmp_path.iterdir()] == ["dgx-01_state.json"]
    assert (tmp_path / "dgx-01_state.json").stat().st_mode & 0o777 == 0o600
    assert state_file.load(str(tmp_path), "dgx-01", "") == (STATE, None)


def test_a_renamed_host_finds_its_state_and_takes_it_along(tmp_path: Path) -> None:
    (tmp_path / "older_state.json").write_text("{")
    os.utime(tmp_path / "older_state.json", (1, 1))
    state_file.save(str(tmp_path), STATE, "dcgm")
    state_file.save(str(tmp_path), STATE._replace(files={}), "")
    assert state_file.load(str(tmp_path), "dgx-77", "") == (STATE._replace(files={}), None)
    state_file.save(str(tmp_path), STATE._replace(host="dgx-77"), "")
    # The other instance's file is not an earlier name's.
    assert sorted(one.name for one in tmp_path.iterdir()) == ["dgx-01_dcgm_state.json", "dgx-77_state.json"]


def test_a_broken_file_is_reported_and_not_fatal(tmp_path: Path) -> None:
    (tmp_path / "dgx-01_state.json").write_text("{")
    state, problem = state_file.load(str(tmp_path), "dgx-01", "")
    assert state == State()
    assert problem is not None
    assert "dgx-01_state.json is not used" in problem


def test_what_a_killed_daemon_left_is_removed(tmp_path: Path) -> None:
    for name in (".dgx-01_state.json.bcm-role-monitor-00ff.tmp", ".other.tmp", "dgx-01_state.json"):
        (tmp_path / name).write_text("")
    state_file.clean(str(tmp_path))
    assert sorted(one.name for one in tmp_path.iterdir()) == [".other.tmp", "dgx-01_state.json"]


def test_touch_tells_when_bcm_last_answered(tmp_path: Path) -> None:
    state_file.save(str(tmp_path), STATE, "")
    path = tmp_path / "dgx-01_state.json"
    os.utime(path, (1, 1))
    state_file.touch(str(tmp_path), STATE, "")
    assert path.stat().st_mtime > 1
