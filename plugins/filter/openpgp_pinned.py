# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: openpgp_pinned
short_description: An OpenPGP public key file, if it holds no other keys than expected
version_added: 1.0.0
author:
  - The superpod.monitoring developers (@superpod-monitoring)
description:
  - Gives the text back unchanged if each primary key in it has one of the expected fingerprints, and fails otherwise.
    What came over the network is so held to what was known before. Needs no GnuPG.
options:
  _input:
    description: The text of an armoured public key file.
    type: str
    required: true
  fingerprints:
    description: The expected fingerprints, in hexadecimal digits. Blanks in them do not count.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Have the key of a package repository
  ansible.builtin.copy:
    dest: /etc/apt/keyrings/grafana.asc
    mode: "0644"
    content: "{{ fetched_key | superpod.monitoring.openpgp_pinned(fingerprints) }}"
"""

RETURN = r"""
_value:
  description: The text as it came.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.superpod.monitoring.plugins.module_utils.openpgp_fingerprint import fingerprints


def openpgp_pinned(text: str, expected: list[str]) -> str:
    """The filter."""
    try:
        found = fingerprints(text)
    except ValueError as error:
        raise AnsibleFilterError(f"The key file cannot be used: {error}.") from error
    known = {"".join(one.split()).upper() for one in expected}
    strange = [one for one in found if one not in known]
    if strange:
        raise AnsibleFilterError(
            f"The key file holds a key with the fingerprint {' and '.join(strange)}, which is not among the expected "
            "ones; find out whether it is right before you add it to them."
        )
    return text


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name -> filter."""
        return {"openpgp_pinned": openpgp_pinned}
