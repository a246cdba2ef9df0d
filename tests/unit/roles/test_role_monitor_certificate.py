# SPDX-License-Identifier: GPL-3.0-or-later
"""role_monitor_auth=certificate: the role's own tasks, by ansible-playbook, with the simulator's cmsh and its BCM."""

from __future__ import annotations

import json
import os
import socket
import ssl
import sys
import typing as t
from pathlib import Path

import ansible_command
import bcm_role_monitor  # noqa: F401 - makes the daemon's modules importable
import pytest
from bcm_simulator.fleet import small
from bcm_simulator.testing import Simulator
from superpod_role_monitor import bcm
from superpod_role_monitor.config import load

ROOT = Path(__file__).resolve().parents[3]
NODES = ("one", "two")
FILES = {"client.pem": 0o600, "client.key": 0o600, "ca.pem": 0o644}

pytestmark = [
    pytest.mark.plays,
    pytest.mark.skipif(os.geteuid() != 0, reason="the role's files belong to root"),
]

# Each run of ansible-playbook costs seconds.
FULL = pytest.mark.skipif(not os.environ.get("SUPERPOD_TEST_FULL"), reason="takes long; SUPERPOD_TEST_FULL=1")


class Site:
    """Two nodes and a head node that are all this machine, with directories of their own."""

    def __init__(self, sim: Simulator, directory: Path) -> None:
        self.sim = sim
        self.directory = directory
        self.made = directory / "made"
        cmsh = directory / "bin" / "cmsh"
        cmsh.parent.mkdir()
        cmsh.symlink_to(sim.cmsh_path)
        for node in NODES:
            self.etc(node).mkdir()
        here = {"ansible_connection": "local", "bcm_headnode": "head"}
        inventory = {
            "all": {"vars": here, "hosts": dict.fromkeys(NODES), "children": {"heads": {"hosts": {"head": {}}}}}
        }
        ansible_command.write(directory / "inventory.yml", inventory)
        role = {"name": "superpod.monitoring.role_monitor", "tasks_from": "configure.yml"}
        program: dict[str, t.Any] = {"changed": False}
        tasks = [
            {"name": "Configure", "ansible.builtin.import_role": role, "vars": {"__role_monitor_program": program}}
        ]
        play = ansible_command.play(tasks, ":".join(NODES), serial="{{ at_once }}")
        ansible_command.write(directory / "site.yml", [play])
        self.variables = {
            "at_once": 2,
            "role_monitor_headnodes": [sim.host],
            "role_monitor_port": sim.port,
            "role_monitor_certificate_dir": str(self.made),
            "role_monitor_targets_dir": str(directory / "targets"),
            "_role_monitor_authorities": [str(sim.directory / name) for name in ("cacert.pem", "cluster.pem")],
            "_role_monitor_config_dir": str(directory) + "/etc-{{ inventory_hostname }}",
            "_role_monitor_unit_path": str(directory) + "/etc-{{ inventory_hostname }}/{{ _role_monitor_unit }}",
            "_role_monitor_program": f"{sys.executable} {ROOT / 'files' / 'bcm_role_monitor.py'}",
        }

    def etc(self, node: str) -> Path:
        return self.directory / f"etc-{node}"

    def run(self, *arguments: str, status: int = 0, **variables: t.Any) -> str:
        given = ansible_command.variables({**self.variables, **variables})
        path = {"PATH": f"{self.directory / 'bin'}:{os.environ['PATH']}"}
        site = ("site.yml", "-i", "inventory.yml")
        return ansible_command.run(*site, *given, *arguments, directory=self.directory, status=status, more=path)

    def changes(self, *arguments: str, **variables: t.Any) -> dict[str, int]:
        """How much changed on each node, of a run without failure."""
        return ansible_command.recap(self.run(*arguments, **variables))

    def files(self, node: str) -> dict[str, bytes]:
        return {name: (self.etc(node) / name).read_bytes() for name in FILES if (self.etc(node) / name).exists()}

    def config(self, node: str, name: str = "config.json") -> dict[str, t.Any]:
        return t.cast(dict[str, t.Any], json.loads((self.etc(node) / name).read_text()))


@pytest.fixture
def site(tmp_path: Path) -> t.Iterator[Site]:
    state = small()
    state["nodes"][socket.gethostname().split(".", 1)[0]] = {
        "category": next(iter(state["categories"])),
        "ip": "10.1.1.1",
    }
    with Simulator(state) as sim:
        yield Site(sim, tmp_path)


def test_made_once_and_copied_to_the_nodes(site: Site) -> None:
    """Readable to root only, told nobody; BCM answers with it before the configuration is there."""
    said = site.run("-vvv", "--diff")
    files = site.files("one")
    assert set(files) == set(FILES)
    assert site.files("two") == files
    for name, mode in FILES.items():
        assert (site.etc("one") / name).stat().st_mode & 0o777 == mode, name
        assert files[name].endswith(b"-----\n")
    assert site.made.stat().st_mode & 0o777 == 0o700
    assert files["client.pem"] == (site.made / "role-monitor.pem").read_bytes()
    assert files["client.key"] == (site.made / "role-monitor.key").read_bytes()
    assert ssl.create_default_context(cadata=files["ca.pem"].decode()).cert_store_stats()["x509_ca"] == 2
    asked = [request.profile for request in site.sim.requests if request.path == "/rest/v1/device"]
    assert asked == ["superpod-role-monitor"] * len(NODES)
    profile = site.sim.store.snapshot()["profiles"]["superpod-role-monitor"]
    assert (profile["tokens"], profile["services"]) == (["GET_DEVICE_TOKEN"], [])

    key_lines = [line for line in files["client.key"].decode().splitlines() if len(line) > 20]
    assert len(key_lines) > 1
    assert not [line for line in key_lines if line in said]
    assert "LS0tLS1CRUdJTi" not in said  # the same in base64
    assert '"bcm_headnodes"' in said  # the rest of the difference is there

    # nothing changes any more, with one node after the other neither
    assert site.changes(at_once=1) == dict.fromkeys(NODES, 0)


