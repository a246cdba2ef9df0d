#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: verify_host
short_description: See whether what a role deploys works on a host
version_added: 1.0.0
description:
  - Looks at units, files, ports, exporters, Prometheus, Grafana, Slurm, certificates and the clock in one execution,
    and says which checks failed, what was seen and expected, and the command that mends it.
  - The expectations are judged on the control machine. The host is only told what to look at, and nothing there is
    changed; each look has its own time, so that a file server or a driver that hangs is a finding and no more.
  - The playbook C(superpod.monitoring.verify) uses it for all roles.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
attributes:
  diff_mode:
    support: none
options:
  part:
    description: What is looked at, the name of a role. Its tag is in the command that deploys it anew.
    type: str
    required: true
  expected:
    description:
      - Kinds of checks, each with what it expects; the file C(tasks/checks.yml) of each role has them.
      - C(files), C(secrets), C(units), C(ports), C(directories), C(commands), C(certificates); C(exporters) and
        C(role_monitor) of a DGX node; C(targets) and C(prometheus); C(slurm), C(asks_prometheus) and C(slurm_settings);
        C(grafana) and C(grafana_content).
    type: dict
  look:
    description: What to look at. The control machine's part makes it of O(expected), and it is not to be given.
    type: dict
    suboptions:
      units:
        description: The systemd units.
        type: list
        elements: str
        default: []
      files:
        description: Paths to describe, by state, owner, permissions and a digest.
        type: list
        elements: str
        default: []
      contents:
        description: Small files to read.
        type: list
        elements: str
        default: []
      ports:
        description: TCP ports whose listeners are named.
        type: list
        elements: int
        default: []
      disks:
        description: Directories whose file system is described.
        type: list
        elements: str
        default: []
      listings:
        description: Directories of target files.
        type: list
        elements: str
        default: []
      certificates:
        description: Certificates whose end is read.
        type: list
        elements: str
        default: []
      requests:
        description: GET requests.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Its name in the facts.
            type: str
            required: true
          url:
            description: The URL.
            type: str
            required: true
          kind:
            description: What the answer is, and so what is kept of it.
            type: str
            choices: [document, metrics, nothing, rules, targets, vector]
            required: true
          series:
            description: Names of metrics whose values are kept.
            type: list
            elements: str
            default: []
          seconds:
            description: How long it may take.
            type: float
            default: 10
          user:
            description: Who asks. Nobody when empty.
            type: str
            default: ""
          password:
            description: The password.
            type: str
            default: ""
          password_file:
            description: Or the file on the host that has it.
            type: str
            default: ""
          validate_certs:
            description: Whether the certificate must be right.
            type: bool
            default: false
      commands:
        description: Programs that only look.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Its name in the facts.
            type: str
            required: true
          argv:
            description: Program and arguments.
            type: list
            elements: str
            required: true
          seconds:
            description: How long it may take.
            type: float
            default: 10
"""

EXAMPLES = r"""
- name: Look at Grafana's unit and port
  superpod.monitoring.verify_host:
    part: grafana_server
    expected:
      units:
        - {unit: grafana-server.service, active: true, enabled: true}
      ports:
        - {port: 3000, name: Grafana, units: [grafana-server.service]}
"""

RETURN = r"""
part:
  description: What was looked at.
  returned: success
  type: str
  sample: grafana_server
passed:
  description: How many checks passed.
  returned: success
  type: int
  sample: 12
findings:
  description: The checks that failed.
  returned: success
  type: list
  elements: dict
  contains:
    check:
      description: The check's name.
      type: str
      sample: service_active
    subject:
      description: What was checked.
      type: str
      sample: grafana-server.service
    host:
      description: The host that it is about, if that is another one.
      type: str
      sample: ""
    seen:
      description: What was seen.
      type: str
      sample: is inactive (dead)
    expected:
      description: What was expected.
      type: str
      sample: active
    mend:
      description: The command that mends it.
      type: str
      sample: journalctl -u grafana-server.service -n 20; systemctl start grafana-server.service
hints:
  description: What to do so that more can be seen, where nothing was there to be checked.
  returned: success
  type: list
  elements: str
  sample: []
"""

# The action plugin of this name judges; what runs on the host gets its request and gives facts.
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils.verify_answers import KINDS
from ansible_collections.superpod.monitoring.plugins.module_utils.verify_look import look

LOOK = {
    "units": {"type": "list", "elements": "str", "default": []},
    "files": {"type": "list", "elements": "str", "default": []},
    "contents": {"type": "list", "elements": "str", "default": []},
    "ports": {"type": "list", "elements": "int", "default": []},
    "disks": {"type": "list", "elements": "str", "default": []},
    "listings": {"type": "list", "elements": "str", "default": []},
    "certificates": {"type": "list", "elements": "str", "default": []},
    "requests": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "url": {"type": "str", "required": True},
            "kind": {"type": "str", "choices": KINDS, "required": True},
            "series": {"type": "list", "elements": "str", "default": []},
            "seconds": {"type": "float", "default": 10},
            "user": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "password_file": {"type": "str", "default": "", "no_log": False},
            "validate_certs": {"type": "bool", "default": False},
        },
    },
    "commands": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "argv": {"type": "list", "elements": "str", "required": True},
            "seconds": {"type": "float", "default": 10},
        },
    },
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "part": {"type": "str", "required": True},
            "expected": {"type": "dict"},
            "look": {"type": "dict", "options": LOOK},
        },
        supports_check_mode=True,
    )
    if module.params["look"] is None:
        module.fail_json(msg="verify_host needs its part on the control machine; call it by a task.")
    try:
        facts = look(module.params["look"])
    except OSError as error:
        module.fail_json(msg=f"Cannot look at this host: {error.strerror or error}.")
    module.exit_json(changed=False, part=module.params["part"], facts=facts)


if __name__ == "__main__":
    main()
