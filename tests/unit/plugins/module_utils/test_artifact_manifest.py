# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils import artifact_manifest
from ansible_collections.superpod.monitoring.plugins.module_utils.artifact_manifest import (
    Artifact,
    ManifestError,
    Program,
)
from hypothesis import given, settings
from hypothesis import strategies as st

word = st.builds(str.__add__, st.sampled_from("aZ9"), st.text("a.9_+-", max_size=4))
sha256 = st.sampled_from(["0" * 64, "0123456789abcdef" * 4])
size = st.integers(1, 10**12)
program = st.builds(Program, word, st.text(), sha256, size)
artifact = st.builds(
    Artifact,
    name=word,
    version=word,
    arch=st.sampled_from(artifact_manifest.ARCHITECTURES),
    file=word,
    sha256=sha256,
    size=size,
    programs=st.lists(program, min_size=1, max_size=3, unique_by=lambda p: p.name).map(
        lambda programs: tuple(sorted(programs, key=lambda p: p.name))
    ),
    origin=st.dictionaries(st.text(), st.text(), max_size=2),
)
artifacts = st.lists(artifact, max_size=5, unique_by=lambda a: a.key)


@settings(deadline=None, max_examples=40)
@given(artifacts)
def test_what_is_written_is_read_back_whatever_the_order(written: list[Artifact]) -> None:
    text = artifact_manifest.serialize(written)
    read = artifact_manifest.parse(text)
    assert sorted(read, key=lambda a: a.key) == sorted(written, key=lambda a: a.key)
    assert artifact_manifest.serialize(reversed(written)) == text


@settings(deadline=None, max_examples=40)
@given(artifacts, artifact)
def test_replace_leaves_one_of_a_kind(written: list[Artifact], new: Artifact) -> None:
    result = artifact_manifest.replace(written, new)
    assert [a for a in result if a.key == new.key] == [new]
    assert {a.key for a in result} == {a.key for a in written} | {new.key}
    assert artifact_manifest.find(result, *new.key) == new


def entry(**changes: Any) -> dict[str, Any]:
    good: dict[str, Any] = {
        "name": "tool",
        "version": "1.0",
        "arch": "amd64",
        "file": "tool.tar.gz",
        "sha256": "0" * 64,
        "size": 1,
        "programs": {"tool": {"member": "x/tool", "sha256": "1" * 64, "size": 1}},
        "origin": {},
    }
    return good | changes


def manifest(*entries: object) -> bytes:
    return json.dumps({"schema": 1, "artifacts": entries}).encode()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "schema 1"),
        (b'{"schema": 2, "artifacts": []}', "schema 1"),
        (b'{"schema": 1}', "no list"),
        (manifest(3), "must be an object, not int"),
        (manifest(entry(name="../x")), "the name '../x' must consist of"),
        (manifest(entry(version="a/b")), "tool: the version 'a/b'"),
        (manifest(entry(version=None)), "tool: the version None"),
        (manifest(entry(file=".hidden")), "the file '.hidden'"),
        (manifest(entry(arch="s390x")), "none of amd64, arm64, any"),
        (manifest(entry(sha256="0" * 63)), "64 digits"),
        (manifest(entry(size=0)), "number of bytes"),
        (manifest(entry(size=True)), "number of bytes"),
        (manifest(entry(programs={})), "no programs"),
        (manifest(entry(programs={"a/b": {"member": "", "sha256": "1" * 64, "size": 1}})), "'a/b'"),
        (manifest(entry(programs={"a": {"sha256": "1" * 64, "size": 1}})), "with member"),
        (manifest(entry(programs={"a": {"member": "", "sha256": "x", "size": 1}})), "tool 1.0: a: sha256"),
        (manifest(entry(origin=[])), "origin"),
        (manifest(entry(), entry()), "tool 1.0 amd64 stands in it twice"),
    ],
)
def test_bad_manifests_are_refused_in_one_sentence(text: bytes, complaint: str) -> None:
    with pytest.raises(ManifestError, match=complaint.replace("..", r"\.\.")) as raised:
        artifact_manifest.parse(text)
    assert "\n" not in str(raised.value)


@settings(deadline=None, max_examples=40)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda j: st.lists(j) | st.dictionaries(st.text(), j)
    )
)
def test_any_json_is_a_manifest_or_refused(document: Any) -> None:
    for text in (json.dumps(document).encode(), manifest(document), manifest(entry(programs=document))):
        with contextlib.suppress(ManifestError):
            artifact_manifest.parse(text)


def test_candidates_by_architecture_and_the_only_version() -> None:
    listed = artifact_manifest.parse(
        manifest(entry(), entry(arch="arm64"), entry(name="other", version="1"), entry(name="other", version="2"))
    )
    assert set(artifact_manifest.candidates(listed, "tool", None)) == {"amd64", "arm64"}
    assert artifact_manifest.candidates(listed, "tool", "2.0") == {}
    with pytest.raises(ManifestError, match="the versions 1, 2 of other; say which one"):
        artifact_manifest.candidates(listed, "other", None)
    with pytest.raises(ManifestError, match="no version of nothing"):
        artifact_manifest.candidates(listed, "nothing", None)
