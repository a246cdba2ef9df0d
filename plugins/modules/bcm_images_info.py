#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bcm_images_info
short_description: Which software images BCM's categories use, and by which exclude lists
version_added: 1.0.0
description:
  - Asks BCM, through cmsh on the head node, for each category's software image, the image's directory and the exclude
    lists by which it is copied to nodes and nodes are copied to it.
  - Changes nothing.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
  - superpod.monitoring.attributes.bcm
  - superpod.monitoring.cmsh
attributes:
  diff_mode:
    description: Nothing is changed.
    support: none
options:
  categories:
    description: Only these categories. The default is all.
    type: list
    elements: str
  node:
    description: A node to ask for, too. Its own image and exclude lists come before its category's.
    type: str
"""

EXAMPLES = r"""
- name: See which image the DGX nodes have
  superpod.monitoring.bcm_images_info:
    categories: [dgx-h200]
  register: images
"""

RETURN = r"""
images:
  description: The directories of all software images, by the images' names.
  returned: success
  type: dict
  sample:
    dgx-image: /cm/images/dgx-image
categories:
  description: The categories by their names.
  returned: success
  type: dict
  contains:
    image:
      description: The name of the category's software image; empty where it has none.
      type: str
    path:
      description: The image's directory on the head node.
      type: str
    lists:
      description: >-
        The texts of C(excludelistsyncinstall), C(excludelistupdate), C(excludelistgrab) and C(excludelistgrabnew), by
        these names.
      type: dict
    script:
      description: Whether the category has an C(excludelistmanipulatescript), which changes its lists again.
      type: bool
node:
  description: The same for O(node), with its C(category). Empty without O(node).
  returned: success
  type: dict
failure:
  description: Why the module failed.
  returned: failure
  type: dict
  contains:
    message:
      description: The same sentence as in RV(ignore:msg).
      type: str
    code:
      description: The kind of failure; V(not_found), V(unreadable), V(no_cmsh), V(timeout), V(unsafe) or V(failed).
      type: str
    details:
      description: What belongs to it.
      type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_cmsh import (
    CATEGORY_FIELDS,
    IMAGE_FIELDS,
    parse_table,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh import Cmsh, Verbatim
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh_settings import read
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh_settings_values import without_inheritance
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing

LISTS = ("excludelistsyncinstall", "excludelistupdate", "excludelistgrab", "excludelistgrabnew")
SCRIPT = "excludelistmanipulatescript"


def table(cmsh: Cmsh, mode: str, fields: dict[str, int]) -> list[dict[str, str]]:
    """The objects of a mode, with columns so wide that nothing is cut; raises Failure and CmshError."""
    layout = Verbatim(",".join(f"{name}:{width}" for name, width in fields.items()))
    output = cmsh.run([(mode,), ("list", Verbatim("-f"), layout)])
    try:
        return parse_table(output.stdout, list(fields))
    except ValueError as error:
        raise Failure(f"cmsh's list of {mode} cannot be read: {error}", "unreadable", bcm=output.words) from error


def gather(cmsh: Cmsh, wanted: list[str] | None, node: str | None) -> dict[str, t.Any]:
    """What the module returns; raises Failure and CmshError."""
    images = {
        row["name"]: row["path"] or f"/cm/images/{row['name']}" for row in table(cmsh, "softwareimage", IMAGE_FIELDS)
    }
    rows = {row["name"]: row["softwareimage"] for row in table(cmsh, "category", CATEGORY_FIELDS)}
    missing = sorted(set(wanted or ()) - set(rows))
    if missing:
        raise Failure(f"BCM has no category {', '.join(missing)}; it has {', '.join(sorted(rows))}", "not_found")
    categories = {}
    for name in sorted(rows) if wanted is None else sorted(set(wanted)):
        values = read(cmsh, ["category", name], [*LISTS, SCRIPT])
        categories[name] = _described(rows[name], images, values)
    if node is None:
        return {"images": images, "categories": categories, "node": {}}
    category = _own(read(cmsh, ["device", node], ["category"])["category"])
    if category not in rows:
        raise Failure(f"{node} has no category in BCM, and so no software image; give another node", "not_found")
    inherited = read(cmsh, ["category", category], [*LISTS, SCRIPT])
    own = read(cmsh, ["device", node], ["softwareimage", *LISTS, SCRIPT])
    # BCM may show what a node inherits, or nothing
    values = {name: _own(own[name]) or inherited[name] for name in inherited}
    described = _described(_own(own["softwareimage"]) or rows[category], images, values)
    return {"images": images, "categories": categories, "node": {"category": category, **described}}


def _own(value: str) -> str:
    """A node's value without the mark of an inherited one, which may stand alone."""
    return "" if value.strip() == "(default)" else without_inheritance(value)


def _described(image: str, images: dict[str, str], values: dict[str, str]) -> dict[str, t.Any]:
    return {
        "image": image,
        "path": images.get(image, ""),
        "lists": {name: values[name].strip("\n") for name in LISTS},
        "script": bool(values[SCRIPT].strip()),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "categories": {"type": "list", "elements": "str"},
            "node": {"type": "str"},
            "cmsh": {"type": "path"},
            "cmsh_timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    with failing(module):
        cmsh = Cmsh(module.params["cmsh"], timeout=module.params["cmsh_timeout"])
        result = gather(cmsh, module.params["categories"], module.params["node"])
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
