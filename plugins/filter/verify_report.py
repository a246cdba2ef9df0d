# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: verify_report
short_description: What all hosts' checks say together
version_added: 1.0.0
author:
  - The superpod.monitoring developers (@superpod-monitoring)
description:
  - Puts together what M(superpod.monitoring.verify_host) found on each host, as a table and as data.
options:
  _input:
    description: The hosts.
    type: list
    elements: str
    required: true
  results:
    description: The hosts' variables, by host; C(hostvars) in a playbook. What is not there, or skipped, is left out.
    type: dict
    required: true
  registered:
    description: The names of the variables that have results, by what was looked at.
    type: dict
    required: true
  known:
    description: All hosts of the inventory. A finding about a host is shown with it, whichever host it was seen from.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show what was found
  ansible.builtin.debug:
    msg: "{{ (groups['all'] | superpod.monitoring.verify_report(hostvars, {'grafana_server': 'looked'})).table }}"
"""

RETURN = r"""
_value:
  description: The report.
  type: dict
  contains:
    hosts:
      description: >-
        For each host C(host), C(passed) and C(failures), which are as
        RV(superpod.monitoring.verify_host#module:findings), with C(part) and C(seen_from).
      type: list
      elements: dict
    passed:
      description: How many checks passed.
      type: int
    failures:
      description: How many failed.
      type: int
    table:
      description: The same for people, line by line.
      type: list
      elements: str
    hints:
      description: What to do so that more can be seen, each with its host.
      type: list
      elements: str
    sentence:
      description: All of it in one sentence.
      type: str
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible_collections.superpod.monitoring.plugins.module_utils.verify_report import report


def verify_report(
    hosts: Iterable[str],
    results: Mapping[str, Mapping[str, t.Any]],
    registered: Mapping[str, str],
    known: Iterable[str] = (),
) -> dict[str, t.Any]:
    """The filter."""
    looked_at = [(str(host), str(part), results[host].get(name)) for host in hosts for part, name in registered.items()]
    return report(
        [(host, part, dict(result) if result else None) for host, part, result in looked_at],
        [str(host) for host in known],
    )


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name -> filter."""
        return {"verify_report": verify_report}
