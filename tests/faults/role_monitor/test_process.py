# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon as a process: start, stop, reload, lock, names, clock, file server, head nodes, events."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bcm_simulator.testing import Simulator
from faults.role_monitor.harness import HERE, PYTHON, ROLE, UNITS, Rig, cluster, host_name, report, rig


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with Simulator(cluster(host_name(), "dgx-renamed")) as simulator:
        yield simulator


@pytest.fixture
def node(sim: Simulator) -> Iterator[Rig]:
    sim.edit(lambda state: [entry.update(roles=[]) for entry in state["nodes"].values()])
    sim.switch(passive="fresh", empty_roles="list")
    sim.failover("bcm-head-01")
    for head in sim.heads:
        head.fault(None)
    with rig(sim) as made:
        yield made


def begin(node: Rig, held: bool = True) -> None:
    if held:
        node.sim.assign(node.host, ROLE)
    node.start()
    assert node.ready.wait(10), node.log
    node.whole_check()
    assert node.out_of_step(held) == []


# -- start and stop


def test_sigterm_ends_within_a_second_and_changes_nothing(node: Rig) -> None:
    begin(node)
    before = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - before < 1
    assert node.out_of_step(True) == []


@pytest.mark.parametrize("fault", ["hang", "slow"])
def test_sigterm_in_the_middle_of_a_request(node: Rig, fault: str) -> None:
    begin(node)
    node.write_config(request_timeout=60)
    node.stop()
    for head in node.sim.heads:
        head.fault(fault, **({"seconds": 50.0} if fault == "slow" else {}))
    node.start()
    assert node.ready.wait(10)
    time.sleep(0.5)
    before = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - before < 1
    assert node.out_of_step(True) == []


def test_on_stop_remove(node: Rig) -> None:
    node.write_config(on_stop="remove")
    begin(node)
    before = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - before < 1
    assert node.out_of_step(False) == []
    assert list((node.directory / "textfile").iterdir()) == []


def test_the_second_daemon_refuses(node: Rig) -> None:
    begin(node)
    for extra in ([], ["--once"]):
        second = subprocess.run(
            node.command(*extra), env=node.environment(), capture_output=True, text=True, timeout=10, check=False
        )
        assert second.returncode == 3
        assert len(second.stderr.splitlines()) == 1
        assert "Another role monitor" in second.stderr
    node.whole_check()
    assert node.out_of_step(True) == []
    assert node.stop() == 0


def test_two_started_at_once(node: Rig) -> None:
    node.sim.assign(node.host, ROLE)
    racers = [
        subprocess.Popen(node.command(), env=node.environment(), stderr=subprocess.DEVNULL) for _number in range(4)
    ]
    try:
        deadline = time.monotonic() + 10
        while sum(one.poll() is not None for one in racers) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert sorted(one.poll() is None for one in racers) == [False, False, False, True]
        assert {one.poll() for one in racers} == {3, None}
    finally:
        for one in racers:
            one.kill()
            one.wait()


# -- configuration


def test_a_changed_file_is_loaded_without_a_signal(node: Rig) -> None:
    begin(node)
    node.write_config(cluster_name="other")
    node.whole_check()
    assert b'"cluster": "other"' in node.target.read_bytes()


def test_sighup_loads_at_once(node: Rig) -> None:
    node.write_config(check_interval=3600)
    node.sim.assign(node.host, ROLE)
    node.start()
    assert node.ready.wait(10)
    assert node.process is not None
    node.process.send_signal(signal.SIGHUP)
    node.wait_checks(1)
    assert node.out_of_step(True) == []


@pytest.mark.parametrize("content", ["{", '{"check_interval": "often"}', '{"chek_interval": 60}', "[]"])
def test_a_broken_file_keeps_the_last_good_configuration(node: Rig, content: str) -> None:
    begin(node)
    node.config_path.write_text(content)
    node.whole_check()
    said = [line for line in node.log if "stays in force" in line]
    assert len(said) == 1
    node.sim.unassign(node.host, ROLE)
    node.whole_check()
    assert node.out_of_step(False) == []
    # Said once for each state of the file, and taken up again when it is repaired.
    assert [line for line in node.log if "stays in force" in line] == said
    node.sim.assign(node.host, ROLE)
    node.write_config(cluster_name="repaired")
    node.whole_check()
    assert b"repaired" in node.target.read_bytes()


