# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration: the seeds' keys and defaults, one sentence for what is wrong, the same verdict as JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bcm_role_monitor
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from superpod_role_monitor import config, schema

SCHEMA_PATH = Path(bcm_role_monitor.LIBRARY) / "config.schema.json"
RULES = json.loads(SCHEMA_PATH.read_text())
VALIDATOR = jsonschema.Draft202012Validator(RULES)


def parse(content: Any, **overrides: Any) -> config.Config:
    return config.parse(json.dumps(content).encode(), RULES, overrides)


def test_defaults_are_those_of_the_seeds() -> None:
    made = parse({})
    assert made.bcm_headnodes == ()
    assert (made.bcm_port, made.check_interval, made.retry_interval, made.max_retries) == (8081, 60, 600, 3)
    assert made.cert_path == "/etc/bcm-role-monitor/admin.pem"
    assert made.key_path == "/etc/bcm-role-monitor/admin.key"
    assert made.prometheus_targets_dir == "/cm/shared/apps/jobstats/prometheus-targets"
    assert made.cluster_name == "slurm"
    assert made.roles == ("slurmclient",)
    assert (made.absent_roles_confirmations, made.events, made.on_stop) == (3, "off", "keep")
    assert made.exporters == (
        config.Exporter("node_exporter.service", "node_exporter", 9100),
        config.Exporter("cgroup_exporter.service", "cgroup_exporter", 9306),
        config.Exporter("nvidia_gpu_prometheus_exporter.service", "gpu_exporter", 9445),
    )


def test_the_schema_itself() -> None:
    jsonschema.Draft202012Validator.check_schema(RULES)
    assert set(keywords(RULES)) <= schema.KEYWORDS
    for name, rule in RULES["properties"].items():
        assert rule["description"], name
        assert "default" in rule, name
        assert schema.problems(rule["default"], rule) == []
    ports = {"node_exporter_port", "cgroup_exporter_port", "nvidia_gpu_exporter_port"}
    assert set(RULES["properties"]) - ports == set(config.Config._fields)


def keywords(rules: dict[str, Any]) -> list[str]:
    found = list(rules)
    for rule in rules.get("properties", {}).values():
        found += keywords(rule)
    return found + (keywords(rules["items"]) if "items" in rules else [])


def test_a_configuration_of_the_seeds() -> None:
    made = parse(
        {
            "bcm_headnodes": ["bcm-headnode-01", "bcm-headnode-02"],
            "bcm_port": 8081,
            "cert_path": "/etc/bcm-role-monitor/admin.pem",
            "key_path": "/etc/bcm-role-monitor/admin.key",
            "check_interval": 60,
            "retry_interval": 600,
            "max_retries": 3,
            "prometheus_targets_dir": "/cm/shared/apps/jobstats/prometheus-targets/",
            "node_exporter_port": 19100,
            "cgroup_exporter_port": 9306,
            "nvidia_gpu_exporter_port": 9445,
            "cluster_name": "slurm",
        }
    )
    assert made.exporters[0].port == 19100
    assert made.prometheus_targets_dir == "/cm/shared/apps/jobstats/prometheus-targets"


def test_exporters_of_ones_own_and_what_the_command_line_says() -> None:
    one = {"unit": "dcgm-exporter.service", "job": "dcgm_exporter", "port": 9400}
    made = parse({"exporters": [one], "roles": ["SlurmClient"]}, prometheus_targets_dir="/elsewhere")
    assert made.exporters == (config.Exporter("dcgm-exporter.service", "dcgm_exporter", 9400),)
    assert made.roles == ("slurmclient",)
    assert made.prometheus_targets_dir == "/elsewhere"


