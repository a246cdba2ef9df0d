# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: deployment_document
type: aggregate
short_description: Write what a run did, or would do, as a document, and say how far it is
version_added: 1.0.0
author:
  - The superpod.monitoring developers (@superpod-monitoring)
description:
  - Writes a Markdown document during any run, in check mode too. It has each section (play) with what was or would be
    changed on which hosts, commands, files with their differences, results, times, ports and versions of the roles,
    what failed, and what is left to do by hand.
  - Hosts with the same outcome stand together.
  - Differences are in it if the run has C(--diff).
  - Secrets are masked. Results of tasks with C(no_log) are not in it, nor are values of variables whose names say that
    they are secret (C(password), C(secret), C(token) and the like), vault-encrypted values, private keys and hashes of
    passwords.
  - The document can be read by its owner only. It still tells much about the cluster.
  - From time to time a line tells the section, how many hosts have done the current task, and how long the rest will
    take. That is known from the last run, which left its times beside the document.
requirements:
  - enable it with C(callbacks_enabled = superpod.monitoring.deployment_document) in C(ansible.cfg)
options:
  path:
    description:
      - The document. Date and time may stand in it, as C(strftime) has them (C(%Y-%m-%d_%H%M%S)).
      - A relative path begins where Ansible was started. Missing directories are made.
    type: str
    default: deployment_document.md
    env:
      - name: SUPERPOD_DOCUMENT_PATH
    ini:
      - section: callback_deployment_document
        key: path
  next_steps:
    description: A page (Markdown) of what is left to do by hand, to be taken into the document. It need not be there.
    type: str
    default: NEXT_STEPS.md
    env:
      - name: SUPERPOD_DOCUMENT_NEXT_STEPS
    ini:
      - section: callback_deployment_document
        key: next_steps
  diff_lines:
    description: How many lines of one difference are kept.
    type: int
    default: 500
    env:
      - name: SUPERPOD_DOCUMENT_DIFF_LINES
    ini:
      - section: callback_deployment_document
        key: diff_lines
  progress_interval:
    description: Seconds from one line of progress to the next at least; none are shown with V(0).
    type: int
    default: 15
    env:
      - name: SUPERPOD_DOCUMENT_PROGRESS_INTERVAL
    ini:
      - section: callback_deployment_document
        key: progress_interval
