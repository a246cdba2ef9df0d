# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from script.maintenance import variables

SPEC = """
argument_specs:
  main:
    short_description: A thing on V(every) host
    options:
      thing_state:
        description: [What O(thing_state=absent) does., See C(a|b).]
        type: str
        choices: [present, absent]
        default: "{{ superpod_state | default('present') }}"
      thing_parts:
        description: Its parts.
        type: list
        elements: dict
        default: []
        options:
          name: {description: Its name., type: str, required: true}
"""
DEFAULTS = """thing_state: "{{ superpod_state | default('present') }}"\nthing_parts: []\n"""
PLAYBOOK = """# SPDX-License-Identifier: GPL-3.0-or-later
# Does a thing, and
# no other:
#
#     ansible-playbook superpod.monitoring.do -e superpod_thing=1
#
# More about it.
#
# superpod_thing   what to do;
#                  default: nothing
# superpod_a, superpod_b  both
- hosts: all
  vars: {x: "{{ superpod_thing }}", y: "{{ superpod_state }}"}
  tasks:
    - register: superpod_own
    - set_fact:
        superpod_other: "{{ superpod_own }}"
"""


@pytest.fixture(name="tree")
def small_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    role = tmp_path / "roles/thing"
    for name, text in {"meta/argument_specs.yml": SPEC, "defaults/main.yml": DEFAULTS}.items():
        (role / name).parent.mkdir(parents=True)
        (role / name).write_text(text)
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks/do.yml").write_text(PLAYBOOK)
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(variables, "SHARED", {"superpod_state": "What there shall be."})
    return tmp_path


def test_the_page_is_current() -> None:
    assert (variables.ROOT / variables.PAGE).read_text() == variables.document(variables.ROOT), "run script/variables"


def test_rows_of_a_role(tree: Path) -> None:
    page = variables.document(tree).splitlines()
    assert "A thing on `every` host." in page
    assert (
        r"| `thing_state` | str | `{{ superpod_state \| default('present') }}` | `present`, `absent` "
        r"| What `thing_state=absent` does. See `a\|b`. |"
    ) in page
    assert "| `thing_parts` | list of dict | `[]` |  | Its parts. |" in page
    assert "| `thing_parts[].name` | str | (required) |  | Its name. |" in page


def test_a_shared_variable_names_its_readers(tree: Path) -> None:
    assert "| `superpod_state` | `present` | What there shall be. | `thing_state` |" in variables.document(tree)


def test_a_playbook_is_its_comment(tree: Path) -> None:
    head = variables.playbook_head("do", PLAYBOOK)
    assert head.purpose == "Does a thing, and no other:"
    assert head.commands == ("ansible-playbook superpod.monitoring.do -e superpod_thing=1",)
    assert head.variables == {
        "superpod_thing": "what to do; default: nothing",
        "superpod_a": "both",
        "superpod_b": "both",
    }
    assert "## Playbook do\n\nDoes a thing, and no other.\n\n```sh\n" in variables.document(tree)


@pytest.mark.parametrize(
    ("file", "edit", "said"),
    [
        ("playbooks/do.yml", ("y: ", 'z: "{{ superpod_new }}", y: '), "do.yml reads superpod_new"),
        ("roles/thing/defaults/main.yml", ("superpod_state", "superpod_other"), "superpod_other: give a description"),
        ("roles/thing/defaults/main.yml", ("superpod_state", "thing"), "No role reads superpod_state"),
    ],
)
def test_what_nobody_described_is_named(
    tree: Path, capsys: pytest.CaptureFixture[str], file: str, edit: tuple[str, str], said: str
) -> None:
    path = tree / file
    path.write_text(path.read_text().replace(*edit))
    assert variables.main([], tree) == 1
    assert said in capsys.readouterr().err


def test_check_writes_nothing(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert variables.main(["--check"], tree) == 1
    assert "run script/variables" in capsys.readouterr().err
    assert not (tree / variables.PAGE).exists()
    assert variables.main([], tree) == 0
    assert variables.main(["--check"], tree) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ a | default('x') }}", "x"),
        ("{{ a | default(b ~ '/c') }}", "b ~ '/c'"),
        ("{{ a | default('u' ~ (g['p'] | default([])) | first, true) }}", "'u' ~ (g['p'] | default([])) | first"),
        ("{{ a }}", None),
        ("{{ ab | default(1) }}", None),
    ],
)
def test_default_in_a_template(text: str, expected: str | None) -> None:
    assert variables.default_in(text, "a") == expected
