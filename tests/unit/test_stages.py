# SPDX-License-Identifier: GPL-3.0-or-later
"""tests/run.py: nothing is left out, and a warning of Ansible's is a failure."""

from __future__ import annotations

from pathlib import Path

import pytest
import run
from ansible_command import assert_warns, warnings

ROOT = Path(__file__).resolve().parents[2]
STAGES = {stage.name: stage for stage in run.stages()}
# run by a scenario, or what tests are made of
NO_STAGE = {"job", "fixtures", "mutation", "sanity", "__pycache__"}


def test_every_scenario_and_every_directory_of_tests_has_a_stage() -> None:
    assert len(STAGES) == len(run.stages())
    scenarios = {path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")}
    assert {f"molecule-{name}" for name in scenarios} <= STAGES.keys()
    directories = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} - NO_STAGE
    given = {word for stage in STAGES.values() for word in stage.argv}
    assert {f"tests/{name}" for name in directories} <= given


def test_what_is_quick_is_a_part_of_the_whole_but_for_a_part_of_a_stage() -> None:
    assert [name for name, stage in STAGES.items() if not stage.whole] == ["unit", "ansible-lint-released"]
    assert all(stage.quick for stage in STAGES.values() if not stage.whole)


def test_every_playbook_is_linted_as_a_file_or_where_a_scenario_imports_it() -> None:
    imported, linted = run.imported_by_scenarios(), STAGES["ansible-lint"].argv
    files = set(run.tracked("*.yml", "*.yaml"))
    assert imported
    assert imported <= files
    assert files - imported == set(linted) & files


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("[WARNING]: Could not match supplied host pattern", True),
        ("  \x1b[2m|\x1b[0m \x1b[1;35m[DEPRECATION WARNING]: old\x1b[0m", True),
        ("WARNING  Molecule scenarios should migrate", False),
        ("TASK [superpod.monitoring.x : Say that nobody WARNS]", False),
    ],
)
def test_what_counts_as_a_warning(line: str, is_one: bool) -> None:
    assert bool(warnings(f"ok: [x]\n{line}\n")) is is_one


@pytest.mark.parametrize(
    ("expected", "fault"),
    [(["old", "new"], ""), (["old"], "new"), (["old", "new", "other"], "no warning of"), ([], "old")],
)
def test_a_run_on_a_lab_warns_of_what_its_test_names_and_of_nothing_else(expected: list[str], fault: str) -> None:
    said = "ok: [x]\n[DEPRECATION WARNING]: old\n\x1b[1;35m[WARNING]: new\x1b[0m\n"
    if not fault:
        assert_warns(said, expected)
    else:
        with pytest.raises(AssertionError, match=fault):
            assert_warns(said, expected)


def test_why_a_stage_failed_is_shown_first_and_shortly() -> None:
    log = "\n".join(
        [*(f"ok: [{n}]" for n in range(99)), "\x1b[31mfatal: [dgx-01]: FAILED! => no room\x1b[0m", *["end"] * 99]
    )
    assert run.reasons(log) == ["fatal: [dgx-01]: FAILED! => no room"]
    assert run.reasons("one\n\ntwo\n") == ["one", "two"]
    assert len(run.reasons("E   assert False\n" * 99)) == run.SHOWN_REASONS
    report = """<testsuites><testsuite><testcase classname="jobs" name="one"/><testcase classname="jobs" name="two">
    <failure message="no room&#10;more">all</failure></testcase></testsuite></testsuites>"""
    assert run.reasons(log, run.failures(report)) == ["jobs::two: no room"]


def test_a_scenario_finds_nothing_of_an_earlier_run() -> None:
    scenarios = [stage for name, stage in STAGES.items() if name.startswith("molecule-")]
    places = {stage.env["MOLECULE_EPHEMERAL_DIRECTORY"] for stage in scenarios}
    assert len(places) == len(scenarios) > 0
    assert all(str(stage.emptied) in places and run.LOGS not in stage.emptied.parents for stage in scenarios)


def test_a_stage_counts_as_the_tests_of_all_its_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LOGS", tmp_path)
    stage = run.Stage("units", [], reported=True)
    assert run.count(stage, 0) == run.Outcome(stage, passed=1, failed=0, skipped=0)
    suite = '<testsuites><testsuite tests="{}" failures="{}" errors="0" skipped="1"/></testsuites>'
    (tmp_path / "units.modules.xml").write_text(suite.format(5, 0))
    (tmp_path / "units.controller.xml").write_text(suite.format(4, 0))
    (tmp_path / "units-other.xml").write_text(suite.format(9, 9))
    assert run.count(stage, 0) == run.Outcome(stage, passed=7, failed=0, skipped=2)
    assert run.count(stage, 2) == run.Outcome(stage, passed=7, failed=1, skipped=2), "something outside of the tests"
    (tmp_path / "units.modules.xml").write_text(suite.format(5, 3))
    assert run.count(stage, 1) == run.Outcome(stage, passed=4, failed=3, skipped=2)