"""

import getpass
import json
import os
import shlex
import socket
import sys
import time
import typing as t

from ansible import context
from ansible.plugins.callback import CallbackBase
from ansible.release import __version__ as core_version
from ansible.template import Templar

from ..module_utils.atomic_file import write_if_changed
from ..module_utils.document_markdown import duration, markdown
from ..module_utils.document_model import Collector, Status
from ..module_utils.document_progress import Progress
from ..module_utils.document_secrets import Masker, is_secret_name, secret_values

_TIMES_FILE = ".section_seconds.json"
_SETTINGS = ("_port", "_version")


def of(thing: t.Any, name: str) -> t.Any:
    """An attribute of Ansible's results: public from core 2.19 on, with an underscore before."""
    return getattr(thing, name) if hasattr(thing, name) else getattr(thing, "_" + name)


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "superpod.monitoring.deployment_document"
    CALLBACK_NEEDS_ENABLED = True

    def set_options(self, task_keys: t.Any = None, var_options: t.Any = None, direct: t.Any = None) -> None:
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        self._started = time.localtime()
        self._began = time.monotonic()
        self._check = bool(context.CLIARGS.get("check"))
        self._path = os.path.abspath(os.path.expanduser(time.strftime(self.get_option("path"), self._started)))
        self._mask = Masker()
        self._collector = Collector(self._check, self._mask, self.get_option("diff_lines"))
        self._progress = Progress((), self._times().get(self._mode, {}), self._began)
        self._said = self._began
        self._play: t.Any = None
        self._roles: set[str] = set()
        self._last_title: str | None = None

    # --- what Ansible tells ---

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        self._progress.sections = [play.get_name().strip() for play in playbook.get_plays()]

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        now = time.monotonic()
        self._play = play
        hosts = self._hosts_of(play)
        self._learn_secrets(play, hosts)
        title = play.get_name().strip()
        if title != self._last_title:  # else the next batch of a play with serial
            self._write()
            self._last_title = title
            self._roles = set()
            self._collector.play(title, now)
            self._progress.section([host.get_name() for host in hosts], now)
            self._say(now, always=True)

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        now = time.monotonic()
        role = task._role.get_name() if task._role else ""
        self._collector.task(task._uuid, task.name or task.action, role, task.action, now)
        self._progress.task()
        self._say(now)
        if role and role not in self._roles:
            self._roles.add(role)
            self._learn_settings(task, role)

    def v2_playbook_on_handler_task_start(self, task: t.Any) -> None:
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._take(result, "changed" if of(result, "result").get("changed") else "ok")

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._take(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        self._take(result, "skipped")

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._take(result, "unreachable")

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        now = time.monotonic()
        self._progress.end(now)
        self._collector.end(now)
        self._write()
        self._keep_times()
        self._display.display(f"What {'would be' if self._check else 'was'} done: {self._path}")

    # --- into the document ---

    def _take(self, result: t.Any, status: Status) -> None:
        now = time.monotonic()
        host = of(result, "host").get_name()
        values = of(result, "result")
        if isinstance(values.get("ansible_facts"), dict):
            self._mask.add(secret_values(values["ansible_facts"]))
        self._collector.result(of(result, "task")._uuid, host, status, values, now)
        self._progress.host(host)
        self._say(now)

    def _hosts_of(self, play: t.Any) -> list[t.Any]:
        hosts: list[t.Any] = play.get_variable_manager()._inventory.get_hosts(play.hosts)
        return hosts

    def _learn_secrets(self, play: t.Any, hosts: list[t.Any]) -> None:
        """Variables of one host of each combination of groups, and every host's own."""
        manager = play.get_variable_manager()
        self._mask.add(secret_values(manager.get_vars(play=play, include_hostvars=False)))
        seen: set[tuple[str, ...]] = set()
        for host in hosts:
            self._mask.add(secret_values(host.vars))
            groups = tuple(group.name for group in host.get_groups())
            if groups not in seen:
                seen.add(groups)
                self._mask.add(secret_values(manager.get_vars(play=play, host=host, include_hostvars=False)))

    def _learn_settings(self, task: t.Any, role: str) -> None:
        """Ports and versions among a role's variables, as the section's first host has them."""
        hosts = self._hosts_of(self._play)
        if not hosts:
            return
        manager = self._play.get_variable_manager()
        variables = manager.get_vars(play=self._play, host=hosts[0], task=task, include_hostvars=False)
        self._mask.add(secret_values(variables))
        templar = Templar(loader=self._play.get_loader(), variables=variables)
        prefix = role.rsplit(".", 1)[-1] + "_"
        found = {}
        for name in variables:
            if not name.startswith(prefix) or not name.endswith(_SETTINGS) or is_secret_name(name):
                continue
            try:
                value = templar.template(variables[name])
            except Exception:  # noqa: BLE001, S112 - a template that needs what is not there yet
                continue
            if isinstance(value, (int, str)) and value != "" and not isinstance(value, bool):
                found[name] = self._mask(str(value))
        if found:
            self._collector.document.sections[-1].settings[role] = found

    def _about(self) -> dict[str, str]:
        command = shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])
        return {
            "command": self._mask(command),
            "directory": os.getcwd(),
            "begun": time.strftime("%Y-%m-%d %H:%M:%S %z", self._started),
            "took": duration(time.monotonic() - self._began),
            "by": f"{getpass.getuser()} on {socket.gethostname()}",
            "ansible-core": core_version,
        }

    def _write(self) -> None:
        document = self._collector.document
        if not document.sections:
            return
        document.about = self._about()
        try:
            with open(os.path.expanduser(self.get_option("next_steps")), encoding="utf-8") as file:
                document.by_hand = self._mask(file.read())
        except (OSError, UnicodeDecodeError):
            document.by_hand = ""
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            write_if_changed(self._path, markdown(document).encode("utf-8", "replace"), 0o600, durable=False)
        except OSError as error:
            self._display.warning(f"The deployment document {self._path} cannot be written: {error.strerror}.")

    # --- progress ---

    @property
    def _mode(self) -> str:
        return "check" if self._check else "run"

    @property
    def _times_path(self) -> str:
        return os.path.join(os.path.dirname(self._path), _TIMES_FILE)

    def _times(self) -> dict[str, dict[str, float]]:
        try:
            with open(self._times_path, encoding="utf-8") as file:
                value = json.load(file)
            return {mode: {title: float(taken) for title, taken in times.items()} for mode, times in value.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _keep_times(self) -> None:
        times = self._times()
        times[self._mode] = {**times.get(self._mode, {}), **self._progress.taken}
        try:
            write_if_changed(self._times_path, (json.dumps(times, indent=1) + "\n").encode(), 0o600, durable=False)
        except OSError as error:
            self._display.vv(f"{self._times_path} cannot be written: {error.strerror}")

    def _say(self, now: float, always: bool = False) -> None:
        interval = self.get_option("progress_interval")
        if interval > 0 and (always or now - self._said >= interval):
            self._said = now
            self._display.display(self._progress.line(now), color="bright blue")
