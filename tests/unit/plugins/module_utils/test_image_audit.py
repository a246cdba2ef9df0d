# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in images, what a grab takes there, what a sync takes away."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.superpod.monitoring.plugins.filter.image_audit import FilterModule
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh_settings_values import with_block
from ansible_collections.superpod.monitoring.plugins.module_utils.exclude_list import parse
from ansible_collections.superpod.monitoring.plugins.module_utils.image_audit import (
    GRAB_LISTS,
    MARKER,
    ROLES_OF_GROUPS,
    SYNC_LISTS,
    Site,
    audit,
    guarded,
    leaked,
    lost,
    needed_lines,
    roles_of_category,
    summary,
    unguarded,
    without_block,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.installed_files import (
    INSTALLED_FILES,
    PER_NODE,
    SECRET,
    matcher,
)
from bcm_simulator.exclude_lists import EXCLUDE_LISTS
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[4]
LISTS = (*GRAB_LISTS, *SYNC_LISTS)
BCMS = {name: EXCLUDE_LISTS[name] for name in LISTS}
DGX = ("dgx_exporters", "role_monitor")
KEY = "/etc/bcm-role-monitor/client.key"


def file(
    path: str, kind: str = "image_safe", what: str = "file", content: str = "1", role: str = "role_monitor"
) -> dict[str, t.Any]:
    return {"path": path, "role": role, "class": kind, "type": what, "content": content}


def with_rules(texts: dict[str, str], lines: dict[str, list[str]]) -> dict[str, str]:
    """As bcm_settings writes them."""
    return {name: with_block(text, lines[name], MARKER) for name, text in texts.items()}


def test_what_site_deploys_is_what_is_looked_for() -> None:
    (play,) = yaml.safe_load((ROOT / "playbooks/site_images.yml").read_text(encoding="utf-8"))
    deployed = play["vars"]["_superpod_roles_of_groups"]
    # jobstats is a part of two of them
    assert {
        group: [role for role in roles if role != "jobstats"] for group, roles in ROLES_OF_GROUPS.items()
    } == deployed


def test_a_category_has_the_roles_of_its_hosts() -> None:
    members = {"dgx_nodes": ["d1", "d2"], "login_nodes": ["d2", "l1"], "grafana_servers": []}
    categories = {"d1": "dgx", "d2": "dgx-big", "l1": "login", "h": ""}
    assert roles_of_category("dgx", members, categories) == [*DGX]
    assert roles_of_category("dgx-big", members, categories) == [*DGX, "login_node", "jobstats"]
    assert roles_of_category("other", members, categories) == []


def test_what_is_guarded() -> None:
    patterns = [item.pattern for item in guarded(DGX, {"textfile_dir": "/srv/text"})]
    assert KEY in patterns
    assert "/var/lib/bcm-role-monitor" in patterns
    assert "/srv/text/bcm_role_monitor.prom" in patterns
    # the directory stands for what is in it, and what is in memory is on no disk
    assert not [pattern for pattern in patterns if pattern.endswith("/**") or pattern.startswith("/run")]
    assert KEY not in [item.pattern for item in guarded(DGX, {}, accepted=["/etc/bcm-role-monitor/client*"])]


def test_bcms_own_lists_let_through_what_the_seeds_called_safe() -> None:
    found = {
        item["path"]: item["lists"] for item in unguarded(BCMS, guarded([line.role for line in INSTALLED_FILES], {}))
    }
    assert found[KEY] == list(LISTS)
    assert found["/var/lib/prometheus/metrics2"] == list(LISTS)
    assert found["/var/lib/grafana"] == list(LISTS)
    # but for what is on shared storage
    assert not [path for path in found if path.startswith("/cm/shared")]


def test_with_the_rules_nothing_is_open_and_nothing_more_is_needed() -> None:
    items = guarded(DGX, {})
    lines = needed_lines(BCMS, items)
    assert f"- {KEY}" in lines["excludelistgrab"]
    assert f"no-new-files: - {KEY}" in lines["excludelistupdate"]
    done = with_rules(BCMS, lines)
    assert unguarded(done, items) == []
    assert needed_lines(done, items) == lines
    assert {name: without_block(text).rstrip("\n") for name, text in done.items()} == {
        name: text.rstrip("\n") for name, text in BCMS.items()
    }


def test_what_the_site_has_a_rule_for_needs_none() -> None:
    texts = dict.fromkeys(LISTS, "- /etc/bcm-role-monitor/*\n- /var/lib/*\n- /cm/shared\n")
    lines = needed_lines(texts, guarded(["role_monitor"], {}))
    assert lines["excludelistgrab"] == []
    # a sync would still copy another node's from an image that has it
    assert f"no-new-files: - {KEY}" in lines["excludelistupdate"]


def test_a_rule_of_the_site_that_comes_before_is_not_hidden() -> None:
    texts = {**BCMS, "excludelistgrab": f"+ {KEY}\n"}
    items = guarded(["role_monitor"], {})
    done = with_rules(texts, needed_lines(texts, items))
    assert [(item["path"], item["lists"]) for item in unguarded(done, items)] == [(KEY, ["excludelistgrab"])]


_LINES = st.lists(
    st.sampled_from([*BCMS["excludelistgrab"].splitlines(), f"- {KEY}", "- /var/lib/*", "# x", ""]), max_size=8
)


@given(lines=_LINES)
def test_the_rules_close_every_list_that_only_excludes(lines: list[str]) -> None:
    texts = dict.fromkeys(LISTS, "\n".join(lines) + "\n")
    items = guarded(DGX, {})
    done = with_rules(texts, needed_lines(texts, items))
    assert unguarded(done, items) == []
    for name in LISTS:
        parsed = parse(done[name])
        assert parsed.unknown == ()
        # nothing else of the roles is kept from where it belongs
        for path in ("/usr/local/bin/bcm_role_monitor.py", "/etc/bcm-role-monitor/config.json", "/opt/superpod/x"):
            assert parsed.excluding(path) == parse(texts[name]).excluding(path)


def test_every_guarded_path_is_one_of_the_table() -> None:
    for item in guarded(list({line.role for line in INSTALLED_FILES}), {}):
        assert matcher(item.pattern).fullmatch(item.sample)
        assert item.line.kind in (PER_NODE, SECRET)


def test_what_a_sync_takes() -> None:
    node = [
        file("/usr/local/bin/bcm_role_monitor.py", content="new"),
        file("/etc/bcm-role-monitor/config.json"),
        file("/etc/systemd/system/bcm-role-monitor.service"),
        file("/etc/bcm-role-monitor", what="directory"),
        file(KEY, "secret", content=""),
        file("/run/bcm-role-monitor/boot", "per_node"),
        file("/usr/local/bin/prometheus", role="prometheus_server"),
    ]
    image = [file("/usr/local/bin/bcm_role_monitor.py", content="old"), file("/etc/bcm-role-monitor/config.json")]
    found = {item["path"]: (item["what"], item["lists"]) for item in lost(BCMS, DGX, node, image)}
    assert found == {
        "/usr/local/bin/bcm_role_monitor.py": ("replaces", list(SYNC_LISTS)),
        "/etc/systemd/system/bcm-role-monitor.service": ("deletes", list(SYNC_LISTS)),
        KEY: ("deletes", list(SYNC_LISTS)),
    }
    closed = with_rules(BCMS, needed_lines(BCMS, guarded(DGX, {})))
    assert KEY not in [item["path"] for item in lost(closed, DGX, node, image)]


def test_a_directory_is_one_line() -> None:
    library = "/usr/local/lib/bcm-role-monitor"
    files = [file(f"{library}/{name}") for name in "abc"] + [file(library, what="directory"), file("/etc/passwd")]
    assert summary(files, {}) == [{"class": "image_safe", "role": "role_monitor", "path": f"{library}/**", "files": 3}]


def test_what_must_not_be_in_an_image() -> None:
    files = [
        file(KEY, "secret"),
        file("/var/lib/bcm-role-monitor", "per_node", "directory"),
        file("/var/lib/bcm-role-monitor/d_state.json", "per_node"),
        file("/etc/bcm-role-monitor/config.json"),
        file("/etc/prometheus/prometheus.yml", "per_node"),
    ]
    assert [item["path"] for item in leaked(files)] == [KEY, "/var/lib/bcm-role-monitor/d_state.json"]
    assert [item["path"] for item in leaked(files, ["/etc/bcm-role-monitor/client*"])] == [
        "/var/lib/bcm-role-monitor/d_state.json"
    ]


@pytest.fixture
def result() -> dict[str, t.Any]:
    lists = {**BCMS, "excludelistupdate": BCMS["excludelistupdate"] + "merge /x\n"}
    categories = {
        "dgx": {"image": "gold", "path": "/cm/images/gold", "lists": lists, "script": True},
        "login": {"image": "thin", "path": "/cm/images/thin", "lists": BCMS, "script": False},
        "empty": {"image": "none", "path": "", "lists": BCMS, "script": False},
        "printers": {"image": "gold", "path": "/cm/images/gold", "lists": BCMS, "script": False},
    }
    site = Site({"dgx_nodes": ["d1"], "login_nodes": ["l1"]}, {"d1": "dgx", "l1": "login", "p1": "printers"})
    images = {"gold": [file(KEY, "secret"), file("/etc/bcm-role-monitor", what="directory")], "thin": None, "extra": []}
    nodes = {"d1": [file(f"/usr/local/lib/bcm-role-monitor/{number:02}") for number in range(14)], "l1": []}
    paths = {"gold": "/cm/images/gold", "thin": "/cm/images/thin", "extra": "/cm/images/extra"}
    return audit(categories, paths, images, nodes, site)


def test_everything_together(result: dict[str, t.Any]) -> None:
    assert sorted(result) == ["categories", "images", "leaks", "not_found", "table"]
    assert result["leaks"] == 1
    assert result["not_found"] == ["/cm/images/thin"]
    gold = result["images"]["gold"]
    assert (gold["path"], gold["categories"], [item["path"] for item in gold["leaked"]]) == (
        "/cm/images/gold",
        ["dgx"],
        [KEY],
    )
    assert result["images"]["extra"] == {
        "path": "/cm/images/extra",
        "categories": [],
        "files": [],
        "summary": [],
        "leaked": [],
    }
    assert gold["summary"] == [{"class": "secret", "role": "role_monitor", "path": KEY, "files": 1}]
    assert list(result["categories"]) == ["dgx", "login"]
    dgx = result["categories"]["dgx"]
    assert sorted(dgx) == ["image", "lines", "lost", "roles", "script", "unguarded", "unknown_rules"]
    assert (dgx["image"], dgx["roles"], dgx["script"], dgx["unknown_rules"]) == ("gold", [*DGX], True, ["merge /x"])
    assert list(dgx["lost"]) == ["d1"]
    assert len(dgx["lost"]["d1"]) == 14
    assert sorted(dgx["lines"]) == sorted(LISTS)


def test_the_table_for_people(result: dict[str, t.Any]) -> None:
    table = result["table"]
    assert table[0] == "Software image extra (/cm/images/extra), of no category: 0 files of the roles"
    assert "Software image gold (/cm/images/gold), of dgx: 1 files of the roles" in table
    assert f"  secret: {KEY} must not be in an image; rm /cm/images/gold{KEY}" in table
    assert "Software image thin (/cm/images/thin), of login: not looked at" in table
    assert f"    secret: {KEY}" in table
    assert "    deletes /usr/local/lib/bcm-role-monitor/00" in table
    assert "    and 2 more" in table
    assert "  Not understood, and not counted here: merge /x" in table
    assert "  excludelistmanipulatescript changes these lists; what it does is not counted here." in table
    assert table[-2:] == ["Category login", "  nothing to remark"]


def test_the_filter(result: dict[str, t.Any]) -> None:
    audited = FilterModule().filters()["image_audit"]
    categories = {"dgx": {"image": "gold", "path": "/g", "lists": BCMS, "script": False}}
    options = {"groups": {"dgx_nodes": ["d1"]}, "category_of": {"d1": "dgx"}}
    found = audited(categories, paths={"gold": "/g"}, images={"gold": [file(KEY, "secret")]}, **options)
    assert sorted(found) == sorted(result)
    assert found["leaks"] == 1
    accepted = audited(
        categories,
        paths={"gold": "/g"},
        images={"gold": [file(KEY, "secret")]},
        accepted=[KEY],
        places={},
        nodes={},
        **options,
    )
    assert accepted["leaks"] == 0
