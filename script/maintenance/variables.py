# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/variables.md, made from the roles' argument_specs and defaults and the comments at the head of the playbooks.

``script/variables`` writes it, with ``--check`` it only says whether it is current (exit code 1 if not).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PAGE = "docs/variables.md"

SHARED: Mapping[str, str] = yaml.safe_load((Path(__file__).parent / "shared_variables.yml").read_text())
# Words of the same form that are no variables.
NOT_VARIABLES = {"superpod_monitoring", "superpod_role_monitor"}

HEAD = """<!-- Made by script/variables from the roles' argument_specs and the playbooks; do not edit. -->
# Variables

What can be set, by role. Put it into `group_vars/all/site.yml` of the site directory, or give it with `-e`. The same
per role: `ansible-doc -t role superpod.monitoring.ROLE`. The inventory's own options:
`ansible-doc -t inventory superpod.monitoring.bcm`. A default in `{{ }}` follows other variables. Types and choices are
checked at the start of a run.

Contents: [shared by several roles](#shared-by-several-roles)"""


class NotDescribed(Exception):
    """A variable without a description; the message says where to put one."""


@dataclass(frozen=True)
class Playbook:
    name: str
    purpose: str
    commands: tuple[str, ...]
    variables: Mapping[str, str]


def markdown(text: str) -> str:
    """Ansible's markup as Markdown: what it names becomes code."""
    text = re.sub(r"\b[CVOEPM]\(((?:[^()]|\([^()]*\))*)\)", r"`\1`", text)
    text = re.sub(r"\bI\(([^()]*)\)", r"*\1*", text)
    text = re.sub(r"\bB\(([^()]*)\)", r"**\1**", text)
    return re.sub(r"\bL\(([^(),]*), *([^()]*)\)", r"[\1](\2)", text)


def code(value: Any) -> str:
    """A value as code: text as it is, all else as YAML's flow style has it."""
    text = value if isinstance(value, str) and value != "" else json.dumps(value, ensure_ascii=False)
    return "`" + " ".join(text.split()) + "`"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown; bars in cells are escaped, which holds in code, too."""
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def option_rows(options: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, ...]]:
    """Rows of an argument_specs' options, what is in a list of dicts below its list."""
    for name, option in options.items():
        description = option["description"]
        text = description if isinstance(description, str) else " ".join(description)
        kind = f"list of {option['elements']}" if "elements" in option else option["type"]
        default = "(required)" if option.get("required") else code(option["default"]) if "default" in option else ""
        choices = ", ".join(code(choice) for choice in option.get("choices", []))
        yield f"`{prefix}{name}`", kind, default, choices, markdown(" ".join(text.split()))
        yield from option_rows(option.get("options", {}), f"{prefix}{name}[].")


def role_section(name: str, spec: Mapping[str, Any]) -> str:
    """The section of one role."""
    main = spec["argument_specs"]["main"]
    rows = option_rows(main["options"])
    return (
        f"## Role {name}\n\n{markdown(main['short_description'])}.\n\n"
        f"{table(('variable', 'type', 'default', 'choices', ''), rows)}"
    )


def default_in(text: str, variable: str) -> str | None:
    """What ``variable | default(...)`` in a template falls back to, with balanced brackets; None if it is not there."""
    start = re.search(rf"\b{variable}\s*\|\s*default\(", text)
    if not start:
        return None
    depth, end = 1, start.end()
    while depth:
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    inner = text[start.end() : end - 1].removesuffix(", true")
    return inner.strip("'\"") if re.fullmatch(r"'[^']*'|\"[^\"]*\"", inner) else inner


def strings(value: Any) -> list[str]:
    """All text in a value, each on one line."""
    if isinstance(value, Mapping):
        return [text for each in value.values() for text in strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in strings(each)]
    return [" ".join(value.split())] if isinstance(value, str) else []


def shared_rows(defaults: Mapping[str, Mapping[str, Any]]) -> Iterable[tuple[str, ...]]:
    """Rows of the shared variables, from all roles' defaults; raises NotDescribed."""
    readers: dict[str, list[str]] = {}
    values: dict[str, list[str]] = {}
    for role in sorted(defaults):
        for name, value in defaults[role].items():
            text = "\n".join(strings(value))
            for variable in sorted(set(re.findall(r"\bsuperpod_\w+", text)) - NOT_VARIABLES):
                readers.setdefault(variable, []).append(f"`{name}`")
                fallback = default_in(text, variable)
                if fallback:
                    values.setdefault(variable, []).append(code(fallback))
    missing = sorted(set(readers) - set(SHARED))
    if missing:
        raise NotDescribed(f"{', '.join(missing)}: give a description in script/maintenance/shared_variables.yml.")
    unread = sorted(set(SHARED) - set(readers))
    if unread:
        raise NotDescribed(
            f"No role reads {', '.join(unread)}: remove it from script/maintenance/shared_variables.yml."
        )
    for variable, names in sorted(readers.items()):
        yield f"`{variable}`", " or ".join(dict.fromkeys(values.get(variable, []))), SHARED[variable], ", ".join(names)


