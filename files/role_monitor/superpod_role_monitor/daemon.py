# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's main loop: when to check, what to do on signals, and signs of life.

The main thread never waits for anything but its own pipe, so that it answers signals and the watchdog at once.  Checks
run in a second thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import threading
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from . import bcm, events, schedule
from .config import Config, ConfigError, load
from .decision import Note
from .journal import Journal
from .monitor import Monitor, boot_clock, short_host_name
from .systemd import Notifier

_DONE = 0x80
_EVENT = 0x81
"""Bytes on the pipe that are no signal's number."""


class LockError(Exception):
    """Another role monitor runs here, or the state directory cannot be used; the message is one sentence."""


class ConfigSource:
    """The configuration file, the files that it names, and what the command line says."""

    def __init__(self, path: str, schema_path: str, overrides: Mapping[str, Any]) -> None:
        self._path = path
        self._schema_path = schema_path
        self._overrides = overrides
        self._seen: tuple[object, ...] = ()

    def load(self) -> Config:
        """Read it.  Raises ConfigError."""
        self._seen = (_signature(self._path),)
        config = load(self._path, self._schema_path, self._overrides)
        self._seen = self._signatures(config)
        return config

    def changed(self, config: Config) -> bool:
        """Whether the file, the certificate, its key or the CA bundle differ from when they were loaded."""
        now = self._signatures(config)
        # After a failed load only the file itself is known: it is not read again until it changes.
        return now[: len(self._seen)] != self._seen

    def _signatures(self, config: Config) -> tuple[object, ...]:
        paths = [self._path, config.cert_path, config.key_path, *([config.ca_path] if config.ca_path else [])]
        return tuple(_signature(path) for path in paths)


