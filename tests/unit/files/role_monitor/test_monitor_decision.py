# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision core, branch by branch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bcm_role_monitor
import pytest
from superpod_role_monitor import config as configuration
from superpod_role_monitor import decision
from superpod_role_monitor.decision import Known, Observation, State, UnitRecord, Unknown

RULES = json.loads((Path(bcm_role_monitor.LIBRARY) / "config.schema.json").read_text())
TARGETS = "/t"
OWN = f"{TARGETS}/dgx-01.json"
NODE, GPU = "node_exporter.service", "gpu.service"
EXPORTERS = [{"unit": NODE, "job": "node_exporter", "port": 9100}, {"unit": GPU, "job": "gpu_exporter", "port": 9445}]
HELD = Known(("slurmclient", "storage"), "uuid-1")
ABSENT = Known(("storage",), "uuid-1")
SILENT = Known(None, "uuid-1")
RUNNING = {NODE: "active", GPU: "active"}
STOPPED = {NODE: "inactive", GPU: "inactive"}


def config(**keys: Any) -> configuration.Config:
    content = {"prometheus_targets_dir": TARGETS, "exporters": EXPORTERS, **keys}
    return configuration.parse(json.dumps(content).encode(), RULES, {})


CONFIG = config()
IN_STEP = State("dgx-01", "uuid-1", True, 0, {}, {OWN: "dgx-01"})


def see(
    answer: Known | Unknown, units: Mapping[str, str] | None = None, host: str = "dgx-01", **more: Any
) -> Observation:
    return Observation(host, answer, units, **more)


def keyed(actions: decision.Actions) -> dict[str, tuple[str, str]]:
    return {note.key: (note.level, note.text) for note in actions.notes}


def test_role_given() -> None:
    state, actions = decision.decide(see(HELD, STOPPED), State(), CONFIG, 100.0)
    assert actions.held is True
    assert actions.start == (NODE, GPU)
    assert actions.stop == ()
    assert keyed(actions)["role"] == ("info", "dgx-01 has the role slurmclient: its exporters are to run.")
    assert actions.write is not None
    assert actions.write[0] == OWN
    assert [group["targets"] for group in json.loads(actions.write[1])] == [["dgx-01:9445"], ["dgx-01:9100"]]
    assert actions.remove == ()
    assert state == State(
        "dgx-01", "uuid-1", True, 0, {NODE: UnitRecord(1, 700.0), GPU: UnitRecord(1, 700.0)}, {OWN: "dgx-01"}
    )


@pytest.mark.parametrize("roles", [("SlurmClient",), ("slurmclient",)])
def test_role_names_of_the_configuration_are_compared_without_case(roles: tuple[str, ...]) -> None:
    _state, actions = decision.decide(see(HELD, RUNNING), State(), config(roles=list(roles)), 0.0)
    assert actions.held is True


def test_any_watched_role_will_do() -> None:
    _state, actions = decision.decide(see(ABSENT, RUNNING), State(), config(roles=["slurmclient", "storage"]), 0.0)
    assert actions.held is True


def test_role_taken_away() -> None:
    state, actions = decision.decide(see(ABSENT, RUNNING), IN_STEP, CONFIG, 0.0)
    assert (actions.held, actions.start, actions.stop) == (False, (), (NODE, GPU))
    assert keyed(actions)["role"][1] == "dgx-01 does not have the role slurmclient: its exporters are not to run."
    assert actions.write is None
    assert actions.remove == (OWN,)
    assert state.held is False
    # Remembered until the file is known to be gone.
    assert state.files == {OWN: "dgx-01"}
    state, actions = decision.decide(see(ABSENT, STOPPED, gone=frozenset([OWN])), state, CONFIG, 60.0)
    assert state.files == {}
    # Somebody may have written it again.
    assert actions.remove == (OWN,)
    assert actions.stop == ()


def test_an_empty_list_of_roles_means_removed_at_once() -> None:
    _state, actions = decision.decide(see(Known((), "uuid-1"), RUNNING), IN_STEP, CONFIG, 0.0)
    assert actions.stop == (NODE, GPU)


def test_unknown_changes_nothing() -> None:
    state, actions = decision.decide(see(Unknown("down."), STOPPED), IN_STEP, CONFIG, 0.0)
    assert state == IN_STEP
    assert actions._replace(notes=()) == decision.Actions()
    assert keyed(actions) == {"bcm": ("warning", "down. Nothing is changed.")}


