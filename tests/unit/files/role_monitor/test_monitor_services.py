# SPDX-License-Identifier: GPL-3.0-or-later
"""When a monitor asks BCM for the services that BCM manages itself, and how long the answer counts."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcm_role_monitor
import pytest
from superpod_role_monitor import config as configuration
from superpod_role_monitor.decision import Known, Unknown
from superpod_role_monitor.journal import Journal
from superpod_role_monitor.monitor import SERVICES_AGE, Monitor

RULES = json.loads((Path(bcm_role_monitor.LIBRARY) / "config.schema.json").read_text())
A, B = "a.service", "b.service"
HELD, LOST = Known(("slurmclient",), "me"), Known((), "me")


class World:
    """What the monitor sees: BCM, systemd and the clock."""

    headnode = "head"

    def __init__(self) -> None:
        self.says: Known | Unknown = HELD
        self.bcms: frozenset[str] | None = frozenset()
        self.asked = 0
        self.now = 1000.0
        self.units = {A: "inactive", B: "inactive"}

    def answer(self, _host: str, _doubt: Callable[[Known], bool]) -> Known | Unknown:
        return self.says

    def services(self, _host: str) -> frozenset[str] | None:
        self.asked += 1
        return self.bcms

    def close(self) -> None:
        """Nothing to close."""

    def unit_states(self, _units: list[str]) -> dict[str, str]:
        return dict(self.units)

    def start(self, units: tuple[str, ...]) -> None:
        self.units.update(dict.fromkeys(units, "active"))

    def stop(self, units: tuple[str, ...]) -> None:
        self.units.update(dict.fromkeys(units, "inactive"))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make(world: World, tmp_path: Path) -> Callable[..., Monitor]:
    def made(**keys: Any) -> Monitor:
        exporters = [{"unit": unit, "job": unit[0], "port": 9000 + n} for n, unit in enumerate((A, B))]
        content = {
            "prometheus_targets_dir": str(tmp_path),
            "state_dir": str(tmp_path),
            "textfile_dir": str(tmp_path),
            "exporters": exporters,
            **keys,
        }
        config = configuration.parse(json.dumps(content).encode(), RULES, {})
        bcm: Any = world
        journal = Journal(stream=io.StringIO())
        return Monitor(config, journal, bcm, host_name=lambda: "dgx-01", clock=lambda: world.now, units=world)

    return made


def test_asked_before_each_start_and_stop_and_not_otherwise(world: World, make: Callable[..., Monitor]) -> None:
    monitor = make()
    monitor.check()
    assert (world.asked, world.units) == (1, {A: "active", B: "active"})
    world.now += 10 * SERVICES_AGE
    monitor.check()
    assert world.asked == 1
    world.bcms = frozenset("a")
    world.says = LOST
    monitor.check()
    assert (world.asked, world.units) == (2, {A: "active", B: "inactive"})


def test_what_bcm_gives_up_is_noticed_though_nothing_else_is_to_be_done(
    world: World, make: Callable[..., Monitor]
) -> None:
    world.bcms = frozenset("a")
    monitor = make()
    monitor.check()
    assert world.units == {A: "inactive", B: "active"}
    world.bcms = frozenset()
    world.now += SERVICES_AGE - 1
    monitor.check()
    assert (world.asked, world.units[A]) == (1, "inactive")
    world.now += 1
    world.says = Unknown("down.")
    monitor.check()
    assert world.asked == 1
    world.says = HELD
    monitor.check()
    assert (world.asked, world.units[A]) == (2, "active")


def test_bcm_that_does_not_tell_is_asked_seldom(world: World, make: Callable[..., Monitor]) -> None:
    world.bcms = None
    monitor = make()
    for says in (HELD, LOST, HELD):
        world.says = says
        monitor.check()
    assert (world.asked, world.units[A]) == (1, "active")
    world.now += SERVICES_AGE
    world.bcms = frozenset("a")
    world.says = LOST
    monitor.check()
    assert (world.asked, world.units) == (2, {A: "active", B: "inactive"})


def test_no_answer_does_not_undo_the_last_one(world: World, make: Callable[..., Monitor]) -> None:
    world.bcms = frozenset("a")
    monitor = make()
    monitor.check()
    world.bcms = None
    world.now += SERVICES_AGE
    monitor.check()
    assert (world.asked, world.units[A]) == (2, "inactive")


@pytest.mark.parametrize(("on_stop", "asked"), [("keep", 0), ("remove", 1)])
def test_asked_in_advance_where_the_stop_will_remove(
    world: World, make: Callable[..., Monitor], on_stop: str, asked: int
) -> None:
    world.units = {A: "active", B: "active"}
    world.bcms = frozenset("a")
    monitor = make(on_stop=on_stop)
    for _check in range(2):
        monitor.check()
    assert world.asked == asked
