# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the project's checks and tests, stage by stage, and counts what passed and what failed.

Called by script/test, which has made the virtual environment before. A stage is a program that ends with 0; stages of
pytest count as the tests they hold, all others as one. Their output goes to .cache/test/<stage>.log, a report of pytest
to .cache/test/<stage>.xml; of one that fails the likely reasons are shown at once, and its end when all are done. The
last line printed is ``N passed, N failed``; the exit code is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from ansible_command import plain, warnings

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / ".cache" / "test"
COLLECTION = ROOT / ".collections/ansible_collections/superpod/monitoring"
SHOWN_REASONS, SHOWN_LINES = 12, 60
# At a time: two stages leave a part of two cores unused, a third takes it. Each has a lab of its own, if it boots one.
LAB_IDS = ("1", "2", "3")
# What differs between releases is the plugins' interface, and before 2.19 the templating of what the roles write.
# That a node is put right and then left alone is shown with each release by tests/lab/test_cores.py.
MATRIX_TESTS = ("tests/unit/plugins",)
MATRIX_TESTS_OF_OLDEST = (*MATRIX_TESTS, "tests/unit/roles")
ROLE_MONITOR_TESTS = "tests/unit/files/role_monitor"
# every branch of what stops and removes
DECISION_COVERAGE = ("--cov=superpod_role_monitor.decision", "--cov-branch", "--cov-fail-under=100")
IMPORT = re.compile(r"^  ansible\.builtin\.import_playbook: (verify/\S+)$", re.MULTILINE)
UNIT_ELSEWHERE = ("--ignore=tests/unit/plugins", f"--ignore={ROLE_MONITOR_TESTS}")

REASON = re.compile(
    r"^(?:E  |FAILED |ERROR )|\[(?:ERROR|WARNING|DEPRECATION WARNING)\]|fatal: |FAILED! |failed: \[|: error: "
)


@dataclass(frozen=True)
class Stage:
    name: str
    argv: list[str]
    quick: bool = False
    """One of --quick; without `whole` of nothing else."""
    whole: bool = True
    reported: bool = False
    """It counts as the tests of its report."""
    alone: bool = False
    quiet: bool = False
    """It fails if Ansible warns of anything."""
    cwd: Path = ROOT
    env: dict[str, str] = field(default_factory=dict)
    emptied: Path | None = None
    """A directory of its own, in which nothing of an earlier run may be."""


@dataclass(frozen=True)
class Outcome:
    stage: Stage
    passed: int
    failed: int
    skipped: int


