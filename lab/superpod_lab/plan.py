# SPDX-License-Identifier: GPL-3.0-or-later
"""What a simulated SuperPOD consists of.  Nothing here touches the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .settings import LabError, Settings

CLUSTER = "BCM 11.0 Cluster"
BCM_PORT = 8081
COLLECTION_PATH = "/usr/share/ansible/collections/ansible_collections/superpod/monitoring"
SITE_PATH = "/root/superpod"
# On head nodes; both see the same directory, as two CMDaemons share one database.
SIMULATOR_PATH = "/cm/local/apps/cmd/simulator"
# On head nodes: the hosts' root file system, read-only, from which tests make software images without copying it.
BASE_IMAGE_PATH = "/cm/base-image"
HEAD_NODE_ROLES = ["backup", "storage", "headnode", "monitoring", "provisioning", "boot"]
GPUS = 8
MAX_HEAD_NODES = 9
MAX_DGX = 99


@dataclass(frozen=True)
class Host:
    """One host of the lab. `kind`: head_node, slurm_controller, login_node, monitoring or dgx."""

    name: str
    address: str
    kind: str
    category: str | None = None
    alias: str | None = None

    @property
    def mac(self) -> str:
        """The address of its network card, as labhost gives it."""
        return ":".join(["02", "00", *(f"{int(part):02X}" for part in self.address.split("."))])


def hosts(net: str, dgx: int, head_nodes: int) -> list[Host]:
    """The hosts of a SuperPOD with so many DGX nodes and head nodes, on the /24 `net`."""
    if not 1 <= head_nodes <= MAX_HEAD_NODES:
        raise LabError(f"--head-nodes {head_nodes}: a lab has 1 to {MAX_HEAD_NODES} head nodes.", 2)
    if not 1 <= dgx <= MAX_DGX:
        raise LabError(f"--dgx {dgx}: a lab has 1 to {MAX_DGX} DGX nodes.", 2)
    heads = [
        Host(f"bcm-head-{i:02d}", f"{net}.{10 + i}", "head_node", alias="master" if i == 1 else None)
        for i in range(1, head_nodes + 1)
    ]
    services = [
        Host("slurm-ctl-01", f"{net}.21", "slurm_controller", "slurm-controller"),
        Host("login-01", f"{net}.31", "login_node", "login"),
        Host("mon-01", f"{net}.41", "monitoring", "monitoring"),
    ]
    return heads + services + [Host(f"dgx-{i:02d}", f"{net}.{100 + i}", "dgx", "dgx-h200") for i in range(1, dgx + 1)]


def bcm_state(members: list[Host]) -> dict[str, Any]:
    """The BCM simulator's first state: no node has `slurmclient` yet."""
    heads = [host for host in members if host.kind == "head_node"]
    images = {"default": "default-image", "slurm-controller": "slurm-image", "login": "login-image"}
    images.update({"monitoring": "monitoring-image", "dgx-h200": "dgx-image"})

    def overlay(role: str, *nodes: str) -> dict[str, Any]:
        return {"priority": 500, "all_head_nodes": False, "nodes": list(nodes), "categories": [], "roles": [role]}

    return {
        "cluster": CLUSTER,
        "active": heads[0].name,
        "head_nodes": {host.name: {"ip": host.address, "mac": host.mac, "roles": HEAD_NODE_ROLES} for host in heads},
        "categories": {name: {"image": image, "roles": []} for name, image in images.items()},
        "software_images": {image: {"path": f"/cm/images/{image}"} for image in images.values()},
        "overlays": {
            "slurm-client": overlay("slurmclient"),
            "slurm-server": overlay("slurmserver", "slurm-ctl-01"),
            "slurm-submit": overlay("slurmsubmit", "slurm-ctl-01", "login-01"),
            "slurm-accounting": overlay("slurmaccounting", "slurm-ctl-01"),
        },
        "nodes": {
            host.name: {
                "category": host.category,
                "ip": host.address,
                "mac": host.mac,
                "network": "internalnet",
                "type": "PhysicalNode",
                "roles": [],
                "rack": "r1",
            }
            for host in members
            if host.kind != "head_node"
        },
        "wlm": {"slurm": {}},
    }


def boot_options(host: Host, settings: Settings, dgx_cgroup: str) -> list[str]:
    """The options of `labhost up` for one host; `dgx_cgroup` is v1 or v2."""
    options = ["--files", str(settings.files / host.name), "--share", f"{settings.shared}:/cm/shared"]
    if host.alias:
        options += ["--alias", host.alias]
    if host.kind == "head_node":
        options += ["--share", f"{settings.bcm}:{SIMULATOR_PATH}"]
        options += ["--share", f"{settings.image}:{BASE_IMAGE_PATH}:ro"]
        # a link to the checkout, since words in labhost's file of hosts may hold no blanks and paths may
        options += ["--share", f"{settings.data}/checkout:{COLLECTION_PATH}:ro"]
    if host.kind == "dgx":
        options += ["--cgroup", dgx_cgroup, "--gpus", str(GPUS)]
    return options


def hosts_file(members: list[Host], settings: Settings, dgx_cgroup: str) -> str:
    """The file that `labhost up-all` reads."""
    return "".join(
        " ".join([host.name, host.address, *boot_options(host, settings, dgx_cgroup)]) + "\n" for host in members
    )


def info(members: list[Host], settings: Settings) -> dict[str, Any]:
    """What `superpod info` prints."""
    return {
        "id": settings.lab_id,
        "net": settings.net,
        "bridge": settings.bridge,
        "hosts": {
            host.name: {"address": host.address, "kind": host.kind, "category": host.category} for host in members
        },
        "ssh_key": str(settings.ssh_key),
        "shared_dir": str(settings.shared),
        "bcm": {
            "state_file": str(settings.bcm / "state.yaml"),
            "ca": str(settings.data / "pki" / "ca-bundle.pem"),
            "admin_cert": str(settings.data / "pki" / "admin.pem"),
            "admin_key": str(settings.data / "pki" / "admin.key"),
            "port": BCM_PORT,
        },
        "site_dir": SITE_PATH,
    }
