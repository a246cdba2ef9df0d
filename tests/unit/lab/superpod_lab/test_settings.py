# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from superpod_lab.settings import LabError, Settings


def test_labs_differ_in_everything_but_the_image() -> None:
    one, other = Settings.from_environment({}).environment(), Settings.from_environment({"LAB_ID": "7"}).environment()
    assert one.keys() == other.keys()
    assert {key for key in one if one[key] == other[key]} == {"LAB_IMAGE"}
    assert other["LAB_NET"] == "10.77.7"
    assert other["LAB_BRIDGE"] == "lab7"
    assert other["LAB_STATE"] == "/run/labhosts/7"
    assert other["LAB_DATA"] == "/var/tmp/labhosts/7"


def test_the_bridge_of_every_lab_leaves_room_for_its_hosts_interfaces() -> None:
    # labhost names a host's interface lh-BRIDGE-NUMBER; Linux takes 15 characters
    assert len(f"lh-{Settings.from_environment({'LAB_ID': '99'}).bridge}-254") <= 15


def test_places_can_be_named() -> None:
    settings = Settings.from_environment({"LAB_IMAGE": "/x/image", "LAB_DATA": "/x/data"})
    assert settings.image == Path("/x/image")
    assert settings.ssh_key == Path("/x/data/ssh/id_ed25519")


@pytest.mark.parametrize("text", ["100", "-1", "x", "1.5", "²"])
def test_a_wrong_lab_number_is_refused(text: str) -> None:
    with pytest.raises(LabError, match="0 to 99") as caught:
        Settings.from_environment({"LAB_ID": text})
    assert caught.value.status == 2


@pytest.mark.parametrize(("name", "value"), [("LAB_DATA", "data"), ("LAB_DATA", "/"), ("LAB_IMAGE", "image")])
def test_a_dangerous_place_is_refused(name: str, value: str) -> None:
    with pytest.raises(LabError, match=f"{name}={value}"):
        Settings.from_environment({name: value})
