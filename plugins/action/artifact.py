# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control machine's part of the module ``artifact``: reads the manifest, and copies a file only if it is needed."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.superpod.monitoring.plugins.module_utils import artifact_manifest
from ansible_collections.superpod.monitoring.plugins.module_utils.artifact_archive import verify_file
from ansible_collections.superpod.monitoring.plugins.module_utils.artifact_manifest import Artifact, ManifestError
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure

MODULE = "superpod.monitoring.artifact"


def read_candidates(directory: str, name: str, version: str | None) -> dict[str, Artifact]:
    """Return what the manifest in the directory has of that version; raises Failure."""
    path = os.path.join(directory, artifact_manifest.FILE_NAME)
    try:
        with open(path, "rb") as file:
            return artifact_manifest.candidates(artifact_manifest.parse(file.read()), name, version)
    except FileNotFoundError:
        raise Failure(
            f"There is no {path} on the control machine; fill the artifact directory with the playbook build_artifacts "
            "or download_artifacts, or unpack a bundle there",
            "manifest",
            path=path,
        ) from None
    except (OSError, ManifestError) as error:
        raise Failure(f"{path} on the control machine cannot be used: {error}", "manifest", path=path) from None


class ActionModule(ActionBase):
    """Runs the module once, and a second time with the artifact's file where it asked for that."""

    TRANSFERS_FILES = True

    def run(self, tmp: None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return the module's result."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        directory = arguments.get("artifacts_dir")
        if arguments.get("state", "present") != "present" or not directory or not arguments.get("name"):
            return result | self._execute_module(MODULE, module_args=arguments, task_vars=task_vars)
        directory = self._loader.path_dwim(str(directory))
        try:
            version = arguments.get("version")
            candidates = read_candidates(directory, str(arguments["name"]), str(version) if version else None)
            if not version:
                arguments["version"] = next(iter(candidates.values())).version
            arguments["candidates"] = {arch: candidate.to_json() for arch, candidate in candidates.items()}
            result |= self._execute_module(MODULE, module_args=arguments, task_vars=task_vars)
            needed = result.pop("archive_needed", None)
            if needed is None:
                return result
            artifact = artifact_manifest.from_json(needed)
            source = os.path.join(directory, artifact.file)
            verify_file(source, artifact)
            return result | self._with_file(source, arguments, task_vars)
        except Failure as failure:
            return result | {
                "failed": True,
                "msg": failure.message,
                "failure": {"message": failure.message, "code": failure.code, "details": failure.details},
            }

    def _with_file(
        self, source: str, arguments: dict[str, t.Any], task_vars: dict[str, t.Any] | None
    ) -> dict[str, t.Any]:
        shell = self._connection._shell
        made = self._make_tmp_path() if shell.tmpdir is None else shell.tmpdir
        remote = shell.join_path(made, "artifact")
        try:
            self._transfer_file(source, remote)
            self._fixup_perms2((made, remote))
            arguments = arguments | {"archive": remote}
            executed: dict[str, t.Any] = self._execute_module(MODULE, module_args=arguments, task_vars=task_vars)
            return executed
        except AnsibleError as error:
            raise Failure(
                f"The artifact's file could not be copied to the host (is its disk full?): {error}", "io", path=remote
            ) from None
        finally:
            self._remove_tmp_path(made)