def test_roles_not_named_count_only_in_a_row() -> None:
    state = IN_STEP
    for count in (1, 2):
        state, actions = decision.decide(see(SILENT, RUNNING), state, CONFIG, 0.0)
        assert actions._replace(notes=()) == decision.Actions()
        assert state == IN_STEP._replace(answers_without_roles=count)
        assert f"({count} of 3" in keyed(actions)["bcm"][1]
    interrupted, _actions = decision.decide(see(Unknown("down.")), state, CONFIG, 0.0)
    assert interrupted.answers_without_roles == 0
    state, actions = decision.decide(see(SILENT, RUNNING), state, CONFIG, 0.0)
    assert actions.held is False
    assert actions.stop == (NODE, GPU)
    # It stays so, and the counter does not grow for ever.
    state, actions = decision.decide(see(SILENT, STOPPED), state, CONFIG, 0.0)
    assert (actions.held, state.answers_without_roles) == (False, 3)
    state, actions = decision.decide(see(HELD, STOPPED), state, CONFIG, 0.0)
    assert (actions.held, state.answers_without_roles) == (True, 0)


def test_one_confirmation_is_enough_where_the_site_says_so() -> None:
    _state, actions = decision.decide(see(SILENT, RUNNING), IN_STEP, config(absent_roles_confirmations=1), 0.0)
    assert actions.stop == (NODE, GPU)


def test_no_unit_states_no_unit_changes_but_the_file_is_kept() -> None:
    state, actions = decision.decide(see(HELD, None), State(), CONFIG, 0.0)
    assert actions.start == ()
    assert actions.write is not None
    assert state.units == {}
    _state, actions = decision.decide(see(ABSENT, None), IN_STEP, CONFIG, 0.0)
    assert (actions.stop, actions.remove) == ((), (OWN,))


def test_attempts_then_given_up_until_seen_running() -> None:
    units = {NODE: "active", GPU: "failed"}
    state = IN_STEP
    started = []
    said = []
    for now in range(0, 4000, 60):
        state, actions = decision.decide(see(HELD, units), state, CONFIG, float(now))
        started += [now] * len(actions.start)
        if keyed(actions).get(f"unit {GPU}", ("", ""))[0] == "error":
            said.append(now)
    assert started == [0, 600, 1200]
    assert said == [1800]
    assert state.units[GPU].given_up
    state, _actions = decision.decide(see(HELD, RUNNING), state, CONFIG, 4000.0)
    assert state.units == {}
    state, actions = decision.decide(see(HELD, units), state, CONFIG, 4060.0)
    assert actions.start == (GPU,)


def test_a_change_of_the_role_gives_new_attempts() -> None:
    given_up = IN_STEP._replace(units={GPU: UnitRecord(3, 5.0, True)})
    state, _actions = decision.decide(see(ABSENT, STOPPED), given_up, CONFIG, 0.0)
    assert state.units == {}
    given_up_before = given_up._replace(held=False)
    state, actions = decision.decide(see(HELD, STOPPED), given_up_before, CONFIG, 0.0)
    assert actions.start == (NODE, GPU)


def test_a_restart_keeps_attempts_and_forgets_what_was_given_up() -> None:
    state = IN_STEP._replace(units={NODE: UnitRecord(2, 500.0), GPU: UnitRecord(3, 500.0, True)})
    assert decision.after_restart(state, "") == IN_STEP._replace(units={NODE: UnitRecord(2, 500.0)})
    # Attempts of another boot tell nothing of this one.
    assert decision.after_restart(state, "b") == IN_STEP._replace(boot="b")
    for earlier, boot in (("a", "b"), ("b", "a")):
        assert decision.after_restart(state._replace(boot=earlier), boot) == IN_STEP._replace(boot=boot)


def test_texts_that_came_another_way_are_the_same_texts() -> None:
    """State is read from a file and BCM's answer from the network: equal, and never the same object."""

    def another(text: str) -> str:
        return "".join(list(text))

    state = State("dgx-01", another("uuid-1"), True, 0, {NODE: UnitRecord(1, 5.0)}, {OWN: another("dgx-01")}, "boot-1")
    renamed, actions = decision.decide(see(HELD, RUNNING, host="dgx-77"), state, CONFIG, 0.0)
    assert (actions.remove, renamed.files.keys()) == ((OWN,), {OWN, f"{TARGETS}/dgx-77.json"})
    swapped = see(HELD, RUNNING, foreign_names=frozenset(["dgx-01"]))
    _state, actions = decision.decide(swapped, state, CONFIG, 0.0)
    assert f"forget {OWN}" not in keyed(actions)
    assert decision.after_restart(state, another("boot-1")) == state


