# SPDX-License-Identifier: GPL-3.0-or-later
"""What all roles have in common: specifications that tell the truth, names, tags, states, check mode."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import ansible_command
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if (path / "tasks").is_dir())
SHARED = "superpod_"
# No role to deploy: others import it, give it their tags, and take it away.
IMPORTED = ["jobstats"]
DEPLOYED = [role for role in ROLES if role not in IMPORTED]
KEYWORDS_OF_A_BLOCK = {"block", "rescue", "always"}


def load(role: str, path: str) -> t.Any:
    return yaml.safe_load((ROOT / "roles" / role / path).read_text(encoding="utf-8"))


def variable_files(role: str) -> list[str]:
    """The role's own variables: vars/main.yml, or a directory vars/main."""
    return [str(path.relative_to(ROOT / "roles" / role)) for path in ansible_command.variable_files(role, "vars")]


def spec(role: str) -> dict[str, t.Any]:
    return t.cast(dict[str, t.Any], load(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"])


def task_files(role: str) -> list[str]:
    return sorted(f"tasks/{path.name}" for path in (ROOT / "roles" / role / "tasks").glob("*.yml"))


def files_of(role: str, *others: str) -> list[str]:
    """The role's tasks and handlers, and `others`."""
    handlers = "handlers/main.yml"
    return [*task_files(role), *([handlers] if (ROOT / "roles" / role / handlers).exists() else []), *others]


def listed(value: t.Any) -> list[t.Any]:
    return value if isinstance(value, list) else [value]


def flat(
    tasks: list[dict[str, t.Any]],
    tags: tuple[str, ...] = (),
    when: tuple[str, ...] = (),
    variables: t.Mapping[str, t.Any] = {},
) -> t.Iterator[tuple[dict[str, t.Any], set[str]]]:
    """Every task, with all conditions and variables that it and the blocks round it have, and all their tags."""
    for task in tasks:
        own = (*tags, *task.get("tags", []))
        conditions = (*when, *listed(task.get("when", [])))
        known = {**variables, **task.get("vars", {})}
        if "block" in task:
            for key in KEYWORDS_OF_A_BLOCK & task.keys():
                yield from flat(task[key], own, conditions, known)
        else:
            yield {**task, "when": list(conditions), "vars": known}, set(own)


def reached(role: str) -> dict[str, set[str]]:
    """Each file of tasks that main.yml reaches, with the tags that hold for everything in it."""
    found: dict[str, set[str]] = {}

    def follow(name: str, tags: set[str]) -> None:
        for task, own in flat(load(role, f"tasks/{name}")):
            tags_here = tags | own
            if "ansible.builtin.import_tasks" in task:
                target, inherited = task["ansible.builtin.import_tasks"], tags_here
            elif "ansible.builtin.include_tasks" in task:
                include = task["ansible.builtin.include_tasks"]
                # tags of the include itself do not reach what it includes
                target, inherited = include["file"], set(include.get("apply", {}).get("tags", []))
                assert role in tags_here, f"--tags {role} does not run the include of {target}"
            else:
                assert role in tags_here, f"{name}: task '{task['name']}' lacks the tag {role}"
                continue
            found[target] = inherited
            follow(target, inherited)

    follow("main.yml", set())
    return found


def strings(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def is_of_type(value: t.Any, option: dict[str, t.Any]) -> bool:
    if isinstance(value, str) and "{{" in value:
        return True
    kinds: dict[str, type | tuple[type, ...]] = {
        "str": str,
        "path": str,
        "bool": bool,
        "int": int,
        "float": (int, float),
        "list": list,
        "dict": dict,
    }
    if isinstance(value, bool) != (option["type"] == "bool"):
        return False
    if not isinstance(value, kinds[option["type"]]):
        return False
    if isinstance(value, list):
        inner = {"type": option["elements"], **({"options": option["options"]} if "options" in option else {})}
        return all(is_of_type(item, inner) for item in value)
    if isinstance(value, dict) and "options" in option:
        options = option["options"]
        return set(value) <= set(options) and all(is_of_type(value[key], options[key]) for key in value)
    return "choices" not in option or value in option["choices"]


def documented(default: t.Any, option: dict[str, t.Any]) -> t.Any:
    """A default as the specification has it: antsibull-docs takes no template for a number."""
    if option["type"] == "int" and isinstance(default, str):
        shared = re.fullmatch(r"\{\{ superpod_\w+ \| default\((\d+)\) \}\}", default)
        assert shared, f"{default} is neither a number nor a shared one"
        return int(shared[1])
    return default


def test_there_are_roles() -> None:
    assert {"dgx_exporters", "prometheus_server", "role_monitor"} <= set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_the_specification_and_the_defaults_agree(role: str) -> None:
    defaults = load(role, "defaults/main.yml")
    specified = spec(role)
    assert list(defaults) == list(specified), "same names in the same order"
    for name, option in specified.items():
        default = documented(defaults[name], option)
        assert option.get("default", "no default") == default, name
        assert type(option["default"]) is type(default), name
        assert is_of_type(defaults[name], option), f"{name}: the default is not of type {option['type']}"
        assert option["description"], name
        assert "required" not in option, f"{name} has a default and cannot be required"


@pytest.mark.parametrize("role", ROLES)
def test_names(role: str) -> None:
    assert all(name.startswith(f"{role}_") for name in load(role, "defaults/main.yml"))
    own = [name for path in variable_files(role) for name in load(role, path)]
    assert len(own) == len(set(own)), "one meaning, in one place"
    assert all(name.startswith(f"_{role}_") for name in own)
    for path in files_of(role):
        for task, _tags in flat(load(role, path)):
            assert task.get("register", f"__{role}_x").startswith(f"__{role}_"), f"{path}: {task['name']}"
            assert all(name.startswith(f"_{role}_") for name in task["vars"]), f"{path}: {task['name']}"
            assert not set(own) & set(task["vars"]), f"{path}: {task['name']} has another meaning for a variable"
            # verify asks for what a node expects on the hosts that see its target file
            facts = set(task.get("ansible.builtin.set_fact", {}))
            assert not facts or path.startswith("tasks/checks"), f"{path}: {task['name']}"
            assert all(fact.startswith(f"__{role}_") for fact in facts), f"{path}: {task['name']}"


@pytest.mark.parametrize("role", ROLES)
def test_shared_facts_are_read_by_defaults_only(role: str) -> None:
    for path in files_of(role, *variable_files(role)):
        for text in strings(load(role, path)):
            named = [word for word in text.replace("{{", " ").replace("(", " ").split() if word.startswith(SHARED)]
            # in messages they are named, for people to set
            assert not [word for word in named if f"{{{{ {word}" in text], f"{path}: {text}"
    for template in (ROOT / "roles" / role / "templates").glob("*.j2"):
        assert SHARED not in template.read_text(encoding="utf-8").replace("superpod.monitoring", "")


@pytest.mark.parametrize("role", ROLES)
def test_no_default_needs_a_fact(role: str) -> None:
    for text in strings(load(role, "defaults/main.yml")):
        assert "ansible_" not in text


@pytest.mark.parametrize("role", ROLES)
def test_facts_are_read_from_ansible_facts(role: str) -> None:
    # what Ansible itself knows of the run is no fact of a host
    allowed = (
        *("ansible_facts[", "ansible_check_mode", "ansible_version", "ansible_play_", "ansible_limit"),
        "ansible_failed_result",
    )
    for path in files_of(role, *variable_files(role)):
        for text in strings(load(role, path)):
            for word in text.replace("(", " ").replace("{{", " ").split():
                assert not word.startswith("ansible_") or word.startswith(allowed), f"{path}: {text}"


def taken_by_playbooks(role: str) -> dict[str, set[str]]:
    """The task files of the role that other playbooks than site.yml take, with their tags."""
    found: dict[str, set[str]] = {}
    for name in ("verify", "remove"):
        for play in yaml.safe_load((ROOT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8")):
            for task, tags in flat(play["tasks"]):
                taken = task.get("ansible.builtin.import_role") or task.get("ansible.builtin.include_role") or {}
                if taken.get("name") == f"superpod.monitoring.{role}" and "tasks_from" in taken:
                    found[taken["tasks_from"]] = set(taken.get("apply", {}).get("tags", tags))
    return found


@pytest.mark.parametrize("role", DEPLOYED)
def test_every_task_is_reached_and_carries_the_roles_name_as_tag(role: str) -> None:
    found = reached(role) | taken_by_playbooks(role)
    assert {f"tasks/{name}" for name in found} | {"tasks/main.yml"} == set(task_files(role))
    assert all(role in tags for tags in found.values()), found


@pytest.mark.parametrize("role", DEPLOYED)
def test_every_role_can_be_taken_away_and_put_into_an_image(role: str) -> None:
    options = spec(role)
    assert options[f"{role}_state"]["choices"] == ["present", "absent"]
    assert options[f"{role}_deploy_mode"]["choices"] == ["runtime", "image"]
    assert set(task_files(role)) >= {"tasks/main.yml", "tasks/configure.yml", "tasks/remove.yml"}


@pytest.mark.parametrize("role", DEPLOYED)
def test_nothing_is_started_in_an_image(role: str) -> None:
    """Every use of systemd hangs on the deploy mode: of the task, the file that holds it, or the handler."""
    mode = f"{role}_deploy_mode == 'runtime'"
    if "tasks/service.yml" in task_files(role):
        (include,) = [
            task
            for task, _tags in flat(load(role, "tasks/main.yml"))
            if task.get("ansible.builtin.include_tasks", {}).get("file") == "service.yml"
        ]
        assert mode in include["when"]
    for path in set(task_files(role)) - {"tasks/service.yml"}:
        for task, _tags in flat(load(role, path)):
            if "ansible.builtin.systemd_service" in task:
                assert mode in task["when"], f"{path}: {task['name']}"


@pytest.mark.parametrize("role", ROLES)
def test_assertions_say_what_to_change(role: str) -> None:
    for path in task_files(role):
        for task, _tags in flat(load(role, path)):
            if "ansible.builtin.assert" in task:
                message = task["ansible.builtin.assert"]["fail_msg"]
                assert len(message.split()) > 8, message  # a sentence
                assert any(word in message for word in ("set ", "use ", "give ", "see to ", "names no file")), message


def entries_with_secrets(role: str) -> t.Iterator[dict[str, t.Any]]:
    """The entries of managed_files for keys, wherever the role keeps them."""
    for value in (value for path in variable_files(role) for value in load(role, path).values()):
        if isinstance(value, list):
            yield from (entry for entry in value if isinstance(entry, dict) and "key_path" in entry.get("path", ""))


@pytest.mark.parametrize("role", ROLES)
def test_what_is_secret_is_neither_shown_nor_readable(role: str) -> None:
    present = [entry for entry in entries_with_secrets(role) if entry.get("state") != "absent"]
    for entry in present:
        # a group that reads it is one made for it
        assert entry["mode"] == ("0640" if entry.get("group", "root") != "root" else "0600")
        assert entry["show_content"] is False
    assert present or role != "role_monitor"
    for path in task_files(role):
        for task, _tags in flat(load(role, path)):
            if "key_files" in str(task.get("superpod.monitoring.managed_files", "")):
                assert (task["no_log"], task["diff"]) == (True, False)
            if "made_key" in str(task.get("ansible.builtin.command", "")):
                assert task["no_log"] is True


def test_what_is_made_on_the_head_node_is_made_once() -> None:
    tasks = [task for task, _tags in flat(load("role_monitor", "tasks/certificate.yml"))]
    assert len(tasks) == 3
    for task in tasks:
        assert task["run_once"] is True
        assert task["delegate_to"] == "{{ role_monitor_certificate_host }}"


@pytest.mark.parametrize("role", ["dgx_exporters", "role_monitor"])
def test_a_hung_file_server_holds_no_run_up(role: str) -> None:
    """What works on the shared storage itself, and not on a link to it, has a time limit."""
    for path in set(task_files(role)) - {"tasks/checks.yml", "tasks/checks_headnode.yml", "tasks/checks_targets.yml"}:
        for task, _tags in flat(load(role, path)):
            files = task.get("superpod.monitoring.managed_files", {}).get("files", [])
            paths = [str(entry["path"]) for entry in files if isinstance(entry, dict)]
            if any(re.match(r"\{\{ \w+_(shared|targets)_dir \}\}", each) for each in paths):
                assert task.get("timeout") == 30, f"{path}: {task['name']}"


@pytest.mark.parametrize("role", ROLES)
def test_what_cannot_be_read_is_not_taken_for_what_is_not_there(role: str) -> None:
    """Records, passwords and keys would be written anew, and what they were would be lost."""
    for path in task_files(role):
        for task, _tags in flat(load(role, path)):
            if "ansible.builtin.slurp" in task and "failed_when" in task:
                failed, reason = task["failed_when"]
                assert failed == f"{task['register']} is failed", f"{path}: {task['name']}"
                assert f"'not found' not in {task['register']}.msg" in reason, f"{path}: {task['name']}"


@pytest.mark.parametrize("role", ROLES)
def test_booleans_may_come_from_the_command_line(role: str) -> None:
    """`-e role_x=false` is a string, and a string is no condition."""
    names = [name for name, option in spec(role).items() if option["type"] == "bool"]
    for path in task_files(role):
        for task, _tags in flat(load(role, path)):
            conditions = task["when"] + listed(task.get("ansible.builtin.assert", {}).get("that", []))
            for name in names:
                for condition in conditions:
                    named = len(re.findall(rf"\b{name}\b", condition))
                    assert named == condition.count(f"{name} | bool"), f"{path}: {task['name']}"
