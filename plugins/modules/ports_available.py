#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ports_available
short_description: Check that nothing else listens on the TCP ports that services need
version_added: 1.0.0
description:
  - Fails if a process listens on one of the ports and does not belong to a unit that may, and says which process it is.
  - Looks at all ports in one execution, and changes nothing.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
attributes:
  diff_mode:
    support: none
options:
  ports:
    description:
      - The ports.
    type: list
    elements: dict
    required: true
    suboptions:
      port:
        description: The TCP port.
        type: int
        required: true
      name:
        description: What needs it, for the message.
        type: str
        required: true
      units:
        description: The systemd units that may listen there.
        type: list
        elements: str
        default: []
"""

EXAMPLES = r"""
- name: Check that nothing else listens where node_exporter will
  superpod.monitoring.ports_available:
    ports:
      - port: 9100
        name: node_exporter
        units: [node_exporter.service]
"""

RETURN = r"""
listeners:
  description: Who listens on the ports now.
  returned: success
  type: list
  elements: dict
  sample:
    - {port: 9100, pid: 4242, process: node_exporter, unit: node_exporter.service}
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  contains:
    message:
      description: The same sentence as in RV(ignore:msg).
      type: str
    code:
      description:
        - The kind of failure.
        - V(same_port), V(port_taken).
      type: str
    details:
      description: What belongs to it.
      type: dict
"""

import dataclasses
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing
from ansible_collections.superpod.monitoring.plugins.module_utils.tcp_listeners import Listener, listeners


def refuse(ports: list[dict[str, t.Any]], there: list[Listener]) -> None:
    """Raise Failure if two need the same port, or one is taken by something else."""
    needed: dict[int, dict[str, t.Any]] = {}
    for each in ports:
        other = needed.setdefault(each["port"], each)
        if other is not each:
            raise Failure(
                f"{other['name']} and {each['name']} are both to listen on port {each['port']}; give one another port",
                "same_port",
                port=each["port"],
            )
    taken = [
        f"port {listener.port}, which {needed[listener.port]['name']} needs, is taken by {listener}"
        for listener in there
        if listener.unit not in needed[listener.port]["units"]
    ]
    if taken:
        text = "; ".join(taken)
        raise Failure(f"{text[0].upper()}{text[1:]}: stop that, or choose another port", "port_taken")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "ports": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "port": {"type": "int", "required": True},
                    "name": {"type": "str", "required": True},
                    "units": {"type": "list", "elements": "str", "default": []},
                },
            }
        },
        supports_check_mode=True,
    )
    ports = module.params["ports"]
    there = listeners({each["port"] for each in ports})
    with failing(module):
        refuse(ports, there)
    module.exit_json(changed=False, listeners=[dataclasses.asdict(listener) for listener in there])


if __name__ == "__main__":
    main()
