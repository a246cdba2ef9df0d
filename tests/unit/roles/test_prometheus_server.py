# SPDX-License-Identifier: GPL-3.0-or-later
"""prometheus_server: what it refuses, what it writes for several servers, and that shards leave no target out."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import threading
import time
import typing as t
import urllib.request
from collections.abc import Iterator
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import ansible_command
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_programs import free_port, prometheus, promtool

pytestmark = pytest.mark.plays

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "prometheus_server"
HASH = "$2b$10$FItfItKI.QfY6dUCzCHqG.UPCUs5Xci/eCt6WllHKcQJdeNNk1f3W"
PEERS = ["shard-0", "shard-1", "shard-2"]
MANAGERS = [{"static_configs": [{"targets": ["am:9093"]}]}]
OWN_RULE = {"target_label": "__address__", "replacement": "prober:9115"}
OWN_JOBS = [
    {"job_name": "prometheus", "static_configs": [{"targets": ["me:1"]}]},
    {"job_name": "own", "static_configs": [{"targets": ["a:1"]}], "relabel_configs": [OWN_RULE]},
]
PAIR = {"prometheus_server_peers": ["pair-a", "pair-b"], "prometheus_server_alertmanagers": MANAGERS}
SHARD = {
    "prometheus_server_peers": PEERS,
    "prometheus_server_scale_out": "shards",
    "prometheus_server_scrape_configs": OWN_JOBS,
}
# One made-up server each, so that one run of Ansible renders all.
SERVERS: dict[str, dict[str, t.Any]] = {
    "single": {"prometheus_server_peers": ["single"], "prometheus_server_external_labels": {"site": "a"}},
    "pair-a": PAIR,
    "pair-b": PAIR,
    "plain-a": {"prometheus_server_peers": ["plain-a", "plain-b"], "prometheus_server_replica_label": ""},
    "agent": {
        "prometheus_server_peers": ["agent"],
        "prometheus_server_agent": True,
        "prometheus_server_remote_write": [{"url": "http://engine/"}],
        "prometheus_server_alertmanagers": MANAGERS,
    },
    "own": {
        "prometheus_server_peers": ["own"],
        "prometheus_server_scrape_configs": OWN_JOBS,
        "prometheus_server_targets_options": {"scheme": "https"},
    },
    "tls": {
        "prometheus_server_peers": ["tls"],
        "prometheus_server_https_exporters": ["node_exporter", "dcgm_exporter"],
        "prometheus_server_targets_options": {"tls_config": {"ca_file": "ca.pem"}},
    },
    "existing": {"prometheus_server_peers": ["existing"], "prometheus_server_use_existing": True},
    **dict.fromkeys(PEERS, SHARD),
}


def play(directory: Path, hosts: dict[str, dict[str, t.Any]], tasks: list[dict[str, t.Any]]) -> None:
    """Run tasks with the role's variables for these (made-up) hosts on this machine."""
    files = [str(ROLE / part / "main.yml") for part in ("defaults", "vars")]
    # defaults go before a host's own variables only as variables of the group
    variables = yaml.safe_load(Path(files[0]).read_text())
    ansible_command.write(directory / "playbook.yml", [ansible_command.play(tasks, "all", vars_files=files[1:])])
    ansible_command.write(directory / "hosts.json", {"all": {"hosts": hosts, "vars": variables}})
    here = ("-i", "hosts.json", "-c", "local", "-f", "4")
    role = ansible_command.variables({"role_path": str(ROLE)})
    ansible_command.run(*here, *role, "playbook.yml", directory=directory)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, t.Any]]:
    """Of each made-up server: `config` and `snippet` (texts), `rules` (entries for managed_files)."""
    directory = tmp_path_factory.mktemp("rendered")
    lookups = {
        name: f"lookup('ansible.builtin.template', '{ROLE}/templates/{file}.j2') | string"
        for name, file in (("config", "prometheus.yml"), ("snippet", "snippet.yml"))
    }
    parts = [f"'{name}': {lookup}" for name, lookup in lookups.items()] + ["'rules': _prometheus_server_rule_entries"]
    task = {
        "name": "Render",
        "ansible.builtin.copy": {
            "content": "{{ {" + ", ".join(parts) + "} | to_json }}",
            "dest": str(directory) + "/{{ inventory_hostname }}.json",
            "mode": "0644",
        },
    }
    play(directory, SERVERS, [task])
    return {name: json.loads((directory / f"{name}.json").read_text()) for name in SERVERS}


