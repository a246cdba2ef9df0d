# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision core against a model that knows nothing of it: a world of units, files and names, and plain rules."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import bcm_role_monitor
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from superpod_role_monitor import config as configuration
from superpod_role_monitor import decision, state_file
from superpod_role_monitor.decision import Known, Observation, State, Unknown

RULES = json.loads((Path(bcm_role_monitor.LIBRARY) / "config.schema.json").read_text())
UNITS = ("a.service", "b.service")
NAMES = ("dgx-01", "dgx-02", "dgx-03")
CONFIRMATIONS, ATTEMPTS, APART = 3, 2, 100
CONFIG = configuration.parse(
    json.dumps(
        {
            "prometheus_targets_dir": "/t",
            "exporters": [{"unit": unit, "job": unit, "port": 9000 + n} for n, unit in enumerate(UNITS)],
            "absent_roles_confirmations": CONFIRMATIONS,
            "max_retries": ATTEMPTS,
            "retry_interval": APART,
        }
    ).encode(),
    RULES,
    {},
)


class World(RuleBasedStateMachine):
    """This node is uuid `me`; `names` says which device of BCM has which name, `files` who wrote which target file."""

    @initialize(name=st.sampled_from(NAMES), leftover=st.booleans())
    def boot(self, name: str, leftover: bool) -> None:
        self.now = 0.0
        self.state = State()
        self.host = name
        self.units = dict.fromkeys(UNITS, "inactive")
        self.broken: set[str] = set()
        self.bcm_manages: frozenset[str] = frozenset()
        self.files: dict[str, str] = {}
        if leftover:
            self.files[f"/t/{name}.json"] = "me"
        self.gone: frozenset[str] = frozenset()
        self.silent_in_a_row = 0
        self.last_start: dict[str, float] = {}
        self.starts_since_running: dict[str, int] = {}
        self.role_before: bool | None = None
        self.fresh_attempts = True

    def check(self, answer: Known | Unknown, units_seen: bool = True, owners_known: bool = True) -> decision.Actions:
        earlier = {name for name in self.state.files.values() if name != self.host}
        taken = {path[3:-5] for path, owner in self.files.items() if owner != "me"}
        seen = Observation(
            self.host,
            answer,
            dict(self.units) if units_seen else None,
            self.bcm_manages,
            self.gone,
            frozenset(earlier & taken) if owners_known else frozenset(),
            frozenset() if owners_known else frozenset(earlier),
        )
        before = self.state
        self.state, actions = decision.decide(seen, before, CONFIG, self.now)
        self.judge(answer, actions)
        if actions.held is not None:
            self.gone = frozenset()
        return actions

    def judge(self, answer: Known | Unknown, actions: decision.Actions) -> None:
        """The rules, from the issue's words."""
        silent = isinstance(answer, Known) and answer.roles is None
        self.silent_in_a_row = self.silent_in_a_row + 1 if silent else 0
        role: bool | None = None
        if isinstance(answer, Known) and answer.roles is not None:
            role = "slurmclient" in answer.roles
        elif self.silent_in_a_row >= CONFIRMATIONS:
            role = False
        if role is not False:
            assert not actions.stop
            assert f"/t/{self.host}.json" not in actions.remove
        if role is None:
            assert actions._replace(notes=()) == decision.Actions()
        if role is not True:
            assert not actions.start
            assert actions.write is None
        if role is not None and role is not self.role_before:
            self.starts_since_running.clear()
            self.last_start.clear()
        self.role_before = role if role is not None else self.role_before
        for unit in (*actions.start, *actions.stop):
            assert unit not in self.bcm_manages
        for unit in actions.start:
            assert self.units[unit] not in ("active", "activating", "masked")
            assert self.now >= self.last_start.get(unit, -APART) + APART
            self.starts_since_running[unit] = self.starts_since_running.get(unit, 0) + 1
            assert self.starts_since_running[unit] <= ATTEMPTS
            self.last_start[unit] = self.now
        for path in actions.remove:
            assert self.files.get(path, "me") == "me", f"{path} is another device's"
        if role is True:
            for unit in UNITS:
                if self.units[unit] == "active" and unit not in self.bcm_manages:
                    self.starts_since_running.pop(unit, None)
                    self.last_start.pop(unit, None)

    def carry_out(self, actions: decision.Actions, files_work: bool = True) -> None:
        for unit in actions.start:
            self.units[unit] = "failed" if unit in self.broken else "active"
        for unit in actions.stop:
            self.units[unit] = "inactive"
        if files_work:
            if actions.write:
                self.files[actions.write[0]] = "me"
            for path in actions.remove:
                self.files.pop(path, None)
            self.gone = frozenset(actions.remove)

    @rule(held=st.booleans(), units_seen=st.booleans(), files_work=st.booleans(), owners_known=st.booleans())
    def certain_answer(self, held: bool, units_seen: bool, files_work: bool, owners_known: bool) -> None:
        answer = Known(("slurmclient", "x") if held else ("x",), "me")
        self.carry_out(self.check(answer, units_seen, owners_known), files_work)
        if not (units_seen and files_work and owners_known):
            return
        mine = {path for path, owner in self.files.items() if owner == "me"}
        assert mine == ({f"/t/{self.host}.json"} if held else set())
        for unit in set(UNITS) - self.bcm_manages:
            if not held:
                assert self.units[unit] != "active"
            elif unit not in self.broken and unit not in self.starts_since_running:
                assert self.units[unit] in ("active", "activating", "masked")

    @rule()
    def silent_answer(self) -> None:
        self.carry_out(self.check(Known(None, "me")))

    @rule()
    def no_answer(self) -> None:
        self.carry_out(self.check(Unknown("down.")))

    @rule(unit=st.sampled_from(UNITS), state=st.sampled_from(["active", "inactive", "failed", "activating", "masked"]))
    def unit_changes(self, unit: str, state: str) -> None:
        self.units[unit] = state

    @rule(unit=st.sampled_from(UNITS), broken=st.booleans())
    def unit_breaks_or_heals(self, unit: str, broken: bool) -> None:
        (self.broken.add if broken else self.broken.discard)(unit)

    @rule(managed=st.frozensets(st.sampled_from(UNITS), max_size=1))
    def bcm_manages_services(self, managed: frozenset[str]) -> None:
        self.bcm_manages = managed

    @rule(seconds=st.sampled_from([1, APART - 1, APART, 10 * APART]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        self.state = decision.after_restart(state_file.decode(state_file.encode(self.state)), "")
        # What was given up gets its attempts again; the others go on.
        for unit, count in list(self.starts_since_running.items()):
            if count >= ATTEMPTS and unit not in self.state.units:
                del self.starts_since_running[unit]
                self.last_start.pop(unit, None)
        self.gone = frozenset()

    @precondition(lambda self: len(self.files) < len(NAMES))
    @rule(name=st.sampled_from(NAMES), old_name_taken=st.booleans())
    def renamed(self, name: str, old_name_taken: bool) -> None:
        if self.files.get(f"/t/{name}.json", "me") != "me":
            return
        old = f"/t/{self.host}.json"
        if old not in self.state.files:
            self.files.pop(old, None)  # left by a daemon whose state was lost: nobody can know of it
        if name != self.host and old_name_taken:
            self.files[old] = "another"
        self.host = name

    @rule(name=st.sampled_from(NAMES))
    def imaged_onto_another_node(self, name: str) -> None:
        """The state file of another device arrives on this one; that device lives on under its name."""
        path = f"/t/{name}.json"
        if name == self.host or self.files.get(path) == "me":
            return
        self.files[path] = "another"
        forgotten = {one for one, owner in self.files.items() if owner == "me"} - {f"/t/{self.host}.json"}
        for one in forgotten:
            del self.files[one]  # what only the lost state knew of
        self.state = State(name, "another", True, 2, {}, {path: name})
        self.starts_since_running.clear()
        self.last_start.clear()
        self.silent_in_a_row = 0
        self.role_before = None

    @invariant()
    def state_can_be_stored(self) -> None:
        state: Any = getattr(self, "state", None)
        if state is not None:
            assert state_file.decode(state_file.encode(state)) == state


World.TestCase.settings = settings(
    max_examples=2000 if os.environ.get("SUPERPOD_TEST_FULL") else 250, stateful_step_count=30, deadline=None
)
TestWorld = World.TestCase
