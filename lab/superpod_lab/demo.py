# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: one line through all of it, from BCM to Prometheus, on a lab of real systemd hosts."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bcm_simulator.probe import statuses

from . import artifacts, control
from .expectation import EXPORTERS, Target, active_targets, difference, expected
from .plan import BCM_PORT, SITE_PATH
from .privilege import Privilege, privilege
from .report import HostRow, Report, hints
from .settings import LabError, Settings

COMMAND = f"cd {SITE_PATH} && ansible-playbook site.yml -i bcm_inventory.yml"
CONFIG = "/etc/bcm-role-monitor/config.json"
PROMETHEUS = "mon-01"
PROMETHEUS_PORT = 9090
# A minute is promised, on a site that asks BCM every 5 s; more only tells a slow machine from a broken one.
PATIENCE = 90.0
POLL = 0.25


def say(text: str) -> None:
    print(text, flush=True)


def run(settings: Settings, dgx: int, result_file: Path | None, image_seconds: float) -> int:
    """The whole demo; 0 only if Prometheus reports exactly the expected targets, all up."""
    report = Report(phases={"image": image_seconds})
    faults: list[str] = []
    try:
        demo = Demo(settings, dgx, report)
        faults = demo.run()
    except LabError as error:
        faults = [str(error)]
    finally:
        if result_file is not None:
            result_file.write_text(json.dumps(report.document(), indent=1) + "\n")
    if faults:
        say("\nThe demo FAILED:")
        for fault in faults:
            say(f"  {fault}")
        say("The lab is left as it is; script/demo --down removes it.")
        return 1
    return 0


