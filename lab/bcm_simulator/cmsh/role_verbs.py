# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles submode: list, assign, unassign, use."""

from __future__ import annotations

from .arguments import mode_schema, refuse_more, split_options, texts_of
from .errors import CmshError, NotSimulatedError
from .printing import print_table
from .schema import ROLE, WLM_ROLES
from .shell import Place, Shell
from .table import Column
from .words import Statement

# The roles that BCM ships, by the names that cmsh and REST show.
_ROLES = frozenset(
    (
        *("headnode", "boot", "provisioning", "monitoring", "storage", "backup", "failover", "firewall"),
        *("slurmserver", "slurmclient", "slurmsubmit", "slurmaccounting", "cgroupsupervisor", "subnetmanager"),
        *("scaleserver", "jupyterhub", "pbsproclient", "pbsproserver", "etcd::host"),
    )
)


def list_roles(shell: Shell, arguments: Statement) -> None:
    """Print the roles of a node with their origin, or those that an overlay or a category assigns."""
    options, others = split_options("list", texts_of(arguments), {"-p": "priority", "--priority": "priority"})
    refuse_more("list", others)
    mode, owner = shell.places[0].name, shell.places[1].name
    if mode == "device":
        rows = [[text] for text in _role_lines(shell, owner, "priority" in options)]
    elif options:
        raise NotSimulatedError(f"option '-p' of 'list' for the roles of a {mode}")
    else:
        rows = [[role] for role in shell.workspace.entity(mode_schema(shell).section, owner)["roles"]]
    print_table(shell, [Column("Name (key)", 30, 30, cut=False)], rows)


def _role_lines(shell: Shell, device: str, with_priority: bool) -> list[str]:
    prefix_switch = shell.state["switches"]["cmsh_overlay_prefix"]
    lines: list[str] = []
    direct: list[str] = []
    for assignment in shell.workspace.roles().assignments(device):
        if assignment.origin == "node":
            direct.append(f"[{assignment.priority}] {assignment.role}" if with_priority else assignment.role)
            continue
        origin = f"{assignment.origin}:{assignment.owner}"
        if with_priority or (assignment.origin == "overlay" and prefix_switch == "name_priority"):
            origin += f":{assignment.priority}"
        lines.append(f"[{origin}] {assignment.role}")
    return lines + direct


def assign(shell: Shell, arguments: Statement) -> None:
    """Assign a role and go to it."""
    role = _one_role("assign", arguments)
    if role not in _ROLES:
        raise CmshError(f"assign: no role {role!r} (the BCM simulator knows no such role)")
    section, owner = mode_schema(shell).section, shell.places[1].name
    if role in shell.workspace.entity(section, owner)["roles"]:
        raise CmshError(f"assign: {owner} has role {role} already")
    shell.workspace.editable(section, owner)["roles"].append(role)
    if role in WLM_ROLES:
        shell.workspace.set_wlm_unset(shell.role_owner(), role)
    shell.places = [*shell.places[:3], Place("entry", ROLE, role)]


def unassign(shell: Shell, arguments: Statement) -> None:
    """Take a directly assigned role away."""
    role = _one_role("unassign", arguments)
    _direct_role(shell, "unassign", role)
    shell.workspace.editable(mode_schema(shell).section, shell.places[1].name)["roles"].remove(role)
    shell.workspace.forget_role(shell.role_owner(), role)
    shell.places = shell.places[:3]


def use_role(shell: Shell, arguments: Statement) -> None:
    """Go to a directly assigned role."""
    role = _one_role("use", arguments)
    _direct_role(shell, "use", role)
    shell.places = [*shell.places[:3], Place("entry", ROLE, role)]


def _one_role(command: str, arguments: Statement) -> str:
    texts = texts_of(arguments)
    if len(texts) != 1:
        raise CmshError(f"{command}: name one role")
    return texts[0]


def _direct_role(shell: Shell, command: str, role: str) -> None:
    owner = shell.places[1].name
    if role not in shell.workspace.entity(mode_schema(shell).section, owner)["roles"]:
        raise CmshError(f"{command}: {owner} has no directly assigned role {role!r}")
