# SPDX-License-Identifier: GPL-3.0-or-later
"""Where dgx_exporters puts prologs and epilogs: on shared storage, on the nodes, in an image; and how they go."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import ansible_command
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = (ROOT / "files/slurm/gpu_job_map.sh").read_text(encoding="utf-8")
NODES = ("n1", "n2", "n3")
GPU = "nvidia_gpu_prometheus_exporter"

NOTE = "{ cd '{{ top }}' && find . ! -type d -printf '%P %m %l\\n' | sort; echo --; } >>'{{ top }}.seen'"

pytestmark = [
    pytest.mark.plays,
    pytest.mark.skipif(os.geteuid() != 0, reason="files that belong to root need root"),
]


def play(hosts: str, serial: int = 3, **values: t.Any) -> list[dict[str, t.Any]]:
    """The role's tasks for job hooks, and then a note of what there is and what has changed."""
    return [
        {
            "hosts": hosts,
            "gather_facts": False,
            "serial": serial,
            "vars": {f"dgx_exporters_{name}": value for name, value in values.items()},
            "tasks": [
                {
                    "ansible.builtin.include_role": {
                        "name": "superpod.monitoring.dgx_exporters",
                        "tasks_from": "job_hooks",
                        "rolespec_validate": False,
                    }
                }
            ],
        },
        {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [{"ansible.builtin.shell": NOTE}],
        },
    ]


def run(top: Path, *plays: list[dict[str, t.Any]], limit: str | None = None) -> list[dict[str, tuple[str, str]]]:
    """After each play: every file below `top`, with its permissions and where it leads to."""
    seen = top.with_name(f"{top.name}.seen")
    seen.unlink(missing_ok=True)
    node = {
        "ansible_connection": "local",
        "top": str(top),
        "dgx_exporters_job_hooks_prolog_dir": f"{top}/{{{{ inventory_hostname }}}}/prologs",
        "dgx_exporters_job_hooks_epilog_dir": f"{top}/{{{{ inventory_hostname }}}}/epilogs",
        "dgx_exporters_job_hooks_shared_dir": f"{top}/shared/cm",
    }
    hosts = {name: {} for name in (*NODES, "localhost")}
    inventory = top.with_name(f"{top.name}.yml")
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": node}}))
    playbook = top.with_name(f"{top.name}-play.yml")
    playbook.write_text(json.dumps([each for pair in plays for each in pair]))
    only = ["--limit", f"{limit},localhost"] if limit else []
    ansible_command.run("-i", str(inventory), str(playbook), *only, directory=top.parent, cwd=Path("/"))
    states = []
    for text in seen.read_text().split("--\n")[:-1]:
        words = [line.split(" ") for line in text.splitlines()]
        states.append({path: (mode, target) for path, mode, target in words})
    return states


def links(top: Path, kind: str, *nodes: str) -> dict[str, tuple[str, str]]:
    return {
        f"{node}/{when}s/60-{when}-{kind}.sh": ("777", f"{top}/shared/cm/{when}-{kind}.sh")
        for node in nodes
        for when in ("prolog", "epilog")
    }


def scripts(kind: str) -> dict[str, tuple[str, str]]:
    return {f"shared/cm/{when}-{kind}.sh": ("755", "") for when in ("prolog", "epilog")}


def test_links_on_the_nodes_to_one_file_of_all(tmp_path: Path) -> None:
    top = tmp_path / "top"
    theirs = top / "n1/prologs/50-prolog-theirs.sh"
    theirs.parent.mkdir(parents=True, mode=0o700)
    theirs.write_text("")
    theirs.chmod(0o644)
    foreign = {"n1/prologs/50-prolog-theirs.sh": ("644", "")}
    states = run(
        top,
        play("n1,n2,n3", gpu=GPU),
        play("n2", gpu="dcgm_exporter"),
        play("n3", gpu="none"),
        play("n3", gpu=GPU, job_hooks_placed="false"),
        play("n3", gpu=GPU, deploy_mode="image"),
        play("n1,n2,n3", serial=1, gpu=GPU, state="absent"),
        play("n1", gpu="dcgm_exporter", job_hooks_shared_dir="", deploy_mode="image"),
        play("n1", gpu="dcgm_exporter", job_hooks_shared_dir="", state="absent"),
    )
    jobstats, dcgm = scripts("jobstats"), scripts("dcgm")
    assert states == [
        foreign | jobstats | links(top, "jobstats", *NODES),
        foreign | jobstats | dcgm | links(top, "jobstats", "n1", "n3") | links(top, "dcgm", "n2"),
        foreign | jobstats | dcgm | links(top, "jobstats", "n1") | links(top, "dcgm", "n2"),
        foreign | jobstats | dcgm | links(top, "jobstats", "n1") | links(top, "dcgm", "n2"),
        foreign | jobstats | dcgm | links(top, "jobstats", "n1", "n3") | links(top, "dcgm", "n2"),
        foreign,
        # without shared storage each node has the scripts themselves
        foreign | {f"n1/{when}s/60-{when}-dcgm.sh": ("755", "") for when in ("prolog", "epilog")},
        foreign,
    ]
    assert theirs.parent.stat().st_mode & 0o777 == 0o700


def test_a_run_for_some_nodes_leaves_what_the_others_need(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    shown = run(top, play("n1,n2", gpu=GPU, job_hooks_writer="n3"), play("n1", gpu=GPU, state="absent"), limit="n1,n2")
    assert shown[0] == scripts("jobstats") | links(top, "jobstats", "n1", "n2")
    assert shown[1] == scripts("jobstats") | links(top, "jobstats", "n2")
    assert (top / "shared/cm/prolog-jobstats.sh").read_text() == SCRIPT


def test_the_shared_scripts_stay_while_a_node_has_links_to_them(tmp_path: Path) -> None:
    """As in the playbook remove, which goes on after a failure: a prolog that cannot be run drains the node."""
    top = tmp_path / "top"
    top.mkdir()
    removal = play("n1,n2,n3", gpu=GPU, state="absent")
    role = removal[0]["tasks"]
    fails = {"ansible.builtin.fail": {"msg": "no"}, "when": "inventory_hostname == 'n2'"}
    noted = {"ansible.builtin.debug": {"msg": "n2 is left as it is"}}
    removal[0]["tasks"] = [{"block": [fails, *role], "rescue": [noted]}]
    run(top, play("n1,n2,n3", gpu=GPU))
    assert run(top, removal) == [scripts("jobstats") | links(top, "jobstats", "n2")]
    assert run(top, play("n1,n2,n3", gpu=GPU, state="absent")) == [{}]
