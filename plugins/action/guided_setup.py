# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The terminal's part of the guided setup: asks, keeps answers, shows the outcome, writes the site directory."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import yaml
from ansible.errors import AnsibleError, AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible.module_utils.common.text.converters import to_text
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_config_json import KEYS, answers_of
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_dialogue import Dialogue, Step, unknown_keys
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_directory import SiteDirectory
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_findings import Findings, from_json
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_model import Refused, Value, shown
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_questions import QUESTIONS, SECTIONS
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_site import ANSWERS_FILE, Place, files
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_world import RealWorld

display = Display()

USUAL_COLLECTIONS = ("~/.ansible/collections", "/usr/share/ansible/collections")
_INVENTORY_OPTIONS = ("port", "certificate", "private_key", "ca_certificate")


class _Stopped(Exception):
    """The administrator does not want to go on now."""


def collections_path() -> str | None:
    """What Ansible must be told to find this collection from another directory; None if it looks there anyway."""
    parts = pathlib.Path(__file__).parts
    if "ansible_collections" not in parts:
        return None
    root = str(pathlib.Path(*parts[: parts.index("ansible_collections")]))
    usual = [os.path.expanduser(path) for path in USUAL_COLLECTIONS]
    return None if root in usual else ":".join([root, *USUAL_COLLECTIONS])


def read_config(path: str) -> t.Any:
    """The content of a JSON file; raises Failure."""
    try:
        with open(path, "rb") as file:
            return json.load(file)
    except OSError as error:
        raise Failure(f"The configuration {path} cannot be read: {error.strerror}.", "config") from None
    except ValueError as error:
        raise Failure(f"The configuration {path} is no JSON: {error}.", "config") from None


def load_yaml(content: bytes) -> t.Any:
    """The value of a YAML text, None if it is none."""
    try:
        return yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError):
        return None


