# SPDX-License-Identifier: GPL-3.0-or-later
"""Provisioning files, read when Grafana starts; strictly, where Grafana is lenient."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from . import grafana_provisioning
from .settings import SettingsError, expanded

Json = dict[str, Any]


@dataclass
class Provisioned:
    """Data sources, and the providers of dashboards, whose files are looked at anew each time."""

    datasources: list[Json] = field(default_factory=list)
    providers: list[Json] = field(default_factory=list)

    def folders(self) -> list[Json]:
        """The folders of the providers."""
        return [{"uid": one["folderUid"], "title": one["folder"]} for one in self.providers if one.get("folderUid")]

    def dashboards(self) -> dict[str, Json]:
        """uid -> {dashboard, folderUid}.  Raises :class:`SettingsError`."""
        found: dict[str, Json] = {}
        for provider in self.providers:
            for path in sorted(Path(provider["options"]["path"]).glob("*.json")):
                document = _dashboard(path)
                if document["uid"] in found:
                    raise SettingsError(f"{path}: a second dashboard with the uid {document['uid']}")
                found[document["uid"]] = {"dashboard": document, "folderUid": provider.get("folderUid", "")}
        return found


def _dashboard(path: Path) -> Json:
    try:
        document: Json = json.loads(path.read_text())
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error
    missing = [key for key in ("uid", "title", "panels") if not document.get(key)]
    if missing or document.get("id") is not None:
        raise SettingsError(f"{path}: it lacks {missing}" if missing else f"{path}: it has an id")
    return document


def read(directory: Path) -> Provisioned:
    """What the provisioning directory says.  Raises :class:`SettingsError`, OSError."""
    result = Provisioned()
    for path in sorted((directory / "datasources").glob("*.y*ml")):
        text = path.read_text()
        _refuse(path, grafana_provisioning.check_datasources(text))
        document = expanded(yaml.safe_load(text))
        assert isinstance(document, dict)
        result.datasources += document.get("datasources") or []
    for path in sorted((directory / "dashboards").glob("*.y*ml")):
        text = path.read_text()
        _refuse(path, grafana_provisioning.check_providers(text))
        result.providers += yaml.safe_load(text)["providers"]
    result.dashboards()
    return result


def _refuse(path: Path, problems: list[str]) -> None:
    if problems:
        raise SettingsError(f"{path}: {'; '.join(problems)}")