@contextlib.contextmanager
def lock(state_dir: str, instance: str) -> Iterator[None]:
    """Be the only role monitor of this instance on the node.  Raises LockError."""
    path = os.path.join(state_dir, f"{instance or 'bcm-role-monitor'}.lock")
    try:
        os.makedirs(state_dir, mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise LockError(f"The state directory {state_dir} cannot be used: {error.strerror}.") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LockError(
                f"Another role monitor holds {path}: stop it first, or give this one an instance name and a "
                "configuration of its own."
            ) from None
        yield
    finally:
        os.close(descriptor)


class Daemon:
    """Checks on its beat until it is told to stop."""

    def __init__(self, source: ConfigSource, config: Config, journal: Journal) -> None:
        self._source = source
        self._config = config
        self._journal = journal
        self._notifier = Notifier()
        self._monitor = Monitor(config, journal, bcm.Bcm(config))
        self._listener: events.Listener | None = None
        self._work = threading.Event()
        """Set when a check is to be done; until it is done, no other is begun."""
        self._busy_since: float | None = None
        self._read_end, self._write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._stop = False
        self._reload = False
        self._extra: float | None = None
        self._beat = 0.0

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _noted)
        threading.Thread(target=self._checks, name="checks", daemon=True).start()
        self._listen()
        self._beat = schedule.first(short_host_name(), self._config.check_interval, boot_clock())
        self._notifier.send("READY=1", f"STATUS=First check in {self._beat - boot_clock():.0f} s.")
        next_sign = 0.0
        while not self._stop:
            now = boot_clock()
            if self._busy_since is None and (self._reload or now >= self._due()):
                self._begin_check(now)
            if self._notifier.watchdog_interval is not None and now >= next_sign:
                if not self._overdue(now):
                    self._notifier.send("WATCHDOG=1")
                next_sign = now + self._notifier.watchdog_interval
            self._wait(now, next_sign)
        self._leave()

    def _due(self) -> float:
        return self._beat if self._extra is None else min(self._beat, self._extra)

    def _begin_check(self, now: float) -> None:
        if self._extra is not None and now >= self._extra:
            self._extra = None
        if now >= self._beat:
            self._beat = schedule.following(self._beat, self._config.check_interval, now)
        self._busy_since = now
        self._work.set()

    def _overdue(self, now: float) -> bool:
        """Whether a check has taken longer than all its deadlines together: something is stuck."""
        config = self._config
        limit = 120 + config.file_timeout + 6 * config.request_timeout * max(2, len(config.bcm_headnodes))
        return self._busy_since is not None and now - self._busy_since > limit

    def _wait(self, now: float, next_sign: float) -> None:
        moments = []
        if self._busy_since is None:
            moments.append(self._due())
        if self._notifier.watchdog_interval is not None:
            moments.append(next_sign)
        timeout = max(0.0, min(moments) - now) if moments else None
        readable, _writable, _failed = select.select([self._read_end], [], [], timeout)
        if readable:
            for byte in os.read(self._read_end, 512):
                self._take(byte)

    def _take(self, byte: int) -> None:
        if byte in (signal.SIGTERM, signal.SIGINT):
            self._stop = True
        elif byte == signal.SIGHUP:
            self._reload = True
        elif byte == _DONE:
            self._busy_since = None
        elif byte == _EVENT and self._extra is None:
            # All nodes of the cluster may get the event at once; they must not ask at once.
            self._extra = boot_clock() + schedule.offset(short_host_name(), events.SPREAD)

    def _tell(self, byte: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._write_end, bytes([byte]))

    def _checks(self) -> None:
        while True:
            self._work.wait()
            self._work.clear()
            try:
                if self._reload or self._source.changed(self._config):
                    self._reload = False
                    self._load()
                self._monitor.check()
            except Exception as error:  # noqa: BLE001 - a fault in one check must not end monitoring
                self._journal.say("error", f"This check failed: {type(error).__name__}: {error}")
            finally:
                self._notifier.send(f"STATUS={self._status()}")
                self._tell(_DONE)

    def _status(self) -> str:
        state = self._monitor.state
        if state.held is None:
            return "BCM has given no certain answer yet."
        return f"{state.host} {'has' if state.held else 'does not have'} the role {' or '.join(self._config.roles)}."

    def _load(self) -> None:
        try:
            new = self._source.load()
        except ConfigError as error:
            self._journal.say("error", f"{error} The configuration from before stays in force.")
            return
        if (new.state_dir, new.instance) != (self._config.state_dir, self._config.instance):
            self._journal.say("warning", "A new state_dir or instance needs a restart; the old one stays in use.")
            new = new._replace(state_dir=self._config.state_dir, instance=self._config.instance)
        beat_changed = new.check_interval != self._config.check_interval
        self._config = new
        self._journal.level = new.log_level
        self._journal.say("info", "The configuration is loaded anew.")
        self._monitor.reconfigure(new, bcm.Bcm(new))
        if beat_changed:
            self._beat = schedule.first(short_host_name(), new.check_interval, boot_clock())
        self._listen()

    def _listen(self) -> None:
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
            self._monitor.events_connected = False
        if self._config.events == "auto":
            config = self._config

            def client() -> Any:
                base = bcm.settings(config, bcm.head_nodes(config))
                longest = events.WAIT + config.request_timeout
                return bcm.slim_client(base._replace(read_timeout=longest, deadline=longest * len(base.headnodes)))

            self._listener = events.Listener(
                client, lambda: self._monitor.state.identity, lambda: self._tell(_EVENT), self._events_changed
            )
            self._listener.start()

    def _events_changed(self, connected: bool, detail: str) -> None:
        self._monitor.events_connected = connected
        text = f"Waiting for BCM's events at {detail}." if connected else f"No events of BCM, polling goes on: {detail}"
        self._journal.report([Note("events", "info", text)])

    def _leave(self) -> None:
        self._notifier.send("STOPPING=1")
        if self._listener is not None:
            self._listener.stop()
        end = boot_clock() + 0.3
        while self._busy_since is not None and boot_clock() < end:
            readable, _writable, _failed = select.select([self._read_end], [], [], max(0.0, end - boot_clock()))
            if readable:
                for byte in os.read(self._read_end, 512):
                    self._take(byte)
        if self._config.on_stop == "remove":
            self._monitor.leave()
            self._monitor.remove_metrics()
        else:
            self._monitor.settle(0.1)


def _signature(path: str) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The signal's number is on the pipe already (signal.set_wakeup_fd)."""
