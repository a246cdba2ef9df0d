# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens: the kernel's tables, and this process on a real port."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.tcp_listeners import (
    Listener,
    listeners,
    listening_sockets,
    unit_of,
)

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:238C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:238C 0100007F:B2A4 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
"""
TABLE6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000000000000:245A 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4713 1 0 100
"""


def test_only_listening_sockets_count() -> None:
    assert listening_sockets(TABLE) == {"4711": 9100}
    assert listening_sockets(TABLE6) == {"4713": 9306}
    assert listening_sockets("") == {}


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/node_exporter.service\n", "node_exporter.service"),
        ("12:pids:/system.slice/slurmd.service/x\n0::/\n", "slurmd.service"),
        ("1:name=systemd:/system.slice/system-a.slice/a@b:c.service\n", "a@b:c.service"),
        ("0::/user.slice/user-0.slice/session-3.scope\n", ""),
        ("", ""),
    ],
)
def test_the_unit_of_a_process(text: str, unit: str) -> None:
    assert unit_of(text) == unit


def test_a_tree_like_procs(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(TABLE)
    (tmp_path / "net/tcp6").write_text(TABLE6)
    process = tmp_path / "17"
    (process / "fd").mkdir(parents=True)
    (process / "fd/3").symlink_to("socket:[4711]")
    (process / "comm").write_text("hog\n")
    (process / "cgroup").write_text("0::/system.slice/hog.service\n")
    hog = Listener(9100, 17, "hog", "hog.service")
    assert listeners({9100}, str(tmp_path)) == [hog]
    assert listeners({9100, 9306}, str(tmp_path)) == [hog, Listener(9306)]
    assert listeners({9445}, str(tmp_path)) == []
    assert str(hog) == "hog (process 17, unit hog.service)"
    assert "container" in str(Listener(9306))


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_this_process_on_a_real_port(family: socket.AddressFamily) -> None:
    with socket.socket(family) as listening:
        listening.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        port = listening.getsockname()[1]
        assert listeners({port}) == []
        listening.listen()
        (found,) = listeners({port})
    assert (found.pid, found.process) == (os.getpid(), Path("/proc/self/comm").read_text().strip())
