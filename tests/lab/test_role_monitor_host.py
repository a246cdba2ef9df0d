# SPDX-License-Identifier: GPL-3.0-or-later
"""The role monitor on a real host: systemd, power loss, a file server that hangs, is full, read-only or gone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from node_lab import NODE, TARGETS, Lab
from superpod_site import until

pytestmark = pytest.mark.lab
UNIT = "bcm-role-monitor.service"
CONFIG = "/etc/bcm-role-monitor/config.json"
PID = f"$(systemctl show -P MainPID {UNIT})"
ROUNDS = 40 if os.environ.get("SUPERPOD_TEST_FULL") else 4
# Each check touches the state file.
COUNT_CHECKS = f"""python3 - <<'END'
import os, time
end, seen = time.monotonic() + 10, set()
while time.monotonic() < end:
    seen.add(os.stat("/var/lib/bcm-role-monitor/{NODE}_state.json").st_mtime_ns)
    time.sleep(0.02)
print(len(seen))
END"""


def note(line: str) -> None:
    sys.stdout.write(f"\n{line}\n")


def set_config(lab: Lab, **keys: object) -> None:
    change = (
        f"import json; c = json.load(open('{CONFIG}')); c.update({keys!r}); json.dump(c, open('{CONFIG}.new', 'w'))"
    )
    lab.run(f'[ -e {CONFIG}.kept ] || cp -p {CONFIG} {CONFIG}.kept\npython3 -c "{change}"\nmv {CONFIG}.new {CONFIG}')


def drop_in(lab: Lab, unit: str, content: str) -> None:
    directory = f"/run/systemd/system/{unit}.d"
    lab.run(f"mkdir -p {directory}; printf '[Service]\\n{content}\\n' > {directory}/test.conf; systemctl daemon-reload")


def said_since(lab: Lab, before: list[str], words: str) -> int:
    return sum(words in line for line in lab.journal()[len(before) :])


def test_a_role_given_and_taken(node: Lab) -> None:
    node.assign(False)
    gone = until(lambda: node.in_step(False))
    node.assign(True)
    back = until(lambda: node.in_step(True))
    note(
        f"role taken -> stopped and file gone {gone:.1f} s, given -> running and file there {back:.1f} s (5 s interval)"
    )


def test_the_unit_is_hardened(node: Lab) -> None:
    said = node.run(f"systemd-analyze security --no-pager {UNIT} | tail -1")
    exposure = float(re.search(r": ([0-9.]+)", said).group(1))  # type: ignore[union-attr]
    note(f"systemd-analyze security: {exposure}")
    assert exposure <= 3.0


def resident(lab: Lab) -> float:
    """MB of the daemon."""
    return int(lab.run(f"awk '/^Rss/ {{print $2}}' /proc/{PID}/smaps_rollup")) * 1024 / 1e6


def test_memory_with_events_and_role_changes(node: Lab) -> None:
    set_config(node, check_interval=0.1, events="auto")
    node.run(f"systemctl restart {UNIT}")
    until(lambda: node.in_step(True))
    pid = node.run(f"echo {PID}")
    checks = 0
    sizes = [resident(node)]
    for _round in range(ROUNDS):
        for held in (False, True):
            node.assign(held)
            until(lambda held=held: node.in_step(held))  # type: ignore[misc]
        checks += int(node.run(COUNT_CHECKS))
        sizes.append(resident(node))
    metrics = node.run("cat /var/lib/node_exporter/textfile_collector/bcm_role_monitor.prom")
    assert 'bcm_role_monitor_events_connected{monitor="default"} 1.0' in metrics
    note(
        f"resident {sizes[0]:.1f} MB at first, {sizes[-1]:.1f} at last, {max(sizes):.1f} at most, over "
        f"more than {checks} checks and {2 * ROUNDS} changes of the role, with events"
    )
    assert node.run(f"echo {PID}") == pid
    assert checks > 20 * ROUNDS
    assert max(sizes) <= 25


def test_stop_within_a_second_leaves_everything(node: Lab) -> None:
    took = node.run(f"a=$EPOCHREALTIME; systemctl stop {UNIT}; echo $a $EPOCHREALTIME").split()
    seconds = float(took[1]) - float(took[0])
    note(f"systemctl stop took {seconds:.2f} s")
    assert seconds < 1
    assert node.in_step(True)
    assert node.run(f"systemctl show -P Result {UNIT}") == "success"
    node.run(f"systemctl start {UNIT}")


def test_the_watchdog_ends_a_daemon_that_is_stuck(node: Lab) -> None:
    drop_in(node, UNIT, "WatchdogSec=3\\nRestartSec=1")
    node.run(f"systemctl restart {UNIT}")
    # It lives as long as it gives signs of life.
    restarts = int(node.run(f"sleep 8; systemctl show -P NRestarts {UNIT}"))
    node.run(f"kill -STOP {PID}")
    took = until(lambda: int(node.run(f"systemctl show -P NRestarts {UNIT}")) == restarts + 1)
    note(f"restarted {took:.1f} s after it was stuck (WatchdogSec=3)")
    until(lambda: node.in_step(True))


def test_power_loss(node: Lab) -> None:
    for _time in range(3):
        node.superpod("labhost", "kill", NODE)
        node.superpod("labhost", "start", NODE)
        until(lambda: node.holds("true"))
        took = until(lambda: node.in_step(True), 90)
        note(f"in step {took:.1f} s after power came back")
    assert not node.run(f"ls -A {TARGETS} | grep -v '^{NODE}.json$' || true")


def test_the_role_goes_while_the_host_is_down(node: Lab) -> None:
    node.superpod("labhost", "kill", NODE)
    node.assign(False)
    node.superpod("labhost", "start", NODE)
    until(lambda: node.holds("true"))
    until(lambda: node.in_step(False), 90)


def test_an_exporter_that_dies_at_once_and_comes_back(node: Lab) -> None:
    before = node.journal()
    set_config(node, retry_interval=2)
    drop_in(node, "cgroup_exporter.service", "ExecStart=\\nExecStart=/bin/false\\nRestart=no")
    node.run("systemctl stop cgroup_exporter")
    until(lambda: said_since(node, before, "given up") == 1, 60)
    assert said_since(node, before, "Starting cgroup_exporter.service") == 3
    metrics = node.run("cat /var/lib/node_exporter/textfile_collector/bcm_role_monitor.prom")
    assert 'bcm_role_monitor_given_up{monitor="default",unit="cgroup_exporter.service"} 1.0' in metrics
    assert node.run("systemctl is-active node_exporter") == "active"
    node.run("rm -r /run/systemd/system/cgroup_exporter.service.d; systemctl daemon-reload")
    node.run("systemctl reset-failed cgroup_exporter; systemctl start cgroup_exporter")
    until(lambda: said_since(node, before, "cgroup_exporter.service runs.") == 1)
    node.run("systemctl stop cgroup_exporter")
    until(lambda: node.in_step(True))


def test_self_metrics_are_scraped(node: Lab) -> None:
    until(lambda: node.holds("curl -sf http://127.0.0.1:9100/metrics | grep -q '^bcm_role_monitor_role_held.* 1$'"))


@pytest.fixture
def server(node: Lab) -> Iterator[str]:
    """A FUSE mount over the targets directory, like an NFS client's; gives the pid of its server."""
    if shutil.which("bindfs") is None:
        pytest.skip("bindfs is not installed on this machine")
    root = Path(f"/proc/{node.superpod('labhost', 'pid', NODE).strip()}/root")
    shutil.copy("/usr/bin/bindfs", root / "usr/local/bin/bindfs")
    linked = subprocess.run(["ldd", "/usr/bin/bindfs"], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"/\S*fuse\S*", linked):
        shutil.copy(library, root / "usr/local/lib")
    node.run(
        "ldconfig; [ -e /dev/fuse ] || mknod /dev/fuse c 10 229; mkdir -p /mnt/server; "
        f"mount --bind {TARGETS} /mnt/server; bindfs -o nonempty /mnt/server {TARGETS}; systemctl restart {UNIT}"
    )
    time.sleep(6)
    pid = node.run("pgrep -x bindfs")
    yield pid
    # umount does not wait for the server, which still holds what it served
    gone = f"timeout 20 tail --pid={pid} -f /dev/null"
    stopped = f"kill -CONT {pid}; systemctl stop {UNIT}; umount {TARGETS}; {gone}; umount /mnt/server"
    node.run(f"{stopped}; systemctl start {UNIT}")


