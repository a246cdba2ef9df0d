#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guided_setup
short_description: Ask what a site needs to know and write its site directory
version_added: 1.0.0
description:
  - Part of the playbook C(superpod.monitoring.guided_setup), which first finds out what can be found out.
  - Asks at the terminal, or takes O(answers) and O(config) and the defaults for the rest. In the latter case all
    answers that cannot be used are listed at once, and nothing is written.
  - Changes nothing but O(site_dir). Answers are kept there as they come, so that an interrupted run can go on.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
options:
  site_dir:
    description:
      - The directory for C(site.yml), C(bcm_inventory.yml), C(group_vars) and C(ansible.cfg).
      - A file in it that somebody changed by hand is kept beside the new one, with a C(~) at the end of its name.
    type: path
    required: true
  answers:
    description: Answers by question. The file C(guided_setup_answers.yml) in a site directory has them all.
    type: dict
  config:
    description: A configuration file (JSON) of an earlier set-up tool for jobstats or dcgm-exporter.
    type: path
  interactive:
    description: Whether to ask what is left. By default only if there are neither O(answers) nor O(config).
    type: bool
  everything:
    description: Whether to ask routine questions, such as for ports, too, and not only if their default cannot be used.
    type: bool
    default: false
  found:
    description: What M(superpod.monitoring.guided_setup_facts) returned.
    type: dict
    required: true
  seen:
    description: What M(superpod.monitoring.guided_setup_probe) returned, by host.
    type: dict
  inventory:
    description: Options of the inventory plugin for reaching BCM (port, certificate, private_key, ca_certificate).
    type: dict
attributes:
  idempotent:
    support: full
seealso:
  - module: superpod.monitoring.guided_setup_facts
  - module: superpod.monitoring.guided_setup_probe
"""

EXAMPLES = r"""
- name: Find out
  superpod.monitoring.guided_setup_facts:
  register: found

- name: Ask and write
  superpod.monitoring.guided_setup:
    site_dir: /root/superpod
    found: "{{ found }}"
"""

RETURN = r"""
site_dir:
  description: The absolute path of the site directory.
  returned: success
  type: str
  sample: /root/superpod
files:
  description: The files that were written, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [ansible.cfg, bcm_inventory.yml, site.yml]
answers:
  description: All answers, without passwords.
  returned: success
  type: dict
  sample: {cluster_name: slurm}
warnings_said:
  description: What is allowed but may be a mistake.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "site_dir": {"type": "path", "required": True},
            "answers": {"type": "dict"},
            "config": {"type": "path"},
            "interactive": {"type": "bool"},
            "everything": {"type": "bool", "default": False},
            "found": {"type": "dict", "required": True},
            "seen": {"type": "dict"},
            "inventory": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    module.fail_json(msg="guided_setup runs on the control machine; call it as superpod.monitoring.guided_setup.")


if __name__ == "__main__":
    main()
