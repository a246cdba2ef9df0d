# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab's life: up, down, and a way into its hosts."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from . import artifacts, image, leftovers, stock
from .plan import BCM_PORT, Host, hosts, hosts_file, info
from .settings import CHECKOUT, MARK, LabError, Settings

LABHOST = str(CHECKOUT / "lab" / "labhost")
SIMULATOR_PATIENCE = 20.0
# Everything that `up` makes in the data directory; `down` removes nothing else there.
OWN = ("shared", "bcm", "files", "ssh", "pki", "fake_nvml", "nvml", "checkout", "hosts.txt", "lab.json")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def up(settings: Settings, dgx: int, head_nodes: int) -> dict[str, Any]:
    """Boot the lab, or leave it as it is when it is up; returns what `info` prints."""
    members = hosts(settings.net, dgx, head_nodes)
    check_machine(settings)
    os.environ[MARK] = str(settings.lab_id)
    with lock(settings):
        there = record(settings)
        if there is not None:
            if there["hosts"] != info(members, settings)["hosts"]:
                raise LabError(f"Lab {settings.lab_id} is up with other hosts; remove it first: lab/superpod down", 2)
            for host in members:
                _labhost(settings, "start", host.name)
            return there
        image.build(settings)
        exporter = artifacts.obtain(os.environ)
        say(f"==> {exporter}")
        if settings.data.exists() or settings.state.exists():
            _remove(settings)
        from .provision import provision  # noqa: PLC0415 - needs PyYAML, and `down` must work without

        say(f"==> Making keys and certificates for {len(members)} hosts")
        settings.data.mkdir(parents=True, exist_ok=True)
        provision(settings, members, exporter)
        say(f"==> Booting {len(members)} hosts on {settings.net}.0/24")
        plan = settings.data / "hosts.txt"
        plan.write_text(hosts_file(members, settings, dgx_cgroup()))
        _labhost(settings, "up-all", str(plan))
        wait_for_simulator([host for host in members if host.kind == "head_node"])
        document = info(members, settings)
        temporary = settings.record.with_suffix(".new")
        temporary.write_text(json.dumps(document, indent=1) + "\n")
        temporary.rename(settings.record)
        return document


def prepare(settings: Settings, build: list[str]) -> None:
    """What takes long the first time, so that `up` need not: the hosts' root file system and the site's artifacts.

    `build` names artifacts that the collection's playbook is to build for the site.
    """
    check_machine(settings)
    os.environ[MARK] = str(settings.lab_id)
    with lock(settings):
        image.build(settings)
        stock.prepare(os.environ, artifacts.obtain(os.environ), settings.image, build)


def down(settings: Settings) -> None:
    """Remove the lab and everything it left, also after a crash."""
    if os.geteuid() != 0:
        raise LabError("Only root can remove a lab; run the command again with sudo.", 2)
    with lock(settings):
        _remove(settings)
    with contextlib.suppress(OSError):
        settings.state.parent.rmdir()


def run_in_host(settings: Settings, host: str, command: list[str]) -> NoReturn:
    """Become `labhost exec`."""
    labhost(settings, ["exec", host, *command])


def labhost(settings: Settings, words: list[str]) -> NoReturn:
    """Become labhost with a command for this lab."""
    require(settings)
    os.execve(LABHOST, [LABHOST, *words], {**os.environ, **settings.environment()})


def cmsh(settings: Settings, commands: str) -> NoReturn:
    """Run cmsh on the first head node that is up."""
    document = require(settings)
    for name, host in document["hosts"].items():
        if host["kind"] == "head_node" and _is_up(settings, name):
            run_in_host(settings, name, ["/cm/local/apps/cmd/bin/cmsh", "-c", commands])
    raise LabError("No head node of this lab is up; lab/labhost start bcm-head-01 starts one.")


def record(settings: Settings) -> dict[str, Any] | None:
    """What `up` noted about a lab that is up; None without one, or when the machine was restarted since."""
    if not settings.state.is_dir():
        return None
    try:
        found = json.loads(settings.record.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LabError(f"{settings.record} is broken; remove the lab: lab/superpod down") from error
    return found if isinstance(found, dict) else None


def require(settings: Settings) -> dict[str, Any]:
    found = record(settings)
    if found is None:
        raise LabError(f"Lab {settings.lab_id} is not up; boot it with: lab/superpod up")
    return found


def check_machine(settings: Settings) -> None:
    done = subprocess.run(
        [str(CHECKOUT / "lab" / "check-machine"), str(settings.data)], stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise LabError(done.stderr.strip(), 2)


def dgx_cgroup(mounts: str | None = None) -> str:
    """v1 where the machine's memory controller is a v1 hierarchy: only there are jobs' limits real; else v2."""
    text = Path("/proc/mounts").read_text() if mounts is None else mounts
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[2] == "cgroup" and "memory" in fields[3].split(","):
            return "v1"
    return "v2"


def wait_for_simulator(heads: list[Host]) -> None:
    """Until each head node answers on CMDaemon's port."""
    give_up = time.monotonic() + SIMULATOR_PATIENCE
    for host in heads:
        while True:
            try:
                socket.create_connection((host.address, BCM_PORT), timeout=1).close()
                break
            except OSError as error:
                if time.monotonic() > give_up:
                    raise LabError(
                        f"The BCM simulator on {host.name} does not answer ({error}); see what it says: "
                        f"lab/superpod exec {host.name} journalctl -u cmd"
                    ) from error
                time.sleep(0.1)


@contextlib.contextmanager
def lock(settings: Settings) -> Iterator[None]:
    """One `up` or `down` of a lab at a time; the lock ends with its process, however that ends."""
    path = settings.state.with_name(f"{settings.lab_id}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LabError(
                    f"Another lab/superpod works on lab {settings.lab_id} now; wait for it, or end it with Ctrl-C."
                ) from error
            # the one before may have removed the file between open and flock
            if not path.exists() or path.stat().st_ino != os.fstat(handle.fileno()).st_ino:
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _remove(settings: Settings) -> None:
    leftovers.end_all(settings)
    _labhost(settings, "down-all")
    own = [str(settings.data / name) for name in OWN]
    subprocess.run(["rm", "-rf", "--one-file-system", *own], check=True)
    with contextlib.suppress(OSError):
        settings.data.rmdir()


def _labhost(settings: Settings, *words: str) -> None:
    done = subprocess.run(
        [LABHOST, *words], env={**os.environ, **settings.environment()}, stdout=sys.stderr, check=False
    )
    if done.returncode != 0:
        raise LabError(f"labhost {words[0]} failed; the reason stands above.")


def _is_up(settings: Settings, host: str) -> bool:
    command = [LABHOST, "pid", host]
    return (
        subprocess.run(
            command, env={**os.environ, **settings.environment()}, capture_output=True, check=False
        ).returncode
        == 0
    )
