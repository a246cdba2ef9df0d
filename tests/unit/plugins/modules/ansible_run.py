# SPDX-License-Identifier: GPL-3.0-or-later
"""Run modules for real: ansible-playbook of the same virtual environment, on localhost, each task's result returned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
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
    # JSON is YAML; strings in it are templates to Ansible all the same
    playbook = directory / "playbook.yml"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": written}]), encoding="utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_DEPRECATION_WARNINGS": "true",
        "ANSIBLE_INJECT_FACT_VARS": "false",
        "ANSIBLE_NOCOLOR": "true",
    }
    program = Path(sys.executable).parent / "ansible-playbook"
    # the Python that the modules run on, where it is not Ansible's own: a head node may have an older one
    target = os.environ.get("SUPERPOD_TEST_TARGET_PYTHON", sys.executable)
    ended = subprocess.run(
        [
            *[str(program), "-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={target}"],
            *(["-vvv"] if verbose else []),
            str(playbook),
        ],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    output = ended.stdout + ended.stderr
    assert ended.returncode == 0, output
    assert "DEPRECAT" not in output, output
    results = json.loads(result_file.read_text(encoding="utf-8"))
    return Played(
        [{key: value for key, value in result.items() if key not in FILE_ATTRIBUTES} for result in results], output
    )