class ActionModule(ActionBase):
    """Runs on the control machine only; there is no part of it on a host."""

    BYPASS_HOST_LOOP = True
    _VALID_ARGS = frozenset(
        ("site_dir", "answers", "config", "interactive", "everything", "found", "seen", "inventory")
    )

    def run(self, tmp: None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return what was written, or would be in check mode."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        try:
            return result | self._set_up(arguments, task_vars or {})
        except _Stopped as stopped:
            return result | {"failed": True, "msg": str(stopped)}
        except Failure as failure:
            return result | {
                "failed": True,
                "msg": failure.message,
                "failure": {"message": failure.message, "code": failure.code, "details": failure.details},
            }

    def _set_up(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        missing = [name for name in ("site_dir", "found") if not arguments.get(name)]
        if missing:
            raise Failure(f"guided_setup needs {' and '.join(missing)}.", "option")
        site = SiteDirectory(os.path.abspath(os.path.expanduser(str(arguments["site_dir"]))), load_yaml)
        findings = from_json(arguments["found"], arguments.get("seen") or {})
        given = self._given(arguments, task_vars)
        interactive = arguments.get("interactive")
        interactive = not given if interactive in (None, "") else boolean(interactive)
        self._tell_findings(findings)
        misspelt = unknown_keys(given)
        if interactive:
            if misspelt:
                self._refuse(misspelt)
            given = {**self._kept(site), **given}
        dialogue = Dialogue(findings, RealWorld(), given, everything=boolean(arguments.get("everything") or False))
        if interactive:
            self._ask_all(dialogue, site)
        else:
            problems = [*misspelt, *dialogue.complete()]
            if problems:
                self._refuse(problems)
        for warning in dialogue.warnings():
            display.warning(warning)
        # core 2.17 makes texts of numbers, and of nothing at all
        inventory = {key: value for key, value in (arguments.get("inventory") or {}).items() if value not in (None, "")}
        if "port" in inventory:
            inventory["port"] = int(inventory["port"])
        place = Place(
            site.path,
            collections_path(),
            {key: inventory[key] for key in _INVENTORY_OPTIONS if key in inventory},
        )
        changes = site.changes(files(dialogue.answers, place))
        if interactive:
            self._confirm(dialogue, site, [change.name for change in changes])
        if not self._task.check_mode:
            site.write(changes)
            site.keep(dialogue.answers)
        return {
            "changed": bool(changes),
            "site_dir": site.path,
            "files": [change.name for change in changes],
            "answers": {key: value for key, value in dialogue.answers.items() if QUESTIONS[key].kind != "secret"},
            "warnings_said": dialogue.warnings(),
            "diff": [change.diff for change in changes if change.diff is not None],
        }

    # --- answers from elsewhere ---

    def _given(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, Value]:
        """Answers from -e; a configuration file is translated, and single answers win over it."""
        config = None
        if arguments.get("config"):
            config = read_config(self._loader.path_dwim(str(arguments["config"])))
        elif "systems" in task_vars:  # -e @config.json
            config = {key: self._templar.template(task_vars[key]) for key in KEYS if key in task_vars}
        answers = arguments.get("answers") or {}
        if not isinstance(answers, dict):
            raise Failure("guided_setup_answers must be a mapping of questions to answers.", "answers")
        if config is None:
            return dict(answers)
        taken = answers_of(config)
        for note in taken.notes:
            display.warning(f"{note}.")
        if taken.problems:
            self._refuse([f"{problem}." for problem in taken.problems])
        return {**taken.answers, **answers}

    def _kept(self, site: SiteDirectory) -> dict[str, Value]:
        kept = site.kept_answers()
        if not kept:
            return {}
        display.display(f"\nAn earlier run kept {len(kept)} answers in {os.path.join(site.path, ANSWERS_FILE)}.")
        return kept if self._yes_or_no("Go on with them?", default=True) else {}

    def _refuse(self, problems: list[str]) -> t.NoReturn:
        for problem in problems:
            display.display(f"  {problem}", color="red")
        count = f"{len(problems)} answers" if len(problems) > 1 else "An answer"
        raise Failure(f"{count} cannot be used: {' '.join(problems)}", "answers", problems=problems)

    # --- the dialogue ---

    def _tell_findings(self, findings: Findings) -> None:
        kinds: dict[str, int] = {}
        for host in findings.hosts:
            kind = host.category or ("head nodes" if host.type == "HeadNode" else host.type)
            kinds[kind] = kinds.get(kind, 0) + 1
        said = [
            f"BCM has {len(findings.hosts)} hosts: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        ]
        if findings.cluster_name:
            said.append(f"Slurm's ClusterName is {findings.cluster_name}, by {findings.cluster_name_source}")
        said += [
            f"{name} could not be looked at: {seen.problem}" for name, seen in findings.seen.items() if seen.problem
        ]
        for line in [*said, *findings.notes]:
            display.display(f"  {line}")

    def _ask_all(self, dialogue: Dialogue, site: SiteDirectory) -> None:
        section = None
        display.display(
            "\nEnter takes what stands in brackets, ? shows what may be answered, Ctrl-C stops; answers are kept."
        )
        while (step := dialogue.step()) is not None:
            if step.section is not section:
                section = step.section
                number = SECTIONS.index(section) + 1
                display.display(f"\n{number}/{len(SECTIONS)} {section.title}\n{section.about}", color="bright blue")
            self._ask(dialogue, step, site)
            if not self._task.check_mode:
                site.keep(dialogue.answers)

    def _ask(self, dialogue: Dialogue, step: Step, site: SiteDirectory) -> None:
        question = step.question
        display.display(f"\n{question.explain}")
        if step.refused:
            self._say_refused(step.refused)
        offer = f" [{shown(question, step.default)}]" if step.default is not None else ""
        while True:
            typed = self._read(f"{question.key}{offer}:", site, hidden=question.kind == "secret")
            if typed.strip() == "?":
                self._help(step)
                continue
            try:
                dialogue.answer(step, typed)
            except Refused as refused:
                self._say_refused(str(refused))
                continue
            return

    def _say_refused(self, reason: str) -> None:
        display.display(f"That cannot be used: {reason}.", color="red")

    def _help(self, step: Step) -> None:
        if step.question.choices:
            for name, meaning in step.question.choices.items():
                display.display(f"  {name}: {meaning}")
        elif step.question.kind == "hosts":
            display.display("  host names or globs, category:GLOB or role:NAME; several with commas; none for none")
        else:
            display.display(f"  {step.question.explain}")

    def _confirm(self, dialogue: Dialogue, site: SiteDirectory, names: list[str]) -> None:
        display.display("\nThe answers:")
        for key, value in dialogue.answers.items():
            display.display(f"  {key}: {shown(QUESTIONS[key], value)}")
        if not names:
            display.display(f"\n{site.path} has all of that already.")
            return
        display.display(f"\nTo be written to {site.path}: {', '.join(names)}. Nothing else is changed, on no host.")
        if not self._yes_or_no("Write it?", default=False, site=site):
            raise _Stopped(f"Nothing was written. {self._how_to_go_on(site)}")

    def _yes_or_no(self, question: str, *, default: bool, site: SiteDirectory | None = None) -> bool:
        while True:
            typed = self._read(f"{question} [{'yes' if default else 'no'}]:", site).strip().lower()
            if not typed:
                return default
            if typed in ("yes", "y", "no", "n"):
                return typed.startswith("y")
            self._say_refused("answer yes or no")

    def _read(self, prompt: str, site: SiteDirectory | None, *, hidden: bool = False) -> str:
        try:
            return to_text(display.prompt_until(prompt, private=hidden), errors="surrogate_or_strict")
        except AnsiblePromptInterrupt:
            raise _Stopped(f"Interrupted. {self._how_to_go_on(site)}") from None
        except AnsiblePromptNoninteractive:
            raise Failure(
                "There is no terminal to ask at. Give answers with -e @FILE; docs/guided_setup.md has the format.",
                "terminal",
            ) from None
        except UnicodeError as error:
            raise AnsibleError(f"What was typed is no UTF-8: {error}") from None

    def _how_to_go_on(self, site: SiteDirectory | None) -> str:
        if self._task.check_mode or site is None:
            return "Check mode keeps no answers." if self._task.check_mode else "Run it again to go on."
        return f"The answers so far are in {os.path.join(site.path, ANSWERS_FILE)}; run it again to go on."
