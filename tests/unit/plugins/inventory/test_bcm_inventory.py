# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin in Ansible, against the BCM simulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import ansible_command
import pytest
import yaml
from bcm_simulator import fleet
from bcm_simulator.testing import Simulator

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]
PASSWORD = "s3cret-pa55word"
EVIL = "{{ lookup('pipe', 'id') }}"


def environment(directory):
    """Ansible's environment with nobody's own settings in it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "BCM_"))}
    (directory / "ansible.cfg").touch()
    return {
        **kept,
        "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_INVENTORY_ENABLED": "superpod.monitoring.bcm",
        "ANSIBLE_HOME": str(directory),
        "HOME": str(directory),
        "PYTHONWARNINGS": "ignore",
    }


class Driver:
    """Ansible in a process of its own; each parse is independent of the ones before."""

    def __init__(self, directory):
        self._said = directory / "stderr"
        with self._said.open("w") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "inventory_driver.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=environment(directory),
            )

    def ask(self, **request):
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._said.read_text()[-2000:]
        return json.loads(line)

    def close(self):
        with self._process:
            self._process.stdin.close()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    made = Driver(tmp_path_factory.mktemp("ansible"))
    yield made
    made.close()


def site_state():
    state = fleet.small()
    state["overlays"]["slurm-client"]["nodes"] = ["dgx-01"]
    state["users"] = {"monitor": {"password": PASSWORD, "profile": "readonly"}}
    state["nodes"]["switch-01"] = {"type": "EthernetSwitch", "ip": "10.141.250.1"}
    state["nodes"]["pdu-01"] = {"type": "PowerDistributionUnit", "ip": "10.141.250.2"}
    return state


@pytest.fixture(scope="module")
def shared_sim():
    with Simulator(site_state(), head_nodes=2) as simulator:
        yield simulator


@pytest.fixture
def sim(shared_sim):
    shared_sim.recorder.requests.clear()
    yield shared_sim
    for head in shared_sim.heads:
        head.fault(None)
        if head.server.stopping.is_set():
            head.start()
    shared_sim.store.edit(lambda state: state.update(shared_sim._given))


@pytest.fixture
def inventory(driver, sim, tmp_path):
    """Write a bcm_inventory.yml and parse it: inventory(option=value, ...); None leaves a default one out."""

    def parse(ask=None, **options):
        certificate, key = sim.certificate("admin")
        default = {
            "plugin": "superpod.monitoring.bcm",
            "headnodes": [head.host for head in sim.heads],
            "port": sim.port,
            "certificate": certificate,
            "private_key": key,
            "ca_certificate": sim.ca,
        }
        content = {key: value for key, value in {**default, **options}.items() if value is not None}
        path = tmp_path / "bcm_inventory.yml"
        path.write_text(yaml.safe_dump(content))
        answer = driver.ask(path=str(path), **(ask or {}))
        assert answer["deprecations"] == []
        return answer

    return parse


def failure(answer):
    """The one sentence of an inventory that failed, and that nothing of it is there."""
    assert answer["hosts"] == {}
    said = [*answer["errors"], *(text for text in answer["warnings"] if "Failed to parse" in text)]
    assert len(said) == 1, answer
    assert "Traceback" not in said[0]
    assert "\n" not in said[0].strip()
    return said[0]


def rest_requests(sim):
    return len([request for request in sim.requests if request.path.startswith("/rest/")])


# --- hosts, variables, groups ---


def test_hosts_with_their_variables(inventory, sim):
    answer = inventory()
    assert set(answer["hosts"]) == {
        "dgx-01",
        "dgx-02",
        "slurm-ctl-01",
        "login-01",
        "mon-01",
        "bcm-head-01",
        "bcm-head-02",
    }
    uuid = answer["hosts"]["dgx-01"].pop("bcm_uuid")
    assert len(uuid) == 36
    assert answer["hosts"]["dgx-01"] == {
        "ansible_host": "10.141.0.1",
        "bcm_category": "dgx-h200",
        "bcm_cluster": "BCM 11.0 Cluster",
        "bcm_headnode": "127.0.0.1",
        "bcm_ip": "10.141.0.1",
        "bcm_mac": "FA:16:3E:00:00:01",
        "bcm_network": "internalnet",
        "bcm_roles": ["slurmclient"],
        "bcm_type": "PhysicalNode",
    }
    assert answer["hosts"]["bcm-head-01"]["bcm_category"] is None
    assert answer["hosts"]["dgx-02"]["bcm_roles"] == []
    assert answer["warnings"] == []
    assert [request.path for request in sim.requests if request.path.startswith("/rest")] == ["/rest/v1/device"]
    assert [request.call for request in sim.requests if request.path == "/json"] == ["cmmain.getHeadNodeIPs"]


def test_native_and_system_groups(inventory):
    groups = inventory()["groups"]
    assert groups["bcm_category_dgx_h200"] == groups["dgx_nodes"] == ["dgx-01", "dgx-02"]
    assert groups["bcm_role_slurmclient"] == ["dgx-01"]
    assert groups["bcm_role_slurmsubmit"] == ["login-01", "slurm-ctl-01"]
    assert groups["bcm_type_HeadNode"] == groups["bcm_headnodes"] == ["bcm-head-01", "bcm-head-02"]
    assert groups["slurm_controllers"] == ["slurm-ctl-01"]
    assert groups["login_nodes"] == ["login-01"]
    assert groups["prometheus_servers"] == groups["grafana_servers"] == []


def test_own_rules_replace_one_default_and_leave_the_others(inventory):
    groups = inventory(
        system_groups={
            "prometheus_servers": {"hosts": ["mon-*"]},
            "dgx_nodes": {"categories": ["none"]},
            "login_nodes": {"roles": ["slurmsubmit"]},
            "clients": {"roles": ["slurmclient"], "hosts": ["login-01"], "not_groups": ["prometheus_servers"]},
        }
    )["groups"]
    assert groups["prometheus_servers"] == ["mon-01"]
    assert groups["dgx_nodes"] == []
    assert groups["login_nodes"] == ["login-01", "slurm-ctl-01"]
    assert groups["clients"] == ["dgx-01", "login-01"]
    assert groups["slurm_controllers"] == ["slurm-ctl-01"]


@pytest.mark.parametrize(
    ("filters", "hosts"),
    [
        ({"categories": ["dgx*"]}, {"dgx-01", "dgx-02"}),
        ({"categories": ["!dgx*"], "types": ["PhysicalNode"]}, {"slurm-ctl-01", "login-01", "mon-01"}),
        ({"roles": ["slurmserver", "slurmclient"]}, {"slurm-ctl-01", "dgx-01"}),
        ({"roles": ["!slurmsubmit"], "types": ["physicalnode"]}, {"dgx-01", "dgx-02", "mon-01"}),
        ({"hostnames": ["*-01", "!bcm-*"]}, {"dgx-01", "slurm-ctl-01", "login-01", "mon-01"}),
        ({"hostnames": ["dgx-*"], "roles": ["slurmclient"]}, {"dgx-01"}),
        ({"types": ["EthernetSwitch"]}, {"switch-01"}),
    ],
)
def test_filters(inventory, filters, hosts):
    assert set(inventory(filters=filters)["hosts"]) == hosts


def test_rpc_groups(inventory, sim):
    answer = inventory(rpc_groups=["overlay", "rack", "image"])
    assert answer["groups"]["bcm_overlay_slurm_submit"] == ["login-01", "slurm-ctl-01"]
    assert answer["groups"]["bcm_rack_r1"] == ["dgx-01", "dgx-02", "login-01", "mon-01", "slurm-ctl-01"]
    assert answer["groups"]["bcm_image_dgx_image"] == ["dgx-01", "dgx-02"]
    dgx = answer["hosts"]["dgx-01"]
    assert dgx["bcm_overlays"] == ["slurm-client"]
    assert (dgx["bcm_rack"], dgx["bcm_rack_position"]) == ("r1", 0)
    assert (dgx["bcm_image"], dgx["bcm_image_path"]) == ("dgx-image", "/cm/images/dgx-image")
    assert answer["hosts"]["bcm-head-01"]["bcm_rack"] is None
    assert len([request for request in sim.requests if request.path.startswith("/rest")]) == 1


def test_a_disabled_overlay_is_no_group(inventory, sim):
    sim.edit(lambda state: state["overlays"]["slurm-submit"].update(priority=-1))
    groups = inventory(rpc_groups=["overlay"])["groups"]
    assert "bcm_overlay_slurm_submit" not in groups


def test_roles_computed_over_rpc_equal_those_of_rest(inventory, sim):
    listed = inventory()["groups"]
    sim.switch(rest_roles="direct")
    assert "bcm_role_slurmclient" not in inventory()["groups"]
    assert inventory(compute_roles=True)["groups"] == listed


def test_rpc_that_is_denied_is_a_failure(inventory, sim):
    certificate, key = sim.certificate("node")
    sim.switch(node_profile_reads_devices=True)
    text = failure(inventory(certificate=certificate, private_key=key, rpc_groups=["rack"]))
    assert "cmdevice.getDevices failed" in text
    assert "HTTP 6" in text


def test_software_images_are_hosts_reached_by_chroot(inventory):
    answer = inventory(software_images=True)
    assert answer["groups"]["bcm_images"] == ["default-image", "dgx-image"]
    assert answer["hosts"]["dgx-image"] == {
        "ansible_connection": "superpod.monitoring.software_image",
        "ansible_host": "/cm/images/dgx-image",
        "ansible_remote_tmp": "/tmp",
        "bcm_headnode": "127.0.0.1",
        "bcm_image": "dgx-image",
        "bcm_image_groups": ["dgx_nodes"],
        "bcm_image_path": "/cm/images/dgx-image",
        "superpod_deploy_mode": "image",
    }
    assert answer["hosts"]["dgx-01"]["bcm_image"] == "dgx-image"
    assert "dgx-image" not in answer["groups"]["dgx_nodes"]


@pytest.mark.parametrize(("name", "path"), [("gold", "images/gold"), ("-o", "/cm/images/o"), ("a/b", "/cm/images/a")])
def test_a_software_image_that_cannot_be_a_host_is_not_lost_in_silence(inventory, sim, name, path):
    sim.edit(lambda state: state["software_images"].update({name: {"path": path}}))
    assert f"software image '{name}'" in failure(inventory(software_images=True))
    answer = inventory(software_images=True, strict_devices=False)
    assert answer["groups"]["bcm_images"] == ["default-image", "dgx-image"]
    assert len(answer["warnings"]) == 1


def test_constructed_options(inventory):
    answer = inventory(
        compose={"rank": "bcm_roles | length", "ansible_user": "'root'"},
        groups={"servers": "'slurmserver' in bcm_roles"},
        keyed_groups=[{"key": "bcm_network", "prefix": "net"}],
        strict=True,
    )
    assert int(answer["hosts"]["slurm-ctl-01"]["rank"]) == 3  # core 2.17 gives the text "3"
    assert answer["hosts"]["slurm-ctl-01"]["ansible_user"] == "root"
    assert answer["groups"]["servers"] == ["slurm-ctl-01"]
    assert "dgx-01" in answer["groups"]["net_internalnet"]


def test_strict_construction_fails_loudly(inventory):
    text = json.dumps(inventory(compose={"x": "nothing_of_that_name"}, strict=True))
    assert "nothing_of_that_name" in text


# --- head nodes ---


def test_the_second_head_node_answers_when_the_first_is_gone(inventory, sim):
    sim.heads[0].stop()
    answer = inventory()
    assert answer["hosts"]["dgx-01"]["bcm_headnode"] == "127.0.0.2"
    assert answer["warnings"] == []


def test_no_head_node_is_one_sentence(inventory, sim):
    for head in sim.heads:
        head.stop()
    text = failure(inventory())
    assert "127.0.0.1 cannot be reached" in text
    assert "127.0.0.2 cannot be reached" in text
    assert "check headnodes and port" in text


@pytest.mark.parametrize(
    ("fault", "options", "words"),
    [
        ("empty_list", {}, "no device at all"),
        ("empty_object", {}, "an empty object"),
        ("html", {}, "text/html"),
        ("error_body", {}, "internal error"),
        ("truncated", {}, "complete JSON"),
        ("status", {"status": 401}, "HTTP 401"),
        ("status", {"status": 403}, "HTTP 403"),
        ("status", {"status": 635}, "HTTP 635"),
        ("status", {"status": 640}, "HTTP 640"),
        ("redirect", {}, "not followed"),
        ("huge", {"bytes": 100 * 1024 * 1024}, "64 MiB"),
        ("huge", {"bytes": 100 * 1024 * 1024, "announce": False}, "64 MiB"),
        ("drip", {"interval": 0.2}, "in time"),
        ("hang", {}, "in time"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_bad_answer_is_one_sentence_and_no_host(inventory, sim, fault, options, words):
    sim.fault(fault, **options)
    # A large answer takes its time on a busy machine; what never ends is cut short.
    timeout = 30 if fault == "huge" else 1.5
    assert words in failure(inventory(headnodes=["127.0.0.1"], timeout=timeout))


def test_a_foreign_ca_is_one_sentence(inventory, tmp_path):
    from bcm_simulator.pki import Authority  # noqa: PLC0415

    bundle = tmp_path / "other.pem"
    bundle.write_bytes(Authority.new("Another cluster", key="ec").bundle())
    assert "set ca_certificate" in failure(inventory(ca_certificate=str(bundle)))


def test_a_foreign_certificate_is_one_sentence(inventory, sim):
    certificate, key = sim.foreign_certificate()
    assert certificate in failure(inventory(certificate=certificate, private_key=key))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"certificate": "nowhere.pem"}, "nowhere.pem cannot be read"),
        ({"ca_certificate": "nowhere.pem"}, "nowhere.pem cannot be read"),
        ({"certificate": None, "private_key": None}, "set certificate and private_key"),
        ({"username": "me"}, "belong together"),
        ({"username": "me", "password": "x"}, "not both"),
        ({"headnodes": ["https://master"]}, "without scheme"),
        ({"headnodes": []}, "at least one"),
        ({"headnode": "x"}, "an option headnode that"),
        ({"timeout": 0}, "greater than 0"),
        ({"filters": {"category": ["x"]}}, "filters has no key category"),
        ({"filters": "dgx"}, "filters"),
        ({"system_groups": {"a b": {}}}, "cannot be the name of a group"),
        ({"system_groups": {"a": {"role": "x"}}}, "system_groups.a has no key role"),
        ({"system_groups": {"a": {"not_groups": ["b"]}}}, "which is no system group"),
        ({"system_groups": {"a": {"not_groups": ["b"]}, "b": {"not_groups": ["a"]}}}, "a -> b -> a"),
        ({"source": "cmsh", "rpc_groups": ["rack"]}, "rpc_groups needs source: rest"),
        ({"source": "cmsh", "cmsh": "/nowhere/cmsh"}, "/nowhere/cmsh"),
        ({"source": "http"}, "source"),
        ({"port": "eight"}, "port"),
    ],
    ids=str,
)
def test_bad_options_are_one_sentence(inventory, options, words):
    assert words in failure(inventory(**options))


@pytest.mark.parametrize(
    "text",
    ["plugin: superpod.monitoring.bcm\nheadnodes: [a\n b: {", "- a\n- b\n", "", "just text", "plugin: other.x.y\n"],
)
def test_a_broken_file_is_one_sentence(driver, tmp_path, text):
    path = tmp_path / "bcm_inventory.yml"
    path.write_text(text)
    said = failure(driver.ask(path=str(path)))
    assert str(path) in said
    assert ("at line 3" in said) == ("[a" in text)


def test_files_by_name(driver, tmp_path):
    for name, wanted in {
        "bcm_inventory.yml": True,
        "bcm_inventory.yaml": True,
        "site.bcm.yml": True,
        "site.bcm.yaml": True,
        "hosts.yml": False,
        "bcm_inventory.yml.bak": False,
    }.items():
        (tmp_path / name).touch()
        assert driver.ask(verify=str(tmp_path / name)) is wanted, name
    assert driver.ask(verify=str(tmp_path / "absent.bcm.yml")) is False


# --- options from elsewhere ---


def test_options_from_the_environment(inventory, sim):
    certificate, key = sim.certificate("readonly")
    answer = inventory(
        {
            "env": {
                "BCM_HEADNODES": "127.0.0.2,127.0.0.1",
                "BCM_PORT": str(sim.port),
                "BCM_CERTIFICATE": certificate,
                "BCM_PRIVATE_KEY": key,
                "BCM_CA_CERTIFICATE": sim.ca,
            }
        },
        **dict.fromkeys(("headnodes", "port", "certificate", "private_key", "ca_certificate")),
    )
    assert answer["hosts"]["dgx-01"]["bcm_headnode"] == "127.0.0.2"
    assert {request.profile for request in sim.requests} == {"readonly"}


def test_user_and_password(inventory):
    answer = inventory(certificate=None, private_key=None, username="monitor", password=PASSWORD)
    assert "dgx-01" in answer["hosts"]


def test_paths_start_at_the_inventory_file(inventory, sim, tmp_path):
    (tmp_path / "ca.pem").write_bytes(Path(sim.ca).read_bytes())
    assert "dgx-01" in inventory(ca_certificate="ca.pem")["hosts"]


# --- devices that are odd ---


@pytest.mark.parametrize(
    ("fault", "options", "words"),
    [
        ("duplicate_node", {"hostname": "dgx-01"}, "'dgx-01' is there twice"),
        ("nameless_node", {"hostname": "dgx-01"}, "has no hostname"),
        ("body", {"body": '[{"hostname":"a","type":"PhysicalNode"},{"hostname":"b/c"},7]'}, "'b/c'"),
        ("body", {"body": '[{"hostname":"a","type":"PhysicalNode"},{"hostname":"b","category":["x"]}]'}, "category"),
        ("body", {"body": '[{"hostname":"a","type":"PhysicalNode"},{"hostname":"b","roles":"x"}]'}, "roles"),
        ("body", {"body": '[{"hostname":"a","type":"PhysicalNode"},{"hostname":"b\\ud800"}]'}, "unprintable"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_devices_that_cannot_be_hosts(inventory, sim, fault, options, words):
    sim.fault(fault, **options)
    text = failure(inventory())
    assert words in text
    assert "set strict_devices to false" in text
    answer = inventory(strict_devices=False)
    assert answer["hosts"]
    about = [warning for warning in answer["warnings"] if "cannot be hosts" in warning]
    assert len(about) == 1
    assert words in about[0]


def test_many_odd_devices_are_one_sentence(inventory, sim):
    records = [
        {"hostname": "a", "type": "PhysicalNode", "ip": "10.0.0.1", "category": "c"},
        *({"x": n} for n in range(99)),
    ]
    sim.fault("body", body=json.dumps(records))
    answer = inventory(strict_devices=False)
    assert len(answer["warnings"]) == 2  # and that no device has roles
    assert "and 94 more" in answer["warnings"][0]


def test_devices_of_unknown_types_are_named_with_their_number(inventory, sim):
    sim.edit(lambda state: state["nodes"].update({f"q-{n}": {"type": "QuantumNode"} for n in range(3)}))
    answer = inventory()
    assert "q-0" not in answer["hosts"]
    assert len(answer["warnings"]) == 1
    assert "3 of type 'QuantumNode'" in answer["warnings"][0]
    assert "q-0" in inventory(filters={"types": ["QuantumNode"]})["hosts"]


def test_a_node_without_category_or_ip_is_a_host_with_a_warning(inventory, sim):
    sim.edit(lambda state: state["nodes"].update({"bare": {}}))
    answer = inventory()
    assert "ansible_host" not in answer["hosts"]["bare"]
    assert answer["hosts"]["bare"]["bcm_ip"] is None
    assert ["'bare'" in warning for warning in answer["warnings"]] == [True, True]


@pytest.mark.parametrize("fault", ["null_roles", "absent_roles"])
def test_roles_of_nobody_are_warned_of(inventory, sim, fault):
    sim.fault(fault)
    answer = inventory()
    assert answer["hosts"]["slurm-ctl-01"]["bcm_roles"] == []
    assert any("which roles" in warning for warning in answer["warnings"])


def test_names_from_bcm_are_never_evaluated(inventory, sim):
    record = {
        "hostname": EVIL,
        "type": "PhysicalNode",
        "category": EVIL,
        "ip": EVIL,
        "network": "{% raw %}",
        "cluster": EVIL,
        "roles": [EVIL.lower()],
    }
    good = {"hostname": "good", "type": "PhysicalNode", "category": "{# x #}", "ip": "10.0.0.1", "roles": []}
    sim.fault("body", body=json.dumps([record, good]))
    expressions = [
        (EVIL, "{{ bcm_category }}"),
        (EVIL, "{{ bcm_cluster }}"),
        (EVIL, "{{ bcm_roles[0] }}"),
        (EVIL, "{{ bcm_ip }}"),
        (EVIL, "{{ inventory_hostname }}"),
        (EVIL, "{{ inventory_hostname_short }}"),
        (EVIL, "{{ group_names | join }}"),
        (EVIL, "x{{ bcm_network }}"),
        ("good", "{{ bcm_category }}"),
        ("good", "{{ groups['all'] | sort | last }}"),
    ]
    answer = inventory({"expressions": expressions}, keyed_groups=[{"key": "bcm_category", "prefix": "own"}])
    assert answer["hosts"][EVIL]["bcm_category"] == EVIL
    assert "ansible_host" not in answer["hosts"][EVIL]
    values = list(answer["evaluated"].values())
    assert [*values[:6], *values[7:]] == [EVIL, EVIL, EVIL.lower(), EVIL, EVIL, EVIL, "x{% raw %}", "{# x #}", EVIL]
    assert "uid=" not in json.dumps(answer)
    assert not any("{" in group for group in answer["groups"])
    assert any("Not valid as host names" in warning for warning in answer["warnings"])


def test_unicode_and_colliding_names(inventory, sim):
    names = ["größe", "a-b", "a.b", "a_b"]
    records = [
        {"hostname": f"n{number}", "type": "PhysicalNode", "category": name, "ip": "10.0.0.1", "roles": []}
        for number, name in enumerate(names)
    ]
    sim.fault("body", body=json.dumps(records))
    answer = inventory()
    groups = {group: hosts for group, hosts in answer["groups"].items() if group.startswith("bcm_category_")}
    assert groups["bcm_category_gr__e"] == ["n0"]
    assert groups["bcm_category_a_b"] == ["n3"]
    assert sorted(groups.values()) == [["n0"], ["n1"], ["n2"], ["n3"]]
    assert len(answer["warnings"]) == 1
    assert "'a-b' is bcm_category_a_b_" in answer["warnings"][0]


# --- cache ---


@pytest.fixture
def cached(inventory, tmp_path):
    def parse(ask=None, **options):
        return inventory(
            ask,
            **{
                "cache": True,
                "cache_plugin": "ansible.builtin.jsonfile",
                "cache_connection": str(tmp_path / "cache"),
                **options,
            },
        )

    return parse


def test_the_second_run_asks_nobody_and_is_the_same(cached, sim):
    options = {"rpc_groups": ["overlay", "rack", "image"], "software_images": True}
    first = cached(**options)
    sim.recorder.requests.clear()
    assert cached(**options) == first
    assert sim.requests == []
    assert len(list(first["hosts"])) == 9


def test_no_secret_is_in_the_cache(cached, tmp_path):
    cached(certificate=None, private_key=None, username="monitor", password=PASSWORD)
    files = [path for path in (tmp_path / "cache").iterdir() if path.is_file()]
    assert len(files) == 1
    assert PASSWORD not in files[0].read_text()


def test_other_questions_are_not_answered_from_the_cache(cached):
    cached()
    assert cached(rpc_groups=["rack"])["hosts"]["dgx-01"]["bcm_rack"] == "r1"


def test_an_old_answer_is_asked_for_again(cached, sim):
    cached(cache_timeout=1)
    time.sleep(1.1)
    sim.recorder.requests.clear()
    cached(cache_timeout=1)
    assert rest_requests(sim) == 1


def test_a_refresh_does_not_read_the_cache(cached, sim):
    cached()
    sim.recorder.requests.clear()
    cached({"cache": False})
    assert rest_requests(sim) == 1


def test_an_old_answer_serves_with_a_warning_while_no_head_node_does(cached, sim):
    first = cached(cache_timeout=1, cache_on_failure=True)
    time.sleep(1.1)
    for head in sim.heads:
        head.stop()
    late = cached(cache_timeout=1, cache_on_failure=True)
    assert late["hosts"] == first["hosts"]
    assert len(late["warnings"]) == 1
    assert "cannot be reached" in late["warnings"][0]
    assert "cache_on_failure" in late["warnings"][0]


def test_without_cache_on_failure_an_old_answer_is_none(cached, sim):
    cached(cache_timeout=1)
    time.sleep(1.1)
    for head in sim.heads:
        head.stop()
    failure(cached(cache_timeout=1))


def test_cache_on_failure_alone_asks_each_time(cached, sim):
    for _ in range(2):
        cached(cache=False, cache_on_failure=True)
    assert rest_requests(sim) == 2
    for head in sim.heads:
        head.stop()
    assert "dgx-01" in cached(cache=False, cache_on_failure=True)["hosts"]


def test_cache_on_failure_with_nothing_cached_is_the_failure_itself(cached, sim):
    for head in sim.heads:
        head.stop()
    assert "cannot be reached" in failure(cached(cache_on_failure=True))


@pytest.mark.parametrize("content", ["{", "[]", '{"asked": 1}', "null"])
def test_a_spoilt_cache_is_not_used(cached, sim, tmp_path, content):
    cached()
    for path in (tmp_path / "cache").iterdir():
        if path.is_file():
            path.write_text(content)
    assert "dgx-01" in cached()["hosts"]


# --- cmsh ---


def test_cmsh_gives_the_same_hosts_and_groups_as_rest(inventory, sim):
    rest = inventory(software_images=True)
    sim.recorder.requests.clear()
    cmsh = inventory(source="cmsh", cmsh=sim.cmsh_path, software_images=True)
    assert sim.requests == []
    assert cmsh["groups"] == rest["groups"]
    for name, variables in rest["hosts"].items():
        other = cmsh["hosts"][name]
        assert {**variables, **dict.fromkeys(("bcm_uuid", "bcm_cluster", "bcm_headnode"))} == {
            **other,
            **dict.fromkeys(("bcm_uuid", "bcm_cluster", "bcm_headnode")),
        }


def test_auto_takes_cmsh_with_a_warning_when_rest_fails(inventory, sim):
    for head in sim.heads:
        head.stop()
    answer = inventory(source="auto", cmsh=sim.cmsh_path)
    assert "dgx-01" in answer["hosts"]
    assert len(answer["warnings"]) == 1
    assert "cmsh on this host is used" in answer["warnings"][0]


def test_auto_says_both_reasons_when_neither_works(inventory, sim):
    for head in sim.heads:
        head.stop()
    text = failure(inventory(source="auto", cmsh="/nowhere/cmsh"))
    assert "cannot be reached" in text
    assert "/nowhere/cmsh" in text


# --- as a program ---


@pytest.mark.plays
def test_ansible_inventory_shows_no_password_and_no_traceback(sim, tmp_path):
    path = tmp_path / "bcm_inventory.yml"
    path.write_text(
        f"plugin: superpod.monitoring.bcm\nheadnodes: [127.0.0.1]\nport: {sim.port}\nca_certificate: {sim.ca}\n"
        f"username: monitor\npassword: {PASSWORD}x\n"
    )
    said = ansible_command.run(
        *("-vvvv", "-i", str(path), "--list"),
        directory=tmp_path,
        program="ansible-inventory",
        status=None,
        warned=True,
        more={
            "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
            "ANSIBLE_INVENTORY_ENABLED": "superpod.monitoring.bcm",
        },
    )
    assert "check username and password" in " ".join(said.split())
    assert PASSWORD not in said


# --- the sample that sites copy ---


def test_the_sample_works_with_no_more_than_where_bcm_is(driver, sim, tmp_path):
    for name in ("bcm_inventory.yml", "group_vars/all.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((ROOT / "inventory" / name).read_text())
    certificate, key = sim.certificate("readonly")
    own = {
        "BCM_CERTIFICATE": certificate,
        "BCM_PRIVATE_KEY": key,
        "BCM_CA_CERTIFICATE": sim.ca,
        "BCM_PORT": str(sim.port),
    }
    sample = tmp_path / "bcm_inventory.yml"
    sample.write_text(sample.read_text().replace("\nheadnodes: [master]", "\nheadnodes: [127.0.0.1]"))
    answer = driver.ask(path=str(sample), env=own, expressions=[("dgx-01", "{{ superpod_cluster_name }}")])
    assert answer["warnings"] == answer["errors"] == []
    assert answer["groups"]["dgx_nodes"] == ["dgx-01", "dgx-02"]
    assert list(answer["evaluated"].values()) == ["slurm"]


def test_what_the_sample_comments_out_is_valid_and_shows_the_defaults(driver, sim, inventory, tmp_path):
    lines = (ROOT / "inventory" / "bcm_inventory.yml").read_text().splitlines()
    start = lines.index("# system_groups:")
    block = []
    for line in lines[start:]:
        if not line.startswith("#"):
            break
        block.append(line[2:])
    shown = yaml.safe_load("\n".join(block))["system_groups"]
    default = inventory()["groups"]
    changed = inventory(system_groups=shown)["groups"]
    assert set(changed) == set(default)
    assert changed["prometheus_servers"] == changed["grafana_servers"] == ["mon-01"]
    same = set(default) - {"prometheus_servers", "grafana_servers"}
    assert {name: changed[name] for name in same} == {name: default[name] for name in same}


def test_the_documented_examples_are_valid(inventory):
    from ansible_collections.superpod.monitoring.plugins.inventory import bcm  # noqa: PLC0415

    where = ("headnodes", "certificate", "private_key", "ca_certificate", "cache_connection")
    for example in yaml.safe_load_all(bcm.EXAMPLES):
        options = {key: value for key, value in example.items() if key not in where}
        if options.pop("cache", False):
            options = {key: value for key, value in options.items() if not key.startswith("cache")}
        assert "dgx-01" in inventory(**options)["hosts"]
