#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_download
short_description: Take a release file into an artifact directory, against a pinned checksum
version_added: 0.1.0
description:
  - Downloads one file, compares it with a checksum that is known beforehand, looks that the programs in it are there
    and for the right architecture, and enters it into the manifest of the artifact directory.
  - A checksum that lies beside the file on the same server proves nothing, so none is fetched.
  - Does nothing, and needs no network, if the file is there already.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
extends_documentation_fragment:
  - superpod.monitoring.attributes
  - superpod.monitoring.artifact
attributes:
  diff_mode:
    support: none
options:
  url:
    description:
      - Where the file is. C(file://) takes a file of this machine, for example a program that the site built.
      - A tar archive, or the program itself.
    type: str
    required: true
  arch:
    description: The architecture of its programs, in Go's words. V(any) are scripts.
    type: str
    choices: [amd64, arm64, any]
    required: true
  programs:
    description: The programs, each with its base name in the archive. For a file that is the program itself any name.
    type: dict
    required: true
  sha256:
    description: The file's SHA-256.
    type: str
  accept_checksum:
    description:
      - Accept what comes if there is no O(sha256) and the manifest has none either. Its checksum is recorded in the
        manifest, and from then on no other is taken.
    type: bool
    default: false
  validate_certs:
    description: Whether the server's certificate is checked.
    type: bool
    default: true
  timeout:
    description: Seconds that the server may take to say something.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Have node_exporter for the DGX nodes
  superpod.monitoring.artifact_download:
    artifacts_dir: /root/superpod/artifacts
    name: node_exporter
    version: 1.12.1
    arch: amd64
    url: https://mirror.example.org/node_exporter-1.12.1.linux-amd64.tar.gz
    sha256: b51d8a76aa2a9156a55d501aca6276fae09e262259a5e4e831d2c2222f084e63
    programs:
      node_exporter: node_exporter

- name: Take a program that was built elsewhere
  superpod.monitoring.artifact_download:
    artifacts_dir: /root/superpod/artifacts
    name: cgroup_exporter
    version: 0.3.4
    arch: arm64
    url: file:///root/build/cgroup_exporter-arm64
    accept_checksum: true
    programs:
      cgroup_exporter: cgroup_exporter
"""

RETURN = r"""
artifact:
  description: What the manifest says of it now; in check mode of a file that is not there yet, nothing.
  returned: success
  type: dict
  sample:
    name: node_exporter
    version: 1.12.1
    arch: amd64
    file: node_exporter-1.12.1.linux-amd64.tar.gz
    sha256: b51d8a76aa2a9156a55d501aca6276fae09e262259a5e4e831d2c2222f084e63
    size: 12168577
    programs:
      node_exporter:
        member: node_exporter-1.12.1.linux-amd64/node_exporter
        sha256: 0000000000000000000000000000000000000000000000000000000000000000
        size: 23000000
    origin:
      kind: download
      url: https://mirror.example.org/node_exporter-1.12.1.linux-amd64.tar.gz
      trust: pinned
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
        - The kind of failure; V(manifest), V(bad_name), V(no_checksum), V(bad_checksum), V(download), V(bad_archive),
          V(wrong_architecture) or V(io).
      type: str
    details:
      description: What belongs to it, for example both checksums.
      type: dict
"""

import os
import typing as t
from urllib.error import HTTPError
from urllib.parse import urlsplit, urlunsplit

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url
from ansible_collections.superpod.monitoring.plugins.module_utils import artifact_directory, artifact_manifest
from ansible_collections.superpod.monitoring.plugins.module_utils.artifact_archive import sha256_of
from ansible_collections.superpod.monitoring.plugins.module_utils.artifact_manifest import Artifact
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing

ARGUMENTS: dict[str, t.Any] = {
    "artifacts_dir": {"type": "path", "required": True},
    "name": {"type": "str", "required": True},
    "version": {"type": "str", "required": True},
    "arch": {"type": "str", "choices": ["amd64", "arm64", "any"], "required": True},
    "url": {"type": "str", "required": True},
    "programs": {"type": "dict", "required": True},
    "sha256": {"type": "str"},
    "accept_checksum": {"type": "bool", "default": False},
    "validate_certs": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 30},
}


def expected_checksum(params: dict[str, t.Any], known: Artifact | None) -> tuple[str | None, str]:
    """Return the checksum that the file must have, None to take any, and how it is trusted; raises Failure."""
    if params["sha256"]:
        checksum = params["sha256"].lower()
        if not artifact_manifest.SHA256.fullmatch(checksum):
            raise Failure(f"sha256 {params['sha256']!r} must be 64 hexadecimal digits", "bad_name")
        return checksum, "pinned"
    if known is not None:
        return known.sha256, str(known.origin.get("trust", "accepted"))
    if params["accept_checksum"]:
        return None, "accepted"
    raise Failure(
        f"There is no checksum for {params['name']} {params['version']} {params['arch']}; give the one that its "
        "authors publish, or accept the file once as it comes (accept_checksum; in the playbook "
        "superpod_accept_checksums)",
        "no_checksum",
    )


def without_secret(url: str) -> str:
    """Return the URL without user and password, which do not belong into a manifest."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def download(params: dict[str, t.Any], path: str) -> None:
    """Fetch the file; raises Failure."""
    url = params["url"]
    try:
        with (
            # the file as it is: one that ends in .gz may come with Content-Encoding: gzip
            open_url(
                url, validate_certs=params["validate_certs"], timeout=params["timeout"], decompress=False
            ) as answer,
            open(path, "wb") as file,
        ):
            while block := answer.read(1 << 20):
                file.write(block)
            announced = answer.headers.get("Content-Length")
            if announced and int(announced) != file.tell():
                raise ValueError(f"it broke off after {file.tell()} of {announced} bytes")
    except Exception as error:  # noqa: BLE001 - whatever any of the protocols raises
        if isinstance(error, HTTPError):
            error.close()
        raise Failure(f"{without_secret(url)} could not be downloaded: {error}", "download") from None


def run(params: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Have the file; return the module's result, raises Failure and OSError."""
    directory = params["artifacts_dir"]
    known = artifact_manifest.find(
        artifact_directory.load(directory), params["name"], params["version"], params["arch"]
    )
    expected, trust = expected_checksum(params, known)
    if known is not None and known.sha256 == expected and artifact_directory.is_complete(directory, known):
        return {"changed": False, "artifact": known.to_json()}
    if check_mode:
        return {"changed": True, "artifact": {}}
    with artifact_directory.scratch(directory) as work:
        path = os.path.join(work, "file")
        download(params, path)
        found = sha256_of(path)
        if expected not in (None, found):
            raise Failure(
                f"{without_secret(params['url'])} is not the file that was expected: its SHA-256 is {found}, not "
                f"{expected}; nothing was kept",
                "bad_checksum",
                expected=expected,
                found=found,
            )
        artifact = artifact_directory.add(
            directory,
            (params["name"], params["version"], params["arch"]),
            path,
            programs=params["programs"],
            suffix=artifact_directory.suffix_of(urlsplit(params["url"]).path),
            origin={"kind": "download", "url": without_secret(params["url"]), "trust": trust},
        )
    return {"changed": True, "artifact": artifact.to_json()}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    with failing(module):
        result = run(module.params, module.check_mode)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
