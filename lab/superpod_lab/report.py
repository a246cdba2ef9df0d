# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo prints and writes at its end.  Nothing here touches the machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .privilege import Privilege

PHASES = ("image", "boot", "site", "converge")


@dataclass(frozen=True)
class HostRow:
    """One host: its roles as BCM says them, exporters that systemd runs, targets that Prometheus has up."""

    host: str
    category: str
    roles: list[str]
    exporters: list[str]
    targets_up: int


@dataclass
class Report:
    """The demo's result; times in seconds, None where the demo did not get that far."""

    hosts: list[HostRow] = field(default_factory=list)
    expected: int = 0
    up: int = 0
    phases: dict[str, float] = field(default_factory=dict)
    role_assigned_to_up: float | None = None
    role_removed_to_gone: float | None = None
    cgroup_exporter: str = ""
    certificate: Privilege | None = None

    def document(self) -> dict[str, Any]:
        """What `--json` writes."""
        return {
            "hosts": [asdict(row) for row in self.hosts],
            "targets": {"expected": self.expected, "up": self.up},
            "phases": {name: _rounded(self.phases.get(name)) for name in PHASES},
            "role_assigned_to_up": _rounded(self.role_assigned_to_up),
            "role_removed_to_gone": _rounded(self.role_removed_to_gone),
            "cgroup_exporter": self.cgroup_exporter,
            "certificate": None if self.certificate is None else asdict(self.certificate),
        }

    def table(self) -> str:
        rows = [["HOST", "CATEGORY", "ROLES", "EXPORTERS RUNNING", "TARGETS UP"]]
        rows += [
            [
                row.host,
                row.category or "-",
                " ".join(row.roles) or "-",
                " ".join(row.exporters) or "-",
                str(row.targets_up),
            ]
            for row in self.hosts
        ]
        return align(rows)

    def times(self) -> str:
        lines = ["    ".join(f"{name} {_seconds(self.phases.get(name))}" for name in PHASES)]
        lines.append(f"role assigned -> up in Prometheus: {_seconds(self.role_assigned_to_up)}")
        lines.append(f"role removed  -> gone:             {_seconds(self.role_removed_to_gone)}")
        return "\n".join(lines)


def align(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def hints(net: str, lab_id: int, spare: str) -> str:
    """How to go on; every line works when pasted into a shell in the checkout."""
    lab = f"LAB_ID={lab_id} " if lab_id else ""
    overlay = f"{lab}lab/superpod cmsh 'configurationoverlay; use slurm-client;"
    return f"""\
Prometheus, its targets:   http://{net}.41:9090/classic/targets
give a node the role:      {overlay} append nodes {spare}; commit'
take it away:              {overlay} removefrom nodes {spare}; commit'
what BCM says:             {lab}lab/superpod cmsh 'device; list'
a shell on the head node:  {lab}lab/superpod exec bcm-head-01 bash
there, again:              cd /root/superpod && ansible-playbook site.yml -i bcm_inventory.yml
the daemon's journal:      {lab}lab/superpod exec {spare} journalctl -fu bcm-role-monitor
remove everything:         {lab}script/demo --down"""


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
