#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact
short_description: Install one artifact on a host, verified, side by side with its older versions
version_added: 0.1.0
description:
  - Takes an artifact from an artifact directory on the control machine, unpacks its programs to
    C(<root>/<name>/<version>/) and points links in O(bin_dir) at them.
  - The manifest of the artifact directory says which file belongs to the host's architecture and which checksums the
    file and the programs in it have. Everything is checked before the links are switched; a damaged file, one for
    another architecture or a full disk leaves the old version in use.
  - Older versions stay, so that going back is this module with the older version. The manifest need not list it any
    more, and its file need not be there, as long as the host has that version.
  - Costs one module execution where everything is as it should be, because the file is copied only to hosts that lack
    it. The installed programs are compared with the manifest each time.
  - Starts and stops nothing. Restart the service when RV(switched) is true.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
attributes:
  check_mode:
    details:
      - Copies no file to the host, so what a damaged file would lead to does not show.
options:
  name:
    description: The artifact.
    type: str
    required: true
  version:
    description:
      - The version to have in use. Without it, the only one that the manifest has.
    type: str
  state:
    description:
      - With V(absent) nothing of the artifact is left, in any version. Stop its service first.
    type: str
    choices: [present, absent]
    default: present
  artifacts_dir:
    description:
      - The artifact directory on the control machine, which superpod.monitoring's playbooks C(build_artifacts) and
        C(download_artifacts) fill, or which was unpacked from a bundle of theirs.
      - Required if O(state=present).
    type: path
  keep_versions:
    description: How many versions stay on the host besides the one in use, those used last.
    type: int
    default: 2
  replace:
    description:
      - Whether a program that was put where a link has to be, by hand or by other means, is replaced by the link.
      - By default the module fails then. A directory is never replaced.
    type: bool
    default: false
  root:
    description: Where artifacts are unpacked.
    type: path
    default: /opt/superpod
  bin_dir:
    description: Where the links are.
    type: path
    default: /usr/local/bin
  candidates:
    description:
      - What the manifest says of this version, by architecture. Filled in on the control machine; leave it out.
    type: dict
  archive:
    description:
      - The artifact's file on the host. Filled in once the control machine has copied it; leave it out.
    type: path
seealso:
  - module: superpod.monitoring.artifact_build
  - module: superpod.monitoring.artifact_download
"""

EXAMPLES = r"""
- name: Have node_exporter
  superpod.monitoring.artifact:
    name: node_exporter
    version: 1.12.1
    artifacts_dir: /root/superpod/artifacts
  register: node_exporter

- name: Go back to the version before
  superpod.monitoring.artifact:
    name: node_exporter
    version: 1.11.1
    artifacts_dir: /root/superpod/artifacts

- name: Remove it
  superpod.monitoring.artifact:
    name: node_exporter
    state: absent
"""

RETURN = r"""
name:
  description: The artifact.
  returned: success
  type: str
  sample: node_exporter
version:
  description: The version in use now, or in check mode the one that would be; empty if O(state=absent).
  returned: success
  type: str
  sample: 1.12.1
previous_version:
  description: The version in use before; empty if there was none.
  returned: success
  type: str
  sample: 1.11.1
arch:
  description: What the installed programs run on; V(any) are scripts. Empty if O(state=absent).
  returned: success
  type: str
  sample: amd64
path:
  description: The directory of the version in use; empty if O(state=absent).
  returned: success
  type: str
  sample: /opt/superpod/node_exporter/1.12.1
links:
  description: The links and what they point to.
  returned: success
  type: dict
  sample:
    /usr/local/bin/node_exporter: /opt/superpod/node_exporter/1.12.1/node_exporter
switched:
  description: Whether the programs changed, so that a service that runs them has to be restarted.
  returned: success
  type: bool
versions:
  description: All versions on the host, the one used last first.
  returned: success
  type: list
  elements: str
  sample: [1.12.1, 1.11.1]
removed_versions:
  description: The versions that were removed because they were more than O(keep_versions), or because O(state=absent).
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
        - The kind of failure; V(manifest), V(bad_name), V(not_available), V(missing_file), V(bad_checksum),
          V(bad_archive), V(wrong_architecture), V(in_the_way), V(no_space) or V(io).
      type: str
    details:
      description: What belongs to it, for example the path.
      type: dict
