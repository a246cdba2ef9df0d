# SPDX-License-Identifier: GPL-3.0-or-later
"""What BCM's node installer would have put on the hosts: keys, certificates, the head nodes' programs.

Everything is written to one directory for each host, which labhost copies into the host before its first boot.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from . import stock
from .artifacts import Artifact
from .plan import BCM_PORT, COLLECTION_PATH, SIMULATOR_PATH, SITE_PATH, Host, bcm_state
from .settings import CHECKOUT, LabError, Settings

CMD_ETC = "cm/local/apps/cmd/etc"
ANSIBLE_PROGRAMS = (
    "ansible",
    "ansible-config",
    "ansible-doc",
    "ansible-galaxy",
    "ansible-inventory",
    "ansible-playbook",
)
CMD_SERVICE = f"""\
[Unit]
Description=BCM simulator in the place of CMDaemon
After=network.target

[Service]
Environment=PYTHONPATH={COLLECTION_PATH}/lab PYTHONDONTWRITEBYTECODE=1
ExecStart=/usr/bin/python3 -m bcm_simulator serve --state {SIMULATOR_PATH}/state.yaml --host %H --port {BCM_PORT} \
--tls /{CMD_ETC} --faults {SIMULATOR_PATH}/faults-%H.yaml
Restart=on-failure
RestartSec=1

[Install]
WantedBy=multi-user.target
"""
CMSH = f"""\
#!/bin/sh
PYTHONPATH={COLLECTION_PATH}/lab PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 -m bcm_simulator cmsh \
--state {SIMULATOR_PATH}/state.yaml --tls /{CMD_ETC} -- "$@"
"""


def write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """A new file with this mode from the start; directories on the way are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as handle:
        os.fchmod(handle.fileno(), mode)
        handle.write(data)


def link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def provision(settings: Settings, members: list[Host], cgroup_exporter: Artifact) -> None:
    """Fill the data directory of a lab that is not up: shares, keys, certificates, a directory for each host."""
    settings.shared.mkdir(parents=True)
    settings.bcm.mkdir()
    (settings.data / "checkout").symlink_to(CHECKOUT)
    state = settings.bcm / "state.yaml"
    write(state, yaml.safe_dump(bcm_state(members), sort_keys=False), 0o600)
    pki = settings.data / "pki"
    certificates(state, pki)
    public_key = ssh_key(settings)
    nvml = fake_nvml(settings)

    for host in members:
        root = settings.files / host.name
        write(root / "root/.ssh/authorized_keys", public_key, 0o600)
        for private in (root / "root", root / "root/.ssh"):
            private.chmod(0o700)
        kind = "heads" if host.kind == "head_node" else "nodes"
        shutil.copytree(pki / kind / host.name, root / CMD_ETC)
        if host.kind == "head_node":
            head_node(root, settings, cgroup_exporter)
        else:
            write(root / "var/spool/cmd/my.master.cmd.url", f"https://{members[0].address}:{BCM_PORT}\n")
        if host.kind == "dgx":
            shutil.copytree(nvml, root, dirs_exist_ok=True)


def head_node(root: Path, settings: Settings, cgroup_exporter: Artifact) -> None:
    """What a BCM head node has: the administrator's certificate, cmsh, CMDaemon, Ansible, the site's directory."""
    for name in ("admin.pem", "admin.key"):
        write(root / "root/.cm" / name, (settings.data / "pki" / name).read_bytes(), 0o600)
    (root / "root/.cm").chmod(0o700)
    write(root / "root/.ssh/id_ed25519", settings.ssh_key.read_bytes(), 0o600)
    write(root / "root/.ssh/known_hosts", known_hosts(settings))
    write(root / "etc/systemd/system/cmd.service", CMD_SERVICE)
    link(root / "etc/systemd/system/multi-user.target.wants/cmd.service", "/etc/systemd/system/cmd.service")
    write(root / "cm/local/apps/cmd/bin/cmsh", CMSH, 0o755)
    link(root / "usr/local/bin/cmsh", "/cm/local/apps/cmd/bin/cmsh")
    for program in ANSIBLE_PROGRAMS:
        link(root / "usr/local/bin" / program, f"/opt/ansible/bin/{program}")
    site = root / SITE_PATH.lstrip("/")
    shutil.copytree(CHECKOUT / "lab" / "site", site)
    artifacts = site / "artifacts"
    stock.provide(os.environ, cgroup_exporter, settings.image, artifacts)
    with (site / "group_vars" / "all.yml").open("a") as variables:
        variables.write(stock.site_variables(artifacts))


def certificates(state: Path, directory: Path) -> None:
    """The cluster's CA, and the certificates of every host and of the administrator."""
    command = [sys.executable, "-m", "bcm_simulator", "init-pki", "--state", str(state), "--dir", str(directory)]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "lab")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"The certificates could not be made: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


def ssh_key(settings: Settings) -> str:
    """Make the lab's key pair; the line for authorized_keys."""
    settings.ssh_key.parent.mkdir(mode=0o700)
    command = [
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-C",
        f"lab {settings.lab_id}",
        "-f",
        str(settings.ssh_key),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"ssh-keygen failed: {done.stderr.strip()}")
    return settings.ssh_key.with_suffix(".pub").read_text()


def known_hosts(settings: Settings) -> str:
    """One line for all hosts: they share the host key of their image."""
    kind, key = (settings.image / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2]
    return f"* {kind} {key}\n"


def fake_nvml(settings: Settings) -> Path:
    """Build the stub NVML and nvidia-smi; the directory to copy into a host."""
    source, target = settings.data / "fake_nvml", settings.data / "nvml"
    shutil.copytree(CHECKOUT / "lab" / "fake_nvml", source)
    done = subprocess.run(
        ["make", "-s", "-C", str(source), "install", f"DESTDIR={target}"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise LabError(f"The stub of NVML could not be built: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return target
