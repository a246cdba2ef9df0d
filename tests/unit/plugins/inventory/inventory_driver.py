# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside Ansible's own loader, in a process of its own: parses inventories that the tests ask for.

One JSON object a line on standard input, {"path", "env", "cache", "expressions"}, and one on standard output.
"""

from __future__ import annotations

import json
import os
import sys

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, inventory_loader
from ansible.template import Templar
from ansible.utils.display import Display
from ansible.vars.manager import VariableManager

try:
    from ansible.template import trust_as_template
except ImportError:
    trust_as_template = str  # core before 2.19 trusts what it is given

PLUGIN = "superpod.monitoring.bcm"
said = {"warnings": [], "errors": [], "deprecations": []}


def listen() -> None:
    """Keep what Ansible would show."""
    shows = Display.warning

    def warning(self, msg, *args, **kwargs):
        said["warnings"].append(str(msg))
        return shows(self, msg, *args, **kwargs)

    Display.warning = warning
    Display.deprecated = lambda self, msg, *args, **kwargs: said["deprecations"].append(str(msg))
    Display.error_as_warning = lambda self, msg, exception: said["errors"].append(str(exception))


def parse(request: dict) -> dict:
    """One inventory, as a fresh process would see it."""
    for kept in said.values():
        kept.clear()
    Display().__dict__.get("_warns", {}).clear()
    before = dict(os.environ)
    os.environ.update(request.get("env", {}))
    loader = DataLoader()
    manager = InventoryManager(loader=loader, sources=[], parse=False)
    manager._sources = [request["path"]]
    try:
        manager.parse_sources(cache=request.get("cache", True))
    finally:
        os.environ.clear()
        os.environ.update(before)
    variables = VariableManager(loader=loader, inventory=manager)
    evaluated = {}
    for host, expression in request.get("expressions", []):
        templar = Templar(loader=loader, variables=variables.get_vars(host=manager.get_host(host)))
        evaluated[f"{host}: {expression}"] = templar.template(trust_as_template(expression))
    return {
        "hosts": {name: _own(host.vars) for name, host in manager.hosts.items()},
        "groups": {name: sorted(host.name for host in group.get_hosts()) for name, group in manager.groups.items()},
        "evaluated": evaluated,
        **said,
    }


def _own(variables: dict) -> dict:
    return {key: value for key, value in variables.items() if key not in ("inventory_file", "inventory_dir")}


def main() -> None:
    """Answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever Ansible prints is not an answer
    init_plugin_loader()
    listen()
    for line in sys.stdin:
        request = json.loads(line)
        verify = request.get("verify")
        answer = inventory_loader.get(PLUGIN).verify_file(verify) if verify else parse(request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