class Demo:
    """One run on one lab."""

    def __init__(self, settings: Settings, dgx: int, report: Report) -> None:
        self.settings = settings
        self.dgx = dgx
        self.report = report
        self.lab: dict[str, Any] = {}

    def run(self) -> list[str]:
        """Run it all, print the end; what is not as it should be."""
        self.phase("boot", "Booting the simulated SuperPOD", self.boot)
        self.phase("site", f"On bcm-head-01: {COMMAND}", self.site)
        nodes = [name for name, host in self.lab["hosts"].items() if host["kind"] == "dgx"]
        clients, spare = nodes[:-1], nodes[-1]
        words = f"Giving {' '.join(clients) or 'no node'} the role slurmclient, and waiting for Prometheus"
        self.phase("converge", words, lambda: self.converge(clients))
        say(f"==> Giving {spare} the role, and taking it away again")
        self.report.role_assigned_to_up = self.change("append", [spare], nodes)
        self.report.role_removed_to_gone = self.change("removefrom", [spare], clients)
        say(f"==> Trying everything with the certificate that the role monitor of {spare} uses")
        self.report.certificate = self.certificate(spare)
        return self.end(clients, spare) + self.report.certificate.faults()

    def phase(self, name: str, words: str, work: Any) -> None:
        say(f"==> {words}")
        began = time.monotonic()
        try:
            work()
        finally:
            self.report.phases[name] = time.monotonic() - began

    def boot(self) -> None:
        if control.record(self.settings) is not None:
            say("    a lab is up from before: it is removed first")
            control.down(self.settings)
        self.lab = control.up(self.settings, self.dgx, 2)
        self.report.cgroup_exporter = str(artifacts.obtain(os.environ))

    def site(self) -> None:
        if self.in_host("bcm-head-01", "sh", "-c", COMMAND).returncode != 0:
            raise LabError("The playbook failed; its errors stand above.")

    def converge(self, clients: list[str]) -> None:
        if clients:
            self.change("append", clients, clients)

    def change(self, verb: str, nodes: list[str], clients: Iterable[str]) -> float:
        """Change the overlay's nodes through cmsh; seconds until Prometheus has exactly the targets of `clients` up."""
        commands = f"configurationoverlay; use slurm-client; {verb} nodes {' '.join(nodes)}; commit"
        began = time.monotonic()
        done = self.in_host("bcm-head-01", "/cm/local/apps/cmd/bin/cmsh", "-c", commands, capture=True)
        if done.returncode != 0:
            raise LabError(f"cmsh -c '{commands}' failed: {(done.stdout + done.stderr).strip()}")
        wanted = expected(clients)
        while True:
            faults = self.faults(wanted)
            if not faults:
                return time.monotonic() - began
            if time.monotonic() - began > PATIENCE:
                raise LabError(f"After {PATIENCE:.0f} s Prometheus is not where it should be: {'; '.join(faults)}.")
            time.sleep(POLL)

    def faults(self, wanted: set[Target]) -> list[str]:
        try:
            return difference(wanted, self.targets())
        except LabError as error:
            return [str(error)]

    def targets(self) -> dict[Target, str]:
        """What Prometheus itself reports."""
        address = self.lab["hosts"][PROMETHEUS]["address"]
        url = f"http://{address}:{PROMETHEUS_PORT}/api/v1/targets?state=active"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return active_targets(json.load(answer))
        except (OSError, ValueError) as error:
            raise LabError(f"Prometheus on {PROMETHEUS} does not answer ({error})") from error

    def certificate(self, node: str) -> Privilege:
        """What BCM lets a node's role monitor do: every request that the simulator knows, with its certificate."""
        bcm = self.lab["bcm"]
        with tempfile.TemporaryDirectory() as directory:
            files = [Path(directory) / name for name in ("cert_path", "key_path")]
            try:
                config = json.loads(self.content(node, CONFIG))
                for file in files:
                    file.write_text(self.content(node, config[file.name]))
                address = self.lab["hosts"]["bcm-head-01"]["address"]
                return privilege(node, statuses(address, bcm["port"], Path(bcm["ca"]), *files))
            except (OSError, KeyError, ValueError) as error:
                raise LabError(f"The role monitor's certificate on {node} cannot be tried: {error}") from error

    def content(self, host: str, path: str) -> str:
        """What a file of a host holds."""
        done = self.in_host(host, "cat", path, capture=True)
        if done.returncode != 0:
            raise LabError(f"{host} has no {path}.")
        return done.stdout

    def end(self, clients: list[str], spare: str) -> list[str]:
        """Ask everybody once more and print what they say."""
        found, wanted, roles = self.targets(), expected(clients), self.roles()
        up = [target for target, health in found.items() if health == "up"]
        self.report.expected = len(wanted)
        self.report.up = len(up)
        self.report.hosts = [
            HostRow(
                host=name,
                category=host["category"] or "",
                roles=roles.get(name, []),
                exporters=self.running(name),
                targets_up=sum(target.host == name for target in up),
            )
            for name, host in self.lab["hosts"].items()
        ]
        say("\n" + self.report.table())
        say(f"\nPrometheus: {len(up)} of {len(wanted)} expected targets up, {len(set(found) - wanted)} others")
        say(self.report.times())
        if self.report.certificate is not None:
            say(self.report.certificate.sentence())
        say(self.report.cgroup_exporter)
        say("\n" + hints(self.settings.net, self.settings.lab_id, spare))
        return difference(wanted, found)

    def roles(self) -> dict[str, list[str]]:
        """Every host's effective roles, from BCM's REST interface."""
        bcm = self.lab["bcm"]
        context = ssl.create_default_context(cafile=bcm["ca"])
        context.load_cert_chain(bcm["admin_cert"], bcm["admin_key"])
        address = self.lab["hosts"]["bcm-head-01"]["address"]
        url = f"https://{address}:{BCM_PORT}/rest/v1/device"
        try:
            with urllib.request.urlopen(url, timeout=10, context=context) as answer:
                return {device["hostname"]: sorted(device.get("roles") or []) for device in json.load(answer)}
        except (OSError, ValueError) as error:
            raise LabError(f"BCM on bcm-head-01 does not answer ({error})") from error

    def running(self, host: str) -> list[str]:
        """The exporters that systemd runs on a host."""
        units = [unit for unit, _, _ in EXPORTERS]
        states = self.in_host(host, "systemctl", "is-active", *units, capture=True).stdout.split()
        return [unit for unit, state in zip(units, states) if state == "active"]

    def in_host(self, host: str, *words: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.settings.environment()}
        command = [control.LABHOST, "exec", host, *words]
        return subprocess.run(command, env=environment, capture_output=capture, text=True, check=False)
