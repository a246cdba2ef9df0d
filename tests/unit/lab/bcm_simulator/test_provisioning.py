# SPDX-License-Identifier: GPL-3.0-or-later
"""Images to nodes and nodes to images: real rsync between directories that stand for both."""

from __future__ import annotations

import shutil
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from bcm_simulator import provisioning
from bcm_simulator.state import StateError, normalise
from bcm_simulator.testing import Simulator

needs_rsync = pytest.mark.skipif(
    shutil.which("rsync") is None, reason="rsync is not installed (script/bootstrap has it)"
)


class Site(t.NamedTuple):
    """A simulator, the image's directory and the node's root."""

    sim: Simulator
    image: Path
    node: Path


def fill(root: Path, **files: str) -> None:
    """Files by path, with `__` for a slash."""
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def site(tmp_path: Path) -> t.Iterator[Site]:
    image, node = tmp_path / "image", tmp_path / "node"
    fill(image, etc__issue="image", etc__hostname="default", usr__bin__tool="1", var__log__old="image", opt__new="1")
    fill(
        node,
        etc__issue="node",
        etc__hostname="n1",
        usr__bin__tool="1",
        var__log__own="node",
        etc__extra="node",
        run__x="1",
    )
    state = {
        "head_nodes": {"head": {"ip": "127.0.0.1"}},
        "categories": {"c": {"image": "gold"}},
        "software_images": {"gold": {"path": str(image)}, "other": {"path": str(tmp_path / "other")}},
        "nodes": {"n1": {"category": "c", "root": str(node)}, "lost": {}},
    }
    (tmp_path / "other").mkdir()
    fill(tmp_path / "other", etc__hostname="other", etc__stays="no")
    with Simulator(state) as sim:
        yield Site(sim, image, node)


def transfer(site: Site, commands: str) -> tuple[str, list[str]]:
    """Type the commands, wait for the transfer to end: cmsh's output and the events, as a session shows both."""
    with subprocess.Popen(
        [site.sim.cmsh_path, "-n"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(commands + "\n")
        process.stdin.flush()
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if "Provisioning completed" in line or "Provisioning failed" in line:
                break
        process.stdin.close()
        said += process.stdout.readlines()
    assert process.returncode == 0
    return "".join(said), [line for line in said if " [notice] " in line or " [warning] " in line]


@needs_rsync
def test_an_update_makes_the_node_as_the_image_but_for_what_the_list_excludes(site: Site) -> None:
    said, events = transfer(site, "device; use n1; imageupdate -w")
    assert "dry run" not in said.replace("dry run = no", "")
    assert "Provisioning started on node n1: sending" in events[0]
    assert "mode UPDATE, dry run = no" in events[0]
    assert names(site.node) == {
        "etc/issue",
        "etc/hostname",
        "usr/bin/tool",
        "var/log/old",
        "var/log/own",
        "opt/new",
        "run/x",
    }
    assert (site.node / "etc/issue").read_text() == "image"
    assert (site.node / "etc/hostname").read_text() == "n1"


@needs_rsync
def test_no_new_files_are_not_brought_and_others_that_are_excluded_are(site: Site) -> None:
    lists = {"excludelistupdate": "# ours\n- /var/log/*\nno-new-files: - /opt/*\n- /run/*\n"}
    site.sim.edit(lambda state: state["categories"]["c"]["properties"].update(lists))
    transfer(site, "device; use n1; imageupdate -w")
    assert {"var/log/old", "var/log/own"} <= names(site.node)
    assert "opt/new" not in names(site.node)


@needs_rsync
def test_a_dry_run_changes_nothing_and_its_log_can_be_read(site: Site) -> None:
    before = names(site.node), names(site.image)
    said, events = transfer(site, "device; use n1; grabimage")
    assert "Performing dry run (use synclog command to review result" in said
    assert "dry run = yes" in events[0]
    assert (names(site.node), names(site.image)) == before
    rc, log, _err = site.sim.cmsh("device; use n1; synclog")
    assert rc == 0
    assert "etc/extra" in log
    assert "deleting opt/new" in log


@needs_rsync
def test_a_grab_leaves_alone_in_the_image_what_is_excluded(site: Site) -> None:
    transfer(site, "device; use n1; grabimage -w")
    assert names(site.image) == {"etc/issue", "etc/extra", "etc/hostname", "usr/bin/tool", "var/log/old"}
    assert (site.image / "etc/hostname").read_text() == "default"


@needs_rsync
def test_a_grab_into_another_image_wipes_it_and_has_its_own_list(site: Site) -> None:
    other = site.image.parent / "other"
    transfer(site, "device; use n1; grabimage -i other -w")
    assert names(other) == {"etc/issue", "etc/extra", "usr/bin/tool", "var/log/own"}
    assert (site.image / "opt/new").exists()


@needs_rsync
def test_grabimage_returns_at_once_and_the_transfer_goes_on(site: Site) -> None:
    rc, _out, _err = site.sim.cmsh("device; use n1; grabimage -w")
    assert rc == 0
    deadline = time.monotonic() + 20
    while not (site.image / "etc/extra").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@needs_rsync
def test_a_category_is_updated_and_waited_for(site: Site) -> None:
    rc, out, _err = site.sim.cmsh("device; imageupdate -c c -w --wait")
    # the event of the end comes from another thread, before this line or after it
    assert (rc, out.splitlines().count("imageupdate [ COMPLETED ]")) == (0, 1)
    assert (site.node / "opt/new").exists()


@needs_rsync
def test_a_nodes_own_list_counts_before_the_categorys(site: Site) -> None:
    site.sim.edit(lambda state: state["nodes"]["n1"]["properties"].update(excludelistgrab="- /etc/*\n"))
    transfer(site, "device; use n1; grabimage -w")
    assert "etc/extra" not in names(site.image)


@needs_rsync
def test_a_transfer_that_fails_says_so(site: Site) -> None:
    site.sim.edit(lambda state: state["nodes"]["n1"].update(root=str(site.node / "gone")))
    _said, events = transfer(site, "device; use n1; grabimage -w")
    assert "[warning]" in events[-1]
    assert "Provisioning failed on node n1" in events[-1]


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        ("device; use n1; grabimage -i gone -w", "there is no software image 'gone'"),
        ("device; use lost; grabimage", "lost is no node with a category"),
        ("device; imageupdate -c gone", "gone"),
        ("category; use c; grabimage", "not simulated: command 'grabimage' in mode category"),
        ("device; use n1; grabimage --exclude x", "not simulated: option '--exclude'"),
        ("device; use n1; synclog", "n1 has no synclog"),
        ("device; use n1; lock", "not simulated: command 'lock' in mode device"),
    ],
)
def test_what_is_refused(site: Site, commands: str, words: str) -> None:
    _rc, out, err = site.sim.cmsh(commands)
    assert words in out + err


