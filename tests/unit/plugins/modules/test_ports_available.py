# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``ports_available``, through ansible-playbook on localhost."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from unit.plugins.modules.ansible_run import Task, play


@pytest.mark.plays
def test_a_port_that_is_free_one_that_is_taken_and_one_wanted_twice(tmp_path: Path) -> None:
    with socket.socket() as free, socket.socket() as taken:
        free.bind(("127.0.0.1", 0))
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = [each.getsockname()[1] for each in (free, taken)]
        wanted = [{"port": port, "name": "tool", "units": ["tool.service"]} for port in ports]
        fine, hindered, twice = play(
            tmp_path,
            [
                Task("ports_available", {"ports": wanted[:1]}),
                Task("ports_available", {"ports": wanted}, check_mode=True),
                Task("ports_available", {"ports": [wanted[0], wanted[0] | {"name": "other"}]}),
            ],
        ).results
    assert (fine["changed"], fine["listeners"]) == (False, [])
    assert hindered["failure"]["code"] == "port_taken"
    assert hindered["msg"].startswith(f"Port {ports[1]}, which tool needs, is taken by ")
    assert "(process " in hindered["msg"]
    assert twice["failure"]["code"] == "same_port"
    assert f"tool and other are both to listen on port {ports[0]}" in twice["msg"]