def test_as_many_confirmations_and_attempts_as_a_site_wants() -> None:
    many = config(absent_roles_confirmations=1000, max_retries=1000)
    state = IN_STEP._replace(answers_without_roles=999, units={GPU: UnitRecord(1000, 0.0)})
    _state, actions = decision.decide(see(SILENT, RUNNING), state, many, 0.0)
    assert actions.held is False
    after, actions = decision.decide(see(HELD, {NODE: "active", GPU: "failed"}), state, many, 30.0)
    assert (actions.start, after.units[GPU].given_up) == ((), True)


def test_attempts_at_a_longer_interval_do_not_hold_one_up() -> None:
    for next_attempt in (9e6, 30.0 + CONFIG.retry_interval + 1):
        before = IN_STEP._replace(units={GPU: UnitRecord(1, next_attempt)})
        _state, actions = decision.decide(see(HELD, {NODE: "active", GPU: "failed"}), before, CONFIG, 30.0)
        assert actions.start == (GPU,)


def test_the_next_attempt_comes_after_one_interval_however_late_the_cycle_is() -> None:
    units = {NODE: "active", GPU: "failed"}
    state, actions = decision.decide(see(HELD, units), IN_STEP, CONFIG, 30.0)
    assert keyed(actions)[f"unit {GPU}"][0] == "info"
    for now, starts in ((30.0, ()), (30.0 + CONFIG.retry_interval, (GPU,)), (31.0 + CONFIG.retry_interval, (GPU,))):
        _state, actions = decision.decide(see(HELD, units), state, CONFIG, now)
        assert actions.start == starts, now
    assert keyed(actions)[f"unit {GPU}"][0] == "warning"


def test_fewer_attempts_allowed_than_were_made() -> None:
    before = IN_STEP._replace(units={GPU: UnitRecord(3, 0.0)})
    state, actions = decision.decide(see(HELD, {NODE: "active", GPU: "failed"}), before, config(max_retries=2), 30.0)
    assert actions.start == ()
    assert state.units[GPU].given_up


@pytest.mark.parametrize("transit", ["activating", "deactivating", "maintenance"])
def test_systemd_at_work_is_not_disturbed(transit: str) -> None:
    _state, actions = decision.decide(see(HELD, {NODE: transit, GPU: "active"}), IN_STEP, CONFIG, 0.0)
    assert actions.start == ()


def test_a_masked_unit_costs_no_attempt_and_no_waiting() -> None:
    state = IN_STEP
    for now in (0.0, 60.0):
        state, actions = decision.decide(see(HELD, {NODE: "active", GPU: "masked"}), state, CONFIG, now)
        assert actions.start == ()
        assert keyed(actions)[f"unit {GPU}"][0] == "warning"
        assert state.units == {}
    _state, actions = decision.decide(see(HELD, {NODE: "active", GPU: "inactive"}), state, CONFIG, 120.0)
    assert actions.start == (GPU,)


def test_what_still_starts_is_stopped() -> None:
    units = {NODE: "activating", GPU: "deactivating"}
    _state, actions = decision.decide(see(ABSENT, units), IN_STEP, CONFIG, 0.0)
    assert actions.stop == (NODE,)


def test_a_unit_that_systemd_does_not_name_is_not_found() -> None:
    _state, actions = decision.decide(see(HELD, {NODE: "active"}), IN_STEP, CONFIG, 0.0)
    assert actions.start == (GPU,)
    assert "not-found" in keyed(actions)[f"unit {GPU}"][1]


def test_what_bcm_manages_is_reported_and_left_alone() -> None:
    managed = frozenset([NODE])
    _state, actions = decision.decide(see(HELD, STOPPED, bcm_services=managed), IN_STEP, CONFIG, 0.0)
    assert actions.start == (GPU,)
    assert keyed(actions)[f"unit {NODE}"][0] == "warning"
    _state, actions = decision.decide(see(ABSENT, RUNNING, bcm_services=managed), IN_STEP, CONFIG, 0.0)
    assert actions.stop == (GPU,)


def test_renamed_host_takes_its_old_file_along() -> None:
    new = f"{TARGETS}/dgx-77.json"
    state, actions = decision.decide(see(HELD, RUNNING, host="dgx-77"), IN_STEP, CONFIG, 0.0)
    assert actions.write is not None
    assert actions.write[0] == new
    assert actions.remove == (OWN,)
    assert state.host == "dgx-77"
    assert state.files == {OWN: "dgx-01", new: "dgx-77"}
    state, actions = decision.decide(see(HELD, RUNNING, host="dgx-77", gone=frozenset([OWN])), state, CONFIG, 0.0)
    assert (actions.remove, state.files) == ((), {new: "dgx-77"})
    # Renamed and the role lost at once.
    _state, actions = decision.decide(see(ABSENT, RUNNING, host="dgx-77"), IN_STEP, CONFIG, 0.0)
    assert actions.remove == (OWN, new)