def test_a_locked_image_is_left_alone(site: Site) -> None:
    assert site.sim.cmsh("softwareimage; lock gold")[0] == 0
    _rc, out, err = site.sim.cmsh("device; use n1; grabimage -w")
    assert "software image gold is locked" in out + err
    assert site.sim.cmsh("softwareimage lock gold; softwareimage unlock gold")[0] == 0
    assert not site.sim.store.snapshot()["software_images"]["gold"]["locked"]


def test_a_real_grab_is_a_write_and_a_dry_one_none(site: Site) -> None:
    site.sim.switch(read_only=True)
    _rc, out, err = site.sim.cmsh("device; use n1; grabimage -w")
    assert "refuses all writes" in out + err
    assert site.sim.writes.refused == 1
    assert site.sim.cmsh("device; use n1; grabimage")[0] == 0
    assert (site.sim.writes.stored, site.sim.writes.refused) == (0, 1)


def test_who_may_not_change_images_may_not_grab(site: Site) -> None:
    certificate, key = site.sim.certificate("readonly")
    _rc, out, err = site.sim.cmsh("device; use n1; grabimage -w", "-i", certificate, "-k", key)
    assert "permission denied" in out + err


def test_a_script_for_the_lists_is_not_simulated(site: Site) -> None:
    site.sim.edit(
        lambda state: state["categories"]["c"]["properties"].update(excludelistmanipulatescript="#!/bin/sh\n")
    )
    with pytest.raises(StateError, match="excludelistmanipulatescript is not simulated"):
        provisioning.plan(site.sim.store.snapshot(), "n1", "GRAB", None, True)


def test_a_host_is_reached_by_ssh_and_what_is_mounted_there_stays_out() -> None:
    state = normalise(
        {
            "head_nodes": {"head": {}},
            "categories": {"c": {"image": "gold"}},
            "nodes": {"n1": {"category": "c", "ip": "10.77.0.101"}},
        }
    )
    planned = provisioning.plan(state, "n1", "GRAB", None, False)
    assert planned.ends == ("root@10.77.0.101:/", "/cm/images/gold/")
    (command,) = provisioning.commands(planned, Path("/all"), Path("/new"))
    assert "--rsh=ssh -o BatchMode=yes -o ConnectTimeout=10" in command
    mounts = """\
overlay / overlay rw 0 0
/dev/sda1 /data ext4 rw 0 0
fs:/x /cm/shared nfs4 rw 0 0
tmpfs /etc/hosts tmpfs ro 0 0
"""
    assert provisioning.foreign_mounts(mounts, to_node=False) == ["/cm/shared/*", "/etc/hosts"]
    assert provisioning.foreign_mounts(mounts, to_node=True) == ["/cm/shared", "/etc/hosts"]
    assert provisioning.foreign_mounts("overlay /cm/shared overlay rw 0 0\n", to_node=False) == ["/cm/shared/*"]


@needs_rsync
def test_a_sync_at_boot_leaves_what_the_node_installer_writes(site: Site) -> None:
    fill(site.node, cm__local__apps__cmd__etc__cert="own")
    transfer_of_boot = provisioning.plan(site.sim.store.snapshot(), "n1", "SYNC", None, False)
    assert provisioning.perform(transfer_of_boot, provisioning.Journal(site.sim.store.path), subprocess.run)
    assert (site.node / "cm/local/apps/cmd/etc/cert").read_text() == "own"
    assert (site.node / "etc/hostname").read_text() == "n1"
    assert (site.node / "etc/issue").read_text() == "image"
    assert not (site.node / "etc/extra").exists()
