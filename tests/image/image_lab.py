# SPDX-License-Identifier: GPL-3.0-or-later
"""A SuperPOD with software images: each is an overlay over the hosts' root file system, so that it costs nothing."""

from __future__ import annotations

import json
from typing import Any

from superpod_site import COLLECTION, HEAD, SITE, SuperpodSite

IMAGES = ("default-image", "slurm-image", "login-image", "monitoring-image", "dgx-image")
IMAGE = "/cm/images/dgx-image"
STATE = "/cm/local/apps/cmd/simulator/state.yaml"
SIMULATOR = f"PYTHONPATH={COLLECTION}/lab PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m bcm_simulator"
# tmpfs, since the head node's own root is an overlay, which cannot be written to by another one
MOUNTS = f"""\
set -e
mkdir -p /cm/images
mount -t tmpfs -o mode=755 tmpfs /cm/images
for image in {" ".join(IMAGES)}; do
  own=/cm/images/.$image
  mkdir -p /cm/images/$image $own/upper $own/work
  mount -t overlay overlay -o lowerdir=/cm/base-image,upperdir=$own/upper,workdir=$own/work /cm/images/$image
done
"""


class ImageLab(SuperpodSite):
    """Two DGX nodes; nothing is deployed, and the DGX image is what dgx-02 is."""

    def __init__(self) -> None:
        super().__init__("22")

    def up(self) -> None:
        self.boot(2, "--head-nodes", "1")
        self.run(MOUNTS)
        self.run(f"echo 'software_images: true' >> {SITE}/bcm_inventory.yml")
        self.grab("dgx-02", "dgx-image")

    def grab(self, node: str, image: str | None = None) -> None:
        """As somebody does it who has never heard of this collection."""
        words = f"-i {image} " if image else ""
        self.transfer(f"device; use {node}; grabimage {words}-w")

    def transfer(self, commands: str) -> None:
        """Type the commands into cmsh and wait for BCM's event."""
        wait = f"""\
events=$(dirname {STATE})/provisioning/events
before=$(wc -l < $events 2>/dev/null || echo 0)
cmsh -c '{commands}'
for i in $(seq 600); do
  tail -n +$((before + 1)) $events 2>/dev/null | grep -E 'Provisioning (completed|failed)' && break
  sleep 0.1
done | grep completed"""
        self.run(wait)

    def audit(self, arguments: str = "", status: int = 0) -> tuple[str, dict[str, Any]]:
        """(what is said, the JSON)."""
        said = self.playbook("audit_image", f"-e superpod_audit_json=/root/audit.json {arguments}", status=status)
        return said, json.loads(self.read("/root/audit.json"))

    def files(self, root: str, host: str = HEAD) -> set[str]:
        """The files and links of the collection's kind below a root."""
        places = "etc/bcm-role-monitor etc/systemd/system usr/local opt var/lib"
        return set(self.run(f"cd {root} && find {places} ! -type d 2>/dev/null || true", host).splitlines())

    def wait_until(self, script: str, host: str, seconds: int = 60) -> None:
        """Until a command works on a host."""
        self.run(
            f"for i in $(seq {seconds * 2}); do ({script}) >/dev/null 2>&1 && exit; sleep 0.5; done; {script}; exit 1",
            host,
        )

    def assign(self, node: str) -> None:
        """Give a node the role that is monitored."""
        self.run(f"{SIMULATOR} assign --state {STATE} {node} slurmclient")

    def works(self, node: str) -> None:
        """Exporters and role monitor run on a node, and it is among Prometheus' targets."""
        units = "bcm-role-monitor node_exporter cgroup_exporter"
        target = f"/cm/shared/apps/jobstats/prometheus-targets/{node}.json"
        scraped = "curl -sf http://localhost:9100/metrics | grep -q ^node_load1"
        self.wait_until(f"systemctl is-active {units} && grep -q {node}:9100 {target} && {scraped}", node)

    def checksums(self, node: str) -> str:
        """Of what is the node's own."""
        own = "/etc/bcm-role-monitor/client.key /etc/bcm-role-monitor/client.pem /cm/local/apps/cmd/etc/cert.pem"
        return self.run(f"sha256sum {own} /cm/local/apps/cmd/etc/cert.key /etc/hostname", node)
