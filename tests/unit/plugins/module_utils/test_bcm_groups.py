# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import fnmatch
import re

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_device import Device
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_groups import (
    Matcher,
    StrictDevicesError,
    parse_filters,
    parse_system_groups,
    plan_inventory,
    safe_group_names,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_snapshot import Snapshot, SoftwareImage
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_tls import BcmConfigError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# The machine may be busy; how long an example takes says nothing about it.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def device(hostname, **values):
    defaults = {"type": "PhysicalNode", "category": "c", "ip": "10.0.0.1", "roles": ()}
    others = dict.fromkeys(("mac", "network", "uuid", "cluster"))
    return Device(hostname=hostname, **{**defaults, **others, **values})


def plan(*devices, system_groups=None, filters=None, strict=True, **snapshot):
    return plan_inventory(
        Snapshot(tuple(devices), "head", **snapshot), parse_filters(filters), parse_system_groups(system_groups), strict
    )


def test_default_system_groups():
    """The six rules of the design: a DGX node keeps its software when the role is taken away."""
    made = plan(
        device("dgx-01", category="dgx-h200", roles=("slurmsubmit",)),
        device("ctl", category="slurm", roles=("slurmserver", "slurmsubmit")),
        device("login", category="login", roles=("slurmsubmit",)),
        device("other", category="x"),
        device("head", type="HeadNode", category=None, roles=("headnode",)),
    ).groups
    assert made["dgx_nodes"] == ["dgx-01"]
    assert made["slurm_controllers"] == ["ctl"]
    assert made["login_nodes"] == ["login"]
    assert made["bcm_headnodes"] == ["head"]
    assert made["prometheus_servers"] == made["grafana_servers"] == []


def test_not_groups_work_in_any_order_of_writing():
    rules = {
        "a": {"hosts": ["*"], "not_groups": ["b"]},
        "b": {"hosts": ["x*"], "not_groups": ["c"]},
        "c": {"hosts": ["xc"]},
    }
    made = plan(device("x1"), device("xc"), device("y"), system_groups=rules).groups
    assert made["c"] == ["xc"]
    assert made["b"] == ["x1"]
    assert made["a"] == ["xc", "y"]


def test_types_and_roles_match_in_any_case():
    made = plan(
        device("h", type="HeadNode", roles=("slurmserver",)),
        system_groups={"a": {"types": ["headnode"]}, "b": {"roles": ["SlurmServer"]}},
    ).groups
    assert made["a"] == made["b"] == ["h"]


def test_a_device_without_category_matches_no_category_glob():
    made = plan(device("h", type="HeadNode", category=None), system_groups={"a": {"categories": ["*"]}}).groups
    assert made["a"] == []


def test_an_empty_rule_empties_a_default():
    assert plan(device("d", category="dgx"), system_groups={"dgx_nodes": None}).groups["dgx_nodes"] == []


def test_a_single_glob_need_not_be_a_list():
    assert plan(device("d"), system_groups={"a": {"hosts": "d"}}).groups["a"] == ["d"]


@pytest.mark.parametrize(
    "raw",
    [
        [],
        {"a": []},
        {"a": {"hosts": [1]}},
        {"a": {"hosts": {"x": 1}}},
        {"a": {"hosts": [""]}},
        {"all": {}},
        {"1a": {}},
        {"": {}},
        {5: {}},
        {"a": {"not_groups": ["a"]}},
    ],
    ids=str,
)
def test_rules_that_cannot_be(raw):
    with pytest.raises(BcmConfigError):
        parse_system_groups(raw)


def test_names_differing_in_case_are_one_host():
    with pytest.raises(StrictDevicesError, match=r"'DGX-01' is there twice \(uuid u1 and u2\)"):
        plan(device("dgx-01", uuid="u1"), device("DGX-01", uuid="u2"))


@pytest.mark.parametrize(
    ("ip", "set_"),
    [("10.0.0.1", True), ("fd00::1", True), (None, False), ("-oProxyCommand=id", False), ("node.example", False)],
)
def test_only_an_address_becomes_ansible_host(ip, set_):
    made = plan(device("n", ip=ip))
    assert ("ansible_host" in made.hosts["n"]) is set_
    assert made.hosts["n"]["bcm_ip"] == ip
    assert bool(made.warnings) is not set_


def test_an_image_with_the_name_of_a_host_gets_another():
    made = plan(device("gold"), software_images=(SoftwareImage("gold", "/cm/images/gold"),))
    assert made.groups["bcm_images"] == ["image-gold"]
    assert made.hosts["gold"]["ansible_host"] == "10.0.0.1"
    assert len(made.warnings) == 1


def test_warnings_name_five_and_count_the_rest():
    made = plan(*(device(f"n{number}", ip=None) for number in range(9)))
    assert made.warnings == ["No ip in BCM, so Ansible connects by name: 'n0', 'n1', 'n2', 'n3', 'n4' and 4 more."]


names = st.lists(st.text(alphabet="aA-._/ {}ß0", min_size=1, max_size=4), unique=True, max_size=8)


@unhurried
@given(names)
def test_group_names_are_valid_and_each_another(raw):
    groups = safe_group_names("bcm_role_", raw)
    assert set(groups) == set(raw)
    assert len(set(groups.values())) == len(raw)
    assert all(re.fullmatch(r"bcm_role_[A-Za-z0-9_]+", group) for group in groups.values())
    for name in raw:
        if re.fullmatch(r"[A-Za-z0-9_]+", name):
            assert groups[name] == f"bcm_role_{name}"


@unhurried
@given(names, st.text(alphabet="aA-._ß", min_size=1, max_size=4))
def test_a_new_name_changes_no_other_but_by_colliding(raw, new):
    before, after = safe_group_names("x_", raw), safe_group_names("x_", [*raw, new])
    for name in raw:
        if re.sub(r"[^A-Za-z0-9_]", "_", name) != re.sub(r"[^A-Za-z0-9_]", "_", new):
            assert after[name] == before[name]


globs = st.lists(st.text(alphabet="ab*?![]-", min_size=1, max_size=4), max_size=4)


@unhurried
@given(globs, st.text(alphabet="abA-", max_size=4))
def test_a_matcher_is_fnmatch_with_exclusions(patterns, value):
    wanted = [glob for glob in patterns if not glob.startswith("!")]
    unwanted = [glob[1:] for glob in patterns if glob.startswith("!")]
    expected = (not wanted and bool(patterns)) or any(fnmatch.fnmatchcase(value, glob) for glob in wanted)
    expected = expected and not any(fnmatch.fnmatchcase(value, glob) for glob in unwanted)
    matches = Matcher(tuple(patterns))
    assert matches(value) is expected
    assert matches(value) is expected  # the remembered answer


def test_no_glob_matches_nothing_in_a_rule():
    assert Matcher(())("x") is False
