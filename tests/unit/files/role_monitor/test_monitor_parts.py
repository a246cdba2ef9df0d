# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's smaller parts: systemd, journal, schedule, metrics, target files, events, what is installed."""

from __future__ import annotations

import ast
import errno
import io
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcm_role_monitor
import pytest
from hypothesis import given
from hypothesis import strategies as st
from superpod_monitoring import atomic_file
from superpod_monitoring.bcm_client import BcmConfigError, RpcResult, Unknown
from superpod_role_monitor import events, journal, metrics, schedule, systemd
from superpod_role_monitor.decision import Note
from superpod_role_monitor.target_files import Outcome, TargetFiles

# -- systemd


def test_show_is_read_by_place_because_an_alias_shows_another_id() -> None:
    output = "LoadState=loaded\nActiveState=active\n\nActiveState=inactive\nLoadState=not-found\n\n"
    output += "LoadState=masked\nActiveState=active\n\nLoadState=masked\nActiveState=failed\n"
    expected = {"a": "active", "b": "not-found", "c": "active", "d": "masked"}
    assert systemd.parse_show(output, ["a", "b", "c", "d"]) == expected


@pytest.mark.parametrize(
    "output", ["", "LoadState=loaded\nActiveState=active\n", "LoadState=loaded\n\nActiveState=active\n", "x\n\ny\n"]
)
def test_an_incomplete_show_is_no_answer(output: str) -> None:
    with pytest.raises(systemd.SystemdError):
        systemd.parse_show(output, ["a", "b"])


def fake_systemctl(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = directory / "systemctl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


def test_systemctl_fails_hangs_or_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_systemctl(tmp_path, "echo no bus >&2; exit 1", monkeypatch)
    with pytest.raises(systemd.SystemdError, match="exit status 1: no bus"):
        systemd.start(["a.service"])
    fake_systemctl(tmp_path, "exec sleep 60", monkeypatch)
    monkeypatch.setattr(systemd, "CHANGE_TIMEOUT", 0.2)
    with pytest.raises(systemd.SystemdError, match="did not end"):
        systemd.stop(["a.service"])
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(systemd.SystemdError, match="cannot be run"):
        systemd.unit_states(["a.service"])


def test_one_call_for_all_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    shows = "printf 'LoadState=loaded\\nActiveState=active\\n\\n%.0s' 1 2"
    fake_systemctl(tmp_path, f'echo "$*" >> {log}; {shows}', monkeypatch)
    assert systemd.unit_states(["a.service", "b.service"]) == {"a.service": "active", "b.service": "active"}
    assert log.read_text() == "show --property=LoadState --property=ActiveState -- a.service b.service\n"


def test_notifications(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "30000000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        notifier = systemd.Notifier()
        notifier.send("READY=1", "STATUS=fine")
        assert listener.recv(100) == b"READY=1\nSTATUS=fine"
        assert notifier.watchdog_interval == 10
        # Nothing that the daemon starts may speak for it.
        assert "NOTIFY_SOCKET" not in os.environ
    notifier.send("WATCHDOG=1")  # nobody listens any more
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert systemd.Notifier().watchdog_interval is None


def test_which_boot_this_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    kernel = systemd.boot_id()
    assert kernel == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    first = systemd.boot_id()
    assert first
    assert systemd.boot_id() == first
    (tmp_path / "boot").unlink()
    assert systemd.boot_id() not in ("", first)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "gone"))
    assert systemd.boot_id() == ""


# -- journal


def test_one_line_for_each_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    stream = io.StringIO()
    log = journal.Journal("info", stream)
    for text in ("one", "one", "two", "one"):
        log.report([Note("key", "info", text), Note("other", "debug", text)])
    log.say("error", "several\n lines")
    assert stream.getvalue().splitlines() == ["info: one", "info: two", "info: one", "error: several lines"]