"""

import errno
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils import artifact_manifest
from ansible_collections.superpod.monitoring.plugins.module_utils.artifact_manifest import Artifact, ManifestError
from ansible_collections.superpod.monitoring.plugins.module_utils.artifact_store import Found, Store
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing

ARGUMENTS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "version": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "artifacts_dir": {"type": "path"},
    "keep_versions": {"type": "int", "default": 2},
    "replace": {"type": "bool", "default": False},
    "root": {"type": "path", "default": "/opt/superpod"},
    "bin_dir": {"type": "path", "default": "/usr/local/bin"},
    "candidates": {"type": "dict"},
    "archive": {"type": "path"},
}
REQUIRED_IF = [("state", "present", ["artifacts_dir", "version"])]


def choose(store: Store, version: str, candidates: dict[str, t.Any], machine: str) -> Artifact:
    """Return the artifact for a host whose kernel calls itself `machine`: the manifest's, else the host's own copy."""
    arch = artifact_manifest.MACHINES.get(machine, machine)
    for fitting in (arch, "any"):
        if fitting in candidates:
            return artifact_manifest.from_json(candidates[fitting])
    there = store.receipt(version)
    if there is not None:
        return there
    if candidates:
        raise Failure(
            f"{store.name} {version} is in the manifest for {', '.join(sorted(candidates))} only and this host is "
            f"{arch}; build or download it for {arch} too",
            "not_available",
            arch=arch,
        )
    on_host = ", ".join(store.look().versions) or "none"
    raise Failure(
        f"{store.name} {version} is neither in the manifest nor on this host (which has: {on_host}); build or download "
        "it, or choose another version",
        "not_available",
        arch=arch,
    )


def state_text(links: dict[str, str], receipt: Artifact | None, versions: t.Sequence[str]) -> str:
    """Return one side of the diff."""
    if not versions and not links:
        return ""
    lines = [f"version: {receipt.version}", f"sha256: {receipt.sha256}"] if receipt else []
    lines += [f"{path} -> {links[path]}" for path in sorted(links)]
    lines.append(f"on the host: {', '.join(sorted(versions))}")
    return "\n".join(lines) + "\n"


def ensure_present(store: Store, params: dict[str, t.Any], check_mode: bool, machine: str) -> dict[str, t.Any]:
    """Have the version in use; return the module's result, or what file is needed for it."""
    artifact = choose(store, params["version"], params["candidates"] or {}, machine)
    found = store.look()
    plan = store.plan(found, artifact, params["keep_versions"], params["replace"])
    if plan.unpack and not check_mode and not params["archive"]:
        if artifact.arch not in (params["candidates"] or {}):
            raise Failure(
                f"{store.name} {artifact.version} on this host is damaged and the manifest has no copy of it; build or "
                "download it again",
                "not_available",
            )
        return {"changed": False, "archive_needed": artifact.to_json()}
    before = store.receipt(found.current) if found.current else None
    if plan and not check_mode:
        store.carry_out(plan, found, artifact, params["archive"] or "")
    versions = [artifact.version, *(v for v in found.versions if v not in (artifact.version, *plan.prune))]
    links = {path: target for path, target in found.links.items() if path not in plan.unlink} | plan.link
    return {
        "changed": bool(plan),
        "version": artifact.version,
        "previous_version": found.current or "",
        "arch": artifact.arch,
        "path": store.path(artifact.version),
        "links": links,
        "switched": bool(plan.unpack or plan.link),
        "versions": versions,
        "removed_versions": list(plan.prune),
        "diff": diff(store, state_text(found.links, before, found.versions), state_text(links, artifact, versions)),
    }


def ensure_absent(store: Store, check_mode: bool) -> dict[str, t.Any]:
    """Leave nothing; return the module's result."""
    found: Found = store.look()
    changed = store.holds_anything(found)
    before = store.receipt(found.current) if found.current else None
    if changed and not check_mode:
        store.remove(found)
    return {
        "changed": changed,
        "version": "",
        "previous_version": found.current or "",
        "arch": "",
        "path": "",
        "links": {},
        "switched": bool(found.links),
        "versions": [],
        "removed_versions": list(found.versions),
        "diff": diff(store, state_text(found.links, before, found.versions), ""),
    }


def diff(store: Store, before: str, after: str) -> dict[str, str]:
    """Return Ansible's diff."""
    return {"before_header": store.directory, "after_header": store.directory, "before": before, "after": after}


def run(params: dict[str, t.Any], check_mode: bool, machine: str) -> dict[str, t.Any]:
    """Do it, or find out what would be done; return the module's result, raises Failure."""
    try:
        artifact_manifest.check_word("the name", params["name"])
        if params["version"] is not None:
            artifact_manifest.check_word("the version", params["version"])
        if params["keep_versions"] < 0:
            raise ManifestError("keep_versions must be 0 or more")
        store = Store(params["root"], params["bin_dir"], params["name"])
        if params["state"] == "absent":
            return ensure_absent(store, check_mode)
        return ensure_present(store, params, check_mode, machine)
    except ManifestError as error:
        raise Failure(f"{params['name']}: {error}", "bad_name") from None
    except OSError as error:
        path = error.filename or os.path.join(params["root"], params["name"])
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Failure(f"There is no room left for {path}; make some", "no_space", path=path) from None
        raise Failure(f"{path}: {error.strerror}", "io", path=path, errno=error.errno) from None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=REQUIRED_IF, supports_check_mode=True)
    with failing(module):
        result = run(module.params, module.check_mode, os.uname().machine)
    module.exit_json(name=module.params["name"], **result)


if __name__ == "__main__":
    main()
