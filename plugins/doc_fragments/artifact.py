# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules that fill an artifact directory."""

from __future__ import annotations


class ModuleDocFragment:
    """`superpod.monitoring.artifact`."""

    DOCUMENTATION = r"""
options:
  artifacts_dir:
    description: The artifact directory. It is made if it is not there.
    type: path
    required: true
  name:
    description: The artifact.
    type: str
    required: true
  version:
    description: Its version.
    type: str
    required: true
seealso:
  - module: superpod.monitoring.artifact
  - module: superpod.monitoring.artifact_bundle
"""
