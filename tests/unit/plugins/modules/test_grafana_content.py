# SPDX-License-Identifier: GPL-3.0-or-later
"""grafana_content against the lab's stand-in: what it makes, what it leaves, and what it shows."""

from __future__ import annotations

import contextlib
import json
import threading
import typing as t
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from ansible_collections.superpod.monitoring.plugins.module_utils.grafana_api import (
    Change,
    ProvisionedError,
    Wanted,
    holds,
    to_have,
    to_remove,
)
from ansible_collections.superpod.monitoring.plugins.modules.grafana_content import (
    Api,
    carry_out,
    diff_of,
    wanted_of,
)
from grafana_stand_in import PASSWORD, Grafana, prepared

DATASOURCE: dict[str, t.Any] = {
    "uid": "superpod-prometheus",
    "name": "SuperPOD",
    "type": "prometheus",
    "access": "proxy",
    "url": "http://mon-01:9090",
    "basicAuth": True,
    "basicAuthUser": "grafana",
    "editable": False,
    "jsonData": {"timeInterval": "30s"},
    "secureJsonData": {"basicAuthPassword": "very-secret"},
}
FOLDER = {"uid": "superpod", "title": "SuperPOD"}
DASHBOARDS = [
    json.dumps({"uid": f"superpod-{name}", "title": name, "schemaVersion": 39, "panels": [{"id": 1, "type": "stat"}]})
    for name in ("job", "node")
]


@pytest.fixture
def grafana(tmp_path: Path) -> Iterator[Grafana]:
    with prepared(tmp_path) as one:
        one.start()
        yield one


@pytest.fixture
def api(grafana: Grafana) -> Api:
    return an_api(grafana.url, grafana.token())


def an_api(url: str, token: str = "glsa_x") -> Api:
    return Api({"url": url, "token": token, "timeout": 5, "validate_certs": True, "ca_path": None})


def wanted(**changed: t.Any) -> Wanted:
    return wanted_of({"datasource": DATASOURCE, "folder": FOLDER, "dashboards": DASHBOARDS, **changed})


def make(api: Api, changes: list[Change]) -> list[str]:
    for change in changes:
        carry_out(api, change)
    return [change.what for change in changes]


def test_everything_is_made_once(api: Api) -> None:
    made = make(api, to_have(api, wanted()))
    assert made == [
        "data source superpod-prometheus",
        "folder superpod",
        "dashboard superpod-job",
        "dashboard superpod-node",
    ]
    assert to_have(api, wanted()) == []


def test_only_what_differs_is_put_right(api: Api, grafana: Grafana) -> None:
    make(api, to_have(api, wanted()))
    body = {
        "dashboard": {"uid": "superpod-job", "title": "job", "panels": []},
        "folderUid": "superpod",
        "overwrite": True,
    }
    grafana.ask("/api/dashboards/db", body)
    (change,) = to_have(api, wanted())
    assert change.what == "dashboard superpod-job"
    assert change.before["differs in"] == ["panels"]
    assert make(api, [change])
    assert to_have(api, wanted()) == []

    (change,) = to_have(api, wanted(datasource={**DATASOURCE, "url": "http://mon-02:9090"}))
    assert (change.method, change.before["url"], change.after["url"]) == (
        "PUT",
        "http://mon-01:9090",
        "http://mon-02:9090",
    )


def test_a_dashboard_that_somebody_moved_comes_back(api: Api, grafana: Grafana) -> None:
    make(api, to_have(api, wanted()))
    grafana.ask("/api/folders", {"uid": "other", "title": "Other"})
    grafana.ask("/api/dashboards/db", {"dashboard": json.loads(DASHBOARDS[0]), "folderUid": "other", "overwrite": True})
    assert [change.what for change in to_have(api, wanted())] == ["dashboard superpod-job"]


def test_a_folder_keeps_the_title_that_users_gave_it(api: Api) -> None:
    make(api, to_have(api, wanted()))
    assert to_have(api, wanted(folder={"uid": "superpod", "title": "Another"})) == []


def test_removal_takes_ours_only_and_a_folder_with_others_stays(api: Api, grafana: Grafana) -> None:
    make(api, to_have(api, wanted()))
    grafana.ask("/api/datasources", {"uid": "theirs", "name": "Theirs", "type": "prometheus"})
    grafana.ask("/api/dashboards/db", {"dashboard": {"uid": "theirs", "title": "x"}, "folderUid": "superpod"})
    removed = make(api, to_remove(api, wanted()))
    assert removed == ["dashboard superpod-job", "dashboard superpod-node", "data source superpod-prometheus"]
    assert to_remove(api, wanted()) == []
    assert [one["uid"] for one in grafana.ask("/api/datasources")[1]] == ["theirs"]
    assert [one["uid"] for one in grafana.ask("/api/search")[1]] == ["theirs"]


def test_removal_takes_the_empty_folder(api: Api) -> None:
    make(api, to_have(api, wanted()))
    assert "folder superpod" in make(api, to_remove(api, wanted()))
    assert to_remove(api, wanted()) == []


