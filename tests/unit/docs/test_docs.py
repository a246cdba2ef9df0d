# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages hold together: links lead somewhere, what they name exists, what a run says is explained."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from script.maintenance import variables

ROOT = Path(__file__).parents[3]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
VARIABLE = re.compile(r"(?<![\w/.-])((?:%s|superpod|guided_setup)_[a-z0-9_]+)(\*|\.\w+)?")
# What looks like a variable in a page and is another thing.
NO_VARIABLES = {
    "superpod_monitoring": "a package",
    "superpod_role_monitor": "a package",
    "superpod_lab": "a package",
    "superpod_shard": "a label",
    "superpod_x": "an example",
}


def listed(*patterns: str) -> list[str]:
    """Files that git knows or would take."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted(name for name in names if name and (ROOT / name).is_file())


PAGES = listed("*.md")
EXPLAINED = [name for name in PAGES if name.startswith("docs/") or "/" not in name]


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def without_code(text: str) -> str:
    """A page without code blocks and code, in which nothing is a link or a heading."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL))


@cache
def anchors(name: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    blocks_gone = re.sub(r"^(```|~~~).*?^\1", "", text_of(name), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", blocks_gone, flags=re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        number = 0
        while (anchor := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(anchor)
    return found


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    wrong = []
    for target in LINK.findall(without_code(text_of(name))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / name).parent / path if path else ROOT / name
        if not there.exists() or (anchor and anchor not in anchors(str(there.resolve().relative_to(ROOT)))):
            wrong.append(target)
    assert wrong == []


def test_anchors_are_as_github_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    page = "# A `role_x`, and *more*\n## Twice\n```\n# no heading\n```\n## Twice\n### [Link](x.md)'s end?\n"
    monkeypatch.setattr(f"{__name__}.text_of", lambda _name: page)
    assert anchors.__wrapped__("page") == {"a-role_x-and-more", "twice", "twice-1", "links-end"}


@cache
def known_variables() -> frozenset[str]:
    known = set(variables.SHARED)
    for spec in listed("roles/*/meta/argument_specs.yml"):
        known |= set(yaml.safe_load(text_of(spec))["argument_specs"]["main"]["options"])
    for playbook in listed("playbooks/*.yml"):
        known |= set(variables.playbook_head(Path(playbook).stem, text_of(playbook)).variables)
    return frozenset(known)


def checks_in(text: str) -> set[str]:
    """The first cells of docs/verify.md's tables: names of checks, some of which begin as variables do."""
    return {word for cell in re.findall(r"^\| (.*?) \|", text, re.MULTILINE) for word in re.findall(r"`(\w+)`", cell)}


def named_variables(text: str) -> Iterator[tuple[str, str]]:
    """Words that are a variable by their form, with what follows them: a star, a file's suffix or nothing."""
    roles = "|".join(sorted(path.parts[-1] for path in (ROOT / "roles").iterdir()))
    yield from re.findall(VARIABLE.pattern % roles, text)


@pytest.mark.parametrize("name", EXPLAINED)
def test_every_variable_that_a_page_names_exists(name: str) -> None:
    wrong = set()
    others = NO_VARIABLES.keys() | (checks_in(text_of(name)) if name == "docs/verify.md" else set())
    if name == "docs/benchmarks.md":  # its first column has measures, some of which begin so, too
        others |= set(re.findall(r"^\| (\S+) \|", text_of(name), re.MULTILINE))
    for word, follows in named_variables(text_of(name)):
        if word in others or re.fullmatch(r"\.(yml|md|json|py|j2)", follows):
            continue
        if follows == "*":
            if not any(known.startswith(word) for known in known_variables()):
                wrong.add(word + follows)
        elif word not in known_variables():
            wrong.add(word)
    assert wrong == set()


@cache
def known_names() -> frozenset[str]:
    """Playbooks, roles and plugins: what can stand behind superpod.monitoring."""
    plugins = {Path(path).stem for path in listed("plugins/*/*.py") if "_utils/" not in path}
    roles = {Path(path).parts[1] for path in listed("roles/*/tasks/main.yml")}
    return frozenset(plugins | roles | {Path(path).stem for path in listed("playbooks/*.yml")})


@pytest.mark.parametrize("name", EXPLAINED)
def test_every_playbook_role_and_plugin_that_a_page_names_exists(name: str) -> None:
    text = re.sub(r"[^\s`'\"]*/superpod\.monitoring\b", "", text_of(name))
    assert set(re.findall(r"\bsuperpod\.monitoring\.([a-z_]+)\b", text)) - known_names() == set()


@pytest.mark.parametrize("name", EXPLAINED)
def test_every_tag_that_a_page_names_is_a_role(name: str) -> None:
    tags = {tag for group in re.findall(r"--tags[ =]([\w,]+)", text_of(name)) for tag in group.split(",")}
    assert tags - known_names() - {"ROLE"} == set()


def constants(message: str) -> list[str]:
    """The fixed parts of a message that are long enough to be searched for."""
    parts = re.split(r"\{\{.*?\}\}", " ".join(message.split()))
    return [part.strip(" ()'.,:;") for part in parts if len(part.strip()) > 11]


def fail_messages() -> Iterator[tuple[str, str]]:
    def below(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "fail_msg":
                    yield str(value)
                else:
                    yield from below(value)
        elif isinstance(node, list):
            for each in node:
                yield from below(each)

    for file in listed("roles/*/tasks/*.yml", "playbooks/*.yml"):
        for message in below(yaml.safe_load(text_of(file))):
            yield file, message


def test_what_a_run_says_is_explained() -> None:
    """A failed check of a role or playbook has its line: some words of the message stand in the page as code."""
    page = text_of("docs/troubleshooting.md")
    quoted = [part for code in re.findall(r"`([^`\n]+)`", page) for part in code.split("...")]
    words = [each.strip(" ()'.,:;") for each in quoted if len(each.strip()) > 11]
    missing = [
        (file, message)
        for file, message in fail_messages()
        if constants(message) and not any(word in part or part in word for part in constants(message) for word in words)
    ]
    assert missing == [], "give these a line in docs/troubleshooting.md, below What a run says"


def test_the_index_has_every_page() -> None:
    linked = {target.partition("#")[0] for target in LINK.findall(text_of("docs/README.md"))}
    pages = {Path(name).name for name in PAGES if name.startswith("docs/")} - {"README.md"}
    assert pages - linked == set(), "give it a line in docs/README.md"


@pytest.mark.parametrize("name", EXPLAINED)
def test_every_row_of_a_table_has_its_cells(name: str) -> None:
    """A bar inside a cell, in code too, begins another cell unless it is escaped."""
    blocks_gone = re.sub(r"^(```|~~~).*?^\1", "", text_of(name), flags=re.MULTILINE | re.DOTALL)
    wrong, cells = [], 0
    for line in blocks_gone.splitlines():
        if not line.startswith("|"):
            cells = 0
            continue
        found = len(re.findall(r"(?<!\\)\|", line))
        cells = cells or found
        if found != cells:
            wrong.append(line)
    assert wrong == []
