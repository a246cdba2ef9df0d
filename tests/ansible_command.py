# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's programs as all tests run them: those of this virtual environment, on this machine, and nothing may warn.

Facts are never injected as variables. A test that runs one of them carries the mark ``plays``, since each run costs
seconds and ``script/test --quick`` leaves them out; tests/unit/conftest.py sees to that.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What our own modules warn of, and where tests want to see that; older releases fold a warning.
ON_PURPOSE = {
    "Without Prometheus nothing is stored": "guided setup, where Prometheus was declined",
    "CMDaemon does not write Slurm's files because of": "bcm_settings, where cmd.conf says so",
}

permitted = True


def variables(values: Mapping[str, t.Any]) -> list[str]:
    """Arguments that give variables."""
    return ["-e", json.dumps(values)]


def write(path: Path, content: t.Any) -> Path:
    """A playbook or an inventory; JSON is YAML."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def command(program: str, *arguments: str) -> list[str]:
    """A program of Ansible, whose modules run on the same Python."""
    assert permitted, f"{program} is run: mark the test with pytest.mark.plays"
    own = () if program == "ansible-inventory" else ("-e", f"ansible_python_interpreter={sys.executable}")
    return [str(Path(sys.executable).with_name(program)), *own, *arguments]


def environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of the caller's own settings, and this checkout's collection."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_DEPRECATION_WARNINGS": "true",
        "ANSIBLE_INJECT_FACT_VARS": "false",
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_PIPELINING": "true",  # as ansible.cfg has it
        **more,
    }


def plain(said: str) -> list[str]:
    """The lines of an output, without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines()


def warnings(said: str) -> list[str]:
    """The lines of an output with which Ansible warns or calls something deprecated."""
    return [line for line in plain(said) if re.search(r"\[(?:WARNING|DEPRECATION WARNING)\]", line)]


def assert_quiet(said: str, known: Iterable[str] = ON_PURPOSE) -> None:
    """What a run has said holds no traceback, and no warning but of what is known."""
    strange = [line for line in warnings(said) if not any(text in line for text in known)]
    assert not strange, f"{strange}\n{said}"
    assert "Traceback (most recent call last)" not in said, said


def assert_warns(said: str, expected: Iterable[str]) -> None:
    """It warns of each of these and of nothing else; older releases fold a warning, so give its begin."""
    wanted = list(expected)
    assert_quiet(said, wanted)
    missing = [text for text in wanted if not any(text in line for line in warnings(said))]
    assert not missing, f"no warning of {missing}\n{said}"


def run(
    *arguments: str,
    directory: Path,
    program: str = "ansible-playbook",
    status: int | None = 0,
    more: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    warned: bool = False,
) -> str:
    """What a run says that ends with `status` (None: with any failure).

    `directory` is its home, `more` its environment's; `warned` allows warnings, for what is wrong on purpose.
    """
    ended = subprocess.run(
        command(program, *arguments),
        cwd=cwd or directory,
        env=environment(directory, **(more or {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == status if status is not None else ended.returncode != 0, said
    if not warned:
        assert_quiet(said)
    return said


def recap(said: str) -> dict[str, int]:
    """How much has changed on each host."""
    found = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", said, re.MULTILINE)
    return {host: int(changed) for host, changed in found}


def variable_files(role: str, *parts: str) -> list[Path]:
    """The files of a role's `defaults` and `vars`; either may be a directory `main` of them."""
    return [path for part in parts for path in sorted((ROOT / "roles" / role / part).rglob("*.yml"))]


def play(tasks: Iterable[Mapping[str, t.Any]], hosts: str = "localhost", **more: t.Any) -> dict[str, t.Any]:
    """A play that asks no host for facts."""
    return {"hosts": hosts, "gather_facts": False, "tasks": list(tasks), **more}