def test_a_file_server_that_hangs(node: Lab, server: str) -> None:
    before = node.journal()
    node.run(f"kill -STOP {server}; systemctl stop node_exporter")
    until(lambda: node.run("systemctl is-active node_exporter || true") == "active")
    until(lambda: said_since(node, before, "does not answer") == 1, 60)
    # Restarted while it hangs: stops within a second, starts, manages services.
    took = node.run(f"a=$EPOCHREALTIME; systemctl restart {UNIT}; echo $a $EPOCHREALTIME").split()
    note(f"systemctl restart on a hung file server took {float(took[1]) - float(took[0]):.2f} s")
    assert float(took[1]) - float(took[0]) < 3
    node.run("systemctl stop node_exporter")
    until(lambda: node.run("systemctl is-active node_exporter || true") == "active")
    # The role goes and comes in the meantime: services follow, the file as soon as the server is back.
    node.assign(False)
    until(lambda: node.run("systemctl is-active node_exporter cgroup_exporter || true").split() == ["inactive"] * 2, 60)
    node.run(f"kill -CONT {server}")
    until(lambda: node.in_step(False), 60)


@pytest.mark.parametrize(
    ("options", "fill", "says"),
    [("size=4k", True, "the file system is full"), ("ro", False, "the file system is read-only")],
)
def test_a_file_system_that_is_full_or_read_only(node: Lab, options: str, fill: bool, says: str) -> None:
    before = node.journal()
    inside = f"nsenter -t {PID} -m"
    node.run(f"{inside} mount -t tmpfs -o {options} tmpfs {TARGETS}")
    if fill:
        node.run(f"{inside} sh -c 'head -c 8000 /dev/zero > {TARGETS}/filler' || true")
    node.run("systemctl stop node_exporter")
    until(lambda: said_since(node, before, says) >= 1)
    until(lambda: node.run("systemctl is-active node_exporter || true") == "active")
    node.run("sleep 12")
    assert said_since(node, before, says) == 1
    node.run(f"{inside} umount {TARGETS}")
    until(lambda: said_since(node, before, "The target file is as it should be.") == 1)
    assert node.in_step(True)


