# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: grafana_provisioning_problems
short_description: What is wrong with a provisioning file of Grafana
version_added: 1.0.0
author:
  - The superpod.monitoring developers (@superpod-monitoring)
description:
  - Reads a provisioning file strictly. Grafana itself drops keys that it does not know without a word.
options:
  _input:
    description: The file's text.
    type: str
    required: true
  kind:
    description: Which of Grafana's provisioning directories the file is for.
    type: str
    choices: [datasources, dashboards]
    required: true
"""

EXAMPLES = r"""
- name: Refuse a file that Grafana would not read in full
  ansible.builtin.assert:
    that: content | superpod.monitoring.grafana_provisioning_problems('datasources') | length == 0
"""

RETURN = r"""
_value:
  description: One sentence for each problem; empty if there is none.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.superpod.monitoring.plugins.plugin_utils.grafana_provisioning import (
    check_datasources,
    check_providers,
)

CHECKS: dict[str, t.Callable[[str], list[str]]] = {"datasources": check_datasources, "dashboards": check_providers}


def grafana_provisioning_problems(text: str, kind: str) -> list[str]:
    """The filter."""
    if kind not in CHECKS:
        raise AnsibleFilterError(f"kind is {kind}; use one of {', '.join(sorted(CHECKS))}.")
    return CHECKS[kind](text)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name -> filter."""
        return {"grafana_provisioning_problems": grafana_provisioning_problems}
