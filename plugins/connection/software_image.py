# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection plugin: a command in a software image, by chroot, of which nothing stays behind."""

from __future__ import annotations

DOCUMENTATION = r"""
name: software_image
short_description: Work in a software image's directory, with nothing left running or mounted there
version_added: 1.0.0
author:
  - The superpod.monitoring developers (@superpod-monitoring)
description:
  - Runs each command by C(chroot) in a directory on the control machine, such as an image below C(/cm/images) on BCM's
    head node, with C(/proc), C(/sys), C(/dev) and an empty C(/run), as BCM's C(cm-chroot-sw-img) does.
  - The command has mounts and processes of its own, made with C(unshare). When it ends, its mounts go and what it left
    running is killed. So an image cannot keep a mount or a daemon, even if Ansible is killed.
  - Modules come over a pipe and are not written into the image.
  - The inventory plugin P(superpod.monitoring.bcm#inventory) makes hosts of this connection with its option
    C(software_images).
notes:
  - Needs root, and C(unshare) of util-linux 2.32 or newer on the control machine.
  - Tasks with C(async) do not work, since their process would be one that is left.
options:
  remote_addr:
    description: The image's directory.
    type: path
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
      - name: delegated_vars["ansible_host"]
  executable:
    description: The shell in the image that runs commands.
    type: path
    default: /bin/sh
    vars:
      - name: ansible_executable
"""

import os
import subprocess
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.common.text.converters import to_bytes, to_native, to_text
from ansible.plugins.connection import ConnectionBase
from ansible.utils.display import Display

display = Display()

# $1 is the directory, the rest the command. The mounts are in a namespace of this shell's, and so nobody else's.
ENTER = """\
set -e
root=$1
shift
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
exec chroot "$root" "$@"
"""
UNSHARE = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--"]


def objection(directory: str, shell: str, uid: int) -> str | None:
    """Why this cannot be worked in, as a sentence that says what to change; None if nothing speaks against it."""
    if not os.path.isabs(directory):
        return (
            f"{directory} is no directory of a software image; set ansible_host to one, such as /cm/images/dgx-image."
        )
    if os.path.realpath(directory) == "/":
        return f"{directory} is this host's own root; set ansible_host to the directory of a software image."
    if not os.path.isdir(directory):
        return f"There is no {directory} on this host; run Ansible on the head node that has the software images."
    missing = [name for name in ("proc", "sys", "dev", "run") if not os.path.isdir(os.path.join(directory, name))]
    # a link such as /bin -> usr/bin is followed here as it would be inside; an absolute one only inside
    if missing or not os.path.lexists(directory + shell):
        what = f"/{missing[0]}" if missing else shell
        return f"{directory} has no {what}, so it is no root file system; set ansible_host to the image's directory."
    if uid != 0:
        return f"Only root can work in the software image {directory}; run Ansible as root on the head node."
    return None


class Connection(ConnectionBase):
    """Commands by `chroot`, files by a pipe to one in there, so that links in the image mean what they mean inside."""

    transport = "superpod.monitoring.software_image"
    has_pipelining = True
    always_pipeline_modules = True
    has_tty = False

    def _connect(self) -> Connection:
        if not self._connected:
            super()._connect()
            self._root = str(self.get_option("remote_addr"))
            self._shell_path = str(self.get_option("executable"))
            reason = objection(self._root, self._shell_path, os.geteuid())
            if reason is not None:
                raise AnsibleConnectionFailure(reason)
            self._connected = True
        return self

    def _run(self, command: list[str], **streams: t.Any) -> subprocess.CompletedProcess[bytes]:
        words = [*UNSHARE, "/bin/sh", "-c", ENTER, "software_image", self._root, *command]
        display.vvv(f"EXEC {command}", host=self._root)
        try:
            return subprocess.run(
                [to_bytes(word, errors="surrogate_or_strict") for word in words],
                stderr=subprocess.PIPE,
                cwd="/",
                check=False,
                **streams,
            )
        except OSError as error:
            raise AnsibleConnectionFailure(f"unshare cannot be run: {to_native(error)}.") from error

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = False) -> tuple[int, bytes, bytes]:
        """Run a shell command; (exit status, standard output, standard error)."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        done = self._run([self._shell_path, "-c", cmd], input=in_data or b"", stdout=subprocess.PIPE)
        return done.returncode, done.stdout, done.stderr

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file into the image."""
        super().put_file(in_path, out_path)
        try:
            with open(to_bytes(in_path, errors="surrogate_or_strict"), "rb") as file:
                done = self._run(
                    [self._shell_path, "-c", 'umask 077 && exec cat >"$1"', "put", out_path],
                    stdin=file,
                    stdout=subprocess.DEVNULL,
                )
        except OSError as error:
            raise AnsibleConnectionFailure(f"{in_path} cannot be read: {error.strerror}.") from error
        self._check(done, out_path)

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file out of the image."""
        super().fetch_file(in_path, out_path)
        try:
            with open(to_bytes(out_path, errors="surrogate_or_strict"), "wb") as file:
                done = self._run(
                    [self._shell_path, "-c", 'exec cat <"$1"', "fetch", in_path], stdin=subprocess.DEVNULL, stdout=file
                )
        except OSError as error:
            raise AnsibleConnectionFailure(f"{out_path} cannot be written: {error.strerror}.") from error
        self._check(done, in_path)

    def _check(self, done: subprocess.CompletedProcess[bytes], path: str) -> None:
        if done.returncode != 0:
            said = to_text(done.stderr, errors="surrogate_or_replace").strip() or f"status {done.returncode}"
            raise AnsibleConnectionFailure(f"{path} in {self._root} cannot be copied: {said}")

    def close(self) -> None:
        """Nothing stays open between commands."""
        self._connected = False