def test_a_directory_that_goes_and_comes_back(node: Lab) -> None:
    before = node.journal()
    node.run(f"rm -r {TARGETS}")
    until(lambda: said_since(node, before, "does not exist") == 1)
    node.run("systemctl stop node_exporter")
    until(lambda: node.run("systemctl is-active node_exporter || true") == "active")
    node.run(f"mkdir {TARGETS}")
    until(lambda: node.in_step(True))


def test_a_head_node_goes(node: Lab) -> None:
    node.superpod("labhost", "stop", "bcm-head-01")
    try:
        node.run("systemctl stop node_exporter")
        until(lambda: node.in_step(True), 60)
    finally:
        node.superpod("labhost", "start", "bcm-head-01")


def test_head_nodes_are_found_without_configuration(node: Lab) -> None:
    set_config(node, bcm_headnodes=[])
    before = node.journal()
    until(lambda: said_since(node, before, "The configuration is loaded anew.") == 1)
    node.run("systemctl stop node_exporter")
    until(lambda: node.in_step(True))
    metrics = node.run("cat /var/lib/node_exporter/textfile_collector/bcm_role_monitor.prom")
    url = node.run("cat /var/spool/cmd/my.master.cmd.url")
    found = re.search(r'headnode_info\{headnode="([^"]+)"', metrics)
    assert found is not None
    assert found.group(1) in url or found.group(1) == "master"
