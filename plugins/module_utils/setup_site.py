# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From answers to the files of a site directory.  Pure: texts and modes, nothing is written here."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from .setup_model import Value
from .setup_next_steps import next_steps
from .setup_variables import exporters, secret_variables, system_groups, variables

VARIABLES_FILE = "group_vars/all/guided_setup.yml"
SECRETS_FILE = "group_vars/all/guided_setup_secrets.yml"
ANSWERS_FILE = "guided_setup_answers.yml"

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_NOT_TEXT = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"))


@dataclass(frozen=True)
class File:
    """A file of the site directory. `secret`: never shown."""

    content: str
    mode: int = 0o644
    secret: bool = False


@dataclass(frozen=True)
class Place:
    """Where the site directory is and what it needs from there.

    `collections_path`: where this collection is installed, if that is not where Ansible looks by itself.
    `certificate`, `private_key`, `ca_certificate`, `port`: as the inventory plugin's options, if they are not default.
    """

    directory: str
    collections_path: str | None = None
    inventory: Mapping[str, Value] | None = None


def files(answers: Mapping[str, Value], place: Place) -> dict[str, File]:
    """The site directory's files by their path in it."""
    made = {
        "ansible.cfg": File(_ansible_cfg(place)),
        "bcm_inventory.yml": File(_inventory(answers, place.inventory or {})),
        "site.yml": File(_site(answers)),
        VARIABLES_FILE: File(_variables(answers)),
        "NEXT_STEPS.md": File(next_steps(answers, place.directory)),
    }
    secrets = secret_variables(answers)
    if secrets:
        made[SECRETS_FILE] = File(_secrets(secrets), 0o600, secret=True)
    return made


def answers_file(answers: Mapping[str, Value], secret_keys: t.Container[str]) -> str:
    """The answers as a file for `-e @FILE`, without secrets."""
    kept = {key: value for key, value in answers.items() if key not in secret_keys}
    lines = [f"  {key}: {yaml(value)}\n" for key, value in kept.items()]
    return (
        "# What was answered to superpod.monitoring.guided_setup. To use it again: -e @guided_setup_answers.yml\n"
        "# Passwords are not kept here.\n"
        "guided_setup_answers:" + ("\n" + "".join(lines) if lines else " {}\n")
    )


def yaml(value: Value) -> str:
    """A value in one line of YAML. What could be read as another type stands in quotes."""
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT
        return value if plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(yaml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{yaml(str(key))}: {yaml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def _ansible_cfg(place: Place) -> str:
    collections = f"collections_path = {place.collections_path}\n" if place.collections_path else ""
    return f"""\
# Read when Ansible is started in this directory.
[defaults]
{collections}forks = 20
inject_facts_as_vars = false
interpreter_python = auto_silent
callbacks_enabled = superpod.monitoring.deployment_document

# What each run did, or in check mode would do, as a document; it is as secret as the cluster's configuration.
[callback_deployment_document]
path = documents/%Y-%m-%d_%H%M%S.md

[connection]
pipelining = true

[inventory]
# Stop if BCM cannot be asked. Ansible's default is to go on without hosts.
any_unparsed_is_failed = true
# Only the plugin that bcm_inventory.yml is for, and "-i host,".
enable_plugins = superpod.monitoring.bcm, host_list
"""


def _inventory(answers: Mapping[str, Value], options: Mapping[str, Value]) -> str:
    lines = [
        "# Hosts and groups from BCM. See them with: ansible-inventory -i bcm_inventory.yml --graph\n",
        "# All options: ansible-doc -t inventory superpod.monitoring.bcm\n",
        "plugin: superpod.monitoring.bcm\n",
        f"headnodes: {yaml(answers.get('headnodes') or ['master'])}\n",
        *(f"{key}: {yaml(value)}\n" for key, value in options.items()),
    ]
    if answers.get("bcm_category_management"):
        lines.append("# Software images are hosts of the group bcm_images, too.\nsoftware_images: true\n")
    lines.append("system_groups:\n")
    lines += [f"  {group}: {yaml(rule)}\n" for group, rule in system_groups(answers).items()]
    return "".join(lines)


def _site(answers: Mapping[str, Value]) -> str:
    text = """\
#     ansible-playbook site.yml -i bcm_inventory.yml
- name: Deploy monitoring to the SuperPOD
  ansible.builtin.import_playbook: superpod.monitoring.site
"""
    return text if answers.get("deploy_bcm_role_monitor", True) else text + _static_targets(answers)


def _static_targets(answers: Mapping[str, Value]) -> str:
    groups = "".join(
        f'          - targets: ["{{{{ inventory_hostname }}}}:{port}"]\n'
        "            labels:\n"
        f"              job: {job}\n"
        '              cluster: "{{ superpod_cluster_name }}"\n'
        '              hostname: "{{ inventory_hostname }}"\n'
        for job, port in exporters(answers)
    )
    return f"""
- name: Target files, which no role monitor keeps
  hosts: dgx_nodes
  gather_facts: false
  tasks:
    - name: Have their directory
      ansible.builtin.file:
        path: "{{{{ superpod_targets_dir }}}}"
        state: directory
        mode: "0755"
      run_once: true

    - name: Name the node's exporters to Prometheus
      superpod.monitoring.file_sd_target:
        path: "{{{{ superpod_targets_dir }}}}/{{{{ inventory_hostname }}}}.json"
        groups:
{groups}"""


def _variables(answers: Mapping[str, Value]) -> str:
    lines = [
        "# Written by superpod.monitoring.guided_setup, which replaces it when it is run again. Put settings of your\n",
        "# own beside it, into site.yml: what stands there wins.\n",
    ]
    for name, value in variables(answers).items():
        lines.append(f"{name}: {yaml(value)}\n")
    return "".join(lines)


def _secrets(secrets: Mapping[str, str]) -> str:
    lines = [
        "# Readable to its owner only. Before it goes into git: ansible-vault encrypt " + SECRETS_FILE + "\n",
    ]
    lines += [f"{name}: !unsafe {json.dumps(value, ensure_ascii=False)}\n" for name, value in secrets.items()]
    return "".join(lines)
