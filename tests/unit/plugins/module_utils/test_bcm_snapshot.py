# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_device import Device
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_snapshot import (
    Rack,
    Snapshot,
    SoftwareImage,
    from_cache,
    to_cache,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# The machine may be busy; how long an example takes says nothing about it.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

words = st.from_regex(r"[a-zäß_][a-zäß_-]{0,7}", fullmatch=True)
devices = st.builds(
    Device,
    hostname=words,
    type=words,
    category=st.none() | words,
    ip=st.none() | words,
    mac=st.none() | words,
    network=st.none() | words,
    uuid=st.none() | words,
    cluster=st.none() | words,
    roles=st.none() | st.frozensets(words, max_size=3).map(lambda names: tuple(sorted(names))),
)
images = st.builds(SoftwareImage, words, words)
snapshots = st.builds(
    Snapshot,
    devices=st.lists(devices, min_size=1, max_size=4).map(tuple),
    headnode=words,
    problems=st.lists(words, max_size=2).map(tuple),
    overlays=st.none() | st.dictionaries(words, st.lists(words, max_size=2).map(tuple), max_size=2),
    racks=st.none() | st.dictionaries(words, st.builds(Rack, words, st.none() | st.integers(0, 48)), max_size=2),
    images=st.none() | st.dictionaries(words, images, max_size=2),
    software_images=st.none() | st.lists(images, max_size=2).map(tuple),
)


@unhurried
@given(snapshots)
def test_a_snapshot_comes_back_from_the_cache_as_it_was(snapshot):
    assert from_cache(json.loads(json.dumps(to_cache(snapshot)))) == snapshot


GOOD = to_cache(Snapshot((Device("n", *[None] * 7, roles=()),), "head"))


@pytest.mark.parametrize(
    "spoilt",
    [
        None,
        [],
        {},
        "x",
        {**GOOD, "format": 0},
        {**GOOD, "columns": ["hostname"]},
        {**GOOD, "devices": []},
        {**GOOD, "devices": [["n"]]},
        {**GOOD, "devices": [[None] * 9]},
        {**GOOD, "devices": 7},
        {**GOOD, "racks": {"n": 1}},
        {**GOOD, "racks": {"n": ["a", 1, 2]}},
        {**GOOD, "overlays": []},
        {**GOOD, "software_images": [["a"]]},
        {key: value for key, value in GOOD.items() if key != "images"},
    ],
    ids=str,
)
def test_anything_else_is_no_snapshot(spoilt):
    assert from_cache(GOOD) is not None
    assert from_cache(spoilt) is None
