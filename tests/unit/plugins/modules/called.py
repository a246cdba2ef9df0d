# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls a module as a task does, with its action plugin where it has one, but in this process: a tenth of the time.

What the module prints is what comes back, so that its options, its check mode and what it hides are Ansible's own.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import shutil
import sys
import tempfile
import typing as t
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from ansible.module_utils import basic
from unit.plugins.modules.ansible_run import FILE_ATTRIBUTES

ISOLATED = "ansible_forked" in sys.modules
if not ISOLATED:
    # here, since it makes Ansible's directory for temporary files
    from ansible.parsing.dataloader import DataLoader

PLUGINS = "ansible_collections.superpod.monitoring.plugins"
ACTIONS = frozenset(path.stem for path in (Path(__file__).resolve().parents[4] / "plugins/action").glob("*.py"))


def call(name: str, arguments: dict[str, t.Any], check_mode: bool = False) -> dict[str, t.Any]:
    """The result of a task that shows differences; fails the test if the module fails."""
    result = (_action if name in ACTIONS else _module)(name, arguments, check_mode)
    assert not result.get("failed"), result["msg"]
    return {key: value for key, value in result.items() if key not in FILE_ATTRIBUTES | {"invocation"}}


def _module(name: str, arguments: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    module = importlib.import_module(f"{PLUGINS}.modules.{name}")
    own = {"_ansible_check_mode": check_mode, "_ansible_diff": True}
    given = json.dumps({"ANSIBLE_MODULE_ARGS": {**arguments, **own}}).encode()
    said = io.StringIO()
    with (
        mock.patch.object(basic, "_ANSIBLE_ARGS", given),
        mock.patch.object(basic, "_ANSIBLE_PROFILE", "legacy", create=True),  # since ansible-core 2.19
        contextlib.redirect_stdout(said),
        pytest.raises(SystemExit),
    ):
        module.main()
    return t.cast("dict[str, t.Any]", json.loads(said.getvalue()))


def need_actions() -> None:
    """Skip the test where ansible-test isolates modules from Ansible's actions."""
    if ISOLATED:
        pytest.skip("ansible-test isolates modules from Ansible's actions")


def _action(name: str, arguments: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    need_actions()

    class Action(importlib.import_module(f"{PLUGINS}.action.{name}").ActionModule):  # type: ignore[misc]
        """The host is this process."""

        def _execute_module(self, _name: str, module_args: dict[str, t.Any], task_vars: t.Any) -> dict[str, t.Any]:
            return _module(name, module_args, check_mode)

        def _make_tmp_path(self, remote_user: str | None = None) -> str:
            self._connection._shell.tmpdir = tempfile.mkdtemp()
            return str(self._connection._shell.tmpdir)

        def _transfer_file(self, local_path: str, remote_path: str) -> None:
            shutil.copy(local_path, remote_path)

        def _fixup_perms2(self, *_arguments: t.Any) -> None:
            pass

        def _remove_tmp_path(self, tmp_path: str, force: bool = False) -> None:
            shutil.rmtree(tmp_path)

    task = SimpleNamespace(args=arguments, check_mode=check_mode, diff=True, async_val=0, action=name)
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None, join_path=os.path.join))
    # older Ansible asks for the last one
    action = Action(task, connection, play_context=None, loader=DataLoader(), templar=None, shared_loader_obj=None)
    result: dict[str, t.Any] = action.run(task_vars={})
    if connection._shell.tmpdir and os.path.exists(connection._shell.tmpdir):
        action._remove_tmp_path(connection._shell.tmpdir)  # as Ansible does after a task
    return result