def test_no_diff_shows_a_secret(api: Api) -> None:
    changes = to_have(api, wanted())
    shown = json.dumps([diff_of(change) for change in changes])
    assert "very-secret" not in shown
    assert "mon-01" in shown
    assert "very-secret" in json.dumps(changes[0].body)  # but Grafana gets it


def test_a_secret_that_grafana_lacks_is_sent(api: Api, grafana: Grafana) -> None:
    without = {key: value for key, value in DATASOURCE.items() if key != "secureJsonData"}
    make(api, to_have(api, wanted(datasource=without)))
    assert make(api, to_have(api, wanted())) == ["data source superpod-prometheus"]
    assert to_have(api, wanted()) == []


def test_what_grafana_has_from_files_is_not_fought_over(tmp_path: Path) -> None:
    with prepared(tmp_path) as grafana:
        (tmp_path / "provisioning/datasources/ours.yml").write_text(
            "apiVersion: 1\ndatasources:\n  - {name: SuperPOD, uid: superpod-prometheus, type: prometheus, "
            "access: proxy, url: 'http://mon-01:9090', jsonData: {timeInterval: 30s}}\n"
        )
        grafana.start()
        with pytest.raises(ProvisionedError, match="from a provisioning file"):
            to_have(an_api(grafana.url, grafana.token()), wanted())


def test_a_wrong_token_is_told(grafana: Grafana) -> None:
    with pytest.raises(Failure, match=r"does not let the token GET .*401.*role Admin"):
        to_have(an_api(grafana.url), wanted())


def test_a_grafana_that_is_down_is_told() -> None:
    with pytest.raises(Failure, match=r"Grafana at http://127\.0\.0\.1:9 cannot be asked: [^\n]+"):
        to_have(an_api("http://127.0.0.1:9"), wanted())


@pytest.mark.parametrize("text", ["{", "[]", '{"title": "no uid"}', '{"uid": ""}'])
def test_what_is_no_dashboard_is_told(text: str) -> None:
    with pytest.raises(Failure, match=r"dashboards\[0\] is no JSON of a dashboard with a uid"):
        wanted(dashboards=[text])


@pytest.mark.parametrize(
    ("one", "there", "expected"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"b": 2}, False),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2, "c": 3}]}, True),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": None}, {}, False),
        ({}, [], False),
    ],
)
def test_grafana_may_have_more_but_not_less(one: object, there: object, expected: bool) -> None:
    assert holds(one, there) is expected


@pytest.mark.parametrize(("password", "let_in"), [(PASSWORD, True), ("wrong", False)])
def test_the_administrators_password_does_instead_of_a_token(grafana: Grafana, password: str, let_in: bool) -> None:
    login = {"token": None, "username": "admin", "password": password}
    api = Api({"url": grafana.url, "timeout": 5, "validate_certs": True, "ca_path": None, **login})
    if let_in:
        assert api("GET", "/api/datasources")[0] == 200
    else:
        with pytest.raises(Failure, match="401"):
            api("GET", "/api/datasources")


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server that gives everybody these bytes; its URL, and what it was asked for, with whose name."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            self.close_connection = True
            if self.parse_request():
                asked.append(f"{self.command} {self.path} {self.headers.get('Authorization', '-')}")
            self.wfile.write(answer)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"])
def test_what_does_not_speak_http_is_told_in_one_sentence(answer: bytes) -> None:
    with answering(answer) as (url, _asked), pytest.raises(Failure, match=r"cannot be asked: ") as failure:
        an_api(url)("GET", "/api/datasources")
    assert failure.value.code == "down"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_nothing_is_sent_where_somebody_else_points_to(method: str) -> None:
    with answering(b"HTTP/1.1 200 OK\r\n\r\n{}") as (other, asked_there):
        moved = f"HTTP/1.1 302 Found\r\nLocation: {other}/login\r\nContent-Length: 0\r\n\r\n".encode()
        with answering(moved) as (url, asked), pytest.raises(Failure, match=f"to {other}/login; give its URL there"):
            an_api(url)(method, "/api/folders", {"uid": "x"} if method != "GET" else None)
    assert asked == [f"{method} /api/folders Bearer glsa_x"]
    assert asked_there == []


def test_a_change_that_grafana_does_not_know_is_no_success() -> None:
    gone = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"
    with answering(gone) as (url, _asked):
        with pytest.raises(Failure, match=r"dashboard x cannot be made: Grafana answered POST .* with 404"):
            carry_out(an_api(url), Change("dashboard x", "POST", "/api/dashboards/db", {}, {}, {}))
        carry_out(an_api(url), Change("dashboard x", "DELETE", "/api/dashboards/uid/x", None, {}, {}))


@pytest.mark.parametrize(
    "changed",
    [
        {"folder": {"uid": "../../admin", "title": "x"}},
        {"folder": {"uid": "", "title": "x"}},
        {"datasource": {**DATASOURCE, "uid": "a?b"}},
        {"dashboards": ['{"uid": "a/../b"}']},
        {"dashboards": ['{"uid": 7}']},
    ],
)
def test_a_uid_that_would_be_another_address_is_refused(changed: dict[str, t.Any]) -> None:
    with pytest.raises(Failure, match="uid") as failure:
        wanted(**changed)
    assert failure.value.code == "bad_entry"
