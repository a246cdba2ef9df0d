# SPDX-License-Identifier: GPL-3.0-or-later
"""Small worlds in which a module has something to do, or to look at; test_promises.py calls it in them.

Programs and services are the stand-ins of the modules' own tests.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import typing as t
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.superpod.monitoring.plugins.module_utils.firewall_rules import Firewalld
from artifact_site import Site
from bcm_simulator.testing import Simulator
from grafana_stand_in import prepared
from unit.plugins.module_utils.setup_worlds import HOSTS
from unit.plugins.module_utils.setup_worlds import World as Network
from unit.plugins.modules import test_bcm_certificate as certificate
from unit.plugins.modules import test_bcm_settings as settings
from unit.plugins.modules import test_file_sd_prune as prune
from unit.plugins.modules import test_file_sd_target as target
from unit.plugins.modules import test_firewall_rules as firewall
from unit.plugins.modules import test_grafana_content as grafana
from unit.plugins.modules import test_managed_files as files
from unit.plugins.modules.called import PLUGINS, call, need_actions
from unit.plugins.modules.in_process import run_in_process
from unit.plugins.modules.test_artifact_directory_modules import Builder, sha256
from unit.plugins.modules.test_packages_absent import host as packages
from unit.plugins.modules.untouched import holds

Options = dict[str, t.Any]


@dataclass
class World:
    """What a module is called with, and a look at all that it can change."""

    options: Options
    look: Callable[[], t.Any]
    unknown: tuple[str, ...] = ()
    """What it returns that only a run can know."""


@dataclass
class Making:
    """What worlds are made of: an empty directory, patches, and what has to end."""

    directory: Path
    patch: pytest.MonkeyPatch
    ending: contextlib.ExitStack

    def world(self, options: Options, *unknown: str) -> World:
        return World(options, lambda: holds(self.directory), unknown)

    def bcm(self, state: t.Any = None) -> Simulator:
        simulator = self.ending.enter_context(Simulator(state))
        run_in_process(self.patch, simulator)
        return simulator

    def bcm_world(self, simulator: Simulator, options: Options, *unknown: str) -> World:
        def look() -> t.Any:
            return holds(self.directory), simulator.store.path.read_bytes(), simulator.writes

        return World(options, look, unknown)


Maker = Callable[[Making], World]
CHANGING: dict[str, list[Maker]] = {}
READING: dict[str, list[Maker]] = {}


def _into(worlds: dict[str, list[Maker]], module: str) -> Callable[[Maker], Maker]:
    def add(maker: Maker) -> Maker:
        worlds.setdefault(module, []).append(maker)
        return maker

    return add


def changes(module: str) -> Callable[[Maker], Maker]:
    """A world in which the module changes something."""
    return _into(CHANGING, module)


def reads(module: str) -> Callable[[Maker], Maker]:
    """A world at which the module only looks."""
    return _into(READING, module)


# --- artifacts


def artifact_options(making: Making) -> Options:
    site = Site(making.directory / "artifacts")
    site.add("1.0")
    site.add("2.0", programs=2)
    places = {"root": str(making.directory / "opt"), "bin_dir": str(making.directory / "bin")}
    return {"name": "tool", "artifacts_dir": str(site.directory), **places}


@changes("artifact")
def another_version(making: Making) -> World:
    options = artifact_options(making)
    call("artifact", {**options, "version": "1.0"})
    return making.world({**options, "version": "2.0", "keep_versions": 0})


@changes("artifact")
def no_artifact_any_more(making: Making) -> World:
    options = artifact_options(making)
    call("artifact", {**options, "version": "1.0"})
    return making.world({**options, "state": "absent"})


@changes("artifact_build")
def a_build(making: Making) -> World:
    builder = Builder(making.directory)
    return making.world({**builder.params, "go": str(builder.command)}, "artifact")


@changes("artifact_download")
def a_download(making: Making) -> World:
    program = making.directory / "built"
    program.write_bytes(b"#!/bin/sh\n")
    options = {"name": "tool", "version": "1.0", "arch": "any", "programs": {"tool": "tool"}}
    url = {"url": f"file://{program}", "sha256": sha256(program)}
    return making.world({**options, **url, "artifacts_dir": str(making.directory / "artifacts")}, "artifact")


@changes("artifact_bundle")
def a_bundle(making: Making) -> World:
    site = Site(making.directory / "artifacts")
    site.add("1.0")
    return making.world({"artifacts_dir": str(site.directory), "dest": str(making.directory / "bundle.tar")})


# --- BCM


def certificate_options(making: Making, simulator: Simulator) -> Options:
    return {**certificate.options(simulator, making.directory), "state": "present"}


@changes("bcm_certificate")
def no_certificate_yet(making: Making) -> World:
    simulator = making.bcm()
    return making.bcm_world(simulator, certificate_options(making, simulator), "serial", "not_after", "diff")


@changes("bcm_certificate")
def a_certificate_that_expires(making: Making) -> World:
    simulator = making.bcm()
    options = certificate_options(making, simulator)
    call("bcm_certificate", {**options, "days": 40})
    later = {"renew_before_days": 60, "revoke_old": True}
    return making.bcm_world(simulator, {**options, **later}, "serial", "not_after", "diff")


@changes("bcm_certificate")
def a_key_that_others_can_read(making: Making) -> World:
    simulator = making.bcm()
    options = certificate_options(making, simulator)
    call("bcm_certificate", options)
    Path(options["private_key"]).chmod(0o644)
    return making.bcm_world(simulator, options)


@changes("bcm_certificate")
def no_certificate_any_more(making: Making) -> World:
    simulator = making.bcm()
    options = certificate_options(making, simulator)
    call("bcm_certificate", options)
    return making.bcm_world(simulator, {**options, "state": "absent"})


@changes("bcm_settings")
def settings_and_a_block(making: Making) -> World:
    simulator = making.bcm()
    path = {"path": ["category", "dgx-h200"], "cmsh": simulator.cmsh_path}
    block = {"excludelistgrab": ["- /etc/bcm-role-monitor/*"]}
    return making.bcm_world(simulator, {**path, "settings": {"notes": "ours"}, "blocks": block})


@changes("bcm_settings")
def somebody_elses_value(making: Making) -> World:
    simulator = making.bcm()
    options = {"path": ["wlm", "slurm"], "cmsh": simulator.cmsh_path, "cmd_conf": "/nonexistent"}
    call("bcm_settings", {**options, "settings": {"epilogslurmctld": settings.THEIRS}})
    wanted = {"epilogslurmctld": settings.MINE, "prologepilogtimeout": 60}
    kept = {"expected": {"epilogslurmctld": [""]}, "on_unexpected": "keep"}
    return making.bcm_world(simulator, {**options, "settings": wanted, **kept})


def images(making: Making) -> Simulator:
    for name in ("gold", "node"):
        (making.directory / name / "etc").mkdir(parents=True)
    (making.directory / "node/etc/issue").write_text("node\n")
    state = {
        "head_nodes": {"head": {}},
        "categories": {"dgx": {"image": "gold"}},
        "software_images": {"gold": {"path": str(making.directory / "gold")}},
        "nodes": {"dgx-01": {"category": "dgx", "root": str(making.directory / "node")}},
    }
    return making.bcm(state)


@changes("bcm_grabimage")
def a_node_to_grab(making: Making) -> World:
    simulator = images(making)
    options = {"cmsh": simulator.cmsh_path, "node": "dgx-01"}
    # BCM keeps the log of a dry run too, so its state is another one afterwards
    return World(
        options,
        lambda: (holds(making.directory), simulator.writes.stored),
        ("dry_run", "events", "seconds", "log"),
    )


@reads("bcm_images_info")
def images_and_lists(making: Making) -> World:
    simulator = images(making)
    return making.bcm_world(simulator, {"cmsh": simulator.cmsh_path, "node": "dgx-01"})


# --- target files


@changes("file_sd_prune")
def a_host_that_is_gone(making: Making) -> World:
    prune.fill(making.directory, ["dgx-01", "dgx-02"])
    for name, content in prune.FOREIGN.items():
        (making.directory / name).write_bytes(content)
    return making.world({"directory": str(making.directory), "hosts": ["dgx-01"], "limit_percent": 50})


@changes("file_sd_target")
def another_target(making: Making) -> World:
    options = {"path": str(making.directory / "ctl.json"), "groups": target.GROUPS}
    call("file_sd_target", {**options, "groups": target.GROUPS[:1]})
    return making.world(options)


@changes("file_sd_target")
def no_target_any_more(making: Making) -> World:
    options = {"path": str(making.directory / "ctl.json"), "groups": target.GROUPS}
    call("file_sd_target", options)
    return making.world({**options, "state": "absent"})


# --- a host's files, packages and firewall


@changes("managed_files")
def files_of_each_state(making: Making) -> World:
    (making.directory / "old/sub").mkdir(parents=True)
    (making.directory / "script").write_text("#!/bin/sh\n")
    entries = [
        *files.wanted_tree(making.directory),
        {"path": making.directory / "script", "content": "#!/bin/sh\n", "mode": "0755"},
        {"path": making.directory / "a/b", "content": "b", "parents": True, "validate": "test -s %s"},
    ]
    return making.world({"files": [{**entry, **files.ME, "path": str(entry["path"])} for entry in entries]})


@changes("slurm_conf")
def a_setting_of_slurm(making: Making) -> World:
    (making.directory / "slurm.conf").write_text("ClusterName=a\nEpilogSlurmctld=/opt/x.sh\n")
    scontrol = making.directory / "bin/scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text('#!/bin/sh\ngrep -q ClusterName "$SLURM_CONF"\n')
    scontrol.chmod(0o755)
    options = {"path": str(making.directory / "slurm.conf"), "search": [str(scontrol.parent)]}
    kept = {"SelectTypeParameters": [""], "EpilogSlurmctld": ["/opt/x.sh"]}
    wanted = {"SelectTypeParameters": "CR_Core", "EpilogSlurmctld": "/ours.sh"}
    return making.world({**options, "settings": wanted, "replaceable": kept})


@changes("slurm_conf")
def no_setting_of_ours_any_more(making: Making) -> World:
    world = a_setting_of_slurm(making)
    call("slurm_conf", world.options)
    return making.world({**world.options, "state": "absent", "settings": {}, "replaceable": {}})


@changes("packages_absent")
def a_package_and_what_came_along(making: Making) -> World:
    there = packages()
    # of two packages one stays, because another one needs it
    there.needs |= {"needed": set(), "theirs": {"needed"}}
    there.manual |= {"needed", "theirs"}
    making.patch.setattr(AnsibleModule, "run_command", lambda _module, argv: there(argv))
    return World({"names": ["tool", "needed"], "purge": True}, lambda: (sorted(there.needs), sorted(there.left)))


def firewall_world(making: Making, **options: t.Any) -> World:
    host = firewall.Host()
    making.patch.setattr(AnsibleModule, "run_command", lambda _module, *given, **more: host.run_command(*given, **more))
    making.patch.setattr(AnsibleModule, "get_bin_path", lambda _module, name: host.get_bin_path(name))
    making.patch.setattr(Firewalld, "service_path", str(making.directory / "service.xml"))
    return World(
        {"name": "exporters", "ports": [9100], "sources": ["10.0.0.41"], **options},
        lambda: (list(host.ufw), list(host.rich), holds(making.directory)),
    )


@changes("firewall_rules")
def ufw_is_to_let_in(making: Making) -> World:
    world = firewall_world(making, firewall="ufw")
    call("firewall_rules", {**world.options, "ports": [9200]})
    return world


@changes("firewall_rules")
def firewalld_is_to_let_in(making: Making) -> World:
    return firewall_world(making, firewall="firewalld")


@changes("firewall_rules")
def firewalld_is_not_to_let_in_any_more(making: Making) -> World:
    world = firewall_world(making, firewall="firewalld")
    call("firewall_rules", world.options)
    return dataclasses.replace(world, options={**world.options, "state": "absent"})


@reads("ports_available")
def a_free_port(making: Making) -> World:
    free = making.ending.enter_context(socket.socket())
    free.bind(("127.0.0.1", 0))
    return making.world({"ports": [{"port": free.getsockname()[1], "name": "tool"}]})


# --- Grafana


def grafana_world(making: Making, **options: t.Any) -> World:
    server = making.ending.enter_context(prepared(making.directory))
    server.start()
    given = {"url": server.url, "token": server.token(), "datasource": grafana.DATASOURCE, "folder": grafana.FOLDER}
    return making.world({**given, "dashboards": grafana.DASHBOARDS, **options})


@changes("grafana_content")
def an_empty_grafana(making: Making) -> World:
    return grafana_world(making)


@changes("grafana_content")
def no_content_any_more(making: Making) -> World:
    world = grafana_world(making)
    call("grafana_content", world.options)
    return dataclasses.replace(world, options={**world.options, "state": "absent"})


# --- guided set-up


@changes("guided_setup")
def a_site_directory(making: Making) -> World:
    need_actions()
    making.patch.setattr(f"{PLUGINS}.action.guided_setup.RealWorld", Network)
    hosts = [dataclasses.asdict(host) for host in HOSTS]
    found = {"hosts": hosts, "headnodes": ["bcm-head-01"], "cluster_name": {"value": "slurm", "source": "scontrol"}}
    answers = {"prometheus": "skip", "grafana": "skip"}
    return making.world({"site_dir": str(making.directory / "site"), "answers": answers, "found": found})


@reads("guided_setup_facts")
def a_bcm_to_ask(making: Making) -> World:
    simulator = making.bcm()
    pair, there = simulator.certificate("admin"), {"headnodes": [simulator.host], "port": simulator.port}
    making.patch.setenv("PATH", f"{Path(simulator.cmsh_path).parent}:{os.environ['PATH']}")
    options = {**there, "certificate": pair[0], "private_key": pair[1], "ca_certificate": simulator.ca}
    return making.bcm_world(simulator, options)


@reads("guided_setup_probe")
def this_host(making: Making) -> World:
    return making.world({}, "mounts", "listeners")


# --- what is there


@reads("installed_files_info")
def an_image(making: Making) -> World:
    program = making.directory / "usr/local/bin/jobstats"
    program.parent.mkdir(parents=True)
    program.write_text("")
    return making.world({"root": str(making.directory)})


@reads("verify_host")
def a_file_and_a_port(making: Making) -> World:
    path = making.directory / "conf"
    path.write_text("x")
    expected = {
        "files": [{"check": "conf", "entries": [{"path": str(path), "content": "x", **files.ME}]}],
        "ports": [{"port": 1, "name": "nobody", "units": []}],
    }
    return making.world({"part": "grafana_server", "expected": expected})