def test_a_new_certificate_is_taken_up(node: Rig) -> None:
    certificate, key = node.sim.certificate("readonly", "second")
    own = [str(node.directory / name) for name in ("own.pem", "own.key")]
    foreign = node.sim.foreign_certificate()
    for source, target in zip(foreign, own):
        shutil.copy(source, target)
    node.write_config(cert_path=own[0], key_path=own[1])
    node.sim.assign(node.host, ROLE)
    node.start()
    assert node.ready.wait(10)
    node.whole_check()
    assert node.out_of_step(False) == []
    for source, target in zip((certificate, key), own):
        shutil.copy(source, f"{target}.new")
        os.replace(f"{target}.new", target)
    node.wait_checks(3)
    assert node.out_of_step(True) == []


@pytest.mark.parametrize("content", ["{", '{"bcm_port": "x"}', '{"unknown": 1}'])
def test_a_broken_file_at_the_start(node: Rig, content: str) -> None:
    node.config_path.write_text(content)
    for extra in ([], ["--once"], ["--check-config"]):
        done = subprocess.run(
            node.command(*extra), env=node.environment(), capture_output=True, text=True, timeout=10, check=False
        )
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert "Traceback" not in done.stderr


def test_command_line_goes_before_the_file(node: Rig) -> None:
    elsewhere = node.directory / "elsewhere"
    elsewhere.mkdir()
    node.sim.assign(node.host, ROLE)
    done = once(node, "--prometheus-targets-dir", str(elsewhere))
    assert done.returncode == 0, done.stderr
    assert [one.name for one in elsewhere.iterdir()] == [node.target.name]
    assert not node.target.exists()


def once(node: Rig, *extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        node.command("--once", *extra), env=node.environment(), capture_output=True, text=True, timeout=60, check=False
    )


def test_once_tells_by_its_exit_status(node: Rig) -> None:
    node.sim.assign(node.host, ROLE)
    assert once(node).returncode == 0
    assert node.out_of_step(True) == []
    node.sim.unassign(node.host, ROLE)
    assert once(node).returncode == 0
    assert node.out_of_step(False) == []
    for head in node.sim.heads:
        head.fault("status", status=500)
    assert once(node).returncode == 1
    for head in node.sim.heads:
        head.fault(None)
    node.sim.assign(node.host, ROLE)
    shutil.rmtree(node.targets)
    done = once(node)
    assert done.returncode == 1
    assert "does not exist" in done.stderr


