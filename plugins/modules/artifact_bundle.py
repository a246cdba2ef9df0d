#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_bundle
short_description: Make one archive of an artifact directory, for a site without a network
version_added: 0.1.0
description:
  - Compares every file of an artifact directory with its manifest and packs them, with the manifest, into one tar
    archive. The same artifacts give the same archive, byte for byte.
  - At the other site, C(tar -xf) it in an empty directory and name that directory as C(superpod_artifacts_dir).
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
attributes:
  diff_mode:
    support: none
options:
  artifacts_dir:
    description: The artifact directory.
    type: path
    required: true
  dest:
    description: The archive.
    type: path
    required: true
seealso:
  - module: superpod.monitoring.artifact
"""

EXAMPLES = r"""
- name: Pack what the air-gapped site needs
  superpod.monitoring.artifact_bundle:
    artifacts_dir: /root/superpod/artifacts
    dest: /root/superpod-artifacts.tar
"""

RETURN = r"""
dest:
  description: The archive.
  returned: success
  type: str
  sample: /root/superpod-artifacts.tar
sha256:
  description: Its SHA-256, to compare at the other site.
  returned: success
  type: str
  sample: b51d8a76aa2a9156a55d501aca6276fae09e262259a5e4e831d2c2222f084e63
artifacts:
  description: What is in it, each as C(name version architecture).
  returned: success
  type: list
  elements: str
  sample: [node_exporter 1.12.1 amd64]
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  contains:
    message:
      description: The same sentence as in RV(ignore:msg).
      type: str
    code:
      description: The kind of failure; V(manifest), V(missing_file), V(bad_checksum) or V(io).
      type: str
    details:
      description: What belongs to it, for example the file.
      type: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils import artifact_directory
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import failing


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "artifacts_dir": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    dest = os.path.abspath(module.params["dest"])
    with failing(module):
        changed, sha256, artifacts = artifact_directory.bundle(module.params["artifacts_dir"], dest, module.check_mode)
    module.exit_json(
        changed=changed, dest=dest, sha256=sha256, artifacts=sorted(" ".join(artifact.key) for artifact in artifacts)
    )


if __name__ == "__main__":
    main()
