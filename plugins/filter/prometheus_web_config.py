# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: prometheus_web_config
short_description: The content of Prometheus's web configuration file, with hashed passwords
version_added: 1.0.0
author:
  - The superpod.monitoring developers (@superpod-monitoring)
description:
  - Adds users to a web configuration (TLS, HTTP settings) of Prometheus or of an exporter. Passwords become bcrypt
    hashes on the control machine, by its libcrypt or a Python module C(bcrypt); hashes are taken as they are.
  - The same password gives the same hash each time, so that a second run changes nothing.
options:
  _input:
    description: The web configuration without C(basic_auth_users).
    type: dict
    required: true
  users:
    description: Names of users and their passwords or bcrypt hashes.
    type: dict
    default: {}
  credentials:
    description:
      - Names and contents of the files in O(directory); a certificate and a key among them must belong together.
    type: dict
    default: {}
  directory:
    description: Where these files are on the host.
    type: str
    default: ""
  site:
    description: What makes the hashes differ from those that another site has for the same password.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show what web.yml would hold
  ansible.builtin.debug:
    msg: "{{ {} | superpod.monitoring.prometheus_web_config(users={'admin': password}) }}"
"""

RETURN = r"""
_value:
  description: The web configuration; empty if there is nothing in it.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.superpod.monitoring.plugins.module_utils.prometheus_web import WebConfigError, web_config


def prometheus_web_config(
    config: dict[str, t.Any],
    users: dict[str, str] | None = None,
    credentials: dict[str, str] | None = None,
    directory: str = "",
    site: str = "",
) -> dict[str, t.Any]:
    """The filter."""
    try:
        return web_config(config, users or {}, credentials or {}, directory, site)
    except WebConfigError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name -> filter."""
        return {"prometheus_web_config": prometheus_web_config}