def test_the_old_name_is_another_devices_now() -> None:
    swapped = see(HELD, RUNNING, host="dgx-02", foreign_names=frozenset(["dgx-01"]))
    state, actions = decision.decide(swapped, IN_STEP, CONFIG, 0.0)
    assert actions.remove == ()
    assert OWN not in state.files
    assert keyed(actions)[f"forget {OWN}"][0] == "warning"
    # whatever else is remembered
    between = {f"{TARGETS}/{name}.json": name for name in ("dgx-02", "dgx-01", "dgx-03")}
    swapped = swapped._replace(foreign_names=frozenset(["dgx-01", "dgx-03"]))
    state, actions = decision.decide(swapped, IN_STEP._replace(files=between), CONFIG, 0.0)
    assert (actions.remove, state.files) == ((), {f"{TARGETS}/dgx-02.json": "dgx-02"})


def test_the_old_name_may_be_another_devices() -> None:
    unclear = see(HELD, RUNNING, host="dgx-02", unclear_names=frozenset(["dgx-01"]))
    state, actions = decision.decide(unclear, IN_STEP, CONFIG, 0.0)
    assert actions.remove == ()
    assert OWN in state.files
    unclear = see(ABSENT, RUNNING, host="dgx-02", unclear_names=frozenset(["dgx-01"]))
    _state, actions = decision.decide(unclear, IN_STEP, CONFIG, 0.0)
    assert actions.remove == (f"{TARGETS}/dgx-02.json",)


@pytest.mark.parametrize("answer", [HELD, ABSENT, SILENT])
def test_another_devices_state_from_a_software_image(answer: Known) -> None:
    foreign = IN_STEP._replace(answers_without_roles=2, identity="uuid-of-the-image's-node", boot="b")
    state, actions = decision.decide(see(answer, RUNNING, host="dgx-09"), foreign, CONFIG, 0.0)
    assert OWN not in actions.remove
    assert OWN not in state.files
    assert (state.identity, state.boot) == ("uuid-1", "b")
    assert actions.held is {HELD: True, ABSENT: False, SILENT: None}[answer]


def test_without_proof_of_identity_an_old_file_is_left_alone() -> None:
    state, actions = decision.decide(see(Known(("slurmclient",), ""), RUNNING, host="dgx-77"), IN_STEP, CONFIG, 0.0)
    assert actions.remove == ()
    assert state.identity == "uuid-1"
    state, actions = decision.decide(see(HELD, RUNNING, host="dgx-77"), IN_STEP._replace(identity=""), CONFIG, 0.0)
    assert actions.remove == ()


def test_a_new_targets_directory_takes_the_file_along() -> None:
    _state, actions = decision.decide(see(HELD, RUNNING), IN_STEP, config(prometheus_targets_dir="/new"), 0.0)
    assert actions.write is not None
    assert actions.write[0] == "/new/dgx-01.json"
    assert actions.remove == (OWN,)


def test_instances_have_files_of_their_own() -> None:
    _state, actions = decision.decide(see(HELD, RUNNING), State(), config(instance="dcgm"), 0.0)
    assert actions.write is not None
    assert actions.write[0] == f"{TARGETS}/dgx-01_dcgm.json"


def test_a_host_without_a_usable_name_is_unknown() -> None:
    state, actions = decision.decide(see(ABSENT, RUNNING, host="a_b"), IN_STEP, CONFIG, 0.0)
    assert state == IN_STEP
    assert actions._replace(notes=()) == decision.Actions()


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (see(HELD, RUNNING), True),
        (see(HELD, {NODE: "active", GPU: "activating"}), False),
        (see(HELD, {NODE: "active", GPU: "failed"}), False),
        (see(HELD, {NODE: "active", GPU: "failed"}, bcm_services=frozenset([GPU])), True),
        (see(HELD, None), False),
        (see(ABSENT, STOPPED), True),
        (see(ABSENT, RUNNING), False),
        (see(SILENT, RUNNING), False),
        (see(Unknown("down."), RUNNING), False),
    ],
)
def test_in_step(seen: Observation, expected: bool) -> None:
    _state, actions = decision.decide(seen, IN_STEP, CONFIG, 0.0)
    assert decision.in_step(seen, actions, CONFIG) is expected
