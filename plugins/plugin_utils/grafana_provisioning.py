# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict reader of Grafana's provisioning files: data sources and dashboard providers.

Grafana itself reads them leniently: an unknown key is dropped without a word, and a file without ``apiVersion`` is read
by an old schema. Here every unknown key, wrong type and doubtful value is a problem, told in one sentence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

import yaml

Check = Callable[[object], str]  # what is wrong with a value; "" for nothing

_UID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_URL = re.compile(r"https?://[^\s/]+\S*")
_DURATION = re.compile(r"[1-9]\d*(ms|s|m|h)")
# $NAME and ${NAME} come from the environment, $__env{NAME} and $__file{path} from where they say; $$ is a dollar
_DOLLAR = re.compile(r"\$\$|\$\{[A-Za-z_]\w*\}|\$__(?:env|file)\{[^}]+\}|(?P<stray>\$)")


def _kind(kind: type, name: str) -> Check:
    def check(value: object) -> str:
        right = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
        return "" if right else f"must be {name}"

    return check


def _matching(pattern: re.Pattern[str], what: str) -> Check:
    return lambda value: "" if isinstance(value, str) and pattern.fullmatch(value) else f"must be {what}"


def _one_of(*values: object) -> Check:
    return lambda value: "" if value in values else f"must be {' or '.join(map(str, values))}"


TEXT = _matching(re.compile(r"(?s).*\S.*"), "a text that is not empty")
MAYBE_TEXT = _kind(str, "a text")
FLAG = _kind(bool, "true or false")
NUMBER = _kind(int, "a whole number")
MAPPING = _kind(dict, "a mapping")
LIST = _kind(list, "a list")

DATASOURCES: dict[str, Check] = {
    "apiVersion": _one_of(1),
    "datasources": LIST,
    "deleteDatasources": LIST,
    "prune": FLAG,
}
DATASOURCE: dict[str, Check] = {
    "access": _one_of("proxy", "direct"),
    "basicAuth": FLAG,
    "basicAuthUser": TEXT,
    "correlations": LIST,
    "database": MAYBE_TEXT,
    "editable": FLAG,
    "isDefault": FLAG,
    "jsonData": MAPPING,
    "name": TEXT,
    "orgId": NUMBER,
    "orgName": TEXT,
    "secureJsonData": MAPPING,
    "type": TEXT,
    "uid": _matching(_UID, "1 to 40 letters, digits, - or _"),
    "url": _matching(_URL, "a URL that begins with http:// or https://"),
    "user": MAYBE_TEXT,
    "version": NUMBER,
    "withCredentials": FLAG,
}
DELETED: dict[str, Check] = {"name": TEXT, "orgId": NUMBER, "orgName": TEXT}
PROVIDERS: dict[str, Check] = {"apiVersion": _one_of(1), "providers": LIST}
PROVIDER: dict[str, Check] = {
    "allowUiUpdates": FLAG,
    "disableDeletion": FLAG,
    "editable": FLAG,
    "folder": MAYBE_TEXT,
    "folderUid": MAYBE_TEXT,
    "name": TEXT,
    "options": MAPPING,
    "orgId": NUMBER,
    "type": _one_of("file"),
    "updateIntervalSeconds": NUMBER,
}
OPTIONS: dict[str, Check] = {
    "foldersFromFilesStructure": FLAG,
    "path": _matching(re.compile(r"/\S.*"), "an absolute path"),
}


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that is given twice; YAML itself takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _value in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def check_datasources(text: str) -> list[str]:
    """What is wrong with a file of ``provisioning/datasources``."""
    document, problems = _read(text)
    return problems or list(_datasources(document))


def check_providers(text: str) -> list[str]:
    """What is wrong with a file of ``provisioning/dashboards``."""
    document, problems = _read(text)
    return problems or list(_providers(document))


def _read(text: str) -> tuple[dict[str, Any], list[str]]:
    try:
        document = yaml.load(text, _StrictLoader)  # noqa: S506  # a SafeLoader
    except yaml.YAMLError as error:
        return {}, [f"it is not one YAML document: {' '.join(str(error).split())}"]
    if not isinstance(document, dict):
        return {}, ["it must be a mapping with apiVersion: 1"]
    return document, list(_dollars(document))


