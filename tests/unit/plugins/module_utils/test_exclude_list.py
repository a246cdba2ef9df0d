# SPDX-License-Identifier: GPL-3.0-or-later
"""Exclude lists, as BCM writes them, against rsync itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.exclude_list import escaped, parse
from bcm_simulator.exclude_lists import EXCLUDE_LISTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.skipif(
    shutil.which("rsync") is None, reason="rsync is not installed (script/bootstrap has it)"
)
FULL = os.environ.get("SUPERPOD_TEST_FULL") == "1"

# Directories end in "/".
_NAMES = """
    a/ a/b/ a/b/c a/b/cc a/bb a/x.key a/b/x.key b/ b/a b/b/ b/b/b/ b/b/b/c c x.key x[1] x1 a/* a/\\* etc/ etc/systemd/
    etc/systemd/system/ etc/systemd/system/m.wants/ etc/systemd/system/m.wants/munge.service
    etc/systemd/system/munge.service lost+found/ lost+found/z home/ home/lost+found aa a-b B
"""
TREE = _NAMES.split()


@pytest.fixture(scope="module")
def tree() -> t.Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for name in TREE:
            if name.endswith("/"):
                (root / name).mkdir(parents=True)
            else:
                (root / name).touch()
        yield root


def taken_by_rsync(root: Path, rules: str, scratch: Path) -> set[str]:
    """What rsync would copy of the tree to an empty directory, by these rules."""
    filters = scratch / "rules"
    filters.write_text(rules + "\n")
    command = ["rsync", "--recursive", "--dry-run", "--list-only", f"--filter=merge {filters}", f"{root}/"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = set()
    for line in done.stdout.splitlines():
        name = line.split(None, 4)[4].replace("\\#134", "\\")
        if name != ".":
            names.add(name + "/" if line.startswith("d") else name)
    return names


def taken(rules: str) -> set[str]:
    """The same, by our reading."""
    parsed = parse(rules)
    assert not parsed.unknown
    return {name for name in TREE if parsed.excluding("/" + name.rstrip("/"), name.endswith("/")) is None}


@pytest.mark.parametrize(
    "rules",
    [
        "- /a",
        "- a",
        "- a/",
        "- /a/*",
        "- /a/**",
        "- /a/***",
        "- a/***",
        "- a/b",
        "- b/c",
        "- /b/c",
        "- b/b",
        "- **/c",
        "- **c",
        "- /**/c",
        "- /a/**/c",
        "- a**c",
        "- b/**",
        "- b**",
        "- *.key",
        "- /*.key",
        "- a/*.key",
        "- **.key",
        "- x?",
        "- x[[]1]",
        r"- x\[1\]",
        r"- x\[1\]*",
        "- x[1]",
        "- x[!0]",
        "- x[^1]*",
        "- [a-b]",
        "- [[:upper:]]",
        "- [[:alpha:]-]*",
        "- a[/]b",
        "- a?b",
        "- [",
        "- x[",
        "- []x]",
        "- lost+found/",
        "- /etc/systemd/system/*.wants/munge.service",
        "- /etc/systemd/*",
        "- *",
        "- **",
        "- /*",
        "- ***",
        r"- a/\*",
        r"- a/\\*",
        "+ /a/b/\n- /a/*",
        "+ /a/b/c\n- /a/*",
        "+ c\n- **",
        "+ */\n+ x.key\n- *",
        "- /a/b\n+ /a/b/c",
        "include /a/b\nexclude /a/*",
        "# nothing\n\n- /c\n",
        "- /a/b/",
        "- c/",
        "- /b/*/",
        "- /b/**/",
        "- **/",
        "- **/b/",
        "- b/***",
        "- **/b/***",
    ],
)
def test_as_rsync(rules: str, tree: Path, tmp_path: Path) -> None:
    assert taken(rules) == taken_by_rsync(tree, rules, tmp_path)


_PIECE = st.sampled_from(["a", "b", "c", "x", "*", "**", "?", "/", "[ab]", "[!a]", ".key", "\\*", "*"])
_PATTERN = st.builds("".join, st.lists(_PIECE, min_size=1, max_size=6)).filter(
    lambda text: not text.startswith("//") and "//" not in text and text != "/"
)
_LINE = st.builds(lambda sign, text: f"{sign} {text}", st.sampled_from("--+"), _PATTERN)


@settings(max_examples=600 if FULL else 60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(_LINE, min_size=1, max_size=4))
def test_any_rules_as_rsync(lines: list[str], tree: Path, tmp_path: Path) -> None:
    rules = "\n".join(lines)
    assert taken(rules) == taken_by_rsync(tree, rules, tmp_path)


@given(path=st.text("ab*?[]\\/.", min_size=1, max_size=8).map(lambda text: "/" + text.strip("/")))
def test_an_escaped_path_means_itself(path: str) -> None:
    if path.strip("/") and "//" not in path and "\\" not in path:
        assert parse(f"- {escaped(path)}").excluding(path) is not None


def test_the_two_kinds_of_rules_of_a_sync() -> None:
    parsed = parse("- /var/log/*\nno-new-files: - /cm/shared/*\nno-new-files: - lost+found/\n")
    assert parsed.excluding("/var/log/syslog") is not None
    assert parsed.barring("/var/log/syslog") is None
    assert parsed.excluding("/cm/shared/apps/x") is not None
    rule = parsed.barring("/cm/shared/apps/x")
    assert rule is not None
    assert rule.text == "no-new-files: - /cm/shared/*"
    assert parsed.barring("/home/lost+found", directory=True) is not None
    assert parsed.barring("/home/lost+found") is None
    assert parsed.excluding("/cm/shared", directory=True) is None


@pytest.mark.parametrize(
    "line", ["/no/sign", "-/no/blank", "merge /x", "P /x", "- /", "!", "-! /x", "no-new-files: /x", "-"]
)
def test_a_line_that_is_no_known_rule_is_said(line: str) -> None:
    parsed = parse(f"- /a\n  {line}\n")
    assert parsed.unknown == (line,)
    assert len(parsed.rules) == 1


@pytest.mark.parametrize("name", sorted(EXCLUDE_LISTS))
def test_the_lists_of_bcm_are_understood(name: str) -> None:
    parsed = parse(EXCLUDE_LISTS[name])
    assert parsed.rules
    assert parsed.unknown == ()


def test_what_bcm_keeps_of_its_own() -> None:
    grab, update = parse(EXCLUDE_LISTS["excludelistgrab"]), parse(EXCLUDE_LISTS["excludelistupdate"])
    assert grab.excluding("/cm/local/apps/cmd/etc/cert.key") is not None
    assert update.excluding("/cm/local/apps/cmd/etc/cert.key") is not None
    # what the seeds took for granted
    for path in ("/etc/machine-id", "/etc/bcm-role-monitor/client.key", "/var/lib/prometheus/metrics2/wal"):
        assert grab.excluding(path) is None
        assert update.excluding(path) is None