def test_the_end_of_a_trouble_is_said_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    stream = io.StringIO()
    log = journal.Journal("info", stream)
    for level, text in (
        ("debug", "well"),
        ("warning", "ill"),
        ("warning", "ill"),
        ("debug", "well"),
        ("debug", "well"),
    ):
        log.report([Note("key", level, text)])
    assert stream.getvalue().splitlines() == ["warning: ill", "info: well"]


def test_the_journal_gets_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    stream = io.StringIO()
    log = journal.Journal("debug", stream)
    for level in journal.LEVELS:
        log.say(level, "x")
    assert stream.getvalue().splitlines() == ["<7>x", "<6>x", "<4>x", "<3>x"]


def test_nobody_reads_the_log() -> None:
    stream = io.StringIO()
    stream.close()
    journal.Journal("info", stream).say("error", "x")


# -- schedule


@given(st.text(max_size=64), st.floats(0.1, 86400))
def test_the_place_in_the_interval(host: str, interval: float) -> None:
    assert 0 <= schedule.offset(host, interval) < interval
    assert schedule.offset(host, interval) == schedule.offset(host.lower(), interval)


@given(st.floats(0, 1e6), st.floats(0.1, 3600), st.floats(0, 1e5))
def test_the_beat_goes_on_without_a_burst(due: float, interval: float, late: float) -> None:
    now = due + late
    following = schedule.following(due, interval, now)
    assert now - 1e-6 * now <= following <= now + interval + 1e-6 * now
    beats = (following - due) / interval
    assert abs(beats - round(beats)) < 1e-3 * max(1, beats)


@pytest.mark.parametrize("pattern", ["dgx-{:04d}", "node{:03d}", "r{:d}-dgx"])
def test_a_fleet_is_spread(pattern: str) -> None:
    seconds = [0] * 60
    for number in range(2000):
        seconds[int(schedule.first(pattern.format(number), 60, 0.0))] += 1
    assert max(seconds) <= 2 * 2000 / 60


# -- metrics

FACTS = metrics.Facts(
    monitor='a "quoted" \\ name\nof two lines',
    version="1.0.0",
    roles=("slurmclient", "x"),
    held=True,
    last_success=1795168872.8077056,
    headnode="bcm-head-01",
    events_connected=False,
    unknown_answers=12345678901234567890,
    file_errors=1,
    start_attempts={"b.service": 2, "a.service": 0},
    given_up={"a.service": True},
    bcm_services={"a.service": False},
)


def test_the_bytes_are_those_of_prometheus_client() -> None:
    client = pytest.importorskip("prometheus_client")
    core = pytest.importorskip("prometheus_client.core")
    kinds = {"gauge": core.GaugeMetricFamily, "counter": core.CounterMetricFamily}

    class Collector:
        def __init__(self, families: list[metrics.Family]) -> None:
            self._families = families

        def collect(self) -> Any:
            for family in self._families:
                names = sorted({name for sample in family.samples for name in sample.labels})
                made = kinds[family.kind](family.name, family.help, labels=names)
                for value, labels in family.samples:
                    made.add_metric([labels[name] for name in names], value)
                yield made

    nothing = FACTS._replace(held=None, last_success=None, headnode=None)
    numbers = [
        FACTS._replace(last_success=value) for value in (0.0, 0.1, 999999.5, 1e6, 123456789012.0, 1e15, 1e22, 5e-324)
    ]
    for facts in (FACTS, nothing, *numbers):
        families = metrics.families(facts)
        registry = client.CollectorRegistry()
        registry.register(Collector(families))
        assert metrics.render(families) == client.generate_latest(registry)