def _datasources(document: Mapping[str, Any]) -> Iterator[str]:
    yield from _keys("the file", document, DATASOURCES, required=("apiVersion",))
    entries = _entries(document, "datasources")
    for index, entry in entries:
        where = f"datasources[{index}]"
        yield from _keys(where, entry, DATASOURCE, required=("name", "type", "uid"))
        yield from _datasource(where, entry)
    yield from _unique("datasources", "uid", entries)
    yield from _unique("datasources", "name", entries)
    defaults = Counter(str(entry.get("orgId", 1)) for _index, entry in entries if entry.get("isDefault") is True)
    if any(times > 1 for times in defaults.values()):
        yield "datasources has more than one isDefault: true for an organisation"
    for index, entry in _entries(document, "deleteDatasources"):
        yield from _keys(f"deleteDatasources[{index}]", entry, DELETED, required=("name",))


def _datasource(where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    json_data = entry.get("jsonData")
    if not isinstance(json_data, dict):
        json_data = {}
    if entry.get("type") == "prometheus":
        if "url" not in entry:
            yield f"{where} must have url"
        if entry.get("access") != "proxy":
            yield f"{where}.access must be proxy: browsers do not reach Prometheus"
        if not _DURATION.fullmatch(str(json_data.get("timeInterval"))):
            yield f"{where}.jsonData.timeInterval must be the scrape interval, such as 30s: $__rate_interval needs it"
    if entry.get("basicAuth") is True and not entry.get("basicAuthUser"):
        yield f"{where} must have basicAuthUser, as basicAuth is true"
    for key in json_data:
        if re.search(r"password|token|secret|httpHeaderValue", str(key), re.IGNORECASE):
            yield f"{where}.jsonData.{key} can be read by every user: put it into secureJsonData"


def _providers(document: Mapping[str, Any]) -> Iterator[str]:
    yield from _keys("the file", document, PROVIDERS, required=("apiVersion", "providers"))
    entries = _entries(document, "providers")
    for index, entry in entries:
        where = f"providers[{index}]"
        yield from _keys(where, entry, PROVIDER, required=("name", "type", "options"))
        options = entry.get("options")
        if isinstance(options, dict):
            yield from _keys(f"{where}.options", options, OPTIONS, required=("path",))
            if options.get("foldersFromFilesStructure") is True and (entry.get("folder") or entry.get("folderUid")):
                yield f"{where} has a folder and foldersFromFilesStructure: leave one of them out"
    yield from _unique("providers", "name", entries)


def _entries(document: Mapping[str, Any], key: str) -> list[tuple[int, dict[str, Any]]]:
    """The entries of a list that are mappings; the others are reported as such by :func:`_keys`."""
    entries = document.get(key)
    if not isinstance(entries, list):
        return []
    return [(index, entry if isinstance(entry, dict) else {}) for index, entry in enumerate(entries)]


def _keys(where: str, mapping: Mapping[str, Any], known: Mapping[str, Check], required: Iterable[str]) -> Iterator[str]:
    for key in required:
        if key not in mapping:
            yield f"{where} must have {key}"
    for key, value in mapping.items():
        if key not in known:
            yield f"{where} has the key {key}, which Grafana would drop; known are {', '.join(sorted(known))}"
        elif problem := known[key](value):
            yield f"{where}: {key} {problem}"


def _unique(where: str, key: str, entries: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[str]:
    values = Counter(
        (entry[key], str(entry.get("orgId", 1))) for _index, entry in entries if isinstance(entry.get(key), str)
    )
    for (value, _organisation), times in values.items():
        if times > 1:
            yield f"{where} has the {key} {value} {times} times"


def _dollars(value: object, where: str = "") -> Iterator[str]:
    if isinstance(value, str):
        if any(match["stray"] for match in _DOLLAR.finditer(value)):
            yield f"{where}: Grafana takes $ for a variable of the environment: write $$ for a dollar, or ${{NAME}}"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _dollars(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _dollars(inner, f"{where}[{index}]")