@pytest.fixture(scope="module")
def configs(rendered: dict[str, dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    return {name: yaml.safe_load(one["config"]) for name, one in rendered.items()}


@pytest.fixture(scope="module")
def shards(configs: dict[str, dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    return {name: configs[name] for name in PEERS}


def check_config(path: Path, *options: str) -> None:
    ended = subprocess.run(
        [promtool(), "check", "config", *options, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


MISTAKES: dict[str, tuple[dict[str, t.Any], str]] = {
    "a directory of the system": ({"prometheus_server_data_dir": "/srv/"}, "set them to absolute directories"),
    "a relative directory": ({"prometheus_server_targets_dir": "targets"}, "set them to absolute directories"),
    "a long interval": ({"prometheus_server_evaluation_interval": "1m"}, "set it to 30s or less"),
    "a password for the engine": (
        {"prometheus_server_remote_write": [{"url": "http://x/", "basic_auth": {"password": "in-the-open"}}]},
        "give it as a file of prometheus_server_credentials",
    ),
    "a token in a scrape job": (
        {"prometheus_server_scrape_configs": [{"job_name": "x", "authorization": {"credentials": "in-the-open"}}]},
        "give it as a file of prometheus_server_credentials",
    ),
    "users in the web configuration": (
        {"prometheus_server_web_config": {"basic_auth_users": {"a": HASH}}},
        "give it as a file of prometheus_server_credentials",
    ),
    "hashes only": ({"prometheus_server_users": {"admin": HASH}}, "give one more user with its password"),
    "two files of one name": (
        {"prometheus_server_rule_files": ["/a/alerts.yml"]},
        "give each a file name of its own",
    ),
    "a credential elsewhere": (
        {"prometheus_server_credentials": {"../key": "x"}},
        "give each a file name of its own",
    ),
    "an agent without an engine": (
        {"prometheus_server_agent": True},
        "set prometheus_server_remote_write for an agent",
    ),
    "a host that is no peer": ({"prometheus_server_peers": ["other"]}, "give the host in prometheus_server_peers"),
}


def test_mistakes_are_refused_with_one_sentence_and_without_the_secret(tmp_path: Path) -> None:
    good: dict[str, t.Any] = {
        "prometheus_server_users": {"admin": HASH, "superpod": "a password"},
        "prometheus_server_remote_write": [{"url": "http://x/", "basic_auth": {"password_file": "/x"}}],
    }
    tried = {**{name: one[0] for name, one in MISTAKES.items()}, "nothing wrong": good}
    tasks = []
    for name, variables in tried.items():
        tasks.append(
            {
                "name": name,
                "vars": {"prometheus_server_source": "artifact", **variables},
                "block": [{"name": name, "ansible.builtin.include_tasks": f"{ROLE}/tasks/preflight.yml"}],
                "rescue": [
                    {
                        "name": name,
                        "ansible.builtin.lineinfile": {
                            "path": str(tmp_path / "said"),
                            "line": name + "={{ ansible_failed_result.msg }}",
                            "create": True,
                            "mode": "0644",
                        },
                    }
                ],
            }
        )
    play(tmp_path, {"localhost": {"prometheus_server_peers": ["localhost"]}}, tasks)
    said = dict(line.split("=", 1) for line in (tmp_path / "said").read_text().splitlines())
    assert set(said) == set(MISTAKES)
    for name, (_variables, sentence) in MISTAKES.items():
        assert sentence in said[name], name
        assert "in-the-open" not in said[name]


def test_promtool_takes_each_configuration(rendered: dict[str, dict[str, t.Any]], tmp_path: Path) -> None:
    paths = []
    for name, one in rendered.items():
        if name != "agent":
            paths.append(tmp_path / f"{name}.yml")
            paths[-1].write_text(one["config"])
    check_config(paths[0], "--syntax-only", *map(str, paths[1:]))
    (tmp_path / "agent.yml").write_text(rendered["agent"]["config"])
    check_config(tmp_path / "agent.yml", "--agent")


def test_one_server_sends_its_own_labels_only(configs: dict[str, dict[str, t.Any]]) -> None:
    config = configs["single"]
    assert config["global"]["external_labels"] == {"site": "a"}
    assert [job["job_name"] for job in config["scrape_configs"]] == ["superpod", "prometheus"]
    (target,) = config["scrape_configs"][1]["static_configs"]
    assert target == {"targets": ["localhost:9090"], "labels": {"instance": "single:9090", "cluster": "slurm"}}
    assert len(config["rule_files"]) == 4


def test_a_pair_is_told_apart_by_what_it_sends_and_its_alerts_are_not(configs: dict[str, dict[str, t.Any]]) -> None:
    for name in ("pair-a", "pair-b"):
        config = configs[name]
        assert config["global"]["external_labels"] == {"replica": name}
        assert config["alerting"]["alertmanagers"] == MANAGERS
        assert config["alerting"]["alert_relabel_configs"] == [{"regex": "replica", "action": "labeldrop"}]
        assert [rule.get("action") for rule in config["scrape_configs"][0]["relabel_configs"]] == [None]
        assert len(config["rule_files"]) == 4


def test_a_pair_for_an_engine_that_wants_no_label(configs: dict[str, dict[str, t.Any]]) -> None:
    assert "external_labels" not in configs["plain-a"]["global"]


def test_an_agent_has_neither_rules_nor_alerts(configs: dict[str, dict[str, t.Any]]) -> None:
    assert not {"rule_files", "alerting"} & configs["agent"].keys()
    assert configs["agent"]["remote_write"] == [{"url": "http://engine/"}]


def test_the_users_own_jobs(configs: dict[str, dict[str, t.Any]]) -> None:
    assert configs["own"]["scrape_configs"][1:] == OWN_JOBS
    assert configs["own"]["scrape_configs"][0]["scheme"] == "https"


def shard_of(address: str, number: int) -> int:
    """What the relabelling works out, by Prometheus's definition of hashmod: the last 8 bytes of the MD5."""
    host, separator, port = address.rpartition(":")
    host = host if separator and port.isdecimal() and port.isascii() else address
    return int.from_bytes(md5(host.encode(), usedforsecurity=False).digest()[8:], "big") % number


def discovered(configs: dict[str, dict[str, t.Any]], job: str, directory: Path) -> dict[str, list[dict[str, t.Any]]]:
    """What a real Prometheus makes of the targets, for each configuration: labels before and after relabelling."""
    # promtool collects for the whole time, however soon it has everything
    command = [promtool(), "check", "service-discovery", "--timeout=3s"]
    started = {}
    for name, config in configs.items():
        path = directory / f"{name}.yml"
        path.write_text(yaml.safe_dump({"scrape_configs": config["scrape_configs"]}))
        started[name] = subprocess.Popen([*command, str(path), job], stdout=subprocess.PIPE, text=True)
    outputs = {name: process.communicate(timeout=60)[0] for name, process in started.items()}
    assert all(process.returncode == 0 for process in started.values()), outputs
    return {name: json.loads(output[output.index("[") :]) for name, output in outputs.items()}


NAMES = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True)
ADDRESSES = st.one_of(
    st.builds("{}:{}".format, NAMES, st.integers(1, 65535)),
    st.builds("[{}]:{}".format, st.ip_addresses(v=6).map(str), st.integers(1, 65535)),
    NAMES,
)


@settings(max_examples=2 if os.environ.get("SUPERPOD_TEST_FULL") != "1" else 50, deadline=None)
@given(addresses=st.lists(ADDRESSES, min_size=150, max_size=300, unique=True))
def test_every_target_is_on_exactly_one_shard(
    shards: dict[str, dict[str, t.Any]], tmp_path_factory: pytest.TempPathFactory, addresses: list[str]
) -> None:
    """By Prometheus itself, and by the definition."""
    directory = tmp_path_factory.mktemp("addresses")
    (directory / "targets.json").write_text(json.dumps([{"targets": addresses, "labels": {"job": "node_exporter"}}]))
    kept: dict[str, list[str]] = {address: [] for address in addresses}
    for config in shards.values():
        config["scrape_configs"][0]["file_sd_configs"][0]["files"] = [str(directory / "*.json")]
    for name, results in discovered(shards, "superpod", directory).items():
        assert len(results) == len(addresses)
        for result in results:
            if result.get("labels"):
                kept[result["discoveredLabels"]["__address__"]].append(name)
    assert kept == {address: [PEERS[shard_of(address, len(PEERS))]] for address in addresses}


def test_all_exporters_of_a_node_are_on_one_shard_and_the_work_is_shared_evenly() -> None:
    shares = [0] * 4
    for number in range(2000):
        (shard,) = {shard_of(f"dgx-{number:04d}:{port}", 4) for port in (9100, 9306, 9400, 9445)}
        shares[shard] += 1
    assert max(shares) < 1.15 * min(shares)


def test_on_shards_each_scrapes_itself_and_the_users_targets_are_shared(shards: dict[str, dict[str, t.Any]]) -> None:
    for number, config in enumerate(shards.values()):
        jobs = {job["job_name"]: job for job in config["scrape_configs"]}
        assert jobs["prometheus"] == OWN_JOBS[0]
        own = jobs["own"]["relabel_configs"]
        assert own[1]["modulus"] == len(PEERS)
        assert own[2] == {"source_labels": ["__tmp_superpod_shard"], "regex": str(number), "action": "keep"}
        assert own[3] == OWN_RULE  # the user's come after
        assert [Path(path).name for path in config["rule_files"]] == ["dcgm_as_jobstats.yml", "alerts_prometheus.yml"]


def test_rules_reach_the_host_as_they_are(rendered: dict[str, dict[str, t.Any]]) -> None:
    """What looks like a template in them is Prometheus's."""
    entries = {Path(entry["path"]).name: entry for entry in rendered["single"]["rules"]}
    for name in ("recording.yml", "dcgm_as_jobstats.yml", "alerts.yml", "alerts_prometheus.yml"):
        assert entries[name]["content"] == (ROOT / "files" / "rules" / name).read_text()
        assert entries[name]["validate"] == "/usr/bin/promtool check rules %s"
    assert "{{ $labels" in entries["alerts.yml"]["content"]


def test_the_snippet_for_a_prometheus_that_is_there(rendered: dict[str, dict[str, t.Any]], tmp_path: Path) -> None:
    path = tmp_path / "snippet.yml"
    path.write_text(rendered["existing"]["snippet"])
    check_config(path)
    (job,) = yaml.safe_load(path.read_text())["scrape_configs"]
    assert job["scrape_interval"] == "30s"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "adduser: The user `prometheus' already exists, but is not a system user. Exiting.",
            'remove it with "userdel prometheus", or set prometheus_server_source to artifact',
        ),
        ("E: Unable to locate package prometheus", "E: Unable to locate package prometheus"),
    ],
)
def test_why_the_package_cannot_be_installed(said: str, sentence: str, tmp_path: Path) -> None:
    (install,) = [task for task in yaml.safe_load((ROLE / "tasks/install.yml").read_text()) if "rescue" in task]
    # in apt's place
    install["block"] = [{"name": "Fail", "ansible.builtin.fail": {"msg": said}}]
    note = {"path": str(tmp_path / "said"), "line": "{{ ansible_failed_result.msg }}", "create": True, "mode": "0644"}
    tasks = [{"name": "Try", "block": [install], "rescue": [{"name": "Note", "ansible.builtin.lineinfile": note}]}]
    play(tmp_path, {"localhost": {"prometheus_server_peers": ["localhost"]}}, tasks)
    assert sentence in (tmp_path / "said").read_text()


def test_exporters_with_tls_and_without_are_scraped_by_one_job(
    configs: dict[str, dict[str, t.Any]], tmp_path: Path
) -> None:
    """A real Prometheus with the role's scrape job; an exporter of each kind, and one that speaks otherwise."""
    job = configs["tls"]["scrape_configs"][0]
    job |= {"scrape_interval": "1s", "file_sd_configs": [{"files": ["*.json"], "refresh_interval": "1s"}]}
    ansible_command.write(tmp_path / "prometheus.yml", {"scrape_configs": [job]})
    with exporter(tmp_path, tls=True) as secure, exporter(tmp_path, tls=False) as plain:
        targets = {"node_exporter": secure, "cgroup_exporter": plain, "dcgm_exporter": plain}
        groups = [{"targets": [f"localhost:{port}"], "labels": {"job": name}} for name, port in targets.items()]
        ansible_command.write(tmp_path / "dgx-01.json", groups)
        # its own port is of no interest, so it has one that nobody else takes
        port = free_port()
        arguments = [
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with subprocess.Popen([prometheus(), *arguments], cwd=tmp_path, stderr=subprocess.DEVNULL) as running:
            try:
                assert healths(port, len(targets)) == {
                    ("node_exporter", f"https://localhost:{secure}/metrics", "up"),
                    ("cgroup_exporter", f"http://localhost:{plain}/metrics", "up"),
                    ("dcgm_exporter", f"https://localhost:{plain}/metrics", "down"),
                }
            finally:
                running.terminate()


class Metrics(BaseHTTPRequestHandler):
    """An exporter with one series."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"x 1\n")

    def log_message(self, *_words: object) -> None:
        pass


@contextlib.contextmanager
def exporter(directory: Path, *, tls: bool) -> Iterator[int]:
    """Serve metrics on a port of this machine, with a certificate that `ca.pem` is good for."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    if tls:
        make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        files = ["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "ca.pem"]
        subprocess.run([*make, *files], cwd=directory, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "ca.pem", directory / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def healths(port: int, targets: int) -> set[tuple[str, str, str]]:
    """Job, address and health of each target, once all have been scraped."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/targets?state=active", timeout=5) as answer:
                active = json.load(answer)["data"]["activeTargets"]
            if len(active) == targets and all(each["health"] != "unknown" for each in active):
                return {(each["labels"]["job"], each["scrapeUrl"], each["health"]) for each in active}
        time.sleep(0.3)
    raise AssertionError("Prometheus has not scraped all targets in a minute")