def test_two_on_one_node_each_with_a_certificate_of_its_own(site: Site) -> None:
    """The first one's may read categories, too, and so sees what BCM manages there; the second one's is given."""
    host = socket.gethostname().split(".", 1)[0]

    def bcm_manages(state: dict[str, t.Any]) -> None:
        state["categories"][state["nodes"][host]["category"]]["services"] = [{"name": "node_exporter"}]

    site.sim.edit(bcm_manages)
    tokens, services = ["GET_DEVICE_TOKEN", "GET_CATEGORY_TOKEN"], ["CMDevice"]
    one = ("--limit", "one")
    may_more = {"role_monitor_certificate_tokens": tokens, "role_monitor_certificate_services": services}
    site.changes(*one, **may_more)
    profile = site.sim.store.snapshot()["profiles"]["superpod-role-monitor"]
    assert (sorted(profile["tokens"]), profile["services"]) == (sorted(tokens), services)
    first = site.files("one")
    schema = ROOT / "files/role_monitor/config.schema.json"
    assert bcm.Bcm(load(str(site.etc("one") / "config.json"), str(schema), {})).services(host) == {"node_exporter"}

    certificate, key = site.sim.certificate("readonly", "given")
    second = {"role_monitor_instance": "other", "role_monitor_auth": "files", "role_monitor_ca_path": site.sim.ca}
    given = {"role_monitor_certificate": certificate, "role_monitor_private_key": key}
    site.changes(*one, **second, **given)
    assert site.files("one") == first
    other = site.config("one", "other.json")
    assert Path(other["cert_path"]).read_bytes() == Path(certificate).read_bytes()
    assert Path(other["key_path"]).read_bytes() == Path(key).read_bytes()
    assert Path(other["key_path"]).stat().st_mode & 0o777 == 0o600
    assert site.config("one")["key_path"] == str(site.etc("one") / "client.key")
    assert site.changes(*one, **may_more) == {"one": 0}


def test_why_a_key_cannot_be_put_in_place_is_said(site: Site) -> None:
    in_the_way = site.etc("one") / "client.key"
    in_the_way.mkdir()
    output = site.run("--limit", "one", "-vvv", status=2)
    said = " ".join(output.split())
    assert (
        f"Certificate and key cannot be put in place on one; see to what stands in the way: {in_the_way} is a" in said
    )
    key_lines = (site.made / "role-monitor.key").read_text().splitlines()[1:-1]
    assert key_lines
    assert not [line for line in key_lines if line in output]


def test_check_mode_on_a_fresh_host(site: Site) -> None:
    foretold = site.changes("--check", "--diff")
    assert min(foretold.values()) >= 2
    assert not site.made.exists()
    assert site.files("one") == {}
    assert site.sim.writes.stored == 0


@FULL
def test_a_new_certificate_and_no_certificate(site: Site) -> None:
    assert min(site.changes("--limit", "two").values()) >= 2
    assert min(site.changes("--limit", "one").values()) >= 2
    first = site.files("two")
    assert site.files("one") == first
    assert site.changes("--check") == dict.fromkeys(NODES, 0)

    # one that BCM does not take any more is replaced everywhere
    site.sim.revoke(str(site.made / "role-monitor.pem"))
    assert min(site.changes("--check").values()) >= 1
    assert site.files("two") == first
    assert min(site.changes().values()) >= 1
    second = site.files("two")
    assert second["client.key"] != first["client.key"]
    assert site.files("one") == second

    # where BCM does not take a node's own certificate, the one that works stays
    config = (site.etc("one") / "config.json").read_bytes()
    said = " ".join(site.run(role_monitor_auth="node", status=2).split())
    assert "config.json is left as it was" in said
    assert "set role_monitor_auth to certificate" in said
    assert site.files("one") == second
    assert (site.etc("one") / "config.json").read_bytes() == config


@FULL
def test_a_node_that_uses_its_own_certificate_keeps_no_key(site: Site) -> None:
    site.changes()
    certificate, key = site.sim.certificate("readonly", "node's own")
    own = {
        "_role_monitor_node_cert_path": certificate,
        "_role_monitor_node_key_path": key,
        "role_monitor_ca_path": site.sim.ca,
    }
    assert min(site.changes(role_monitor_auth="node", **own).values()) == 1
    assert site.files("one") == {}
    assert json.loads((site.etc("one") / "config.json").read_text())["key_path"] == key


@FULL
def test_events_need_a_session(site: Site) -> None:
    site.changes(role_monitor_events="auto")
    profile = site.sim.store.snapshot()["profiles"]["superpod-role-monitor"]
    assert (profile["tokens"], profile["services"]) == (["GET_DEVICE_TOKEN"], ["CMSession"])


@FULL
def test_hosts_that_do_not_agree_are_told_so(site: Site) -> None:
    said = site.run(role_monitor_auth="{{ 'files' if inventory_hostname == 'one' else 'certificate' }}", status=2)
    assert "role_monitor_auth is certificate for two but not for all hosts of the play" in " ".join(said.split())
    assert site.files("two") == {}
