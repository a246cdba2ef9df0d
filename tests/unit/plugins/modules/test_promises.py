# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module's documentation promises of check mode, differences and repetition is so, for every module."""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.plugins.modules.called import call
from unit.plugins.modules.promise_worlds import CHANGING, READING, Maker, Making, World
from unit.plugins.modules.untouched import nothing_elsewhere
from unit.plugins.test_documented import MODULES, support


def of(worlds: dict[str, list[Maker]]) -> list[t.Any]:
    return [pytest.param(name, maker, id=f"{name}-{maker.__name__}") for name in worlds for maker in worlds[name]]


@pytest.fixture
def making(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Making]:
    with contextlib.ExitStack() as ending:
        yield Making(tmp_path, monkeypatch, ending)


def test_every_module_has_a_world() -> None:
    assert sorted([*CHANGING, *READING]) == MODULES, "give the module a world in promise_worlds.py"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_promises_something(module: str) -> None:
    stated = {name: support(module, name) for name in ("check_mode", "diff_mode", "idempotent")}
    assert set(stated.values()) <= {"full", "none", "N/A"}
    if module in READING:
        assert stated["diff_mode"] != "full"


def known(result: dict[str, t.Any], world: World) -> dict[str, t.Any]:
    return {key: value for key, value in result.items() if key not in world.unknown}


def differs(result: dict[str, t.Any]) -> bool:
    entries = result["diff"] if isinstance(result["diff"], list) else [result["diff"]]
    return any(entry["before"] != entry["after"] for entry in entries)


@pytest.mark.parametrize(("module", "maker"), of(CHANGING))
def test_check_mode_foretells_a_run_and_a_second_run_does_nothing(module: str, maker: Maker, making: Making) -> None:
    world = maker(making)
    shows, repeats = support(module, "diff_mode") == "full", support(module, "idempotent") != "full"

    before = world.look()
    with nothing_elsewhere(making.patch):
        foretold = call(module, world.options, check_mode=True)
    assert world.look() == before
    assert foretold["changed"] is True
    assert ("diff" in foretold) is shows
    assert not shows or differs(foretold)

    done = call(module, world.options)
    after = world.look()
    assert after != before
    assert known(done, world) == known(foretold, world)
    assert done.keys() == foretold.keys()

    again = call(module, world.options)
    assert again["changed"] is repeats
    assert not shows or differs(again) is repeats
    if not repeats:
        assert world.look() == after
        assert call(module, world.options, check_mode=True) == again
        assert world.look() == after


@pytest.mark.parametrize(("module", "maker"), of(READING))
def test_a_look_changes_nothing_in_either_mode(module: str, maker: Maker, making: Making) -> None:
    world = maker(making)
    before = world.look()
    with nothing_elsewhere(making.patch):
        results = [call(module, world.options, check_mode) for check_mode in (True, False)]
    assert world.look() == before
    assert known(results[0], world) == known(results[1], world)
    assert [result["changed"] for result in results] == [False, False]
    assert not any("diff" in result for result in results)
