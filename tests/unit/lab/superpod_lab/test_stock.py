# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
from superpod_lab import stock
from superpod_lab.artifacts import Artifact
from superpod_lab.settings import CHECKOUT

STAND_IN = Artifact(str(stock.STAND_INS / "cgroup_exporter"), "stand-in", "a test")
PINS = yaml.safe_load((CHECKOUT / "playbooks/vars/artifacts.yml").read_text())["_superpod_artifact_pins"]


@pytest.fixture(name="image")
def image_with_package(tmp_path: Path) -> Path:
    """An image whose apt cache has a package of node_exporter."""
    image, tree = tmp_path / "image", tmp_path / "tree"
    (image / "var/cache/apt/archives").mkdir(parents=True)
    if shutil.which("dpkg-deb") is not None:
        program = tree / stock.PACKAGED_PROGRAM
        program.parent.mkdir(parents=True)
        program.write_bytes(b"\x7fELF\x02\x01" + bytes(12) + b"\x3e\x00" + b"node_exporter")
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN/control").write_text(
            f"Package: {stock.PACKAGE}\nVersion: 1.5.0-1+b6\nArchitecture: amd64\nMaintainer: x\nDescription: x\n"
        )
        target = image / f"var/cache/apt/archives/{stock.PACKAGE}_1.5.0-1+b6_amd64.deb"
        subprocess.run(["dpkg-deb", "--build", str(tree), str(target)], check=True, capture_output=True)
    return image


def listed(directory: Path) -> set[tuple[str, str, str]]:
    document = json.loads((directory / "manifest.json").read_text())
    return {(entry["name"], entry["version"], entry["origin"]["kind"]) for entry in document["artifacts"]}


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="this machine has no dpkg-deb")
def test_the_directory_is_one_that_the_module_artifact_takes(tmp_path: Path, image: Path) -> None:
    directory = stock.refresh({}, STAND_IN, image, tmp_path / "cache")
    assert listed(directory) == {("node_exporter", "1.5.0", "package")} | {
        (name, version, "stand-in") for name, versions in stock.VERSIONS.items() for version in versions
    }
    for artifact in stock.collection("artifact_directory").load(str(directory)):
        assert stock.collection("artifact_directory").is_complete(str(directory), artifact)
        target = tmp_path / f"{artifact.name}-{artifact.version}"
        target.mkdir()
        stock.collection("artifact_archive").unpack(str(directory / artifact.file), artifact, str(target))
    assert stock.site_variables(directory).endswith('superpod_artifact_pins: {node_exporter: {version: "1.5.0"}}\n')


def test_the_pinned_versions_are_there(tmp_path: Path, image: Path) -> None:
    assert {name: versions[0] for name, versions in stock.VERSIONS.items()} == {
        name: PINS[name]["version"] for name in stock.VERSIONS
    }
    assert PINS["node_exporter"]["version"] == stock.NODE_EXPORTER_PINNED


def test_it_is_made_once_and_again_when_something_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    directory = stock.refresh({}, STAND_IN, tmp_path, cache)
    (directory / "manifest.json").touch()
    when = (directory / "manifest.json").stat().st_mtime_ns
    stock.refresh({}, STAND_IN, tmp_path, cache)
    assert (directory / "manifest.json").stat().st_mtime_ns == when
    monkeypatch.setitem(stock.VERSIONS, "dcgm-exporter", ("4.5.3-4.8.2",))
    stock.refresh({}, STAND_IN, tmp_path, cache)
    assert ("dcgm-exporter", "4.5.2-4.8.1", "stand-in") not in listed(directory)
    assert not list(directory.glob("dcgm-exporter-4.5.2*"))


def test_what_go_built_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    directory = stock.refresh({}, STAND_IN, tmp_path, cache)
    program = directory / "built"
    program.write_bytes(stock.pack("cgroup_exporter", "0.3.4"))
    stock.collection("artifact_directory").add(
        str(directory),
        ("node_exporter", stock.NODE_EXPORTER_PINNED, "any"),
        str(program),
        programs={"node_exporter": ""},
        suffix="",
        origin={"kind": "go"},
    )
    monkeypatch.setitem(stock.VERSIONS, "dcgm-exporter", ("4.5.3-4.8.2",))
    stock.refresh({}, STAND_IN, tmp_path, cache)
    assert ("node_exporter", stock.NODE_EXPORTER_PINNED, "go") in listed(directory)
    assert stock.site_variables(directory) == ""


def test_a_damaged_manifest_is_made_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = stock.refresh({}, STAND_IN, tmp_path, tmp_path / "cache")
    (directory / "manifest.json").write_text("{")
    (tmp_path / "cache" / "site.stamp").unlink()
    stock.refresh({}, STAND_IN, tmp_path, tmp_path / "cache")
    assert "made anew" in capsys.readouterr().err
    assert ("cgroup_exporter", "0.3.4", "stand-in") in listed(directory)


def test_given_programs_take_the_place_of_stand_ins(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    for name in ("cgroup_exporter", "dcgm-exporter"):
        (given / name).write_text("#!/bin/sh\necho real\n")
        (given / name).chmod(0o755)
    environment = {"SUPERPOD_ARTIFACTS": str(given)}
    directory = stock.refresh(
        environment, Artifact(str(given / "cgroup_exporter"), "given", "x"), tmp_path, tmp_path / "cache"
    )
    kinds = {(name, version): kind for name, version, kind in listed(directory)}
    assert kinds["cgroup_exporter", "0.3.4"] == kinds["dcgm-exporter", "4.5.3-4.8.2"] == "given"
    assert kinds["nvidia_gpu_prometheus_exporter", "0.2.2-73b8cc4"] == kinds["cgroup_exporter", "0.3.3"] == "stand-in"
    with tarfile.open(directory / "cgroup_exporter-0.3.4.linux-any.tar") as archive:
        assert archive.getnames() == ["cgroup_exporter-0.3.4.linux-any/cgroup_exporter"]


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("cgroup_exporter", "0.3.3", ["--version"]),
        ("dcgm-exporter", "4.5.2-4.8.1", ["--version"]),
        ("nvidia_gpu_prometheus_exporter", "0.2.2", ["-help"]),
    ],
)
def test_a_stand_in_is_one_file_that_runs(tmp_path: Path, name: str, version: str, words: list[str]) -> None:
    content = stock.pack(name, version)
    assert content == stock.pack(name, version)
    program = tmp_path / name
    program.write_bytes(content)
    program.chmod(0o755)
    done = subprocess.run([str(program), *words], capture_output=True, text=True, check=True, cwd="/")
    if words == ["--version"]:
        assert f"version {version} (lab stand-in" in done.stdout
    else:
        assert "-disable.gpm" not in done.stderr
