#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_build
short_description: Build programs from a pinned Go module into an artifact directory
version_added: 0.1.0
description:
  - Lets Go fetch one version of a module, compares the module's hash (C(h1:), over all of its files) with one that is
    known beforehand, builds programs of it for one architecture, and enters them into the manifest of the artifact
    directory. The modules that it needs are held to the hashes in its own C(go.sum).
  - The manifest records the toolchain, cgo, the module's version and hash, and whether that hash was pinned.
  - The same module, options and toolchain give the same bytes, unless cgo's C compiler differs.
  - Does nothing, and needs neither Go nor a network, if the artifact is there already, built from the same.
author:
  - The superpod.monitoring developers (@superpod-monitoring)
requirements:
  - go (as new as the module asks for; no other toolchain is downloaded unless E(GOTOOLCHAIN) allows it)
  - a C compiler for O(arch) if O(cgo) is true
extends_documentation_fragment:
  - superpod.monitoring.attributes
  - superpod.monitoring.artifact
attributes:
  diff_mode:
    support: none
options:
  arch:
    description: The architecture to build for, in Go's words.
    type: str
    choices: [amd64, arm64]
    required: true
  module:
    description: The Go module.
    type: str
    required: true
  module_version:
    description:
      - What Go is asked for; a version, tag or commit of the module. By default O(version) with a C(v) in front.
    type: str
  sum:
    description: The module's hash, as C(go mod download -json) shows it as C(Sum).
    type: str
  accept_checksum:
    description:
      - Accept the hash that comes if there is no O(sum) and the manifest has none for this module and version either.
        It is recorded in the manifest, and from then on no other is taken.
    type: bool
    default: false
  programs:
    description: The programs, each with its package's directory in the module, for example V(.) or V(./cmd/prometheus).
    type: dict
    required: true
  ldflags:
    description: Given to Go's linker besides C(-s -w).
    type: str
    default: ""
  cgo:
    description: Whether C code may be linked in.
    type: bool
    default: false
  go:
    description: The command.
    type: str
    default: go
  environment:
    description: Further environment variables, for example E(CC) for a cross compiler or E(GOPROXY).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Have node_exporter
  superpod.monitoring.artifact_build:
    artifacts_dir: /root/superpod/artifacts
    name: node_exporter
    version: 1.12.1
    arch: arm64
    module: github.com/prometheus/node_exporter
    sum: h1:LzcZ6SqJRH2EULBz3Paa1t1uzQaaoo9domuz8FQDkiY=
    programs:
      node_exporter: .
"""

RETURN = r"""
artifact:
  description: What the manifest says of it now; in check mode of one that is not there yet, nothing.
  returned: success
  type: dict
  sample:
    name: node_exporter
    version: 1.12.1
    arch: arm64
    file: node_exporter-1.12.1.linux-arm64.tar.gz
    sha256: 0000000000000000000000000000000000000000000000000000000000000000
    size: 9000000
    programs:
      node_exporter:
        member: node_exporter-1.12.1.linux-arm64/node_exporter
        sha256: 0000000000000000000000000000000000000000000000000000000000000000
        size: 15000000
    origin:
      kind: go
      module: github.com/prometheus/node_exporter
      query: v1.12.1
      module_version: v1.12.1
      sum: h1:LzcZ6SqJRH2EULBz3Paa1t1uzQaaoo9domuz8FQDkiY=
      trust: pinned
      checksum_database: sums.example.com
      toolchain: go1.26.8
      cgo: false
      ldflags: ""
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
        - The kind of failure; V(manifest), V(bad_name), V(no_go), V(module), V(no_checksum), V(bad_checksum),
          V(build), V(wrong_architecture) or V(io).
      type: str
    details:
      description: What belongs to it, for example what Go said.
      type: dict
