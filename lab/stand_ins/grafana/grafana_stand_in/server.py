# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of Grafana's HTTP API that the collection and its tests use."""

from __future__ import annotations

import base64
import json
import re
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from . import provisioned
from .provisioned import Provisioned
from .settings import Ini, SettingsError
from .store import Store
from .version import VERSION  # type: ignore[import-not-found]  # lab/stand_ins/grafana/build writes it

Json = dict[str, Any]
Answer = tuple[int, Any]
SECONDS = 5


class Grafana:
    """All that it can answer: methods by the pattern of the path."""

    def __init__(self, store: Store, given: Provisioned) -> None:
        self.store = store
        self._given = given
        self.routes: list[tuple[str, str, Callable[..., Answer]]] = [
            ("GET", r"/api/user", lambda: (200, {"login": store.read()["admin"]["login"], "isGrafanaAdmin": True})),
            ("GET", r"/api/org", lambda: (200, {"id": 1, "name": "Main Org."})),
            ("POST", r"/api/serviceaccounts", self._new_account),
            ("POST", r"/api/serviceaccounts/(\w+)/tokens", self._new_token),
            ("GET", r"/api/datasources", lambda: (200, [_shown(one) for one in self._datasources()])),
            ("POST", r"/api/datasources", self._add_datasource),
            ("GET", r"/api/datasources/uid/([\w-]+)", self._datasource),
            ("PUT", r"/api/datasources/uid/([\w-]+)", self._change_datasource),
            ("DELETE", r"/api/datasources/uid/([\w-]+)", self._remove_datasource),
            ("GET", r"/api/datasources/uid/([\w-]+)/health", self._datasource_health),
            ("GET", r"/api/folders", lambda: (200, self._folders())),
            ("POST", r"/api/folders", self._add_folder),
            ("GET", r"/api/folders/([\w-]+)", self._folder),
            ("DELETE", r"/api/folders/([\w-]+)", self._remove_folder),
            ("GET", r"/api/search", self._search),
            ("GET", r"/api/dashboards/uid/([\w-]+)", self._dashboard),
            ("DELETE", r"/api/dashboards/uid/([\w-]+)", self._remove_dashboard),
            ("POST", r"/api/dashboards/db", self._save_dashboard),
        ]

    # --- accounts

    def _new_account(self, body: Json) -> Answer:
        return 201, {"id": body["name"], "role": body["role"]}

    def _new_token(self, account: str, body: Json) -> Answer:
        return 200, {"name": body["name"], "key": self.store.new_token(f"{account} {body['name']}")}

    # --- data sources: those of files go before those of the database

    def _datasources(self) -> list[Json]:
        given = [{**one, "readOnly": not one.get("editable", False)} for one in self._given.datasources]
        own = [one for one in self.store.read()["datasources"] if one["uid"] not in {other["uid"] for other in given}]
        return [*given, *own]

    def _find(self, uid: str) -> Json | None:
        return next((one for one in self._datasources() if one["uid"] == uid), None)

    def _datasource(self, uid: str) -> Answer:
        found = self._find(uid)
        return (200, _shown(found)) if found else (404, {"message": "Data source not found"})

    def _add_datasource(self, body: Json) -> Answer:
        unknown = body.keys() - provisioned.grafana_provisioning.DATASOURCE.keys()
        if unknown:
            return 400, {"message": f"the stand-in does not know {sorted(unknown)}"}
        if any(one["name"] == body["name"] or one["uid"] == body["uid"] for one in self._datasources()):
            return 409, {"message": "data source with the same name already exists"}
        return self._keep("datasources", body)

    def _change_datasource(self, uid: str, body: Json) -> Answer:
        found = self._find(uid)
        if found is None:
            return 404, {"message": "Data source not found"}
        if found.get("readOnly"):
            return 403, {"message": "Cannot update read-only data source"}
        return self._keep(
            "datasources",
            {**body, "secureJsonData": {**found.get("secureJsonData", {}), **body.get("secureJsonData", {})}},
        )

    def _remove_datasource(self, uid: str) -> Answer:
        found = self._find(uid)
        if found and found.get("readOnly"):
            return 403, {"message": "Cannot delete read-only data source"}
        return self._forget("datasources", uid)

    def _datasource_health(self, uid: str) -> Answer:
        found = self._find(uid)
        if found is None:
            return 404, {"message": "Data source not found"}
        try:
            version = _ask_prometheus(found)
        except (OSError, ValueError, KeyError) as error:
            return 400, {"status": "ERROR", "message": f"{found['url']}: {error}"}
        return 200, {"status": "OK", "message": f"Successfully queried the Prometheus API. {version}"}

    # --- folders

    def _folders(self) -> list[Json]:
        return [*self._given.folders(), *self.store.read()["folders"]]

    def _folder(self, uid: str) -> Answer:
        found = next((one for one in self._folders() if one["uid"] == uid), None)
        return (200, found) if found else (404, {"message": "folder not found"})

    def _add_folder(self, body: Json) -> Answer:
        if self._folder(body["uid"])[0] == 200:
            return 409, {"message": "a folder with the same uid already exists"}
        return self._keep("folders", {"uid": body["uid"], "title": body["title"]})

    def _remove_folder(self, uid: str) -> Answer:
        document = self.store.read()
        document["dashboards"] = [one for one in document["dashboards"] if one["folderUid"] != uid]
        self.store.write(document)
        return self._forget("folders", uid)

    # --- dashboards

    def _dashboards(self) -> dict[str, Json]:
        own = {one["uid"]: one for one in self.store.read()["dashboards"]}
        return {**own, **{uid: {**one, "provisioned": True} for uid, one in self._given.dashboards().items()}}

    def _search(self, tag: str = "", type: str = "dash-db", folderUIDs: str = "") -> Answer:  # noqa: A002
        found = []
        for uid, one in sorted(self._dashboards().items()):
            dashboard = one["dashboard"]
            if (not tag or tag in dashboard.get("tags", [])) and (not folderUIDs or one["folderUid"] == folderUIDs):
                found.append({"uid": uid, "title": dashboard["title"], "type": type, "folderUid": one["folderUid"]})
        return 200, found

    def _dashboard(self, uid: str) -> Answer:
        one = self._dashboards().get(uid)
        if one is None:
            return 404, {"message": "Dashboard not found"}
        meta = {"folderUid": one["folderUid"], "provisioned": one.get("provisioned", False)}
        return 200, {"dashboard": {**one["dashboard"], "id": 1, "version": one.get("version", 1)}, "meta": meta}

    def _save_dashboard(self, body: Json) -> Answer:
        dashboard, folder = body["dashboard"], body.get("folderUid", "")
        there = self._dashboards().get(dashboard["uid"])
        if there and there.get("provisioned"):
            return 400, {"message": "Cannot save provisioned dashboard"}
        if there and not body.get("overwrite"):
            return 412, {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
        if folder and self._folder(folder)[0] != 200:
            return 400, {"message": "folder not found"}
        version = there["version"] + 1 if there else 1
        # Grafana moves the document on to its newest schema when it saves it.
        saved = {**dashboard, "schemaVersion": 42, "preload": False}
        return self._keep(
            "dashboards", {"uid": dashboard["uid"], "dashboard": saved, "folderUid": folder, "version": version}
        )

    def _remove_dashboard(self, uid: str) -> Answer:
        if self._dashboards().get(uid, {}).get("provisioned"):
            return 400, {"message": "provisioned dashboard cannot be deleted"}
        return self._forget("dashboards", uid)

    # --- the database

    def _keep(self, kind: str, item: Json) -> Answer:
        document = self.store.read()
        document[kind] = [*(one for one in document[kind] if one["uid"] != item["uid"]), item]
        self.store.write(document)
        return 200, {"message": "saved", "uid": item["uid"]}

    def _forget(self, kind: str, uid: str) -> Answer:
        document = self.store.read()
        kept = [one for one in document[kind] if one["uid"] != uid]
        if len(kept) == len(document[kind]):
            return 404, {"message": "not found"}
        document[kind] = kept
        self.store.write(document)
        return 200, {"message": "deleted"}

    def answer(self, method: str, target: str, body: Json | None) -> Answer:
        """The answer to an authenticated request."""
        parts = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        for verb, pattern, call in self.routes:
            match = re.fullmatch(pattern, parts.path)
            if match and verb == method:
                try:
                    with self.store.lock:
                        return call(*match.groups(), *([body or {}] if method in ("POST", "PUT") else []), **query)
                except (KeyError, TypeError) as error:
                    return 400, {"message": f"the stand-in does not understand the request: {error!r}"}
                except SettingsError as error:
                    return 500, {"message": str(error)}
        return 404, {"message": f"the stand-in does not know {method} {parts.path}"}


def _shown(datasource: Json) -> Json:
    """Without its secrets: only their names are ever told."""
    shown = {key: value for key, value in datasource.items() if key != "secureJsonData"}
    return {**shown, "secureJsonFields": dict.fromkeys(datasource.get("secureJsonData") or {}, True)}


def _ask_prometheus(datasource: Json) -> str:
    """The server's version, asked with the data source's TLS and basic authentication.  Raises OSError, ValueError."""
    data, secure = datasource.get("jsonData") or {}, datasource.get("secureJsonData") or {}
    request = urllib.request.Request(f"{datasource['url'].rstrip('/')}/api/v1/query?query=1%2B1")
    if datasource.get("basicAuth"):
        pair = f"{datasource['basicAuthUser']}:{secure['basicAuthPassword']}"
        request.add_header("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
    context = ssl.create_default_context(cadata=secure.get("tlsCACert") if data.get("tlsAuthWithCACert") else None)
    if data.get("tlsSkipVerify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if data.get("tlsAuth"):
        with tempfile.NamedTemporaryFile("w") as pem:
            pem.write(f"{secure['tlsClientCert']}\n{secure['tlsClientKey']}\n")
            pem.flush()
            context.load_cert_chain(pem.name)
    with urllib.request.urlopen(request, timeout=SECONDS, context=context) as answer:
        document = json.load(answer)
    if document["data"]["result"][1] != "2":
        raise ValueError("it is no Prometheus")
    return "It can count."


class Handler(BaseHTTPRequestHandler):
    """HTTP: authentication, then the answer as JSON."""

    protocol_version = "HTTP/1.1"
    grafana: Grafana

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        if self.path == "/api/health" and self.command == "GET":
            self._send(200, {"database": "ok", "version": VERSION, "commit": "stand-in"})
            return
        if not self._authenticated():
            self._send(401, {"message": "Unauthorized"})
            return
        try:
            body = json.loads(text) if text else None
        except ValueError:
            self._send(400, {"message": "bad request data"})
            return
        self._send(*self.grafana.answer(self.command, self.path, body))

    do_GET = do_POST = do_PUT = do_DELETE = _handle

    def _authenticated(self) -> bool:
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind == "Bearer":
            return self.grafana.store.token(value)
        if kind != "Basic":
            return False
        user, _, password = base64.b64decode(value).decode().partition(":")
        return self.grafana.store.login(user, password)

    def _send(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        """Say nothing."""


def serve(ini: Ini, store: Store, provisioning: Path) -> None:
    """Answer until the end.  Raises SettingsError, OSError."""
    given = provisioned.read(provisioning)
    store.start(ini)
    names = [one["name"] for one in store.read()["datasources"]]
    for one in given.datasources:
        if one["name"] in names:
            raise SettingsError(f"the data source {one['name']} of a file has the name of one that users made")
    handler = type("GrafanaHandler", (Handler,), {"grafana": Grafana(store, given)})
    settings = ini["server"]
    server = ThreadingHTTPServer((settings["http_addr"], int(settings["http_port"])), handler)
    server.daemon_threads = True
    if settings["protocol"] == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings["cert_file"], settings["cert_key"])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