def test_check_config_and_version(node: Rig) -> None:
    for option, says in (("--check-config", "good configuration"), ("--version", "bcm_role_monitor.py 1.")):
        done = subprocess.run(node.command(option), capture_output=True, text=True, timeout=10, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert says in done.stdout


# -- roles


def test_roles_not_named_three_times_in_a_row(node: Rig) -> None:
    begin(node)
    for kind in ("null_roles", "absent_roles"):
        for head in node.sim.heads:
            head.fault(kind)
        node.wait_checks(1)
        for head in node.sim.heads:
            head.fault("status", status=500, count=1)
        node.wait_checks(2)
        for head in node.sim.heads:
            head.fault(None)
        node.whole_check()
    assert node.out_of_step(True) == []
    assert not [line for line in node.log if "Stopping" in line]
    for head in node.sim.heads:
        head.fault("null_roles")
    node.wait_checks(4)
    assert node.out_of_step(False) == []


def test_the_first_head_node_stops_for_good(sim: Simulator) -> None:
    with Simulator(cluster(host_name())) as two, rig(two) as node:
        begin(node)
        two.heads[0].stop()
        two.failover(two.heads[1].name)
        two.unassign(node.host, ROLE)
        node.wait_checks(3)
        assert node.out_of_step(False) == []
        two.assign(node.host, ROLE)
        node.whole_check()
        assert node.out_of_step(True) == []


def test_an_old_copy_on_the_passive_head_node_takes_nothing_away(node: Rig) -> None:
    begin(node, held=False)
    node.sim.switch(passive="stale")
    node.sim.assign(node.host, ROLE)
    node.whole_check()
    assert node.out_of_step(True) == []
    node.sim.heads[0].fault("hang")
    node.wait_checks(4)
    assert node.out_of_step(True) == []
    node.sim.heads[0].fault(None)
    node.wait_checks(3)
    assert node.out_of_step(True) == []
    node.sim.unassign(node.host, ROLE)
    node.wait_checks(3)
    assert node.out_of_step(False) == []


def test_events_wake_the_daemon(node: Rig) -> None:
    node.write_config(events="auto", check_interval=3600)
    node.start()
    assert node.ready.wait(10)
    node.wait_checks(1)
    for held in (True, False):
        (node.sim.assign if held else node.sim.unassign)(node.host, ROLE)
        node.wait_checks(1, 5)
        assert node.out_of_step(held) == []
    # Another node's change is none of our business.
    number = len(node.checks)
    node.sim.assign("dgx-renamed", ROLE)
    time.sleep(1.5)
    assert len(node.checks) == number


def test_without_events_polling_goes_on(node: Rig) -> None:
    for head in node.sim.heads:
        head.fault("status", status=635, path="/json")
    node.write_config(events="auto")
    begin(node)
    for cluster_name in ("other", "slurm"):  # each begins events anew, and fails anew
        node.write_config(cluster_name=cluster_name)
        node.whole_check()
    assert len([line for line in node.log if "No events of BCM" in line]) == 1
    metrics = (node.directory / "textfile" / "bcm_role_monitor.prom").read_text()
    assert 'bcm_role_monitor_events_connected{monitor="default"} 0.0' in metrics


# -- names, clocks, files


@pytest.mark.skipif(os.geteuid() != 0, reason="a host name of its own needs root")
def test_a_renamed_host_takes_its_file_along(node: Rig) -> None:
    node.sim.assign(node.host, ROLE)
    node.sim.edit(lambda state: state["nodes"][node.host].update(uuid="12345678-1234-4234-8234-123456789abc"))
    pipe = node.directory / "names"
    os.mkfifo(pipe)
    script = 'hostname "$0"; (while read -r name; do hostname "$name"; done < "$1") & shift; exec "$@"'
    node.start(["unshare", "--uts", "sh", "-c", script, node.host, str(pipe), *node.command()])
    assert node.ready.wait(10), node.log
    node.whole_check()
    assert node.out_of_step(True) == []
    with pipe.open("w") as names:

        def rename(state: dict[str, dict[str, dict[str, object]]]) -> None:
            state["nodes"]["dgx-99"] = state["nodes"].pop(node.host)

        old_target, old = node.target, node.host
        node.sim.edit(rename)
        names.write("dgx-99\n")
        names.flush()
        node.host = "dgx-99"
        node.wait_checks(3)
        try:
            assert not old_target.exists()
            assert node.out_of_step(True) == []
            assert node.strays() == []
        finally:
            node.sim.edit(lambda state: state["nodes"].update({old: state["nodes"].pop("dgx-99")}))


def test_the_clock_is_set_by_an_hour_each_way(node: Rig) -> None:
    offset = node.directory / "offset"
    offset.write_text("0")
    node.sim.assign(node.host, ROLE)
    node.write_config(retry_interval=1, max_retries=3)
    (node.units / f"{UNITS[0]}.broken").touch()
    node.start([PYTHON, str(HERE / "with_clock.py"), str(offset), *node.command()[2:]])
    assert node.ready.wait(10), node.log
    begun = time.monotonic()
    for seconds in ("3600", "-3600", "0", "-3600"):
        node.wait_checks(2)
        offset.write_text(seconds)
    while not any("given up" in line for line in node.log):
        assert time.monotonic() < begun + 20, node.log
        node.wait_checks(1)
    starts = [moment for moment, verb, units in node.systemctl_log() if verb == "start" and UNITS[0] in units]
    assert len(starts) == 3
    apart = [after - before for before, after in zip(starts, starts[1:])]
    report(f"attempts {', '.join(f'{one:.2f}' for one in apart)} s apart while the clock jumped")
    # systemctl notes the time a little after the daemon has read its own clock.
    assert all(0.8 <= one < 3 for one in apart)


def test_an_exporter_that_dies_at_once_is_given_up_and_noticed_when_it_is_back(node: Rig) -> None:
    node.write_config(max_retries=3, retry_interval=0)
    (node.units / f"{UNITS[0]}.broken").touch()
    node.sim.assign(node.host, ROLE)
    node.start()
    node.wait_checks(8)
    starts = [units for _moment, verb, units in node.systemctl_log() if verb == "start" and UNITS[0] in units]
    assert len(starts) == 3
    assert len([line for line in node.log if "given up" in line]) == 1
    metrics = (node.directory / "textfile" / "bcm_role_monitor.prom").read_text()
    assert f'bcm_role_monitor_given_up{{monitor="default",unit="{UNITS[0]}"}} 1.0' in metrics
    assert node.target.read_bytes() == node.expected
    (node.units / f"{UNITS[0]}.broken").unlink()
    node.set_unit(UNITS[0], "active")
    node.whole_check()
    node.set_unit(UNITS[0], "failed")
    node.whole_check()
    assert node.out_of_step(True) == []


def test_given_up_survives_no_restart_but_attempts_do(node: Rig) -> None:
    node.write_config(max_retries=2, retry_interval=3600)
    (node.units / f"{UNITS[0]}.broken").touch()
    begin_broken = [*node.command()]
    node.sim.assign(node.host, ROLE)
    for _round in range(3):
        node.start(begin_broken)
        node.wait_checks(2)
        node.stop()
    starts = [units for _moment, verb, units in node.systemctl_log() if verb == "start" and UNITS[0] in units]
    assert len(starts) == 1


def test_a_targets_directory_that_goes_and_comes_back(node: Rig) -> None:
    begin(node)
    shutil.rmtree(node.targets)
    node.wait_checks(4)
    assert len([line for line in node.log if "does not exist" in line]) == 1
    node.set_unit(UNITS[0], "failed")
    node.whole_check()
    assert node.unit(UNITS[0]) == "active"
    node.targets.mkdir()
    node.whole_check()
    assert node.out_of_step(True) == []


def test_a_state_file_that_cannot_be_read(node: Rig) -> None:
    (node.state_dir / f"{node.host}_state.json").write_text('{"format": 1, "host": ')
    begin(node)
    assert [line for line in node.log if "is not used" in line]
    assert json.loads((node.state_dir / f"{node.host}_state.json").read_text())["held"] is True


def test_a_state_file_from_a_software_image_removes_nobodys_file(node: Rig) -> None:
    others = node.targets / "dgx-01.json"
    others.write_text("[]")
    (node.state_dir / "dgx-01_state.json").write_text(
        json.dumps(
            {
                "format": 1,
                "host": "dgx-01",
                "identity": "the uuid of dgx-01",
                "held": True,
                "answers_without_roles": 2,
                "units": {},
                "files": {str(others): "dgx-01"},
                "boot": "",
            }
        )
    )
    begin(node)
    assert others.exists()
    assert {one.name for one in node.state_dir.glob("*.json")} == {f"{node.host}_state.json"}


def test_one_line_for_each_change_and_none_for_each_check(node: Rig) -> None:
    begin(node)
    before = list(node.log)
    node.wait_checks(5)
    assert node.log == before
    for head in node.sim.heads:
        head.fault("status", status=500)
    node.wait_checks(5)
    assert len(node.log) == len(before) + 1


def test_one_question_a_check_about_this_node_only(node: Rig) -> None:
    begin(node)
    asked, checks = len(node.sim.requests), len(node.checks)
    node.wait_checks(20)
    questions = node.sim.requests[asked:]
    assert {(one.method, one.path, one.query) for one in questions} == {
        ("GET", "/rest/v1/device", f"hostname={node.host}")
    }
    # A check is counted when it ends, a question when it begins.
    assert abs(len(questions) - (len(node.checks) - checks)) <= 1


def test_instances_do_not_meet(node: Rig) -> None:
    begin(node)
    with rig(
        node.sim,
        state_dir=str(node.state_dir),
        prometheus_targets_dir=str(node.targets),
        instance="second",
        roles=["storage"],
    ) as second:
        second.start()
        assert second.ready.wait(10), second.log
        second.whole_check()
        assert node.out_of_step(True) == []
        node.sim.assign(node.host, "storage")
        second.whole_check()
        assert {one.name for one in Path(node.targets).iterdir()} == {
            f"{node.host}.json",
            f"{node.host}_second.json",
        }
        assert second.stop() == 0
