#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guided_setup_facts
short_description: Ask BCM which hosts there are, for the guided setup
version_added: 1.0.0
description:
  - Asks BCM's REST interface, or cmsh on this host if that does not answer, and Slurm or BCM for the ClusterName.
  - Changes nothing.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
options:
  headnodes:
    description: BCM head nodes in the order in which they are asked.
    type: list
    elements: str
    default: [master]
  port:
    description: Port of CMDaemon.
    type: int
    default: 8081
  certificate:
    description: Client certificate (PEM). By default the one that cmsh uses.
    type: path
  private_key:
    description: Its private key (PEM).
    type: path
  ca_certificate:
    description: CA bundle that verifies the head nodes. By default BCM's own files on this host.
    type: path
attributes:
  check_mode:
    description: Nothing is changed in either mode.
  diff_mode:
    support: N/A
seealso:
  - module: superpod.monitoring.guided_setup
  - plugin: superpod.monitoring.bcm
    plugin_type: inventory
"""

EXAMPLES = r"""
- name: Ask BCM
  superpod.monitoring.guided_setup_facts:
  register: found
"""

RETURN = r"""
hosts:
  description: The hosts that run an operating system, in BCM's order.
  returned: success
  type: list
  elements: dict
  sample:
    - {name: dgx-01, type: PhysicalNode, category: dgx-h200, roles: [slurmclient], ip: 10.0.0.101}
headnodes:
  description: The head nodes, the one that answered first.
  returned: success
  type: list
  elements: str
  sample: [bcm-head-01, bcm-head-02]
cluster_name:
  description: Slurm's ClusterName, and where it was read; null if that is not known here.
  returned: success
  type: dict
  sample: {value: slurm, source: scontrol}
slurm_instances:
  description: BCM's names of the Slurm instances.
  returned: success
  type: list
  elements: str
  sample: [slurm]
look_at:
  description: The hosts that are worth a look, with their addresses. Of a category with more than eight, two.
  returned: success
  type: list
  elements: dict
  sample:
    - {name: dgx-01, ip: 10.0.0.101}
notes:
  description: Sentences about what could not be found out.
  returned: success
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils import setup_look
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_client import BcmClient, BcmSettings, Unknown
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_cmsh import cmsh_snapshot
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_groups import HOST_TYPES
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_rest import Extras, rest_snapshot
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_snapshot import Snapshot
from ansible_collections.superpod.monitoring.plugins.module_utils.bcm_tls import BcmConfigError, cmsh_key_pair
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh import Cmsh, CmshError
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh_settings import names_in_list
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_findings import from_json, worth_a_look


def settings(parameters: dict[str, t.Any]) -> BcmSettings:
    """How to ask; raises BcmConfigError."""
    certificate, private_key = parameters["certificate"], parameters["private_key"]
    if certificate is None:
        pair = cmsh_key_pair()
        if pair is None:
            raise BcmConfigError(
                "There is no certificate in ~/.cm: run this as root on a head node, or give certificate."
            )
        certificate, private_key = pair
    return BcmSettings(
        headnodes=tuple(parameters["headnodes"]),
        port=parameters["port"],
        certificate=certificate,
        private_key=private_key,
        ca_certificate=parameters["ca_certificate"],
    )


def ask(parameters: dict[str, t.Any]) -> tuple[Snapshot, list[str]]:
    """The hosts, and what should be said about how they were found; raises Failure."""
    try:
        client = BcmClient(settings(parameters))
        try:
            answer = rest_snapshot(client, Extras())
        finally:
            client.close()
    except BcmConfigError as error:
        answer = Unknown(str(error), "down")
    if isinstance(answer, Snapshot):
        return answer, []
    reason = answer.reason
    try:
        other = cmsh_snapshot(Cmsh())
    except CmshError as error:
        other = Unknown(f"{error}.", "down")
    if isinstance(other, Snapshot):
        return other, [f"cmsh was asked, because BCM's REST interface did not answer: {reason}"]
    raise Failure(f"BCM could not be asked: {reason} cmsh neither: {other.reason}", "unknown")


def slurm_instances() -> list[str]:
    """BCM's names of its workload managers, as cmsh lists them."""
    try:
        return names_in_list(Cmsh().run([("wlm",), ("list",)]).stdout)
    except CmshError:
        return []


def cluster_name(instances: list[str]) -> dict[str, str] | None:
    """Slurm's word, else the name of BCM's only instance, which is the ClusterName unless somebody changed that."""
    found = setup_look.cluster_name()
    if found is None and len(instances) == 1:
        found = {"value": instances[0], "source": "the name of BCM's workload manager"}
    return found


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "headnodes": {"type": "list", "elements": "str", "default": ["master"]},
            "port": {"type": "int", "default": 8081},
            "certificate": {"type": "path"},
            "private_key": {"type": "path"},
            "ca_certificate": {"type": "path"},
        },
        required_together=[("certificate", "private_key")],
        supports_check_mode=True,
    )
    with failing(module):
        snapshot, notes = ask(module.params)
    hosts = [
        {
            "name": device.hostname,
            "type": device.type,
            "category": device.category,
            "roles": list(device.roles or ()),
            "ip": device.ip,
        }
        for device in snapshot.devices
        if device.type in HOST_TYPES
    ]
    headnodes = [host["name"] for host in hosts if host["type"] == "HeadNode"]
    headnodes.sort(key=lambda name: name != snapshot.headnode)
    instances = slurm_instances()
    module.exit_json(
        changed=False,
        hosts=hosts,
        headnodes=headnodes,
        cluster_name=cluster_name(instances),
        slurm_instances=instances,
        look_at=[{"name": host.name, "ip": host.ip} for host in worth_a_look(from_json({"hosts": hosts}, {}).hosts)],
        notes=[*notes, *snapshot.problems],
    )


if __name__ == "__main__":
    main()