"""

import json
import os
import posixpath
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils import artifact_directory, artifact_manifest
from ansible_collections.superpod.monitoring.plugins.module_utils.artifact_manifest import Artifact
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure, failing

LICENCES = ("LICENSE", "NOTICE")
ARGUMENTS: dict[str, t.Any] = {
    "artifacts_dir": {"type": "path", "required": True},
    "name": {"type": "str", "required": True},
    "version": {"type": "str", "required": True},
    "arch": {"type": "str", "choices": ["amd64", "arm64"], "required": True},
    "module": {"type": "str", "required": True},
    "module_version": {"type": "str"},
    "sum": {"type": "str"},
    "accept_checksum": {"type": "bool", "default": False},
    "programs": {"type": "dict", "required": True},
    "ldflags": {"type": "str", "default": ""},
    "cgo": {"type": "bool", "default": False},
    "go": {"type": "str", "default": "go"},
    "environment": {"type": "dict", "default": {}},
}

# runs a command: (arguments, directory, environment) -> (status, standard output, standard error)
Runner = t.Callable[[list[str], t.Optional[str], dict[str, str]], tuple[int, str, str]]


class Go:
    """The go command of this host."""

    def __init__(self, command: str | None, environment: dict[str, str], runner: Runner) -> None:
        self.command = command
        self.environment = {"GOTOOLCHAIN": os.environ.get("GOTOOLCHAIN", "local"), "GOWORK": "off"} | environment
        self.runner = runner

    def __call__(self, *arguments: str, code: str, cwd: str | None = None, **environment: str) -> str:
        """Return what it printed; raises Failure with that code and what Go complained about."""
        if self.command is None:
            raise Failure(
                "There is no such Go command on this host; install Go, or name it with the option go", "no_go"
            )
        status, out, err = self.runner([self.command, *arguments], cwd, self.environment | environment)
        if status != 0:
            said = err.strip() or _error_in(out) or f"it ended with status {status}"
            raise Failure(f"go {arguments[0]} failed: {' '.join(said.split())[:600]}", code, output=said[-4000:])
        return out


def _error_in(out: str) -> str:
    try:
        return str(json.loads(out).get("Error", ""))
    except ValueError:
        return out.strip()


def trusted_sum(params: dict[str, t.Any], known: tuple[Artifact, ...], version: str) -> tuple[str | None, str]:
    """Return the hash that the module must have, None to take any, and how it is trusted."""
    if params["sum"]:
        return params["sum"], "pinned"
    for artifact in known:
        origin = artifact.origin
        if (origin.get("module"), origin.get("module_version")) == (params["module"], version):
            return origin.get("sum"), str(origin.get("trust"))
    return None, "accepted"


def query(params: dict[str, t.Any]) -> str:
    """Return the version, tag or commit that Go is asked for."""
    return str(params["module_version"] or f"v{params['version']}")


def built_before(params: dict[str, t.Any], known: tuple[Artifact, ...]) -> Artifact | None:
    """Return the artifact if it is in the directory, built from the same module in the same way."""
    artifact = artifact_manifest.find(known, params["name"], params["version"], params["arch"])
    if artifact is None or not artifact_directory.is_complete(params["artifacts_dir"], artifact):
        return None
    wanted = {
        "kind": "go",
        "module": params["module"],
        "query": query(params),
        "cgo": params["cgo"],
        "ldflags": params["ldflags"],
    }
    if params["sum"]:
        wanted["sum"] = params["sum"]
    same = all(artifact.origin.get(key) == value for key, value in wanted.items())
    return artifact if same and {p.name for p in artifact.programs} == set(params["programs"]) else None


def fetch(params: dict[str, t.Any], known: tuple[Artifact, ...], go: Go) -> tuple[dict[str, str], str]:
    """Let Go fetch the module; return what it says of it and how it is trusted; raises Failure."""
    asked = f"{params['module']}@{query(params)}"
    module: dict[str, str] = json.loads(go("mod", "download", "-json", asked, code="module", cwd="/"))
    expected, trust = trusted_sum(params, known, module["Version"])
    found = module["Sum"]
    if expected is None and not params["accept_checksum"]:
        raise Failure(
            f"{asked} has the hash {found}, and there is none to compare it with; give the one that you trust as sum, "
            "or accept this one once (accept_checksum; in the playbook superpod_accept_checksums)",
            "no_checksum",
            sum=found,
            module_version=module["Version"],
        )
    if expected not in (None, found):
        raise Failure(
            f"{asked} is not what was expected: its hash is {found}, not {expected}; nothing was built",
            "bad_checksum",
            expected=expected,
            found=found,
        )
    return module, trust


def build(params: dict[str, t.Any], source: str, directory: str, go: Go) -> tuple[dict[str, str], str]:
    """Build the programs; return their files and those of the licence, as path in the archive and here, and the
    toolchain; raises Failure."""
    folder = f"{params['name']}-{params['version']}.linux-{params['arch']}"
    files = {f"{folder}/{name}": os.path.join(source, name) for name in LICENCES if os.path.isfile(f"{source}/{name}")}
    for program, package in params["programs"].items():
        target = os.path.join(directory, artifact_manifest.check_word("the program", program))
        go(
            "build",
            *("-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", f"-s -w {params['ldflags']}".strip()),
            *("-o", target, str(package)),
            code="build",
            cwd=source,
            GOOS="linux",
            GOARCH=params["arch"],
            CGO_ENABLED="1" if params["cgo"] else "0",
        )
        files[posixpath.join(folder, program)] = target
    return files, go("env", "GOVERSION", code="build", cwd=source).strip()


def run(params: dict[str, t.Any], check_mode: bool, go: Go) -> dict[str, t.Any]:
    """Have the artifact; return the module's result, raises Failure and OSError."""
    directory = params["artifacts_dir"]
    known = artifact_directory.load(directory)
    there = built_before(params, known)
    if there is not None:
        return {"changed": False, "artifact": there.to_json()}
    if check_mode:
        return {"changed": True, "artifact": {}}
    module, trust = fetch(params, known, go)
    with artifact_directory.scratch(directory) as work:
        files, toolchain = build(params, module["Dir"], work, go)
        archive = os.path.join(work, "archive.tar.gz")
        artifact_directory.write_tar(archive, files, gz=True)
        artifact = artifact_directory.add(
            directory,
            (params["name"], params["version"], params["arch"]),
            archive,
            programs={program: program for program in params["programs"]},
            suffix=".tar.gz",
            origin={
                "kind": "go",
                "module": params["module"],
                "query": query(params),
                "module_version": module["Version"],
                "sum": module["Sum"],
                "trust": trust,
                "checksum_database": go("env", "GOSUMDB", code="build").strip(),
                "toolchain": toolchain,
                "cgo": params["cgo"],
                "ldflags": params["ldflags"],
            },
        )
    return {"changed": True, "artifact": artifact.to_json()}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    environment = {name: str(value) for name, value in module.params["environment"].items()}

    def runner(command: list[str], cwd: str | None, changes: dict[str, str]) -> tuple[int, str, str]:
        result: tuple[int, str, str] = module.run_command(command, cwd=cwd, environ_update=changes)
        return result

    with failing(module):
        command = module.get_bin_path(module.params["go"], opt_dirs=["/usr/local/go/bin"])
        try:
            result = run(module.params, module.check_mode, Go(command, environment, runner))
        except artifact_manifest.ManifestError as error:
            raise Failure(str(error), "bad_name") from None
    module.exit_json(**result)


if __name__ == "__main__":
    main()