def playbook_head(name: str, text: str) -> Playbook:
    """What a playbook's leading comment says: purpose, commands, variables."""
    comment = []
    for line in text.splitlines()[1:]:
        if not line.startswith("#"):
            break
        comment.append(line[1:].removeprefix(" ").rstrip())
    purpose: list[str] = []
    commands: list[str] = []
    variables: dict[str, str] = {}
    current: list[str] = []
    for line in comment:
        found = re.match(r"((?:(?:superpod|guided_setup)_\w+(?:, )?)+)(?:\s{2,}(.*))?$", line)
        if found:
            current = found[1].split(", ")
            variables.update(dict.fromkeys(current, (found[2] or "").strip()))
        elif current and line.startswith("  "):
            variables.update({each: f"{variables[each]} {line.strip()}".strip() for each in current})
        elif line.startswith("    "):
            commands.append(line.removeprefix("    "))
        else:
            current = []
            if not commands and line:
                purpose.append(line)
    return Playbook(name, " ".join(" ".join(purpose).split()), tuple(commands), variables)


def playbook_section(playbook: Playbook) -> str:
    """The section of one playbook."""
    parts = [f"## Playbook {playbook.name}", playbook.purpose.removesuffix(":").removesuffix(".") + "."]
    if playbook.commands:
        parts.append("```sh\n" + "\n".join(playbook.commands) + "\n```")
    if playbook.variables:
        parts.append(table(("variable", ""), ((f"`{name}`", text) for name, text in playbook.variables.items())))
    return "\n\n".join(parts)


def without_comments(text: str) -> str:
    """A playbook's lines but for those that are comments."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def set_by(text: str) -> set[str]:
    """Variables that a playbook sets itself, for its own tasks or for a playbook that imports it."""
    found = re.findall(r"register: (\w+)|^\s*(?:- )?(superpod_\w+):", without_comments(text), re.MULTILINE)
    return {name for names in found for name in names}


def read_by(text: str) -> set[str]:
    """Variables of the form superpod_x that a playbook reads or sets."""
    return set(re.findall(r"\bsuperpod_\w+", without_comments(text)))


def document(root: Path) -> str:
    """The page for a tree; raises NotDescribed."""
    specs, defaults = {}, {}
    for role in sorted(path.name for path in (root / "roles").iterdir() if path.is_dir()):
        specs[role] = yaml.safe_load((root / "roles" / role / "meta/argument_specs.yml").read_text())
        defaults[role] = yaml.safe_load((root / "roles" / role / "defaults/main.yml").read_text()) or {}
    texts = {path.stem: path.read_text() for path in sorted((root / "playbooks").glob("*.yml"))}
    playbooks = [playbook_head(name, text) for name, text in texts.items()]
    # one may import another, and so reads what that one's comment describes
    known = {*SHARED, *NOT_VARIABLES, *(name for playbook in playbooks for name in playbook.variables)}
    known |= {name for text in texts.values() for name in set_by(text)}
    for name, text in texts.items():
        missing = sorted(read_by(text) - known)
        if missing:
            raise NotDescribed(f"{name}.yml reads {', '.join(missing)}: describe it in the comment at its head.")
    shown = [playbook for playbook in playbooks if playbook.commands]
    links = [f"[role {role}](#role-{role})" for role in specs]
    links += [f"[playbook {playbook.name}](#playbook-{playbook.name})" for playbook in shown]
    shared = table(("variable", "default", "", "read by"), shared_rows(defaults))
    sections = [
        ",\n".join([HEAD, *links]) + ".",
        f"## Shared by several roles\n\n{shared}",
        *(role_section(role, spec) for role, spec in specs.items()),
        *(playbook_section(playbook) for playbook in shown),
    ]
    return "\n\n".join(sections) + "\n"


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """The exit code: 0, 1 if the page is not current or something is not described."""
    parser = argparse.ArgumentParser(prog="script/variables", description=f"Writes {PAGE}.")
    parser.add_argument("--check", action="store_true", help="only say whether the page is current")
    args = parser.parse_args(arguments)
    try:
        text = document(root)
    except NotDescribed as error:
        print(f"script/variables: {error}", file=sys.stderr)
        return 1
    page = root / PAGE
    current = page.exists() and page.read_text() == text
    if args.check and not current:
        print(f"script/variables: {PAGE} is not current; run script/variables.", file=sys.stderr)
        return 1
    if not current:
        page.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
