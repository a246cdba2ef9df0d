# SPDX-License-Identifier: GPL-3.0-or-later
"""States of any size, for tests and benchmarks."""

from __future__ import annotations

from .state import State

HEAD_ROLES = ["backup", "storage", "headnode", "monitoring", "provisioning", "boot"]


def head_nodes(count: int) -> State:
    """`count` head nodes, bcm-head-01 first."""
    return {
        f"bcm-head-{number:02d}": {
            "ip": f"10.141.255.{255 - number}",
            "mac": f"52:54:00:00:00:{number:02x}",
            "roles": list(HEAD_ROLES),
        }
        for number in range(1, count + 1)
    }


def small() -> State:
    """Two DGX nodes, a Slurm controller, a login node and a monitoring host: the lab's cluster."""
    state: State = {
        "head_nodes": head_nodes(1),
        "categories": {
            "dgx-h200": {"image": "dgx-image"},
            "slurm-controller": {"image": "default-image"},
            "login": {"image": "default-image"},
            "monitoring": {"image": "default-image"},
        },
        "overlays": {
            "slurm-client": {"priority": 500, "roles": ["slurmclient"]},
            "slurm-server": {"priority": 500, "nodes": ["slurm-ctl-01"], "roles": ["slurmserver"]},
            "slurm-submit": {"priority": 500, "nodes": ["slurm-ctl-01", "login-01"], "roles": ["slurmsubmit"]},
            "slurm-accounting": {"priority": 500, "nodes": ["slurm-ctl-01"], "roles": ["slurmaccounting"]},
        },
        "nodes": {},
        "wlm": {"slurm": {}},
    }
    kinds = (
        ("dgx-01", "dgx-h200"),
        ("dgx-02", "dgx-h200"),
        ("slurm-ctl-01", "slurm-controller"),
        ("login-01", "login"),
    )
    for number, (name, category) in enumerate((*kinds, ("mon-01", "monitoring")), 1):
        state["nodes"][name] = {
            "category": category,
            "ip": f"10.141.0.{number}",
            "mac": f"fa:16:3e:00:00:{number:02x}",
            "rack": "r1",
        }
    return state


def big(devices: int, categories: int = 50, racks: int = 50) -> State:
    """`devices` compute nodes spread over categories and racks; every second has slurmclient through an overlay."""
    state: State = {
        "head_nodes": head_nodes(1),
        "categories": {f"category-{number:02d}": {"image": "dgx-image"} for number in range(categories)},
        "racks": {f"rack-{number:02d}": {} for number in range(racks)},
        "nodes": {},
    }
    for number in range(devices):
        state["nodes"][f"node{number + 1:05d}"] = {
            "category": f"category-{number % categories:02d}",
            "ip": f"10.{150 + number // 65536}.{number // 256 % 256}.{number % 256}",
            "mac": f"fa:16:3e:{number // 65536:02x}:{number // 256 % 256:02x}:{number % 256:02x}",
            "rack": f"rack-{number // categories % racks:02d}",
        }
    state["overlays"] = {"slurm-client": {"nodes": list(state["nodes"])[::2], "roles": ["slurmclient"]}}
    return state
