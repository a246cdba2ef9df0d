#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall_rules
short_description: Let Prometheus, or users, through a host's firewall to a service
version_added: 1.0.0
description:
  - Has rules in ufw or firewalld that open the TCP ports of one service, and takes away those that it made before and
    that are no longer asked for. They are known by a comment (ufw) or by their service (firewalld).
  - Other rules are left alone, and one of the site that lets in the same already is enough.
  - Neither installs, starts nor enables the firewall, and leaves its default as it is. ufw keeps the rules for when it
    is enabled; firewalld must run. Its rules go to the default zone.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
options:
  firewall:
    description: The firewall that the host has.
    type: str
    choices: [ufw, firewalld]
    required: true
  name:
    description: Name of the service, which tells its rules from those of others.
    type: str
    required: true
  ports:
    description: Its TCP ports. Not needed with O(state=absent).
    type: list
    elements: int
    default: []
  sources:
    description: Addresses and networks to let in; all when empty.
    type: list
    elements: str
    default: []
  state:
    description: V(absent) takes the service's rules away.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Let the Prometheus server scrape
  superpod.monitoring.firewall_rules:
    firewall: ufw
    name: exporters
    ports: [9100, 9306, 9445]
    sources: [10.141.255.250]
"""

RETURN = r"""
added:
  description: The rules that were added, as the firewall prints them.
  returned: success
  type: list
  elements: str
  sample: ["allow from 10.141.255.250 to any port 9100,9306,9445 proto tcp comment 'superpod.monitoring exporters'"]
removed:
  description: The rules that were taken away.
  returned: success
  type: list
  elements: str
  sample: []
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
        - Of the options; V(bad_name), V(no_ports), V(bad_port), V(bad_source).
        - Of the firewall; V(no_firewall), V(refused). Of the host; V(io).
      type: str
    details:
      description: What belongs to it.
      type: dict
"""

import re
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils import atomic_file
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing
from ansible_collections.superpod.monitoring.plugins.module_utils.firewall_rules import Firewalld, Opening, Ufw


def ask(module: AnsibleModule, argv: t.Sequence[str]) -> str:
    """What a firewall's program prints; raises Failure if it is missing or refuses."""
    program = module.get_bin_path(argv[0])
    if program is None:
        raise Failure(
            f"This host has no {argv[0]}; install {module.params['firewall']}, or choose the firewall that it has",
            "no_firewall",
        )
    code, out, err = module.run_command([program, *argv[1:]], environ_update={"LC_ALL": "C"})
    if code:
        reason = (err or out).strip().splitlines()[-1:] or [f"exit status {code}"]
        raise Failure(f"{' '.join(argv)} says: {reason[0]}", "refused", command=list(argv), status=code)
    return out


def see_to_service(firewalld: Firewalld, opening: Opening | None, check_mode: bool) -> dict[str, str] | None:
    """Have the file that names the service's ports, or no such file; returns the diff, if there is one."""
    path = firewalld.service_path
    try:
        with open(path, encoding="utf-8") as file:
            before = file.read()
    except FileNotFoundError:
        before = ""
    after = firewalld.service(opening) if opening else ""
    if before == after:
        return None
    if not check_mode:
        if opening:
            atomic_file.write_if_changed(path, after.encode())
        else:
            atomic_file.remove(path)
    return {"before_header": path, "after_header": path, "before": before, "after": after}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """The module's result."""
    params = module.params
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", params["name"]):
        raise Failure(f"name '{params['name']}' must be lower-case letters, digits and dashes", "bad_name")
    opening = None
    if params["state"] == "present":
        if not params["ports"]:
            raise Failure("ports is empty; name the ports to open, or use state: absent", "no_ports")
        opening = Opening.of(params["name"], params["ports"], params["sources"])
    firewall: Ufw | Firewalld = (Ufw if params["firewall"] == "ufw" else Firewalld)(params["name"])
    listing = ask(module, firewall.LIST)
    wanted, found = firewall.wanted(opening) if opening else [], firewall.found(listing)
    new = [rule for rule in wanted if rule not in found and rule not in firewall.of_others(listing)]
    old = [rule for rule in found if rule not in wanted]
    file = see_to_service(firewall, opening, module.check_mode) if isinstance(firewall, Firewalld) else None
    changed = bool(new or old or file)
    if changed and not module.check_mode:
        for argv in firewall.commands(new, old):
            ask(module, argv)
        if isinstance(firewall, Firewalld):
            ask(module, Firewalld.RELOAD)
    after = [rule for rule in found if rule in wanted] + new
    rules = {"before": "".join(f"{rule}\n" for rule in found), "after": "".join(f"{rule}\n" for rule in after)}
    return {"changed": changed, "added": new, "removed": old, "diff": [*([file] if file else []), rules]}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "firewall": {"type": "str", "choices": ["ufw", "firewalld"], "required": True},
            "name": {"type": "str", "required": True},
            "ports": {"type": "list", "elements": "int", "default": []},
            "sources": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    with failing(module):
        result = run(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
