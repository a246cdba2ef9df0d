# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_device import (
    BadRecord,
    Device,
    device_from_record,
    devices_from_records,
    is_address,
    same_host,
    shown,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# The machine may be busy; how long an example takes says nothing about it.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# The two records of a live BCM 11.0, with other names and addresses.
NODE = {
    "category": "default",
    "cluster": "BCM 11.0 Cluster",
    "hostname": "node001",
    "ip": "10.141.0.1",
    "mac": "00:00:00:00:00:00",
    "network": "internalnet",
    "roles": ["slurmsubmit", "SlurmClient", "slurmclient"],
    "type": "PhysicalNode",
    "uuid": "87002a80-0000-4316-99db-c49c0eb72cc5",
}
HEAD = {key: value for key, value in {**NODE, "hostname": "head", "type": "HeadNode"}.items() if key != "category"}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def test_a_record_as_bcm_sends_it():
    assert device_from_record(NODE) == Device(
        hostname="node001",
        type="PhysicalNode",
        category="default",
        ip="10.141.0.1",
        mac="00:00:00:00:00:00",
        network="internalnet",
        uuid="87002a80-0000-4316-99db-c49c0eb72cc5",
        cluster="BCM 11.0 Cluster",
        roles=("slurmclient", "slurmsubmit"),
    )
    assert device_from_record(HEAD).category is None


def test_unknown_keys_are_ignored():
    assert device_from_record({**NODE, "gpus": 8}) == device_from_record(NODE)


@pytest.mark.parametrize(
    ("change", "roles"),
    [({"roles": []}, ()), ({"roles": None}, None), ({"roles": [" ", "A "]}, ("a",))],
)
def test_no_roles_and_unsaid_roles_differ(change, roles):
    assert device_from_record({**NODE, **change}).roles == roles


def test_absent_roles_are_unsaid():
    assert device_from_record({"hostname": "n"}).roles is None


@pytest.mark.parametrize("ip", ["", None, "0.0.0.0"])
def test_no_address(ip):
    assert device_from_record({**NODE, "ip": ip}).ip is None


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (None, "record 3 is no object: None"),
        ([], "record 3 is no object"),
        ({}, "record 3 has no hostname"),
        ({"hostname": "  "}, "record 3 has no hostname"),
        ({"hostname": 5}, "hostname that is no text: 5"),
        ({"hostname": "a\nb"}, r"unprintable characters: 'a\\nb'"),
        ({"hostname": "a\u202eb"}, "unprintable"),
        ({"hostname": "../etc/passwd"}, "cannot be one"),
        ({"hostname": "a" * 254}, "cannot be one"),
        ({"hostname": "-oProxyCommand=id"}, "cannot be one"),
        ({"hostname": "n", "category": ["x"]}, "device 'n' has a category that is no text"),
        ({"hostname": "n", "ip": {"v4": 1}}, "ip that is no text"),
        ({"hostname": "n", "uuid": "\ud800"}, "unprintable"),
        ({"hostname": "n", "roles": "slurmclient"}, "roles that are no list"),
        ({"hostname": "n", "roles": [{"name": "slurmclient"}]}, "roles that are no list"),
        ({"hostname": "n", "roles": ["a\x00"]}, "roles that are no list"),
    ],
)
def test_a_bad_record_is_one_printable_sentence(record, words):
    with pytest.raises(BadRecord, match=words) as caught:
        device_from_record(record, 2)
    assert str(caught.value).isprintable()
    assert str(caught.value).endswith(".")


def test_bad_records_do_not_hide_good_ones():
    devices, problems = devices_from_records([NODE, 7, HEAD, {"hostname": None}])
    assert [device.hostname for device in devices] == ["node001", "head"]
    assert [problem.split(" ")[1] for problem in problems] == ["2", "4"]


@unhurried
@given(st.lists(JSON, max_size=4))
def test_any_list_is_read_without_an_exception(records):
    devices, problems = devices_from_records(records)
    assert len(devices) + len(problems) == len(records)
    assert all(problem.isprintable() and len(problem) < 400 for problem in problems)


@unhurried
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(NODE, JSON)))
def test_any_record_with_bcms_keys_is_a_device_or_a_problem(record):
    devices, problems = devices_from_records([record])
    assert len(devices) + len(problems) == 1
    for device in devices:
        json.dumps([device.hostname, device.category, device.roles]).encode("utf-8")
        assert "/" not in device.hostname


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("dgx-01", "dgx-01", True),
        ("dgx-01", "DGX-01.eth.cluster", True),
        ("dgx-01.a", "dgx-01.b", True),
        ("dgx-01", "dgx-010", False),
        ("dgx-01", "dgx", False),
        ("", "", False),
        (".x", "", False),
    ],
)
def test_same_host(a, b, same):
    assert same_host(a, b) is same
    assert same_host(b, a) is same


def test_what_is_shown_is_short_and_printable():
    assert shown("\x1b[31m") == r"'\x1b[31m'"
    assert len(shown("x" * 1000)) == 60


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10.0.0.1", True), ("fe80::1", True), ("fe80::1%$(reboot)", False), ("", False), (None, False)],
)
def test_an_address_has_no_room_for_other_text(text, expected):
    assert is_address(text) is expected
