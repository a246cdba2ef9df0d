# SPDX-License-Identifier: GPL-3.0-or-later
"""What script/pins makes of the clients' answers: go's and pip's as they came in November 2026, the others by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from script.maintenance import pins
from script.maintenance.pins import NotAsked, Pin

GO = """{
\t"Path": "github.com/prometheus/prometheus",
\t"Versions": ["v0.305.5", "v0.305.6", "v0.305.7-rc.0", "v0.314.0", "v0.315.0-rc.0", "v1.99.0", "v2.5.0+incompatible"]
}
"""
PIP = """ansible-core (2.21.5)
Available versions: 2.21.5, 2.21.4, 2.20.10, 2.19.14, 2.17.14, 2.17.13
  INSTALLED: 2.19.14
  LATEST:    2.21.5
"""
TAGS = (
    "d5e5f51\trefs/tags/4.5.3-4.8.2\nf000001\trefs/tags/4.6.0-4.8.3\nf000002\trefs/tags/v2.0\n"
    "f000003\trefs/tags/4.7.0-4.9.0\nf000004\trefs/tags/4.5.10-4.8.4\n"
)
APT = " grafana | 13.3.0 | repository main\n grafana | 13.2.10 | repository main\n grafana | 13.2.3 | repository main\n"
COMMIT = "dfc9aa0cebe6054184d0179bf4d483c224a6e669"


def pin(version: str, client: str) -> Pin:
    return Pin("it", version, "file", client, "source")


@pytest.mark.parametrize(
    ("client", "version", "output", "expected"),
    [
        ("go", "v0.305.5", GO, ["v0.305.6", "v0.314.0"]),
        ("go", "v0.315.0", GO, []),
        ("pip", "2.17.13", PIP, ["2.17.14", "2.21.5"]),
        ("pip", "2.20.10", PIP, ["2.21.5"]),
        ("pip", "2.21.5", PIP, []),
        ("tags", "4.5.3-4.8.2", TAGS, ["4.5.10-4.8.4", "4.7.0-4.9.0"]),
        ("apt", "13.2.3", APT, ["13.2.10", "13.3.0"]),
        ("head", COMMIT, f"{COMMIT}\tHEAD\n", []),
        ("head", COMMIT, "0123abcd\tHEAD\n", ["0123abcd"]),
    ],
)
def test_what_is_newer(client: str, version: str, output: str, expected: list[str]) -> None:
    assert pins.newer(pin(version, client), pins.versions_in(client, output)) == expected


def test_a_commit_after_a_release_is_older_than_the_next_release() -> None:
    assert pins.newer(pin("0.2.2-73b8cc4", "go"), ["v0.2.1", "v0.2.2", "v0.2.3"]) == ["v0.2.3"]


@pytest.mark.parametrize(("client", "output"), [("go", '{"Path": "x"}'), ("pip", "ERROR"), ("apt", ""), ("tags", "")])
def test_an_answer_without_versions(client: str, output: str) -> None:
    assert pins.versions_in(client, output) == []


def test_a_version_that_cannot_be_compared_is_named() -> None:
    with pytest.raises(ValueError, match="latest is no version"):
        pins.newer(pin("latest", "pip"), ["1.0"])


def test_each_pin_of_the_tree_can_be_asked_about_and_compared() -> None:
    found = pins.pins(pins.ROOT)
    artifacts = yaml.safe_load((pins.ROOT / pins.ARTIFACTS).read_text())["_superpod_artifact_pins"]
    assert [each.name for each in found if each.file == pins.ARTIFACTS] == list(artifacts)
    assert {each.client for each in found} == {"go", "pip", "tags", "head", "apt"}
    for each in found:
        assert each.source in pins.command(each)
        if each.client != "head":
            assert pins.newer(each, ["0.0.1"]) == []


def test_prometheus_is_asked_about_by_the_version_of_its_module() -> None:
    (prometheus,) = [each for each in pins.pins(pins.ROOT) if each.name == "prometheus"]
    assert (prometheus.client, prometheus.version[0]) == ("go", "v")


def test_the_matrix_asks_for_the_python_it_runs_with() -> None:
    (first, second) = pins.matrix_pins("script/matrix", 'releases=("2.17.14 3.10" "2.21.5 3.13" "2.21.5 3.12")')
    assert first.options == ("--python-version", "3.10")
    assert (second.version, second.options) == ("2.21.5", ("--python-version", "3.13"))


def test_pins_of_a_requirements_file() -> None:
    text = "# why\nansible-core>=2.17\nsdk==0.0.21 ; python_version >= '3.11' # why\nmolecule\n"
    assert [(each.name, each.version) for each in pins.package_pins("dev.in", text)] == [("sdk", "0.0.21")]


def test_lines() -> None:
    answers = {"1.0": ["1.0.1", "2.0"], "2.0": ["2.0"], "3.0": NotAsked("no way out")}
    asked = [pin(version, "pip") for version in answers]
    said = [re.sub(" +", " ", line) for line in pins.lines(asked, lambda each: answers[each.version])]
    assert said == [
        "it 1.0 1.0.1 or 2.0 (file)",
        "it 2.0 nothing newer (file)",
        "it 3.0 not asked: no way out (file)",
    ]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("echo first >&2; echo 'fatal: no way out' >&2; exit 128", "fatal: no way out"),
        ("exit 3", "git ended with 3"),
        ("echo", "git knows no version of source"),
    ],
)
def test_a_client_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, reason: str
) -> None:
    git = tmp_path / "git"
    git.write_text(f"#!/bin/sh\n{program}\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert pins.ask(pin("1.0", "head")) == NotAsked(reason)


def test_a_client_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pins.ask(pin("1.0", "go")) == NotAsked("go is not installed")


def test_a_client_that_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "apt-cache"
    client.write_text(f"#!/bin/sh\ncat <<'END'\n{APT}END\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert pins.ask(pin("13.2.3", "apt")) == ["13.3.0", "13.2.10", "13.2.3"]
