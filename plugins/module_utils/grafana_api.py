# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to change in a Grafana so that it has this data source, this folder and these dashboards.

Grafana's HTTP API: data sources by uid, folders by uid, dashboards by uid, and ``/api/dashboards/db`` to save one.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Json = dict[str, t.Any]

# Grafana counts these itself, and moves a dashboard on to its newest schema when it saves it.
_GRAFANAS_OWN = frozenset(("id", "version", "schemaVersion"))


class Ask(t.Protocol):
    """Sends one request; gives the status and the document, for 404 as for success. Raises for everything else."""

    def __call__(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        """Ask."""


@dataclass(frozen=True)
class Wanted:
    """What Grafana shall have; *datasource* as in a provisioning file, *dashboards* as JSON documents with a uid."""

    datasource: Json | None
    folder: Json
    dashboards: Sequence[Json]


@dataclass(frozen=True)
class Change:
    """A request that makes one thing as it should be. *before* and *after* are what a diff shows: no secrets."""

    what: str
    method: str
    path: str
    body: Json | None
    before: Json
    after: Json


def holds(wanted: object, there: object) -> bool:
    """Whether everything that is wanted is there; Grafana may have added keys of its own."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(
            key in there and holds(value, there[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(there, list)
            and len(wanted) == len(there)
            and all(holds(one, other) for one, other in zip(wanted, there))
        )
    return wanted == there and isinstance(wanted, bool) == isinstance(there, bool)


def to_have(ask: Ask, wanted: Wanted) -> list[Change]:
    """The changes that are missing, in the order in which they must be made."""
    changes = []
    if wanted.datasource:
        changes += _datasource(ask, wanted.datasource)
    changes += _folder(ask, wanted.folder)
    for dashboard in wanted.dashboards:
        changes += _dashboard(ask, dashboard, wanted.folder["uid"])
    return changes


def to_remove(ask: Ask, wanted: Wanted) -> list[Change]:
    """The requests that take all of it away; a folder in which somebody keeps other dashboards stays."""
    changes = []
    ours = {dashboard["uid"] for dashboard in wanted.dashboards}
    for uid in sorted(ours):
        path = f"/api/dashboards/uid/{uid}"
        if ask("GET", path)[0] == 200:
            changes.append(_removal(f"dashboard {uid}", path))
    folder = f"/api/folders/{wanted.folder['uid']}"
    if ask("GET", folder)[0] == 200:
        status, found = ask("GET", f"/api/search?folderUIDs={wanted.folder['uid']}")
        others = [item for item in t.cast("list[Json]", found) if item.get("uid") not in ours] if status == 200 else []
        if status == 200 and not others:
            changes.append(_removal(f"folder {wanted.folder['uid']}", folder))
    if wanted.datasource:
        path = f"/api/datasources/uid/{wanted.datasource['uid']}"
        if ask("GET", path)[0] == 200:
            changes.append(_removal(f"data source {wanted.datasource['uid']}", path))
    return changes


def _removal(what: str, path: str) -> Change:
    return Change(what, "DELETE", path, None, {"state": "present"}, {"state": "absent"})


def _datasource(ask: Ask, wanted: Json) -> list[Change]:
    path = f"/api/datasources/uid/{wanted['uid']}"
    status, there = ask("GET", path)
    shown = {key: value for key, value in wanted.items() if key not in ("secureJsonData", "editable")}
    secrets = dict.fromkeys(wanted.get("secureJsonData") or {}, True)
    what = f"data source {wanted['uid']}"
    body = {key: value for key, value in wanted.items() if key != "editable"}
    if status == 404:
        return [Change(what, "POST", "/api/datasources", body, {}, shown)]
    _refuse_provisioned(what, there)
    if holds(shown, there) and holds(secrets, there.get("secureJsonFields") or {}):
        return []
    return [Change(what, "PUT", path, body, {key: there.get(key) for key in shown}, shown)]


def _folder(ask: Ask, wanted: Json) -> list[Change]:
    status, _there = ask("GET", f"/api/folders/{wanted['uid']}")
    # Its title is the users' to change.
    if status != 404:
        return []
    return [Change(f"folder {wanted['uid']}", "POST", "/api/folders", dict(wanted), {}, dict(wanted))]


def _dashboard(ask: Ask, wanted: Json, folder: str) -> list[Change]:
    status, there = ask("GET", f"/api/dashboards/uid/{wanted['uid']}")
    what = f"dashboard {wanted['uid']}"
    ours = {key: value for key, value in wanted.items() if key not in _GRAFANAS_OWN}
    body = {"dashboard": {**wanted, "id": None}, "folderUid": folder, "overwrite": True}
    if status == 404:
        return [Change(what, "POST", "/api/dashboards/db", body, {}, _outline(ours, folder))]
    meta = there.get("meta") or {}
    _refuse_provisioned(what, {"readOnly": meta.get("provisioned")})
    has = there.get("dashboard") or {}
    if holds(ours, has) and meta.get("folderUid") == folder:
        return []
    before = {**_outline(has, str(meta.get("folderUid"))), "differs in": sorted(_differing(ours, has))}
    return [Change(what, "POST", "/api/dashboards/db", body, before, _outline(ours, folder))]


def _outline(dashboard: Mapping[str, t.Any], folder: str) -> Json:
    """What a diff shows of a dashboard, whose whole JSON nobody reads."""
    return {"title": dashboard.get("title"), "folder": folder, "panels": len(dashboard.get("panels") or [])}


def _differing(ours: Mapping[str, t.Any], there: Mapping[str, t.Any]) -> list[str]:
    return [key for key, value in ours.items() if key not in there or not holds(value, there[key])]


class ProvisionedError(ValueError):
    """Grafana has it from a provisioning file, and lets nobody change it through the API."""


def _refuse_provisioned(what: str, there: Json) -> None:
    if there.get("readOnly"):
        raise ProvisionedError(f"Grafana has {what} from a provisioning file; take it out of there, or use the files.")
