# SPDX-License-Identifier: GPL-3.0-or-later
"""The guided setup at a terminal, with each release of ansible-core: asks, refuses, is interrupted, goes on, writes."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import termios
import time
import typing as t
from pathlib import Path

import ansible_command
import pytest
import yaml
from ansible_collections.superpod.monitoring.plugins.action.guided_setup import ActionModule
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from bcm_simulator.fleet import small
from bcm_simulator.testing import Simulator

pytestmark = pytest.mark.plays

PATIENCE = 120
# makes its standard input the terminal of its session, as a shell has it
IN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class Site:
    """The simulator in the place of BCM, and a directory to write to."""

    def __init__(self, sim: Simulator, directory: Path) -> None:
        certificate, key = sim.certificate("admin")
        self.path = directory / "site"
        self.variables: dict[str, t.Any] = {
            "guided_setup_site_dir": str(self.path),
            "guided_setup_headnodes": [sim.host],
            "guided_setup_port": sim.port,
            "guided_setup_certificate": str(certificate),
            "guided_setup_private_key": str(key),
            "guided_setup_ca_certificate": str(sim.ca),
            "guided_setup_probe": False,
        }
        (directory / "ansible.cfg").write_text("")
        self.directory = directory
        self.more = {
            "PATH": f"{Path(sim.cmsh_path).parent}:{os.environ['PATH']}",
            "TERM": "xterm",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        }

    def arguments(self, *arguments: str, **variables: t.Any) -> list[str]:
        given = ansible_command.variables({**self.variables, **variables})
        return ["superpod.monitoring.guided_setup", *given, *arguments]

    def run(self, *arguments: str, status: int = 0, **variables: t.Any) -> str:
        """Without a terminal."""
        words = self.arguments(*arguments, **variables)
        return ansible_command.run(*words, directory=self.directory, status=status, more=self.more)


class Terminal:
    """Types answers at a pseudo-terminal."""

    def __init__(self, site: Site, *arguments: str) -> None:
        self._ours, theirs = os.openpty()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", IN_TERMINAL),
                *ansible_command.command("ansible-playbook", *site.arguments(*arguments)),
            ],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            cwd=site.directory,
            env=ansible_command.environment(site.directory, **site.more),
        )
        os.close(theirs)
        self.seen = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)

    def _more(self, deadline: float) -> bool:
        """Read what there is; False at the end."""
        ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nothing more came:\n{self.seen}"
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            return False
        self.seen += data.decode()
        return bool(data)

    def answer(self, prompt: str, typed: str) -> str:
        """Wait for a prompt, by its beginning, and type; returns what was said before it."""
        pattern = re.compile(rf"\n{prompt}[^\r\n]*:\r\n")
        deadline = time.monotonic() + PATIENCE
        while (found := pattern.search(self.seen)) is None:
            assert self._more(deadline), self.seen
        said, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        # Ansible takes the terminal out of its line mode to ask, and then throws away what was typed before
        while termios.tcgetattr(self._ours)[3] & termios.ICANON:
            assert time.monotonic() < deadline, self.seen
            time.sleep(0.02)
        time.sleep(0.2)
        os.write(self._ours, typed.encode())
        return said

    def end(self) -> int:
        while self._more(time.monotonic() + PATIENCE):
            pass
        ansible_command.assert_quiet(self.seen)
        return self._process.wait(PATIENCE)


@pytest.fixture
def site(tmp_path: Path) -> t.Iterator[Site]:
    with Simulator(small()) as sim:
        yield Site(sim, tmp_path)
        assert sim.writes.stored == 0


def test_asked_interrupted_and_resumed(site: Site) -> None:
    with Terminal(site) as first:
        first.answer("cluster_name", "\n")
        first.answer("dgx_nodes", "dgx-09\n")
        assert "BCM has no host dgx-09" in first.answer("dgx_nodes", "dgx-01, dgx-02\n")
        first.answer("slurm_controllers", "\x03")
        assert first.end() == 2
        assert "Interrupted" in first.seen
    assert [path.name for path in site.path.iterdir()] == ["guided_setup_answers.yml"]

    with Terminal(site) as second:
        second.answer("Go on with them", "\n")
        second.answer("slurm_controllers", "none\n")
        second.answer("login_nodes", "\n")
        second.answer("gpu_exporter", "?\n")
        assert "dcgm: NVIDIA's dcgm-exporter" in second.answer("gpu_exporter", "none\n")
        second.answer("prometheus", "skip\n")
        second.answer("grafana", "skip\n")
        second.answer("open_ondemand", "\n")
        second.answer("jobstats_command", "\n")
        second.answer("deploy_bcm_role_monitor", "\n")
        second.answer("use_custom_prometheus_targets_dir", "\n")
        second.answer("bcm_category_management", "\n")
        second.answer("Write it", "yes\n")
        assert second.end() == 0, second.seen
    inventory = yaml.safe_load((site.path / "bcm_inventory.yml").read_text())
    assert inventory["system_groups"]["dgx_nodes"] == {"hosts": ["dgx-01", "dgx-02"]}
    assert inventory["port"] == site.variables["guided_setup_port"]


def test_without_a_terminal(site: Site) -> None:
    answers = {"dgx_nodes": ["dgx-9"], "prometheus_servers": ["mon-9"], "grafana": "skip"}
    said = site.run(status=2, guided_setup_answers=answers)
    assert "BCM has no host dgx-9" in said
    assert "BCM has no host mon-9" in said
    assert not site.path.exists()
    foretold = site.run("--check", "--diff", guided_setup_answers={"prometheus": "skip", "grafana": "skip"})
    assert "+plugin: superpod.monitoring.bcm" in foretold
    assert not site.path.exists()


def test_a_call_without_what_it_needs_is_one_sentence() -> None:
    with pytest.raises(Failure, match=r"^guided_setup needs site_dir and found\.$"):
        ActionModule.__new__(ActionModule)._set_up({}, {})
