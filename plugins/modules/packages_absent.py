#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: packages_absent
short_description: Remove packages of Debian or Ubuntu, what came only because of them, and nothing else
version_added: 1.0.0
description:
  - Removes packages together with those that apt had installed only because they need them. What nobody needed before
    already, such as an old kernel, stays; C(apt autoremove) would take it along.
  - Nothing goes that another package needs; M(ansible.builtin.apt) would remove that one, too.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
options:
  names:
    description:
      - The packages.
    type: list
    elements: str
    required: true
  purge:
    description:
      - Whether their configuration, and for many packages their data, goes too. It also goes where the package itself
        went before.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Remove Prometheus and its user interface's libraries
  superpod.monitoring.packages_absent:
    names: [prometheus]
"""

RETURN = r"""
removed:
  description: The packages that were removed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [libjs-jquery, prometheus]
kept:
  description: The packages of O(names) that stay because another one needs them.
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
      description: The kind of failure; V(apt) or V(dpkg).
      type: str
    details:
      description: Nothing here.
      type: dict
"""

import re
import typing as t
from collections.abc import Callable, Collection

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing

Command = Callable[[list[str]], tuple[int, str, str]]

GOING = re.compile(r"^(?:Remv|Purg) (\S+)", re.MULTILINE)
WOULD_GO = re.compile(r"^Would remove or purge ([^\s:]+)", re.MULTILINE)
NEEDED = "dependency problems prevent"


def going(simulated: str) -> set[str]:
    """The packages that `apt-get --simulate` would remove."""
    return set(GOING.findall(simulated))


def states(listing: str) -> dict[str, str]:
    """Package and dpkg's status, of lines with both, for those of which anything is there."""
    rows = (line.split() for line in listing.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 2 and row[1] not in ("not-installed", "unknown")}


def chosen(
    there: dict[str, str], planned: Collection[str], unneeded: Collection[str], automatic: Collection[str]
) -> list[str]:
    """What is to go: `there`, and of what apt plans to remove what came automatically and was of use so far."""
    along = {name for name in planned if name in automatic and name not in unneeded}
    return sorted(along.union(there))


class Packages:
    """The host's packages, through dpkg and apt."""

    def __init__(self, command: Command, purge: bool) -> None:
        self._command = command
        self._purge = purge

    def present(self, names: Collection[str]) -> dict[str, str]:
        """Those of the names of which something is there that is to go, with their status."""
        if not names:
            return {}
        _rc, out, _err = self._command(
            ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *sorted(names)]
        )
        return {name: state for name, state in states(out).items() if self._purge or state != "config-files"}

    def plan(self, there: dict[str, str]) -> list[str]:
        """What is to go with these; raises Failure."""
        installed = sorted(name for name, state in there.items() if state == "installed")
        if not installed:
            return sorted(there)
        return chosen(
            there,
            going(self._apt("remove", "--auto-remove", *installed)),
            going(self._apt("autoremove")),
            self._out(["apt-mark", "showauto"]).split(),
        )

    def remove(self, names: list[str]) -> None:
        """All that nobody else needs, which dpkg sees to; raises Failure if something else is wrong."""
        self._dpkg(names)

    def removable(self, names: list[str]) -> set[str]:
        """Those that `remove` would take, by dpkg's word; raises Failure."""
        return set(WOULD_GO.findall(self._dpkg(names, "--simulate")))

    def _dpkg(self, names: list[str], *options: str) -> str:
        rc, out, err = self._command(["dpkg", *options, "--purge" if self._purge else "--remove", *names])
        if rc != 0 and NEEDED not in err:
            raise Failure(f"dpkg cannot remove {', '.join(names)}: {_words(err or out)}", "dpkg")
        return out

    def _apt(self, *arguments: str) -> str:
        return self._out(["apt-get", "--simulate", *arguments])

    def _out(self, argv: list[str]) -> str:
        rc, out, err = self._command(argv)
        if rc != 0:
            raise Failure(f"'{' '.join(argv)}' does not work: {_words(err or out)}", "apt")
        return out


def _words(text: str) -> str:
    return " ".join(text.split())


def run(packages: Packages, names: list[str], check_mode: bool) -> dict[str, t.Any]:
    """Do it, or in check mode find out what would be done."""
    there = packages.present(names)
    wanted = packages.plan(there) if there else []
    left: set[str] = set()
    if wanted and check_mode:
        left = set(wanted) - packages.removable(wanted)
    elif wanted:
        packages.remove(wanted)
        left = set(packages.present(wanted))
    removed = [name for name in wanted if name not in left]
    return {
        "changed": bool(removed),
        "removed": removed,
        "kept": sorted(left & set(names)),
        "diff": {"before": "".join(f"{name}\n" for name in removed), "after": ""},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "purge": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    module.run_command_environ_update = {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    packages = Packages(module.run_command, module.params["purge"])
    with failing(module):
        result = run(packages, module.params["names"], module.check_mode)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
