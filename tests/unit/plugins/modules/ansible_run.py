# SPDX-License-Identifier: GPL-3.0-or-later
"""Run modules for real: ansible-playbook of the same virtual environment, on localhost, each task's result returned."""

from __future__ import annotations

import json
import os
import sys
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import ansible_command

# Ansible itself adds what it knows of the file that a module returns as its path.
FILE_ATTRIBUTES = frozenset(("gid", "group", "mode", "owner", "secontext", "size", "state", "uid"))


@dataclass
class Task:
    """One module call; its result comes back, failed or not."""

    module: str
    args: dict[str, t.Any]
    check_mode: bool = False
    vars: dict[str, t.Any] = field(default_factory=dict)


@dataclass
class Played:
    """Results in the order of the tasks, and all that ansible-playbook printed."""

    results: list[dict[str, t.Any]]
    output: str


def play(directory: Path, tasks: list[Task], verbose: bool = False) -> Played:
    """Run the tasks in one play; fails the test if the play itself breaks or anything deprecated is used."""
    result_file = directory / "results.json"
    names = [f"result_{number}" for number in range(len(tasks))]
    written: list[dict[str, t.Any]] = [
        {
            "name": f"Task {number}",
            f"superpod.monitoring.{task.module}": task.args,
            "check_mode": task.check_mode,
            "diff": True,
            "register": name,
            "ignore_errors": True,
        }
        for number, (name, task) in enumerate(zip(names, tasks))
    ]
    written.append(
        {
            "name": "Results",
            "ansible.builtin.copy": {
                "dest": str(result_file),
                "mode": "0600",
                "content": "{{ [" + ", ".join(names) + "] | to_json }}",
            },
            "diff": False,
        }
    )
    # strings in it are templates to Ansible
    playbook = ansible_command.write(directory / "playbook.yml", [ansible_command.play(written)])
    # the Python that the modules run on, where it is not Ansible's own: a head node may have an older one
    target = os.environ.get("SUPERPOD_TEST_TARGET_PYTHON", sys.executable)
    output = ansible_command.run(
        *("-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={target}"),
        *(["-vvv"] if verbose else []),
        str(playbook),
        directory=directory,
    )
    results = json.loads(result_file.read_text(encoding="utf-8"))
    return Played(
        [{key: value for key, value in result.items() if key not in FILE_ATTRIBUTES} for result in results], output
    )
