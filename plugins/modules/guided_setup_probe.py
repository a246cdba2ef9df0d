#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guided_setup_probe
short_description: Look at one host for the guided setup
version_added: 1.0.0
description:
  - Lists the mounted file systems, the TCP ports that are listened on, and Slurm's ClusterName where it is known.
  - Changes nothing.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
options: {}
attributes:
  check_mode:
    description: Nothing is changed in either mode.
  diff_mode:
    support: N/A
seealso:
  - module: superpod.monitoring.guided_setup
"""

EXAMPLES = r"""
- name: Look at the host
  superpod.monitoring.guided_setup_probe:
  register: seen
"""

RETURN = r"""
mounts:
  description: The mounted file systems that hold files.
  returned: success
  type: list
  elements: dict
  contains:
    target:
      description: Where it is mounted.
      type: str
    fstype:
      description: Its type.
      type: str
    source:
      description: What is mounted.
      type: str
    identity:
      description: The same text on all hosts that mount the same file system; null if that cannot be told.
      type: str
  sample:
    - {target: /cm/shared, fstype: nfs4, source: "master:/cm/shared", identity: 96-1763631234}
listeners:
  description: Who listens on which TCP port.
  returned: success
  type: list
  elements: dict
  contains:
    port:
      description: The port.
      type: int
    program:
      description: The kernel's name of the process; empty if it cannot be seen.
      type: str
    ours:
      description: Whether its unit was installed by this collection, or is an exporter's that it replaces.
      type: bool
  sample:
    - {port: 22, program: sshd, ours: false}
cluster_name:
  description: Slurm's ClusterName, and where it was read; null if this host does not know.
  returned: success
  type: dict
  sample: {value: slurm, source: scontrol}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils import setup_look


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(
        changed=False,
        mounts=setup_look.mounts(),
        listeners=setup_look.listeners(),
        cluster_name=setup_look.cluster_name(),
    )


if __name__ == "__main__":
    main()
