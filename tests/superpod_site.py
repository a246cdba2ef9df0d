# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab's SuperPOD as an administrator has it: commands on its hosts, and the site directory on its head node.

Every run of Ansible on the lab's hosts goes through `SuperpodSite.run` or `SuperpodSite.terminal`, where a warning that
the test has not named is a failure.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_command import assert_warns
from terminal import Terminal

ROOT = Path(__file__).resolve().parents[1]
LABHOST = str(ROOT / "lab/labhost")
HEAD = "bcm-head-01"
SITE = "/root/superpod"
VARIABLES = f"{SITE}/group_vars/all.yml"
COLLECTION = "/usr/share/ansible/collections/ansible_collections/superpod/monitoring"
# Long enough for a run of everything.
PATIENCE = 900


class SuperpodSite:
    """The lab of LAB_ID; see lab/README.md."""

    def __init__(self, lab_id: str) -> None:
        self._environment = {"LAB_ID": lab_id, **os.environ}
        self._terminals: list[Terminal] = []

    def boot(self, dgx: int, *options: str) -> None:
        """With so many DGX nodes; `info` is then what `superpod info` says."""
        self.superpod("up", "--dgx", str(dgx), *options)
        self.learn()

    def learn(self) -> None:
        """What there is on a lab that is up."""
        self.info: dict[str, Any] = json.loads(self.superpod("info"))
        self.shared: str = self.info["shared_dir"]

    @contextlib.contextmanager
    def removed_afterwards(self) -> Iterator[None]:
        """Remove the lab in the end, unless SUPERPOD_LAB_KEEP=1."""
        try:
            yield
        finally:
            self.close_terminals()
            if os.environ.get("SUPERPOD_LAB_KEEP") != "1":
                self.superpod("down")

    def superpod(self, *arguments: str, timeout: float = 600) -> str:
        return self._said(str(ROOT / "lab/superpod"), *arguments, timeout=timeout)

    def in_host(self, host: str, *words: str, timeout: float = 600) -> str:
        """The standard output of a command on a host, which must succeed: `superpod exec`, for a tenth of its time."""
        return self._said(LABHOST, "exec", host, *words, timeout=timeout)

    def _said(self, *argv: str, timeout: float) -> str:
        done = subprocess.run(
            argv,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{' '.join(argv)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def run(
        self, script: str, host: str = HEAD, status: int = 0, timeout: float = 600, warns: Iterable[str] = ()
    ) -> str:
        """What a bash script on a host says; it must end with that status.

        Where it runs Ansible, that warns of each of `warns` (each the begin of a warning) and of nothing else.
        """
        words = ["bash", "-c", f"({script}) 2>&1; echo STATUS $?"]
        said, _, ended = self.in_host(host, *words, timeout=timeout).rpartition("STATUS ")
        assert int(ended) == status, f"{script}: {ended}\n{said}"
        assert_warns(said, warns)
        return said

    def output(self, script: str, host: str, timeout: float = 120) -> str:
        """The standard output of a bash script on a host; a command that fails ends it, and the test."""
        return self.in_host(host, "bash", "-ec", script, timeout=timeout).strip()

    def playbook(
        self,
        name: str,
        arguments: str = "",
        *,
        site: str = SITE,
        status: int = 0,
        timeout: float = PATIENCE,
        warns: Iterable[str] = (),
    ) -> str:
        """What a playbook says: a file of the site directory, or one of the collection by its name; nobody answers."""
        command = f"cd {site} && {playbook_command(name, arguments)}"
        return self.run(command, status=status, timeout=timeout, warns=warns)

    def cmsh(self, commands: str) -> str:
        return self.superpod("cmsh", commands)

    def put(self, content: str, path: str, host: str = HEAD) -> None:
        """Write a file on a host."""
        subprocess.run(
            [LABHOST, "exec", host, "sh", "-c", f"cat > {path}"],
            env=self._environment,
            input=content,
            text=True,
            check=True,
        )

    def read(self, path: str, host: str = HEAD) -> str:
        return self.in_host(host, "cat", path)

    def terminal(self, command: str, warns: Iterable[str] = ()) -> Terminal:
        """A command on the head node, in a terminal, as somebody sits there."""
        login = ["-i", self.info["ssh_key"], f"root@{self.info['hosts'][HEAD]['address']}"]
        opened = Terminal(login, command, warns)
        self._terminals.append(opened)
        return opened

    def close_terminals(self) -> None:
        """End what a failed test has left at a terminal."""
        while self._terminals:
            self._terminals.pop().close()

    def slurm(self, nodes: Iterable[str], timeout: float = PATIENCE) -> None:
        """Set one up on these nodes, as BCM does before monitoring comes."""
        self.cmsh(f"configurationoverlay; use slurm-client; set nodes {' '.join(nodes)}; commit")
        self.playbook("slurm.yml", timeout=timeout)

    def grafana_on_monitoring_hosts(self) -> None:
        """Have the inventory name them."""
        inventory = yaml.safe_load(self.read(f"{SITE}/bcm_inventory.yml"))
        inventory["system_groups"]["grafana_servers"] = {"categories": ["monitoring"]}
        self.put(yaml.safe_dump(inventory), f"{SITE}/bcm_inventory.yml")

    def want_everything(self, directory: Path, more: Mapping[str, Any] | None = None) -> None:
        """Set the site's variables for all roles, and `more` of them; `directory` is for what is built on the way."""
        variables = yaml.safe_load(self.read(VARIABLES))
        variables |= grafana_repository(self.shared, directory)
        variables |= {
            "superpod_gpu_exporter": "nvidia_gpu_prometheus_exporter",
            "slurm_controller_state": "present",
            "login_node_state": "present",
            "jobstats_source": "directory",
            "jobstats_directory": f"{COLLECTION}/lab/stand_ins/jobstats",
            **(more or {}),
        }
        self.put(yaml.safe_dump(variables, width=1000), VARIABLES)
        self.grafana_on_monitoring_hosts()


def playbook_command(name: str, arguments: str = "") -> str:
    """The README's literal command, of any playbook."""
    file = name if name.endswith(".yml") else f"superpod.monitoring.{name}"
    return f"ansible-playbook {file} -i bcm_inventory.yml {arguments}".rstrip()


COMMAND = playbook_command("site.yml")


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


def skip_without_lab(items: Iterable[pytest.Item]) -> None:
    """Tests that boot a lab run only where somebody says so, and can."""
    if os.environ.get("SUPERPOD_LAB_TESTS") != "1" or os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="lab tests need root and SUPERPOD_LAB_TESTS=1"))


def until(wanted: Callable[[], bool], seconds: float = 40) -> float:
    """Wait for what must become true; how long it took."""
    begun = time.monotonic()
    while not wanted():
        if time.monotonic() - begun > seconds:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.5)
    return time.monotonic() - begun


def _output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
