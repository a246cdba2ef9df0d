#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bcm_grabimage
short_description: Copy a node into a software image of NVIDIA Base Command Manager
version_added: 1.0.0
description:
  - Runs C(grabimage -w) of cmsh on the head node and waits until BCM says that it is complete.
  - Without O(image) the node is synced to its own image, by C(excludelistgrab). With O(image) that image is wiped
    first, and C(excludelistgrabnew) counts.
  - In check mode BCM makes a dry run, which changes nothing. RV(log) then has what would be copied and deleted.
  - Whatever no exclude list keeps out gets into the image, keys too. The playbook C(superpod.monitoring.grab_image)
    looks at that first.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
  - superpod.monitoring.attributes.bcm
  - superpod.monitoring.cmsh
attributes:
  check_mode:
    description: BCM makes a dry run. C(changed) is true even so, since each run grabs.
    support: full
  diff_mode:
    description: Returns BCM's log instead.
    support: none
  idempotent:
    description: Each run grabs.
    support: none
options:
  node:
    description: The node to copy.
    type: str
    required: true
  image:
    description: The image to replace. It must exist.
    type: str
  timeout:
    description: Seconds to wait for the end.
    type: int
    default: 3600
"""

EXAMPLES = r"""
- name: See what a grab would change in the image of dgx-01
  superpod.monitoring.bcm_grabimage:
    node: dgx-01
  check_mode: true
  register: dry

- name: Grab, saying every quarter of a minute that it goes on
  superpod.monitoring.bcm_grabimage:
    node: dgx-01
  async: 7200
  poll: 15
"""

RETURN = r"""
node:
  description: The node.
  returned: success
  type: str
  sample: dgx-01
image:
  description: The option O(image); empty for the node's own.
  returned: success
  type: str
dry_run:
  description: Whether it was a dry run.
  returned: success
  type: bool
events:
  description: BCM's events about it.
  returned: success
  type: list
  elements: str
  sample: ["Provisioning started on node dgx-01", "Provisioning completed on node dgx-01"]
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 81.3
log:
  description: What cmsh's C(synclog) says afterwards, line by line.
  returned: success
  type: list
  elements: str
failure:
  description: Why the module failed.
  returned: failure
  type: dict
  contains:
    message:
      description: The same sentence as in RV(ignore:msg).
      type: str
    code:
      description: The kind of failure; V(refused), V(failed), V(timeout), V(no_cmsh) or V(unsafe).
      type: str
    details:
      description: What belongs to it, for example BCM's own words (C(bcm)) or its events (C(events)).
      type: dict
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh import Cmsh
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import failing
from ansible_collections.superpod.monitoring.plugins.module_utils.image_grab import grab


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "image": {"type": "str"},
            "timeout": {"type": "int", "default": 3600},
            "cmsh": {"type": "path"},
            "cmsh_timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    given, began = module.params, time.monotonic()
    with failing(module):
        cmsh = Cmsh(given["cmsh"], timeout=given["cmsh_timeout"])
        done = grab(given["cmsh"], given["node"], given["image"], write=not module.check_mode, timeout=given["timeout"])
        seconds = round(time.monotonic() - began, 1)
        log = cmsh.run([("device",), ("use", given["node"]), ("synclog",)]).stdout.splitlines()
    module.exit_json(
        changed=True,
        node=given["node"],
        image=given["image"] or "",
        dry_run=module.check_mode,
        events=list(done.events),
        seconds=seconds,
        log=log,
    )


if __name__ == "__main__":
    main()