def tracked(*patterns: str) -> list[str]:
    """Files that git knows or would take, by pathspec."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def shell_scripts() -> list[str]:
    def is_shell(name: str) -> bool:
        with (ROOT / name).open("rb") as file:
            first = file.readline(80)
        return first.startswith(b"#!") and (b"bash" in first or b"/sh" in first)

    return [name for name in tracked() if "." not in Path(name).name or name.endswith(".sh") if is_shell(name)]


def matrix() -> list[tuple[str, str]]:
    """The other releases of ansible-core that script/matrix has installed: release, Python."""
    listing = ROOT / ".cache" / "matrix" / "list"
    return [(line.split()[0], line.split()[1]) for line in listing.read_text().splitlines()] if listing.exists() else []


def imported_by_scenarios() -> set[str]:
    """What the playbooks verify.yml of scenarios import."""
    playbooks = (ROOT / "molecule").glob("*/verify.yml")
    return {
        f"{path.parent.relative_to(ROOT)}/{name}" for path in playbooks for name in IMPORT.findall(path.read_text())
    }


def stages() -> list[Stage]:
    def pytest(
        name: str,
        *args: str,
        quick: bool = False,
        whole: bool = True,
        python: str = sys.executable,
        env: dict[str, str] | None = None,
    ) -> Stage:
        made = f"--junitxml={LOGS / (name + '.xml')}"
        return Stage(name, [python, "-m", "pytest", made, *args], quick, whole, reported=True, env=env or {})

    def lab(name: str) -> Stage:
        return pytest(name, "-rP", f"tests/{name}", env={"SUPERPOD_LAB_TESTS": "1"})

    def scenario(name: str, reported: bool = False) -> Stage:
        # Molecule's own choice of a place is the same for all checkouts of one name: what another one left would count.
        place = LOGS.parent / "molecule" / name
        environment = {"MOLECULE_EPHEMERAL_DIRECTORY": str(place)}
        argv = ["molecule", "test", "-s", name]
        return Stage(f"molecule-{name}", argv, reported=reported, quiet=True, env=environment, emptied=place)

    ansible_lint = ["ansible-lint", "--offline", "--strict", "--nocolor", "-q"]
    # Named, for what a playbook of a scenario imports would else have its syntax checked twice: as a file, and there.
    imported = imported_by_scenarios()
    linted = ["roles", "plugins", *(name for name in tracked("*.yml", "*.yaml") if name not in imported)]
    cores = [
        pytest(f"core-{core}", "-n", "2", *(MATRIX_TESTS if number else MATRIX_TESTS_OF_OLDEST), python=python)
        for number, (core, python) in enumerate(matrix())
    ]
    # the longest first, so that all end together
    return [
        scenario("default"),
        lab("upkeep"),
        scenario("prometheus"),
        lab("lab"),
        scenario("job", reported=True),
        scenario("slurm"),
        scenario("grafana"),
        lab("image"),
        scenario("exporters"),
        lab("admin"),
        *cores,
        pytest("unit", "-n", "2", "-m", "not plays", "tests/unit", quick=True, whole=False),
        # the plugins' own are in `units`, the role monitor's in `decision-coverage`
        pytest("unit-rest", "-n", "2", "-m", "not plays", *UNIT_ELSEWHERE, "tests/unit"),
        pytest("plays", "-n", "2", "-m", "plays", "tests/unit"),
        Stage("ansible-lint", [*ansible_lint, *linted]),
        # what is released; the rest, scenarios above all, takes twice as long
        Stage("ansible-lint-released", [*ansible_lint, "roles", "playbooks"], quick=True, whole=False),
        Stage("sanity", ["tests/ansible-test", "sanity"]),
        Stage("units", ["tests/ansible-test", "units"], reported=True),
        pytest("faults", "-rP", "tests/faults"),
        Stage("lab-selftest", ["lab/selftest"]),
        pytest("dashboards", "tests/dashboards"),
        pytest("decision-coverage", *DECISION_COVERAGE, ROLE_MONITOR_TESTS),
        Stage(
            "antsibull-docs",
            ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs", "self", "."],
            quick=True,
            cwd=COLLECTION,
        ),
        Stage("mypy", ["mypy"], quick=True),
        # the daemon sees plugins/module_utils as its own package, which files/role_monitor has a link for
        Stage(
            "mypy-daemon",
            [
                "mypy",
                "files/bcm_role_monitor.py",
                "files/role_monitor/superpod_role_monitor",
                "--cache-dir",
                ".cache/mypy-daemon",
            ],
            quick=True,
            env={"MYPYPATH": "files/role_monitor"},
        ),
        # the typed builder's library asks for 3.11
        Stage(
            "mypy-dashboards",
            ["mypy", "--python-version", "3.11", "--cache-dir", ".cache/mypy-dashboards", "dashboards"],
            quick=True,
        ),
        Stage("shellcheck", ["shellcheck", "-x", *shell_scripts()], quick=True),
        Stage("yamllint", ["yamllint", "--strict", *tracked("*.yml", "*.yaml")], quick=True),
        Stage("reuse", ["reuse", "lint", "--quiet"], quick=True),
        Stage("antsibull-changelog", ["antsibull-changelog", "lint"], quick=True, cwd=COLLECTION),
        Stage("ruff-check", ["ruff", "check"], quick=True),
        Stage("ruff-format", ["ruff", "format", "--check"], quick=True),
        # compares what labs share, such as ip_forward, before and after
        Stage("lab-crashtest", ["lab/crashtest"], alone=True),
    ]


def failures(report: str) -> list[str]:
    """Each test that a report of pytest says has failed, with the first line that says why."""
    cases = ET.fromstring(report).iter("testcase")
    found = [(case, fault) for case in cases for kind in ("failure", "error") for fault in case.findall(kind)]
    whys = [(fault.get("message") or "").strip().partition("\n")[0] for _case, fault in found]
    return [f"{case.get('classname')}::{case.get('name')}: {why}" for (case, _fault), why in zip(found, whys)]


def reasons(log: str, failed: Sequence[str] = ()) -> list[str]:
    """What is likely to say why a stage failed, not too much: its failed tests, or lines of its log, or its end."""
    lines = [line.strip() for line in plain(log) if line.strip()]
    return (list(failed) or [line for line in lines if REASON.search(line)] or lines)[-SHOWN_REASONS:]


def reports(stage: Stage) -> list[str]:
    """What pytest, run once or several times, has reported of a stage."""
    return [path.read_text() for path in files_of_reports(stage)] if stage.reported else []


def files_of_reports(stage: Stage) -> list[Path]:
    return [*LOGS.glob(f"{stage.name}.xml"), *sorted(LOGS.glob(f"{stage.name}.*.xml"))]


def count(stage: Stage, returncode: int) -> Outcome:
    """Tests of a finished stage; a stage that died without a report, or of what is not in it, counts as one failure."""
    found = reports(stage)
    if not found:
        return Outcome(stage, *((1, 0) if returncode == 0 else (0, 1)), skipped=0)
    suites = [suite for report in found for suite in ET.fromstring(report).iter("testsuite")]
    total, bad, skipped = (
        sum(int(suite.get(key, 0)) for suite in suites for key in keys)
        for keys in (("tests",), ("failures", "errors"), ("skipped",))
    )
    return Outcome(stage, total - bad - skipped, bad or (1 if returncode else 0), skipped)


def run(stage: Stage, free_labs: SimpleQueue[str]) -> Outcome:
    lab_id = free_labs.get()
    try:
        return run_in_lab(stage, lab_id)
    finally:
        free_labs.put(lab_id)


def run_in_lab(stage: Stage, lab_id: str) -> Outcome:
    log = LOGS / f"{stage.name}.log"
    for old in files_of_reports(stage):
        old.unlink()
    if stage.emptied:
        shutil.rmtree(stage.emptied, ignore_errors=True)
    began = time.monotonic()
    print(f"     {stage.name} ...", flush=True)
    with log.open("w") as out:
        try:
            started = subprocess.Popen(
                stage.argv, cwd=stage.cwd, env={**os.environ, "LAB_ID": lab_id, **stage.env}, stdout=out, stderr=out
            )
            _pid, status, used = os.wait4(started.pid, 0)
            started.returncode = returncode = os.waitstatus_to_exitcode(status)
            processor = used.ru_utime + used.ru_stime
        except OSError as error:
            out.write(f"{error}\n")
            returncode, processor = 127, 0.0
        if stage.quiet and (lines := warnings(log.read_text(errors="replace"))):
            out.write("\n".join(["", "Ansible warns:", *lines, ""]))
            returncode = returncode or 1
    outcome = count(stage, returncode)
    counts = f"{outcome.passed} passed, {outcome.failed} failed"
    if outcome.skipped:
        counts += f", {outcome.skipped} skipped"
    # what runs on a lab's hosts is not in the processor's time
    took = f"{time.monotonic() - began:.0f} s, {processor:.0f} s of processor"
    print(f"{'FAIL' if outcome.failed else 'ok  '} {stage.name} ({counts}, {took})", flush=True)
    if outcome.failed:
        failed = [line for report in reports(stage) for line in failures(report)]
        print(indented(reasons(log.read_text(errors="replace"), failed)), flush=True)
    return outcome


def indented(lines: list[str]) -> str:
    return "\n".join(f"     | {line}" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/test", description="Runs everything that CI runs.")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="lint and unit tests only, without the lab")
    length.add_argument("--full", action="store_true", help="the long sequences too")
    parser.add_argument("--only", metavar="STAGE", action="append", help="only this stage (may be given again)")
    args = parser.parse_args()

    chosen = [stage for stage in stages() if (stage.quick if args.quick else stage.whole or args.only)]
    if args.only:
        unknown = set(args.only) - {stage.name for stage in chosen}
        if unknown:
            parser.error(f"no stage {', '.join(sorted(unknown))}; there are {', '.join(s.name for s in chosen)}")
        chosen = [stage for stage in chosen if stage.name in args.only]

    LOGS.mkdir(parents=True, exist_ok=True)
    # What was compiled once is used by every stage; not beside the sources, where tests look which files there are.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(ROOT / ".cache" / "pycache")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ.setdefault("SUPERPOD_TEST_FULL", "1" if args.full else "")
    free_labs: SimpleQueue[str] = SimpleQueue()
    for lab_id in LAB_IDS:
        free_labs.put(lab_id)
    with ThreadPoolExecutor(max_workers=len(LAB_IDS)) as pool:
        outcomes = list(pool.map(lambda stage: run(stage, free_labs), [stage for stage in chosen if not stage.alone]))
    outcomes += [run(stage, free_labs) for stage in chosen if stage.alone]

    for outcome in outcomes:
        if outcome.failed:
            log = LOGS / f"{outcome.stage.name}.log"
            print(f"---- the end of {log}:", indented(plain(log.read_text(errors="replace"))[-SHOWN_LINES:]), sep="\n")
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
