# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do, decided from what was seen.  No I/O, no clock, no logging: same arguments, same answer.

The one rule above all others: monitoring is only ever taken away after BCM has given a well-formed answer, with this
very node in it, that shows the node without the watched role.  Everything else is *unknown*, and unknown changes
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from superpod_monitoring import target_document

from .config import Config

RUNNING = frozenset(("active", "reloading", "refreshing"))
"""systemd's ActiveState values of a unit that runs."""
IN_TRANSIT = frozenset(("activating", "deactivating", "maintenance"))
"""... of a unit on which systemd is at work; asking for another start would only be merged into that."""


class Known(NamedTuple):
    """BCM's answer about this node: its roles (None: it did not say) and what tells the node apart for good."""

    roles: tuple[str, ...] | None
    identity: str


class Unknown(NamedTuple):
    """Any doubt about BCM's answer; the reason is one sentence."""

    reason: str


class UnitRecord(NamedTuple):
    """What was tried to get a unit running; *next_attempt* is in seconds of the clock that :func:`decide` is given."""

    attempts: int = 0
    next_attempt: float = 0.0
    given_up: bool = False


class State(NamedTuple):
    """What is remembered from one cycle to the next, and over a restart."""

    host: str = ""
    identity: str = ""
    held: bool | None = None
    answers_without_roles: int = 0
    units: Mapping[str, UnitRecord] = {}
    files: Mapping[str, str] = {}
    """Target files that were written and may still be there: path -> host name at that time."""
    boot: str = ""
    """The boot of the host in which the units' attempts were made."""


class Observation(NamedTuple):
    """What one cycle has seen."""

    host: str
    answer: Known | Unknown
    units: Mapping[str, str] | None
    """Managed unit -> ActiveState, or ``not-found`` or ``masked``; None: systemd did not say."""
    bcm_services: frozenset[str] = frozenset()
    """Managed units that BCM itself starts and stops."""
    gone: frozenset[str] = frozenset()
    """Remembered target files that are known to be removed."""
    foreign_names: frozenset[str] = frozenset()
    """Earlier names of this host that BCM now has for another device."""
    unclear_names: frozenset[str] = frozenset()
    """Earlier names of which BCM has not said whether another device has them."""


class Note(NamedTuple):
    """Something worth one line in the journal, when it differs from what was last said under the same key."""

    key: str
    level: str
    text: str


class Actions(NamedTuple):
    """What is to be done now, in this order."""

    held: bool | None = None
    """The role as it was acted upon; None: nothing was certain, so nothing is done."""
    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    write: tuple[str, bytes] | None = None
    remove: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def target_path(host: str, config: Config) -> str:
    """Where this node's target file lies.  Raises TargetDocumentError where the host has no usable name."""
    return f"{config.prometheus_targets_dir}/{target_document.file_name(host, config.instance)}"


def decide(seen: Observation, state: State, config: Config, now: float) -> tuple[State, Actions]:
    """The state after this cycle and what to do; *now* is seconds on a clock that never jumps."""
    if isinstance(seen.answer, Unknown):
        return _nothing(state, seen.answer.reason)
    if state.identity and seen.answer.identity and state.identity != seen.answer.identity:
        # Another device's state: it came with a software image, or the device was made anew in BCM.
        state = State(boot=state.boot)
    held, count = _verdict(seen.answer, state, config)
    identity = seen.answer.identity or state.identity
    if held is None:
        waiting = state._replace(host=seen.host, identity=identity, answers_without_roles=count)
        return waiting, Actions(notes=(_silent_note(seen.host, count, config),))
    try:
        path = target_path(seen.host, config)
        content = _content(seen.host, config)
    except target_document.TargetDocumentError as error:
        return _nothing(state, str(error))

    notes = [Note("bcm", "info", "BCM answers."), _role_note(held, seen.host, config)]
    files, forgotten = _own_files(seen, seen.answer, state)
    notes += forgotten
    records: Mapping[str, UnitRecord] = state.units if held and state.held is not False else {}
    start: list[str] = []
    stop: list[str] = []
    if seen.units is not None:
        records, start, stop, unit_notes = _units(held, seen.units, seen.bcm_services, records, config, now)
        notes += unit_notes

    write = None
    removable = {*files, path}
    if held:
        files[path] = seen.host
        write = (path, content)
        removable = set(files) - {path}
    remove = tuple(sorted(one for one in removable if files.get(one, seen.host) not in seen.unclear_names))
    new = State(seen.host, identity, held, count, records, files, state.boot)
    return new, Actions(held, tuple(start), tuple(stop), write, remove, tuple(notes))


def in_step(seen: Observation, actions: Actions, config: Config) -> bool:
    """Whether the units were as BCM's answer wants them; about the target file, its writer knows."""
    if actions.held is None or seen.units is None or actions.start or actions.stop:
        return False
    mine = [exporter.unit for exporter in config.exporters if exporter.unit not in seen.bcm_services]
    return not actions.held or all(seen.units.get(unit) in RUNNING for unit in mine)