def test_the_text_format() -> None:
    lines = metrics.render(metrics.families(FACTS._replace(monitor="default"))).decode().splitlines()
    assert lines[:3] == [
        "# HELP bcm_role_monitor_info The role monitor's version.",
        "# TYPE bcm_role_monitor_info gauge",
        'bcm_role_monitor_info{monitor="default",version="1.0.0"} 1.0',
    ]
    assert 'bcm_role_monitor_start_attempts_total{monitor="default",unit="b.service"} 2.0' in lines
    assert 'bcm_role_monitor_role_held{monitor="default",roles="slurmclient,x"} 1.0' in lines


def test_the_metrics_file(tmp_path: Path) -> None:
    metrics.write(str(tmp_path), "", FACTS)
    metrics.write(str(tmp_path), "dcgm", FACTS)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bcm_role_monitor.prom", "bcm_role_monitor_dcgm.prom"]
    metrics.remove(str(tmp_path), "")
    metrics.remove(str(tmp_path), "")
    assert [one.name for one in tmp_path.iterdir()] == ["bcm_role_monitor_dcgm.prom"]


# -- target files


def test_written_once_and_removed_once(tmp_path: Path) -> None:
    files = TargetFiles()
    path = str(tmp_path / "dgx-01.json")
    (tmp_path / ".dgx-01.json.bcm-role-monitor-0.tmp").write_text("left by a killed one")
    assert files.sync((path, b"x"), (), 5) == Outcome(written=(path,))
    assert files.sync((path, b"x"), (), 5) == Outcome()
    assert [one.name for one in tmp_path.iterdir()] == ["dgx-01.json"]
    assert files.sync(None, (path,), 5) == Outcome(removed=(path,), gone=frozenset([path]))
    assert files.sync(None, (path,), 5) == Outcome(gone=frozenset([path]))


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "full: make room"),
        (errno.EROFS, "read-only: remount it, or add the directory to the unit's ReadWritePaths"),
        (errno.EACCES, "permission denied"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_is_wrong_with_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    def broken(*_arguments: object, **_options: object) -> bool:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic_file, "write_if_changed", broken)
    outcome = TargetFiles().sync((str(tmp_path / "x.json"), b""), (), 5)
    assert outcome.problem is not None
    assert says in outcome.problem


def test_one_failure_does_not_keep_the_rest_from_being_done(tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text("")
    outcome = TargetFiles().sync((str(tmp_path / "missing" / "new.json"), b""), (str(old),), 5)
    assert outcome.problem is not None
    assert not old.exists()


def test_a_hung_directory_is_left_alone_until_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    hung = [0]
    real = atomic_file.write_if_changed

    def slow(*arguments: Any, **options: Any) -> bool:
        hung[0] += 1
        answers.wait(30)
        return real(*arguments, **options)

    monkeypatch.setattr(atomic_file, "write_if_changed", slow)
    files = TargetFiles()
    old, path = tmp_path / "old.json", str(tmp_path / "dgx-01.json")
    old.write_text("")
    for _check in range(3):
        outcome = files.sync((path, b"x"), (str(old),), 0.05)
        assert outcome.problem is not None
        assert "does not answer" in outcome.problem
    assert hung == [1]
    answers.set()
    files.settle(5)
    # What was decided before the hang is not gone on with.
    assert old.exists()
    assert files.sync((path, b"x"), (), 5).problem is None


# -- events


def changed(kind: str, **uuids: list[str]) -> dict[str, object]:
    return {"childType": "EntitiesChangedEvent", "entityTypeName": kind, **uuids}


@pytest.mark.parametrize(
    ("given_events", "expected"),
    [
        ([], False),
        (None, False),
        ([None, 1, {}], False),
        ([changed("Device", updateUuids=["ME"])], True),
        ([changed("Device", removeUuids=["me"])], True),
        ([changed("Device", updateUuids=["other"])], False),
        ([{"childType": "EntitiesChangedEvent", "entityTypeName": "Device", "updateUuids": "me"}], False),
        ([changed("ConfigurationOverlay", updateUuids=["x"])], True),
        ([changed("Category", updateUuids=["x"])], True),
        ([changed("Network", updateUuids=["me"])], False),
        ([{"childType": "DeviceStatusChangedEvent"}], False),
    ],
)
def test_which_events_concern_this_node(given_events: Any, expected: bool) -> None:
    assert events.concerns(given_events, "me") is expected


def test_without_knowing_oneself_every_devices_change_counts() -> None:
    assert events.concerns([changed("Device", updateUuids=["other"])], "")


class ScriptedClient:
    """Gives prepared answers; ends the listener when there are none left."""

    def __init__(self, answers: list[Any], stop: Callable[[], None]) -> None:
        self.calls: list[str] = []
        self._answers = answers
        self._stop = stop

    def rpc(self, _service: str, call: str, *_arguments: object) -> Any:
        self.calls.append(call)
        if call in ("acknowledgeKeepAlive", "unregisterSession"):
            return RpcResult(True, "head")
        if not self._answers:
            self._stop()
            return RpcResult([], "head")
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Unknown) else RpcResult(answer, "head")

    def close(self) -> None:
        self.calls.append("close")


