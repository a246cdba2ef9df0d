# SPDX-License-Identifier: GPL-3.0-or-later
"""The committed files are what the builder makes, and all of it is known to the SDK's typed models."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

pytest.importorskip("grafana_foundation_sdk", reason="the SDK needs Python 3.11")

with warnings.catch_warnings():
    # Grafana's second schema, which the SDK would rather have, is no file that an older Grafana can be given
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    from dashboards import build, round_trip


def test_the_files_are_what_the_builder_makes() -> None:
    committed = {path.name: path.read_text() for path in build.DIRECTORY.glob("*.json")}
    assert committed == build.files(), "run python -m dashboards build"


def test_write_removes_what_no_dashboard_makes(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}")
    build.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(build.files())


@pytest.mark.parametrize("name", build.files())
def test_nothing_is_lost_in_the_typed_models(name: str) -> None:
    assert round_trip.lost((build.DIRECTORY / name).read_text()) == []


@pytest.mark.parametrize(
    ("was", "becomes", "lost"),
    [
        ('"unit": "bytes"', '"unti": "bytes"', "unti"),
        ('"legendFormat"', '"legendformat"', "legendformat"),
        ('"showLegend"', '"showLegends"', "showLegends"),
        ('"lineWidth"', '"linewidth"', "linewidth"),
        ('"gridPos"', '"gridpos"', "gridpos"),
        ('"includeAll"', '"include_all"', "include_all"),
        ('"schemaVersion"', '"schemaversion"', "schemaversion"),
    ],
)
def test_a_misspelt_key_is_lost_and_told(was: str, becomes: str, lost: str) -> None:
    text = (build.DIRECTORY / "superpod-job.json").read_text()
    assert was in text
    paths = round_trip.lost(text.replace(was, becomes, 1))
    assert len(paths) == 1
    assert paths[0].endswith(lost)
