# SPDX-License-Identifier: GPL-3.0-or-later
"""ARCHITECTURE.md's table of parts says what the tree's imports and includes say."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[2]
RELEASED = ("files", "inventory", "playbooks", "plugins", "roles")
PACKAGES = {
    "ansible_collections.superpod.monitoring.plugins": "plugins",
    "superpod_monitoring": "plugins/module_utils",
    "superpod_role_monitor": "files/role_monitor/superpod_role_monitor",
}
# In YAML and templates: a module, role or playbook that is called, a filter, lookup or test that is applied.
CALLED = re.compile(
    r"""^\s*-?\s*superpod\.monitoring\.(\w+):
    |(?:role|name|import_playbook|plugin|callbacks_enabled):\s*superpod\.monitoring\.(\w+)
    |-\s+superpod\.monitoring\.(\w+)\s*$
    |\|\s*superpod\.monitoring\.(\w+)
    |(?:lookup|query)\(\s*'superpod\.monitoring\.(\w+)
    |\sis\s+superpod\.monitoring\.(\w+)""",
    re.VERBOSE | re.MULTILINE,
)
# ... and what is shipped: a path below files/, or one that follows a variable with that directory.
SHIPPED = re.compile(
    r"\b((?:dashboards|role_monitor|rules|slurm|slurm_controller)/[\w./-]*)"
    r"|files/((?:dashboards|rules|slurm|slurm_controller)\b)"
    r"|'/(bcm_role_monitor\.py)'"
)


@dataclass(frozen=True)
class Part:
    name: str
    globs: tuple[str, ...]
    uses: frozenset[str]


def table() -> list[Part]:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rows = text.split("<!-- parts: begin")[1].split("<!-- parts: end")[0].splitlines()[3:]
    parts = []
    for row in rows:
        name, globs, _, uses = (cell.strip() for cell in row.strip("|").split("|"))
        parts.append(
            Part(name, tuple(re.findall(r"`([^`]+)`", globs)), frozenset(filter(None, map(str.strip, uses.split(",")))))
        )
    return parts


def files() -> list[str]:
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *RELEASED]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [name for name in names if (ROOT / name).is_file()]


def part_of(name: str, parts: list[Part]) -> set[str]:
    return {part.name for part in parts if any(fnmatchcase(name, glob) for glob in part.globs)}


def imported(name: str) -> Iterator[str]:
    """Files of the tree that a Python file imports."""
    for node in ast.walk(ast.parse((ROOT / name).read_text())):
        if isinstance(node, ast.Import):
            modules = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*Path(name).parts[: -node.level], *filter(None, [base])])
            modules = [(base, alias.name) for alias in node.names]
        else:
            continue
        for module, member in modules:
            path = module
            for package, directory in PACKAGES.items():
                if module == package or module.startswith(package + "."):
                    path = directory + module[len(package) :]
            stem = path.replace(".", "/")
            for candidate in (f"{stem}/{member}.py", f"{stem}.py"):
                if (ROOT / candidate).is_file():
                    yield candidate
                    break


def called(name: str) -> Iterator[str]:
    """Files of the tree that a playbook, task file or template calls, includes or ships."""
    lines = (ROOT / name).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    for found in CALLED.finditer(text):
        word = next(group for group in found.groups() if group)
        for candidate in (
            f"plugins/modules/{word}.py",
            f"plugins/action/{word}.py",
            f"plugins/filter/{word}.py",
            f"plugins/lookup/{word}.py",
            f"plugins/callback/{word}.py",
            f"plugins/inventory/{word}.py",
            f"playbooks/{word}.yml",
            f"roles/{word}/tasks/main.yml",
        ):
            if (ROOT / candidate).is_file():
                yield candidate
    for found in SHIPPED.finditer(text):
        target = f"files/{next(group for group in found.groups() if group)}"
        if (ROOT / target).is_file():
            yield target
        elif (ROOT / target).is_dir():
            yield from (str(path.relative_to(ROOT)) for path in (ROOT / target).iterdir() if path.is_file())


def uses(parts: list[Part]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {part.name: set() for part in parts}
    for name in files():
        if name.endswith(".py"):
            targets = set(imported(name))
        elif name.endswith((".yml", ".j2")):
            targets = set(called(name))
        else:
            continue
        for own in part_of(name, parts):
            for target in targets:
                found[own] |= part_of(target, parts) - {own}
    return found


def test_every_file_is_in_one_part() -> None:
    parts = table()
    assert {name: sorted(part_of(name, parts)) for name in files() if len(part_of(name, parts)) != 1} == {}


def test_every_pattern_of_a_part_finds_a_file() -> None:
    names = files()
    assert [g for part in table() for g in part.globs if not any(fnmatchcase(name, g) for name in names)] == []


def test_parts_use_what_the_table_says() -> None:
    parts = table()
    assert uses(parts) == {part.name: set(part.uses) for part in parts}
