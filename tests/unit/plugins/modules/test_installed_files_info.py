# SPDX-License-Identifier: GPL-3.0-or-later
"""installed_files_info: what it finds below a root, what it leaves alone, and each field that it returns."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from ansible_collections.superpod.monitoring.plugins.modules.installed_files_info import look, resolve
from unit.plugins.modules.ansible_run import Task, play


def fill(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def paths(root: Path, **options: object) -> list[str]:
    found = look(str(root), options.get("roles"), options.get("places", {}))  # type: ignore[arg-type]
    return [file["path"] for file in found if file["type"] != "directory"]


def test_files_links_and_directories_with_their_class(tmp_path: Path) -> None:
    fill(tmp_path, "etc/bcm-role-monitor/client.key", "etc/bcm-role-monitor/config.json", "etc/passwd")
    fill(tmp_path, "var/lib/bcm-role-monitor/d_state.json", "opt/superpod/node_exporter/1.0/node_exporter")
    (tmp_path / "usr/local/bin").mkdir(parents=True)
    (tmp_path / "usr/local/bin/node_exporter").symlink_to("/opt/superpod/node_exporter/1.0/node_exporter")
    found = {file["path"]: file for file in look(str(tmp_path), None, {})}
    assert found["/etc/bcm-role-monitor/client.key"] == {
        "path": "/etc/bcm-role-monitor/client.key",
        "role": "role_monitor",
        "class": "secret",
        "type": "file",
        "content": "",  # not even its checksum
    }
    digest = hashlib.sha256(b"etc/bcm-role-monitor/config.json").hexdigest()
    assert (
        found["/etc/bcm-role-monitor/config.json"]["class"],
        found["/etc/bcm-role-monitor/config.json"]["content"],
    ) == (
        "image_safe",
        digest,
    )
    assert found["/var/lib/bcm-role-monitor/d_state.json"]["class"] == "per_node"
    link = found["/usr/local/bin/node_exporter"]
    assert (link["type"], link["content"]) == ("link", "/opt/superpod/node_exporter/1.0/node_exporter")
    assert found["/etc/bcm-role-monitor"]["type"] == "directory"
    assert found["/opt/superpod/node_exporter/1.0"]["role"] == "dgx_exporters"
    assert "/etc/passwd" not in found
    assert list(found) == sorted(found)


def test_links_are_followed_inside_and_lead_nowhere_else(tmp_path: Path) -> None:
    root, outside = tmp_path / "image", tmp_path / "outside"
    fill(outside, "bcm-role-monitor/client.key")
    fill(root, "data/etc/bcm-role-monitor/config.json")
    # an absolute link means the image's own directory, and one that leaves the image does not
    (root / "etc").symlink_to("/data/etc")
    (root / "var").mkdir()
    (root / "var/lib").symlink_to("../../outside")
    assert paths(root) == ["/etc/bcm-role-monitor/config.json"]


def test_links_in_a_circle_end_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "etc").symlink_to("etc")
    with pytest.raises(Failure, match="links that go in a circle"):
        resolve(str(tmp_path), "/etc/bcm-role-monitor/config.json")


def test_several_instances_and_what_python_compiled(tmp_path: Path) -> None:
    fill(tmp_path, "etc/bcm-role-monitor/client_second.key", "var/lib/bcm-role-monitor@second/x/y_state.json")
    fill(tmp_path, "usr/local/lib/bcm-role-monitor/superpod_monitoring/__pycache__/a.pyc")
    fill(tmp_path, "usr/local/lib/bcm-role-monitor/superpod_monitoring/a.py")
    assert paths(tmp_path) == [
        "/etc/bcm-role-monitor/client_second.key",
        "/usr/local/lib/bcm-role-monitor/superpod_monitoring/a.py",
        "/var/lib/bcm-role-monitor@second/x/y_state.json",
    ]


def test_shared_storage_is_not_looked_at(tmp_path: Path) -> None:
    fill(tmp_path, "cm/shared/apps/jobstats/prometheus-targets/d.json")
    assert paths(tmp_path) == []


def test_only_some_roles_and_moved_directories(tmp_path: Path) -> None:
    fill(tmp_path, "etc/bcm-role-monitor/config.json", "usr/local/bin/jobstats", "srv/text/bcm_role_monitor.prom")
    assert paths(tmp_path, roles=["login_node"]) == ["/usr/local/bin/jobstats"]
    assert "/srv/text/bcm_role_monitor.prom" in paths(tmp_path, places={"textfile_dir": "/srv/text"})
    assert "/srv/text/bcm_role_monitor.prom" not in paths(tmp_path)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "etc/bcm-role-monitor").mkdir(parents=True)
    os.mkfifo(tmp_path / "etc/bcm-role-monitor/config.json")
    (found,) = [file for file in look(str(tmp_path), None, {}) if file["path"].endswith("config.json")]
    assert (found["type"], found["content"]) == ("other", "")


@pytest.mark.parametrize(
    ("root", "places", "words"),
    [("gone", {}, "there is no directory"), (".", {"targets": "/x"}, "places has targets; it can have bcm_record_dir")],
)
def test_what_cannot_be(root: str, places: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(Failure, match=words) as caught:
        look(str(tmp_path / root), None, places)
    assert caught.value.code == "bad_option"


@pytest.mark.plays
def test_as_a_module(tmp_path: Path) -> None:
    fill(tmp_path / "image", "usr/local/bin/jobstats")
    tasks = [
        Task("installed_files_info", {"root": str(tmp_path / "image"), "roles": ["login_node"]}),
        Task("installed_files_info", {"root": str(tmp_path / "image"), "places": {}}, check_mode=True),
        Task("installed_files_info", {"root": str(tmp_path / "gone")}),
    ]
    first, checked, failed = play(tmp_path, tasks).results
    assert (first["changed"], first["root"]) == (False, str(tmp_path / "image"))
    assert [file["path"] for file in first["files"]] == ["/usr/local/bin/jobstats"]
    assert checked["files"] == first["files"]
    assert failed["failed"]
    assert sorted(failed["failure"]) == ["code", "details", "message"]
    assert failed["failure"]["message"] == failed["msg"]


def test_what_a_service_fills_is_listed_and_not_read(tmp_path: Path) -> None:
    fill(tmp_path, "var/lib/prometheus/metrics2/01ABC/chunks/000001", "etc/prometheus/prometheus.yml")
    found = {file["path"]: file for file in look(str(tmp_path), ["prometheus_server"], {})}
    assert found["/var/lib/prometheus/metrics2/01ABC/chunks/000001"]["type"] == "file"
    assert found["/var/lib/prometheus/metrics2/01ABC/chunks/000001"]["content"] == ""
    assert found["/etc/prometheus/prometheus.yml"]["content"] != ""