def listen(answers: list[Any], monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], int, list[tuple[bool, str]]]:
    monkeypatch.setattr(events, "RETRY", 0.0)
    woken: list[int] = []
    states: list[tuple[bool, str]] = []
    listener = events.Listener(
        lambda: client, lambda: "me", lambda: woken.append(1), lambda up, why: states.append((up, why))
    )
    client = ScriptedClient(answers, listener.stop)
    listener.run()
    return client.calls, len(woken), states


def test_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["session", [], [changed("Device", updateUuids=["me"])], [{"childType": "KeepAliveEvent"}]]
    calls, woken, states = listen(answers, monkeypatch)
    waits = ["waitForEvents"] * 3
    assert calls == ["registerSession", *waits, "acknowledgeKeepAlive", "waitForEvents", "unregisterSession", "close"]
    assert woken == 2  # at the beginning, for what was missed, and for the event
    assert states == [(True, "head")]


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([Unknown("denied.", "denied")], "denied."),
        ([None], "BCM gave no session."),
        ([BcmConfigError("no certificate.")], "no certificate."),
        (["session", Unknown("down.", "down")], "down."),
        (["session", {"error": 1}], "BCM ended the session."),
        (["session", [{"childType": "EndOfSessionEvent"}]], "BCM ended the session."),
    ],
)
def test_a_failure_is_told_and_tried_again(answers: list[Any], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, _woken, states = listen(answers, monkeypatch)
    assert (False, says) in states
    assert calls.count("registerSession") == 2


# -- what is installed


def test_the_library_list_is_what_the_daemon_imports() -> None:
    library = Path(bcm_role_monitor.LIBRARY)
    wanted: set[str] = set()
    waiting = [*(library / "superpod_role_monitor").glob("*.py")]
    while waiting:
        tree = ast.parse(waiting.pop().read_text())
        names = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
                names.add(f"{node.module}.py")
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("superpod_monitoring"):
                _package, _dot, module = (node.module or "").partition(".")
                names |= {f"{module}.py"} if module else {f"{alias.name}.py" for alias in node.names}
        new = {name for name in names if (library / "superpod_monitoring" / name).exists()} - wanted
        wanted |= new
        waiting += [library / "superpod_monitoring" / name for name in new]
    assert (library / "library.txt").read_text().split() == sorted(wanted)


def test_nothing_heavy_is_imported() -> None:
    heavy = {"requests", "asyncio", "logging", "prometheus_client", "hashlib", "ctypes", "shutil", "lzma", "yaml"}
    heavy |= {"dataclasses", "inspect"}
    place = str(Path(bcm_role_monitor.__file__).parent)
    program = (
        f"import sys; sys.path.insert(0, {place!r}); import bcm_role_monitor as b; b.arguments([]); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert "superpod_role_monitor.monitor" in done.stdout.split()
    assert not heavy & set(done.stdout.split())
