# SPDX-License-Identifier: GPL-3.0-or-later
"""grabimage, imageupdate, synclog; lock and unlock of software images."""

from __future__ import annotations

import subprocess

from ..provisioning import Journal, plan, start
from ..state import StateError
from .arguments import mode_schema, refuse_more, split_options, target, texts_of
from .errors import CmshError, NotSimulatedError
from .schema import DEVICE, SOFTWARE_IMAGE
from .shell import Shell
from .words import Statement

_DRY_RUN = (
    "Performing dry run (use synclog command to review result, then pass -w to perform real update)..."  # as in AM11
)


def grabimage(shell: Shell, arguments: Statement) -> None:
    """Copy a node into its image, or into another; without -w only say what would be copied.  Returns at once."""
    options, others = split_options(
        "grabimage", texts_of(arguments), {"-w": "write", "-i": "image=", "--image": "image="}
    )
    _device_mode(shell, "grabimage")
    _schema, node = target(shell, "grabimage", others)
    refuse_more("grabimage", others)
    image = options.get("image=")
    _begin(shell, node, "GRABNEW" if image else "GRAB", image, dry_run="write" not in options)


def imageupdate(shell: Shell, arguments: Statement) -> None:
    """Copy the software image to a node, or to a category's; without -w only say what would be copied."""
    known = {"-w": "write", "--wait": "wait", "-c": "category="}
    options, others = split_options("imageupdate", texts_of(arguments), known)
    _device_mode(shell, "imageupdate")
    if "category=" in options:
        refuse_more("imageupdate", others)
        shell.workspace.entity("categories", options["category="])
        nodes = [name for name, node in shell.state["nodes"].items() if node["category"] == options["category="]]
    else:
        nodes = [target(shell, "imageupdate", others)[1]]
        refuse_more("imageupdate", others)
    begun = [_begin(shell, node, "UPDATE", None, dry_run="write" not in options) for node in nodes]
    if "wait" in options:
        failed = any(status != 0 for status in [process.wait() for process in begun])
        shell.output(f"imageupdate [ {'FAILED' if failed else 'COMPLETED'} ]")


def _begin(shell: Shell, node: str, mode: str, image: str | None, *, dry_run: bool) -> subprocess.Popen[bytes]:
    try:
        transfer = plan(shell.state, node, mode, image, dry_run)
    except StateError as error:
        raise CmshError(str(error)) from error
    if not dry_run:
        shell.workspace.permit_transfer(f"cmsh {mode.lower()} {node} {image or ''}".rstrip())
    if dry_run:
        shell.output(_DRY_RUN)
    return start(shell.workspace.state_file, transfer, image)


def synclog(shell: Shell, arguments: Statement) -> None:
    """Print what rsync said in a node's last transfer."""
    texts = texts_of(arguments)
    _device_mode(shell, "synclog")
    _schema, node = target(shell, "synclog", texts)
    refuse_more("synclog", texts)
    path = Journal(shell.workspace.state_file).synclog(node)
    if not path.exists():
        raise CmshError(f"{node} has no synclog")
    shell.output(path.read_text(encoding="utf-8").rstrip("\n"))


def _device_mode(shell: Shell, command: str) -> None:
    if mode_schema(shell) is not DEVICE:
        raise NotSimulatedError(f"command {command!r} in mode {shell.places[0].name}")


def lock(shell: Shell, arguments: Statement) -> None:
    """Keep transfers from and to an image away."""
    _set_lock(shell, arguments, "lock", True)


def unlock(shell: Shell, arguments: Statement) -> None:
    """Let them again."""
    _set_lock(shell, arguments, "unlock", False)


def _set_lock(shell: Shell, arguments: Statement, command: str, locked: bool) -> None:
    if mode_schema(shell) is not SOFTWARE_IMAGE:
        raise NotSimulatedError(f"command {command!r} in mode {shell.places[0].name}")
    texts = texts_of(arguments)
    _schema, name = target(shell, command, texts)
    refuse_more(command, texts)
    shell.workspace.lock_image(name, locked)
