# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab's SuperPOD as an administrator has it: commands on its hosts, and the site directory on its head node."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from terminal import Terminal

ROOT = Path(__file__).resolve().parents[1]
HEAD = "bcm-head-01"
COMMAND = "ansible-playbook site.yml -i bcm_inventory.yml"


class SuperpodSite:
    """The lab of LAB_ID; see lab/README.md."""

    def __init__(self, lab_id: str) -> None:
        self._environment = {"LAB_ID": lab_id, **os.environ}
        self._terminals: list[Terminal] = []

    def boot(self, dgx: int) -> None:
        """With so many DGX nodes; `info` is then what `superpod info` says."""
        self.superpod("up", "--dgx", str(dgx))
        self.info: dict[str, Any] = json.loads(self.superpod("info"))
        self.shared: str = self.info["shared_dir"]

    def superpod(self, *arguments: str, timeout: float = 600) -> str:
        done = subprocess.run(
            [str(ROOT / "lab/superpod"), *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"superpod {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def run(self, script: str, host: str = HEAD, status: int = 0, timeout: float = 600) -> str:
        """What a bash script on a host says; it must end with that status."""
        words = ["bash", "-c", f"({script}) 2>&1; echo STATUS $?"]
        said, _, ended = self.superpod("exec", host, *words, timeout=timeout).rpartition("STATUS ")
        assert int(ended) == status, f"{script}: {ended}\n{said}"
        return said

    def put(self, content: str, path: str, host: str = HEAD) -> None:
        """Write a file on a host."""
        subprocess.run(
            [str(ROOT / "lab/superpod"), "exec", host, "sh", "-c", f"cat > {path}"],
            env=self._environment,
            input=content,
            text=True,
            check=True,
        )

    def read(self, path: str, host: str = HEAD) -> str:
        return self.superpod("exec", host, "cat", path)

    def terminal(self, command: str) -> Terminal:
        """A command on the head node, in a terminal, as somebody sits there."""
        opened = Terminal(["-i", self.info["ssh_key"], f"root@{self.info['hosts'][HEAD]['address']}"], command)
        self._terminals.append(opened)
        return opened

    def close_terminals(self) -> None:
        """End what a failed test has left at a terminal."""
        while self._terminals:
            self._terminals.pop().close()


def grafana_repository(shared: str, directory: Path) -> dict[str, object]:
    """Make a repository of the stand-in for Grafana on the shared storage; the variables of the role that use it."""
    tools = ROOT / "lab" / "stand_ins" / "grafana"
    package = _output(str(tools / "build"), "13.2.3", str(directory))
    fingerprint = _output(str(tools / "repository"), f"{shared}/grafana", package)
    return {
        "grafana_server_version": "13.2.3",
        "grafana_server_apt_url": "file:///cm/shared/grafana",
        "grafana_server_key_file": "/cm/shared/grafana/gpg.key",
        "grafana_server_key_fingerprints": [fingerprint],
    }


def recap(said: str) -> dict[str, tuple[int, int]]:
    """Changed and failed tasks by host."""
    rows = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=\d+\s+failed=(\d+)", said, re.MULTILINE)
    return {host: (int(changed), int(failed)) for host, changed, failed in rows}


def _output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