EXPORTER = {"unit": "a.service", "job": "a", "port": 1}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "the configuration is []; it must be an object."),
        ({"bcm_port": "8081"}, 'bcm_port is "8081"; it must be a whole number.'),
        ({"bcm_port": True}, "bcm_port is true; it must be a whole number."),
        ({"bcm_port": 0}, "bcm_port is 0; it must be 1 or more."),
        ({"bcm_port": 65536}, "bcm_port is 65536; it must be 65535 or less."),
        ({"check_interval": 0}, "check_interval is 0; it must be 0.1 or more."),
        ({"chek_interval": 60}, '"chek_interval" is no key of the configuration; known are absent_roles'),
        ({"roles": []}, "roles has 0 entries; it must have at least 1."),
        ({"roles": ["a", "a"]}, "roles has an entry twice."),
        ({"roles": [1]}, "roles[0] is 1; it must be a text."),
        ({"events": "on"}, 'events is "on"; it must be one of "auto", "off".'),
        ({"state_dir": "state"}, 'state_dir is "state"; it must match ^/'),
        ({"bcm_headnodes": ["https://head:8081"]}, "bcm_headnodes[0]"),
        ({"exporters": [{"unit": "a.service", "job": "a"}]}, "exporters[0].port is missing."),
        ({"exporters": [{**EXPORTER, "unit": "--now.service"}]}, "exporters[0].unit"),
        ({"exporters": [EXPORTER, {**EXPORTER, "job": "b", "port": 2}]}, "exporters has the same unit twice."),
        ({"exporters": [EXPORTER, {**EXPORTER, "unit": "b.service", "port": 2}]}, "exporters has the same job twice."),
        (
            {"exporters": [EXPORTER, {**EXPORTER, "unit": "b.service", "job": "b"}]},
            "exporters has the same port twice.",
        ),
        ({"cluster_name": "\ud800"}, "the label 'cluster' must have a text"),
        ({"node_exporter_port": 9306}, "exporters has the same port twice."),
    ],
)
def test_what_is_wrong_is_one_sentence_with_the_key(content: Any, says: str) -> None:
    with pytest.raises(config.ConfigError) as caught:
        parse(content)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b" " * (config.LARGEST + 1)])
def test_what_is_no_json(content: bytes) -> None:
    with pytest.raises(config.ConfigError):
        config.parse(content, RULES, {})


def test_a_wrong_command_line_is_told_like_a_wrong_file() -> None:
    with pytest.raises(config.ConfigError, match="prometheus_targets_dir"):
        parse({}, prometheus_targets_dir="relative")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match="cannot be read: No such file"):
        config.load(str(tmp_path / "config.json"), str(SCHEMA_PATH), {})
    (tmp_path / "config.json").write_text('{"bcm_port": 0}')
    with pytest.raises(config.ConfigError, match=r"config\.json: bcm_port is 0"):
        config.load(str(tmp_path / "config.json"), str(SCHEMA_PATH), {})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"{", "it is not JSON"),
        (b"\xff", "it is not JSON"),
        (b"[]", "not the schema of this version"),
        (b"{}", "not the schema of this version"),
        (b'{"properties": null}', "not the schema of this version"),
        (json.dumps({"properties": {key: {} for key in RULES["properties"]}}).encode(), "a key has no default"),
    ],
)
def test_a_broken_schema_is_one_sentence(content: bytes | None, says: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    schema_path = tmp_path / "config.schema.json"
    if content is not None:
        schema_path.write_bytes(content)
    with pytest.raises(config.ConfigError, match=says) as caught:
        config.load(str(tmp_path / "config.json"), str(schema_path), {})
    assert str(schema_path) in str(caught.value)
    assert "install the role monitor again" in str(caught.value)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-10, 100_000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "/x", "a.service", "auto", "keep", "head-01", "a b"])
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["unit", "job", "port", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)
configurations = st.dictionaries(st.sampled_from([*RULES["properties"], "unknown"]), json_values, max_size=4)


@given(configurations)
def test_the_same_verdict_as_json_schema(content: dict[str, Any]) -> None:
    assert (schema.problems(content, RULES) == []) == VALIDATOR.is_valid(content)


@given(json_values | configurations)
def test_any_json_is_a_configuration_or_a_clear_error(content: Any) -> None:
    said = complaint(json.dumps(content).encode())
    assert said is None or (said.strip() and "\n" not in said)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_configuration_or_a_clear_error(content: bytes) -> None:
    complaint(content)


def complaint(content: bytes) -> str | None:
    """What is said of a configuration; any exception of another kind is a traceback for the user."""
    try:
        config.parse(content, RULES, {})
    except config.ConfigError as error:
        return str(error)
    return None
