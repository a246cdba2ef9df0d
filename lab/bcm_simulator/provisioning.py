# SPDX-License-Identifier: GPL-3.0-or-later
"""What CMDaemon does between a software image and a node: rsync, by the category's exclude lists.

A transfer runs in a process of its own, as CMDaemon does it and not cmsh, and leaves in `provisioning/` beside the
state file: `events`, the lines that cmsh shows in between, and `NODE.synclog`, what rsync said.
"""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .exclude_lists import EXCLUDE_LISTS
from .state import State, StateError

NO_NEW_FILES = "no-new-files:"
# For each mode: the exclude list, and whether the image is where files come from.
MODES = {
    "UPDATE": ("excludelistupdate", True),
    "SYNC": ("excludelistsyncinstall", True),
    "GRAB": ("excludelistgrab", False),
    "GRABNEW": ("excludelistgrabnew", False),
}
# File systems that are a node's own disks; what else is mounted stays out of every transfer. The lab's hosts have an
# overlay, and /cm/shared, which is a bind mount there and stands for a network's.
_OWN_DISKS = frozenset(("btrfs", "ext2", "ext3", "ext4", "overlay", "vfat", "xfs"))
_NETWORK_STAND_IN = "/cm/shared"
# What the node installer writes itself at each boot, whatever the sync did to it; nothing writes it here, so it stays.
_BY_NODE_INSTALLER = (
    *("/cm/local/apps/cmd/etc/*", "/etc/fstab", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/etc/network/*"),
    *("/etc/systemd/network/*", "/var/spool/cmd/*"),
)
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=10"


@dataclass(frozen=True)
class Transfer:
    """One transfer.  `node_root` is a directory, or `root@ADDRESS:` for a host that is reached by ssh."""

    head_node: str
    node: str
    mode: str
    dry_run: bool
    image_path: str
    node_root: str
    exclude_list: str

    @property
    def ends(self) -> tuple[str, str]:
        """From where, to where, as rsync takes them."""
        ends = (f"{self.image_path.rstrip('/')}/", f"{self.node_root.rstrip('/')}/")
        return ends if MODES[self.mode][1] else (ends[1], ends[0])


def plan(state: State, node: str, mode: str, image: str | None, dry_run: bool) -> Transfer:
    """What to do; StateError with a sentence for what BCM would refuse as well, or what is not simulated."""
    entity = state["nodes"].get(node)
    if entity is None or entity["category"] is None:
        raise StateError(f"{node} is no node with a category, so it has no software image")
    own = entity["properties"].get("softwareimage") or state["categories"][entity["category"]]["image"]
    name = image or own
    if name not in state["software_images"]:
        raise StateError(f"there is no software image {name!r}")
    if state["software_images"][name]["locked"]:
        raise StateError(f"software image {name} is locked")
    if _property(state, entity, "excludelistmanipulatescript").strip():
        raise StateError("excludelistmanipulatescript is not simulated")
    return Transfer(
        head_node=state["active"],
        node=node,
        mode=mode,
        dry_run=dry_run,
        image_path=state["software_images"][name]["path"] or f"/cm/images/{name}",
        node_root=entity["root"] or f"root@{entity['ip']}:",
        exclude_list=_property(state, entity, MODES[mode][0]),
    )


def _property(state: State, entity: State, name: str) -> str:
    """A text of the node, else of its category."""
    own = entity["properties"].get(name) or state["categories"][entity["category"]]["properties"].get(name)
    return str(EXCLUDE_LISTS.get(name, "") if own is None else own)


def rules(exclude_list: str, kept: Sequence[str]) -> tuple[list[str], list[str]]:
    """rsync's rules, without BCM's comments and prefix: all, and those that keep new files away, too.

    `kept` are patterns of what stays out of it before any rule.
    """
    first = [f"- {pattern}" for pattern in kept]
    everything, no_new_files = list(first), list(first)
    for line in (line.strip() for line in exclude_list.splitlines()):
        if not line or line.startswith("#"):
            continue
        rule = line[len(NO_NEW_FILES) :].strip() if line.startswith(NO_NEW_FILES) else line
        everything.append(rule)
        if rule != line:
            no_new_files.append(rule)
    return everything, no_new_files


def foreign_mounts(mounts: str, to_node: bool) -> list[str]:
    """What of a node's /proc/mounts is no disk of its own, as patterns.

    An image gets the directory that something is mounted on, and nothing that is in it; on a node it is left alone.
    """
    found = []
    for line in mounts.splitlines():
        _device, point, kind = line.split(" ")[:3]
        if point != "/" and (kind not in _OWN_DISKS or point == _NETWORK_STAND_IN):
            # what is mounted on /etc/hosts and the like is a file
            found += [point] if to_node or point.startswith("/etc/") else [f"{point}/*"]
    return found


def commands(transfer: Transfer, everything: Path, no_new_files: Path) -> list[list[str]]:
    """The rsync commands; the two files hold the rules.

    A sync takes two: one that changes and deletes whatever no rule excludes, and one that brings what is not there.
    "Wipe, then copy" is one that also deletes what the rules exclude.
    """
    # no owner by name, no second look at contents: as fast as the file systems allow
    base = ["rsync", "--archive", "--hard-links", "--numeric-ids", "--verbose"]
    if ":" in transfer.node_root:
        base += [f"--rsh={_SSH}"]
    if transfer.dry_run:
        base.append("--dry-run")
    source, target = transfer.ends
    first = [*base, "--delete", f"--filter=merge {everything}", source, target]
    if transfer.mode == "GRABNEW":
        first.insert(-3, "--delete-excluded")
    if not MODES[transfer.mode][1]:
        return [first]
    return [first, [*base, "--ignore-existing", f"--filter=merge {no_new_files}", source, target]]


class Journal:
    """The events and logs beside a state file."""

    def __init__(self, state_file: Path) -> None:
        self.directory = state_file.parent / "provisioning"

    @property
    def events(self) -> Path:
        """The event lines of all transfers."""
        return self.directory / "events"

    def synclog(self, node: str) -> Path:
        """What rsync said in the node's last transfer."""
        return self.directory / f"{node}.synclog"

    def event(self, head_node: str, level: str, text: str) -> None:
        """Add an event, in the form in which cmsh prints it."""
        self.directory.mkdir(exist_ok=True)
        now = datetime.datetime.now().astimezone().strftime("%a %b %d %H:%M:%S %Y")
        with self.events.open("a", encoding="utf-8") as file:
            file.write(f"{now} [{level}] {head_node}: {text}\n")


def perform(transfer: Transfer, journal: Journal, run: Callable[..., subprocess.CompletedProcess[str]]) -> bool:
    """Do it; whether it worked.  `run` is subprocess.run."""
    dry = "yes" if transfer.dry_run else "no"
    source, target = transfer.ends
    what = (
        f"sending {source} to {transfer.node}:{target}" if MODES[transfer.mode][1] else f"grabbing {source} to {target}"
    )
    journal.event(
        transfer.head_node,
        "notice",
        f"Provisioning started on node {transfer.node}: {what}, mode {transfer.mode}, dry run = {dry}",
    )
    said: list[str] = []
    problem = ""
    try:
        with tempfile.TemporaryDirectory(prefix="provisioning.") as scratch:
            everything, no_new_files = Path(scratch) / "all", Path(scratch) / "no-new-files"
            kept = [*_mounts(transfer, run), *(_BY_NODE_INSTALLER if transfer.mode == "SYNC" else ())]
            for path, lines in zip((everything, no_new_files), rules(transfer.exclude_list, kept)):
                path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            for command in commands(transfer, everything, no_new_files):
                done = run(command, capture_output=True, text=True, errors="replace", check=False)
                said += [f"# {' '.join(command)}", done.stdout, done.stderr]
                # 24: a file went while it was read, which a living node's do
                if done.returncode not in (0, 24):
                    problem = (done.stderr.strip().splitlines() or [f"rsync ended with {done.returncode}"])[-1]
                    break
    except (OSError, ValueError) as error:
        problem = str(error)
    journal.synclog(transfer.node).write_text("\n".join(said), encoding="utf-8")
    if problem:
        journal.event(transfer.head_node, "warning", f"Provisioning failed on node {transfer.node}: {problem}")
        return False
    journal.event(transfer.head_node, "notice", f"Provisioning completed on node {transfer.node}: dry run = {dry}")
    return True


def _mounts(transfer: Transfer, run: Callable[..., subprocess.CompletedProcess[str]]) -> list[str]:
    if ":" not in transfer.node_root:
        return []
    command = [*_SSH.split(), transfer.node_root.rstrip(":"), "cat", "/proc/mounts"]
    done = run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ValueError(f"{transfer.node} cannot be reached: {done.stderr.strip()}")
    return foreign_mounts(done.stdout, MODES[transfer.mode][1])


def start(state_file: Path, transfer: Transfer, image: str | None) -> subprocess.Popen[bytes]:
    """A process that does it, and goes on when cmsh has ended."""
    words = [
        sys.executable,
        "-m",
        "bcm_simulator",
        "provision",
        "--state",
        str(state_file),
        transfer.node,
        transfer.mode,
    ]
    words += [*(["--image", image] if image else []), *(["--dry-run"] if transfer.dry_run else [])]
    lab = str(Path(__file__).resolve().parents[1])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([lab, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
    }
    return subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
    )
