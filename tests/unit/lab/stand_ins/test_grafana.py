# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for Grafana: what it takes, and that it refuses what it does not know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from grafana_stand_in import INI, PASSWORD, VERSION, Grafana, prepared

DATASOURCE = """\
apiVersion: 1
datasources:
  - {name: Ours, uid: ours, type: prometheus, access: proxy, url: "http://127.0.0.1:9", jsonData: {timeInterval: 30s}}
"""
PROVIDER = """\
apiVersion: 1
providers:
  - {name: ours, type: file, folder: Ours, folderUid: ours, options: {path: PATH}}
"""


@pytest.fixture
def grafana(tmp_path: Path) -> Iterator[Grafana]:
    with prepared(tmp_path) as one:
        yield one


def given(grafana: Grafana) -> None:
    """Data source and dashboard in files."""
    (grafana.directory / "provisioning/datasources/ours.yml").write_text(DATASOURCE)
    dashboards = grafana.directory / "dashboards"
    dashboards.mkdir()
    (grafana.directory / "provisioning/dashboards/ours.yml").write_text(PROVIDER.replace("PATH", str(dashboards)))
    document = {"uid": "job", "title": "Job", "panels": [{"id": 1}], "tags": ["superpod"]}
    (dashboards / "job.json").write_text(json.dumps(document))


def test_only_the_administrator_and_tokens_get_in(grafana: Grafana) -> None:
    grafana.start()
    assert grafana.ask("/api/health", login=None) == (
        200,
        {"database": "ok", "version": VERSION, "commit": "stand-in"},
    )
    assert grafana.ask("/api/datasources", login=None)[0] == 401
    assert grafana.ask("/api/datasources", login="admin:admin")[0] == 401
    assert grafana.ask("/api/datasources", token="glsa_guessed")[0] == 401
    assert grafana.ask("/api/datasources") == (200, [])
    assert grafana.ask("/api/datasources", token=grafana.token()) == (200, [])


def test_the_password_of_the_settings_counts_at_the_first_start_only(grafana: Grafana) -> None:
    grafana.start()
    grafana.stop()
    ini = grafana.directory / "grafana.ini"
    ini.write_text(INI.format(port=grafana.port, password="another-one"))
    grafana.start()
    assert grafana.ask("/api/user", login="admin:another-one")[0] == 401
    arguments = [f"--config={ini}", f"--data={grafana.directory}", "admin", "reset-admin-password"]
    done = grafana.program("cli", *arguments, "--password-from-stdin", stdin="another-one")
    assert done.returncode == 0, done.stderr
    assert grafana.ask("/api/user", login="admin:another-one")[0] == 200
    assert grafana.ask("/api/user", login=f"admin:{PASSWORD}")[0] == 401


def test_what_files_give_is_there_and_cannot_be_changed(grafana: Grafana) -> None:
    given(grafana)
    grafana.start()
    assert grafana.ask("/api/search?tag=superpod")[1][0]["folderUid"] == "ours"
    assert grafana.ask("/api/dashboards/uid/job")[1]["meta"]["provisioned"] is True
    assert grafana.ask("/api/dashboards/uid/job", method="DELETE")[0] == 400
    assert grafana.ask("/api/datasources/uid/ours", method="DELETE")[0] == 403
    status, health = grafana.ask("/api/datasources/uid/ours/health")
    assert (status, health["status"]) == (400, "ERROR")  # nobody listens on port 9


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("provisioning/datasources/ours.yml", DATASOURCE.replace("access", "acces"), "has the key acces"),
        ("provisioning/dashboards/ours.yml", PROVIDER.replace("path", "paht"), "must have path"),
        ("grafana.ini", "[users]\nallow_signup = false\n", "does not know allow_signup in [users]"),
        ("grafana.ini", "[user]\nallow_sign_up = false\n", "does not know the section [user]"),
        ("grafana.ini", "[security]\nadmin_password = $__file{/nowhere}\n", "/nowhere"),
        ("dashboards/job.json", '{"uid": "", "title": "Job"}', "lacks ['uid', 'panels']"),
        ("dashboards/copy.json", '{"uid": "job", "title": "Job", "panels": [1]}', "a second dashboard"),
    ],
)
def test_it_does_not_start_with_what_it_does_not_know(grafana: Grafana, file: str, text: str, says: str) -> None:
    given(grafana)
    (grafana.directory / file).write_text(text)
    done = grafana.program(*grafana.server_arguments())
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_cannot_be_read_with_another_key(grafana: Grafana) -> None:
    grafana.start()
    grafana.stop()
    ini = grafana.directory / "grafana.ini"
    ini.write_text(ini.read_text().replace("[security]", "[security]\nsecret_key = another"))
    done = grafana.program(*grafana.server_arguments())
    assert (done.returncode, "secret_key is not the one" in done.stderr) == (1, True)


def test_requests_that_it_does_not_know_are_refused(grafana: Grafana) -> None:
    grafana.start()
    assert grafana.ask("/api/admin/settings")[0] == 404
    assert grafana.ask("/api/datasources", {"uid": "x", "name": "x", "type": "prometheus", "colour": "red"})[0] == 400
    assert grafana.ask("/api/search?colour=red")[0] == 400
    assert grafana.ask("/api/dashboards/db", {"dashboard": {"uid": "x"}, "folderUid": "nowhere"})[0] == 400