def after_restart(state: State, boot: str) -> State:
    """The state that a starting daemon goes on from.

    What was given up gets its attempts again.  Attempts of another boot tell nothing of this one, and their times are
    on a clock that began anew.
    """
    kept = state.units if state.boot == boot else {}
    return state._replace(boot=boot, units={unit: one for unit, one in kept.items() if not one.given_up})


def _nothing(state: State, reason: str) -> tuple[State, Actions]:
    return state._replace(answers_without_roles=0), Actions(
        notes=(Note("bcm", "warning", f"{reason} Nothing is changed."),)
    )


def _verdict(answer: Known, state: State, config: Config) -> tuple[bool | None, int]:
    """Whether a watched role is held (None: not certain yet), and how many answers in a row named no roles at all."""
    if answer.roles is not None:
        return any(role in config.roles for role in answer.roles), 0
    count = min(state.answers_without_roles + 1, config.absent_roles_confirmations)
    return (False if count >= config.absent_roles_confirmations else None), count


def _content(host: str, config: Config) -> bytes:
    targets = [(exporter.job, exporter.port) for exporter in config.exporters]
    return target_document.encode(target_document.build(host, config.cluster_name, targets))


def _own_files(seen: Observation, answer: Known, state: State) -> tuple[dict[str, str], list[Note]]:
    """The remembered files that are this node's to remove.

    A state file can reach another node in a software image, and two nodes can swap their names: so files under an
    earlier name count as ours only while BCM knows us as the same device and has no other device of that name.
    """
    files = {path: host for path, host in state.files.items() if path not in seen.gone}
    same_device = bool(state.identity) and state.identity == answer.identity
    notes: list[Note] = []
    for path, host in list(files.items()):
        if host == seen.host:
            continue
        if not same_device or host in seen.foreign_names:
            del files[path]
            notes.append(
                Note(f"forget {path}", "warning", f"{path} is left alone: {host} is, or may be, another device of BCM.")
            )
    return files, notes


def _units(  # noqa: PLR0917 - all that the decision depends on
    held: bool,
    units: Mapping[str, str],
    bcm_services: frozenset[str],
    records: Mapping[str, UnitRecord],
    config: Config,
    now: float,
) -> tuple[dict[str, UnitRecord], list[str], list[str], list[Note]]:
    """What to remember of each unit, which to start and to stop, and what to say."""
    after: dict[str, UnitRecord] = {}
    start: list[str] = []
    stop: list[str] = []
    notes: list[Note] = []
    for unit in (exporter.unit for exporter in config.exporters):
        active = units.get(unit, "not-found")
        key = f"unit {unit}"
        if unit in bcm_services:
            notes.append(Note(key, "warning", f"BCM itself manages {unit}: it is left alone here."))
        elif held:
            record, started, note = _start(unit, active, records.get(unit, UnitRecord()), config, now)
            if record.attempts:
                after[unit] = record
            if started:
                start.append(unit)
            notes += [note] if note else []
        elif active in RUNNING or active == "activating":
            stop.append(unit)
            notes.append(Note(key, "info", f"Stopping {unit}."))
        else:
            notes.append(Note(key, "debug", f"{unit} does not run."))
    return after, start, stop, notes


def _start(
    unit: str, active: str, record: UnitRecord, config: Config, now: float
) -> tuple[UnitRecord, bool, Note | None]:
    """For a unit that is to run: its record, whether to start it now, and what to say."""
    key = f"unit {unit}"
    if active in RUNNING:
        return UnitRecord(), False, Note(key, "info", f"{unit} runs.")
    if active == "masked":
        # Kept from starting on purpose, as by a removal that was interrupted: no failed attempt, so none to wait after.
        return record, False, Note(key, "warning", f"{unit} is masked: it is started when it is masked no more.")
    if active in IN_TRANSIT or record.given_up:
        return record, False, None
    # A next attempt further away than one interval was set when the interval was longer.
    if record.attempts and now < record.next_attempt <= now + config.retry_interval:
        return record, False, None
    if record.attempts >= config.max_retries:
        text = f"{unit} is {active} after {record.attempts} attempts to start it: given up until it is seen running."
        return record._replace(given_up=True), False, Note(key, "error", text)
    attempt = record.attempts + 1
    text = f"Starting {unit}, which is {active}: attempt {attempt} of {config.max_retries}."
    note = Note(key, "warning" if record.attempts else "info", text)
    return UnitRecord(attempt, now + config.retry_interval), True, note


def _role_note(held: bool, host: str, config: Config) -> Note:
    names = " or ".join(config.roles)
    if held:
        return Note("role", "info", f"{host} has the role {names}: its exporters are to run.")
    return Note("role", "info", f"{host} does not have the role {names}: its exporters are not to run.")


def _silent_note(host: str, count: int, config: Config) -> Note:
    needed = config.absent_roles_confirmations
    text = f"BCM's answer does not say which roles {host} has ({count} of {needed} before that means none)."
    return Note("bcm", "warning", f"{text} Nothing is changed.")
