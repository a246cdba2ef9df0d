# SPDX-License-Identifier: GPL-3.0-or-later
"""The root file system that all hosts share."""

from __future__ import annotations

import os
import subprocess
import sys

from .settings import CHECKOUT, LabError, Settings

# BCM's software images have these; Ansible modules and the role monitor use them.
INSTALLED = (
    "python3-requests",
    "python3-yaml",
    "python3-cryptography",
    "python3-prometheus-client",
    "python3-venv",
    "rsync",
)
# Only in the image's apt cache: roles install them for real, without the network.
CACHED = (
    "prometheus",
    "prometheus-node-exporter",
    "slurmctld",
    "slurmd",
    "slurm-client",
    "slurmdbd",
    "munge",
    "mariadb-server",
    "victoria-metrics",
    "python3-blessed",
    "python3-pymysql",
    "ufw",
    "firewalld",
)


def is_built(settings: Settings) -> bool:
    return (settings.image / ".labimage").exists()


def build(settings: Settings) -> None:
    """Make the image unless it is there."""
    if is_built(settings):
        return
    print(f"==> Making the hosts' root file system in {settings.image} (about a minute, once)", file=sys.stderr)
    settings.image.parent.mkdir(parents=True, exist_ok=True)
    known = _known_packages(CACHED)
    for name in CACHED:
        if name not in known:
            print(f"    {name} is not in this machine's apt sources: hosts will not have it", file=sys.stderr)
    environment = {
        **os.environ,
        **settings.environment(),
        "LAB_INSTALL": ",".join(INSTALLED),
        "LAB_SETUP": str(CHECKOUT / "lab" / "image-setup"),
    }
    command = [str(CHECKOUT / "lab" / "build-image"), str(settings.image), *known]
    if subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode != 0:
        raise LabError("The hosts' root file system could not be made; the reason stands above.")


def _known_packages(names: tuple[str, ...]) -> list[str]:
    """Those that apt can download."""
    listed = subprocess.run(["apt-cache", "show", *names], capture_output=True, text=True, check=False).stdout
    there = {line.split(": ", 1)[1] for line in listed.splitlines() if line.startswith("Package: ")}
    return [name for name in names if name in there]
