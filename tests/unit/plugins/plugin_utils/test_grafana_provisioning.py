# SPDX-License-Identifier: GPL-3.0-or-later
"""The strict reader of provisioning files: what is right passes, each fault is told once."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from ansible_collections.superpod.monitoring.plugins.plugin_utils import grafana_provisioning as provisioning
from hypothesis import given, settings
from hypothesis import strategies as st

DATASOURCES: dict[str, Any] = {
    "apiVersion": 1,
    "prune": False,
    "deleteDatasources": [{"name": "Old", "orgId": 1}],
    "datasources": [
        {
            "name": "SuperPOD Prometheus",
            "uid": "superpod-prometheus",
            "type": "prometheus",
            "access": "proxy",
            "orgId": 1,
            "url": "https://mon-01:9090",
            "isDefault": True,
            "editable": False,
            "basicAuth": True,
            "basicAuthUser": "grafana",
            "jsonData": {"timeInterval": "30s", "httpMethod": "POST", "tlsAuthWithCACert": True},
            "secureJsonData": {"basicAuthPassword": "$__file{/etc/grafana/prometheus.password}"},
        }
    ],
}
PROVIDERS: dict[str, Any] = {
    "apiVersion": 1,
    "providers": [
        {
            "name": "superpod",
            "orgId": 1,
            "folder": "SuperPOD",
            "folderUid": "superpod",
            "type": "file",
            "disableDeletion": True,
            "allowUiUpdates": False,
            "updateIntervalSeconds": 60,
            "options": {"path": "/var/lib/grafana/dashboards/superpod", "foldersFromFilesStructure": False},
        }
    ],
}
NOTHING = object()


def changed(document: dict[str, Any], path: str, value: object) -> str:
    """The document as YAML with one value set, or with NOTHING taken out; *path* as in ``providers.0.options.path``."""
    result = copy.deepcopy(document)
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    inner: Any = result
    for step in way:
        inner = inner[step]
    if value is NOTHING:
        del inner[last]
    elif isinstance(inner, list) and last == len(inner):
        inner.append(value)
    else:
        inner[last] = value
    return yaml.safe_dump(result)


def test_right_files_have_no_problems() -> None:
    assert provisioning.check_datasources(yaml.safe_dump(DATASOURCES)) == []
    assert provisioning.check_providers(yaml.safe_dump(PROVIDERS)) == []


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("datasources.0.jsonData", 5, "jsonData must be a mapping"),
        ("apiVersion", NOTHING, "the file must have apiVersion"),
        ("apiVersion", 2, "apiVersion must be 1"),
        ("apiversion", 1, "the key apiversion"),
        ("datasources", {}, "datasources must be a list"),
        ("datasources.0.jsondata", {}, "datasources[0] has the key jsondata"),
        ("datasources.0.password", "x", "the key password"),
        ("datasources.0.isDefault", "yes", "isDefault must be true or false"),
        ("datasources.0.orgId", True, "orgId must be a whole number"),
        ("datasources.0.access", "server", "access must be proxy or direct"),
        ("datasources.0.access", "direct", "browsers do not reach Prometheus"),
        ("datasources.0.uid", "with a space", "uid must be 1 to 40 letters"),
        ("datasources.0.uid", "u" * 41, "uid must be 1 to 40 letters"),
        ("datasources.0.uid", NOTHING, "must have uid"),
        ("datasources.0.name", " ", "name must be a text that is not empty"),
        ("datasources.0.url", "mon-01:9090", "url must be a URL"),
        ("datasources.0.url", NOTHING, "must have url"),
        ("datasources.0.jsonData.timeInterval", NOTHING, "timeInterval must be the scrape interval"),
        ("datasources.0.jsonData.timeInterval", "30", "timeInterval must be the scrape interval"),
        ("datasources.0.basicAuthUser", NOTHING, "must have basicAuthUser"),
        ("datasources.0.jsonData.basicAuthPassword", "x", "put it into secureJsonData"),
        ("datasources.0.secureJsonData.basicAuthPassword", "pa$word", "takes $ for a variable of the environment"),
        ("datasources.1", {**DATASOURCES["datasources"][0], "uid": "b", "isDefault": False}, "2 times"),
        ("datasources.1", {**DATASOURCES["datasources"][0], "name": "b", "isDefault": False}, "2 times"),
        ("datasources.1", {**DATASOURCES["datasources"][0], "name": "b", "uid": "b"}, "more than one isDefault"),
        ("datasources.1", "text", "datasources[1] must have name"),
        ("deleteDatasources.0.uid", "x", "deleteDatasources[0] has the key uid"),
    ],
)
def test_datasources(path: str, value: object, said: str) -> None:
    problems = provisioning.check_datasources(changed(DATASOURCES, path, value))
    assert any(said in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("apiVersion", NOTHING, "the file must have apiVersion"),
        ("providers", NOTHING, "the file must have providers"),
        ("providers.0.Name", "x", "the key Name"),
        ("providers.0.type", "git", "type must be file"),
        ("providers.0.options", NOTHING, "must have options"),
        ("providers.0.options.path", "dashboards", "path must be an absolute path"),
        ("providers.0.options.path", NOTHING, "options must have path"),
        ("providers.0.options.folder", "x", "options has the key folder"),
        ("providers.0.options.foldersFromFilesStructure", True, "leave one of them out"),
        ("providers.0.updateIntervalSeconds", "60", "must be a whole number"),
        ("providers.0.disableDeletion", 1, "must be true or false"),
        ("providers.1", PROVIDERS["providers"][0], "the name superpod 2 times"),
    ],
)
def test_providers(path: str, value: object, said: str) -> None:
    problems = provisioning.check_providers(changed(PROVIDERS, path, value))
    assert any(said in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("apiVersion: 1\napiVersion: 1\n", "apiVersion is given twice"),
        ("apiVersion: 1\n---\napiVersion: 1\n", "not one YAML document"),
        ("- a\n", "must be a mapping"),
        ("", "must be a mapping"),
        ("? [a]\n: b\n", "not one YAML document"),
        ("a: [", "not one YAML document"),
    ],
)
def test_what_is_no_such_file(text: str, said: str) -> None:
    for check in (provisioning.check_datasources, provisioning.check_providers):
        assert [said in problem for problem in check(text)] == [True]


@settings(deadline=None)
@given(key=st.text(st.characters(categories=("L", "N")), min_size=1))
def test_every_unknown_key_is_refused(key: str) -> None:
    known = provisioning.DATASOURCE.keys() | provisioning.PROVIDER.keys()
    assert bool(provisioning.check_datasources(changed(DATASOURCES, f"datasources.0.x{key}", "v"))) == (
        f"x{key}" not in known
    )


@settings(deadline=None)
@given(
    st.sampled_from([(DATASOURCES, "datasources.0"), (PROVIDERS, "providers.0"), (PROVIDERS, "providers.0.options")]),
    st.sampled_from([*provisioning.DATASOURCE, *provisioning.PROVIDER, *provisioning.OPTIONS]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
)
def test_whatever_a_key_holds_the_answer_is_sentences(
    place: tuple[dict[str, Any], str], key: str, value: object
) -> None:
    document, path = place
    text = changed(document, f"{path}.{key}", value)
    for check in (provisioning.check_datasources, provisioning.check_providers):
        assert all(isinstance(problem, str) for problem in check(text))
