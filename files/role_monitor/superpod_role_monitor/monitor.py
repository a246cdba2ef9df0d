# SPDX-License-Identifier: GPL-3.0-or-later
"""One check from its beginning to its end: see, decide, remember, act, tell."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from superpod_monitoring import target_document

from . import __version__, decision, metrics, state_file, systemd
from .bcm import Bcm
from .config import Config
from .decision import Actions, Known, Note, Observation, State, Unknown
from .journal import Journal
from .target_files import Outcome, TargetFiles

SERVICES_AGE = 600.0
"""Seconds after which BCM is asked again for the services it manages itself, where nothing is to be done meanwhile."""
SETTLE = 10.0
"""Seconds in which --once sees what it started come up."""


def boot_clock() -> float:
    """Seconds since the host's boot: no change of the date moves it, and it goes on over a restart of the daemon."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def short_host_name() -> str:
    """The host's name now, without domain."""
    return socket.gethostname().split(".", 1)[0]


class Result(NamedTuple):
    """How a check ended."""

    units_in_step: bool
    acted: bool
    file_in_step: bool


class Monitor:
    """Follows one node's roles, check by check."""

    def __init__(
        self,
        config: Config,
        journal: Journal,
        bcm: Bcm,
        *,
        host_name: Callable[[], str] = short_host_name,
        clock: Callable[[], float] = boot_clock,
        units: Any = systemd,
    ) -> None:
        self.config = config
        self.bcm = bcm
        self.events_connected = False
        self._journal = journal
        self._host_name = host_name
        self._clock = clock
        self._systemd = units
        self._files = TargetFiles()
        self._gone: frozenset[str] = frozenset()
        self._forget_services()
        self._unknown_answers = 0
        self._file_errors = 0
        self._attempts: dict[str, int] = {}
        self._last_success: float | None = None
        state_file.clean(config.state_dir)
        loaded, problem = state_file.load(config.state_dir, self._host_name(), config.instance)
        if problem:
            journal.say("warning", problem)
        self.state = decision.after_restart(loaded, systemd.boot_id())
        self._stored: State | None = None

    def reconfigure(self, config: Config, bcm: Bcm) -> None:
        """Go on with another configuration and what is remembered."""
        if config.textfile_dir != self.config.textfile_dir:
            self.remove_metrics()
        self.config = config
        self.bcm.close()
        self.bcm = bcm
        self._forget_services()

    def check(self) -> Result:
        """One check."""
        host = self._host_name()
        answer = self._ask(host)
        units = None if isinstance(answer, Unknown) else self._unit_states()
        seen = self._observe(host, answer, units)
        new, actions = decision.decide(seen, self.state, self.config, self._clock())
        if self._services_wanted(actions) and self._learn_services(host):
            seen = seen._replace(bcm_services=self._services)
            new, actions = decision.decide(seen, self.state, self.config, self._clock())
        self._journal.report(actions.notes)
        # Remembered before it is done: a daemon that is killed in between still knows its attempts and its files.
        self._remember(new)
        self._act(actions)
        outcome = self._keep_files(actions)
        if actions.held is not None:
            self._gone = outcome.gone
        self._count(actions, outcome)
        self._write_metrics()
        stepped = decision.in_step(seen, actions, self.config)
        return Result(stepped, bool(actions.start or actions.stop), outcome.problem is None)

    def check_once(self) -> bool:
        """A check, and a look at what came of it; whether the node is in step with BCM."""
        result = self.check()
        settled = result.units_in_step
        deadline = self._clock() + SETTLE
        while result.acted and not settled and self._clock() < deadline:
            time.sleep(0.2)
            units = self._unit_states()
            settled = units is not None and self._settled(units)
        return settled and result.file_in_step

    def leave(self) -> None:
        """Take exporters and target file away because the role monitor is stopped and was told to."""
        host = self._host_name()
        try:
            path = decision.target_path(host, self.config)
        except target_document.TargetDocumentError:
            path = None
        units = tuple(one.unit for one in self.config.exporters if one.unit not in self._services)
        mine = [one for one, name in self.state.files.items() if name == host]
        paths = tuple(sorted({*mine, *([path] if path else [])}))
        self._act(Actions(stop=units))
        self._files.settle(0.1)
        self._files.sync(None, paths, min(self.config.file_timeout, 0.4))

    def settle(self, timeout: float) -> None:
        """Give file work in progress a moment to finish."""
        self._files.settle(timeout)

    def remove_metrics(self) -> None:
        """Take the metrics away."""
        if self.config.textfile_dir:
            try:
                metrics.remove(self.config.textfile_dir, self.config.instance)
            except OSError as error:
                self._journal.say("warning", f"The metrics cannot be removed: {error}.")

    def _ask(self, host: str) -> Known | Unknown:
        def takes_away(answer: Known) -> bool:
            lacks = answer.roles is None or not any(role in self.config.roles for role in answer.roles)
            return lacks and self.state.held is not False

        try:
            target_document.check_host(host)
        except target_document.TargetDocumentError as error:
            return Unknown(f"This host has no usable name: {error}")
        return self.bcm.answer(host, takes_away)

    def _unit_states(self) -> dict[str, str] | None:
        try:
            states: dict[str, str] = self._systemd.unit_states([one.unit for one in self.config.exporters])
        except systemd.SystemdError as error:
            self._journal.report([Note("systemd", "error", f"{error} Units are left as they are.")])
            return None
        self._journal.report([Note("systemd", "debug", "systemd shows the units.")])
        return states

    def _observe(self, host: str, answer: Known | Unknown, units: dict[str, str] | None) -> Observation:
        earlier = {name for name in self.state.files.values() if name != host}
        foreign: set[str] = set()
        unclear: set[str] = set()
        if isinstance(answer, Known):
            for name in sorted(earlier):
                owner = self.bcm.owner(name)
                if owner is None:
                    unclear.add(name)
                elif owner not in ("", answer.identity):
                    foreign.add(name)
        return Observation(host, answer, units, self._services, self._gone, frozenset(foreign), frozenset(unclear))

    def _forget_services(self) -> None:
        self._services: frozenset[str] = frozenset()
        self._services_told = True
        self._services_due = 0.0

    def _services_wanted(self, actions: Actions) -> bool:
        """Whether BCM is to be asked for the services it manages itself.

        Before each start and stop, as they may be BCM's since a moment ago; but not each time where BCM does not tell.
        Else seldom, and only to notice that BCM gave one up, or to know what to spare when the role monitor is stopped.
        """
        acts = bool(actions.start or actions.stop)
        if acts and self._services_told:
            return True
        needed = acts or bool(self._services) or self.config.on_stop == "remove"
        return actions.held is not None and needed and self._clock() >= self._services_due

    def _learn_services(self, host: str) -> bool:
        """Ask BCM which of the units it manages itself; whether the answer is new.  No answer changes nothing."""
        names = self.bcm.services(host)
        self._services_told = names is not None
        self._services_due = self._clock() + SERVICES_AGE
        if names is None:
            text = "BCM does not tell which services it manages itself, so all exporters are managed here."
            if self._services:
                text = "BCM does not tell which services it manages itself now: its last answer holds."
            self._journal.report([Note("services", "info", text)])
            return False
        self._journal.report([Note("services", "debug", "BCM tells which services it manages itself.")])
        before = self._services
        self._services = frozenset(one.unit for one in self.config.exporters if _service_name(one.unit) in names)
        return self._services != before

    def _remember(self, new: State) -> None:
        self.state = new
        if not new.host or new == self._stored:
            return
        try:
            state_file.save(self.config.state_dir, new, self.config.instance)
            self._stored = new
            self._journal.report([Note("state", "debug", "The state is stored.")])
        except (OSError, target_document.TargetDocumentError) as error:
            text = f"The state file in {self.config.state_dir} cannot be written: {error}."
            self._journal.report([Note("state", "error", text)])

    def _act(self, actions: Actions) -> None:
        for units, change in ((actions.start, self._systemd.start), (actions.stop, self._systemd.stop)):
            if not units:
                continue
            try:
                change(units)
            except systemd.SystemdError as error:
                self._journal.say("error", str(error))

    def _keep_files(self, actions: Actions) -> Outcome:
        if actions.write is None and not actions.remove:
            return Outcome()
        outcome = self._files.sync(actions.write, actions.remove, self.config.file_timeout)
        for path in outcome.written:
            self._journal.say("info", f"Wrote {path}.")
        for path in outcome.removed:
            self._journal.say("info", f"Removed {path}.")
        if outcome.problem is not None:
            self._journal.report(
                [Note("files", "warning", f"{outcome.problem} Services go on; tried again each time.")]
            )
        else:
            self._journal.report([Note("files", "debug", "The target file is as it should be.")])
        return outcome

    def _count(self, actions: Actions, outcome: Outcome) -> None:
        if actions.held is None:
            self._unknown_answers += 1
        else:
            self._last_success = time.time()
            # Where there is no state file, saving it has said so.
            with contextlib.suppress(OSError, target_document.TargetDocumentError):
                state_file.touch(self.config.state_dir, self.state, self.config.instance)
        self._file_errors += outcome.problem is not None
        for unit in actions.start:
            self._attempts[unit] = self._attempts.get(unit, 0) + 1

    def _write_metrics(self) -> None:
        if not self.config.textfile_dir:
            return
        units = [one.unit for one in self.config.exporters]
        records = self.state.units
        facts = metrics.Facts(
            monitor=self.config.instance or "default",
            version=__version__,
            roles=self.config.roles,
            held=self.state.held,
            last_success=self._last_success,
            headnode=self.bcm.headnode,
            events_connected=self.events_connected,
            unknown_answers=self._unknown_answers,
            file_errors=self._file_errors,
            start_attempts={unit: self._attempts.get(unit, 0) for unit in units},
            given_up={unit: unit in records and records[unit].given_up for unit in units},
            bcm_services={unit: unit in self._services for unit in units},
        )
        try:
            metrics.write(self.config.textfile_dir, self.config.instance, facts)
            self._journal.report([Note("metrics", "debug", "The metrics are written.")])
        except OSError as error:
            text = f"The metrics cannot be written to {self.config.textfile_dir}: {error.strerror}."
            self._journal.report([Note("metrics", "warning", text)])

    def _settled(self, units: dict[str, str]) -> bool:
        states = [units.get(one.unit) for one in self.config.exporters if one.unit not in self._services]
        if self.state.held:
            return all(state in decision.RUNNING for state in states)
        return not any(state in decision.RUNNING or state in decision.IN_TRANSIT for state in states)


def _service_name(unit: str) -> str:
    """BCM names a service without systemd's suffix."""
    return unit[: -len(".service")] if unit.endswith(".service") else unit
