# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from bcm_simulator.probe import statuses
from bcm_simulator.testing import Simulator
from superpod_lab.privilege import privilege

PROFILE = "superpod-role-monitor"
READ = {"GET /rest/v1/device": 200, "GET /rest/v1/status": 200, "GET /rest/v1/version": 200}


def test_reading_devices_is_all_right() -> None:
    found = privilege("dgx-01", {**READ, "GET /rest/v1/category": 403, "cmdevice.reboot": 635, "POST /rest/v1/x": 501})
    assert found.faults() == []
    assert found.refused == 2
    assert found.sentence().endswith("from dgx-01: may read devices; 2 other requests refused")


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"cmdevice.getCategories": 200}, "lets more through than it needs: cmdevice.getCategories"),
        ({"GET /rest/v1/device": 403}, "may not read devices"),
        ({"cmdevice.reboot": 501}, "was refused nothing"),
    ],
)
def test_anything_else_is_a_fault(more: dict[str, int], fault: str) -> None:
    (found,) = privilege("dgx-01", {**READ, "cmdevice.reboot": 635, **more}).faults() or ["none"]
    assert fault in found


@pytest.mark.parametrize(("services", "rights"), [([], "read devices;"), (["CMSession"], "read devices and wait for")])
def test_against_the_simulator(services: list[str], rights: str) -> None:
    """The profile that the role makes, and the one of an administrator."""
    with Simulator() as sim:
        profile = {"nonuser": True, "tokens": ["GET_DEVICE_TOKEN"], "services": services}
        sim.edit(lambda state: state["profiles"].update({PROFILE: profile}))

        def tried(name: str) -> list[str]:
            pair = [Path(path) for path in sim.certificate(name)]
            found = privilege("dgx-01", statuses(sim.host, sim.port, Path(sim.ca), *pair))
            if name == PROFILE:
                assert rights in found.sentence()
                assert found.refused > 15
            return found.faults()

        assert tried(PROFILE) == []
        assert len(tried("admin")) > 10
        assert any("may not read devices" in fault for fault in tried("node"))
