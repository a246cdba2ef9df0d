# SPDX-License-Identifier: GPL-3.0-or-later
"""prometheus_server: what it refuses, what it writes for several servers, and that shards leave no target out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from hashlib import md5
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_programs import promtool

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "prometheus_server"
HASH = "$2b$10$FItfItKI.QfY6dUCzCHqG.UPCUs5Xci/eCt6WllHKcQJdeNNk1f3W"
PEERS = ["mon-01", "mon-02", "mon-03"]


def play(directory: Path, hosts: list[str], tasks: list[dict[str, t.Any]], **variables: t.Any) -> None:
    """Run tasks with the role's variables for these (made-up) hosts on this machine."""
    files = [str(ROLE / part / "main.yml") for part in ("defaults", "vars")]
    playbook = directory / "playbook.yml"
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "vars_files": files, "tasks": tasks}]))
    inventory = directory / "hosts.json"
    inventory.write_text(
        json.dumps({"all": {"children": {"prometheus_servers": {"hosts": {host: {} for host in hosts}}}}})
    )
    variables = {"role_path": str(ROLE), "ansible_python_interpreter": sys.executable, **variables}
    ended = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), "-c", "local"),
            *("-e", json.dumps(variables), str(playbook)),
        ],
        cwd=directory,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_INJECT_FACT_VARS": "false",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_NOCOLOR": "true",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "WARN" not in ended.stdout + ended.stderr, ended.stdout + ended.stderr


def written(directory: Path, hosts: list[str], content: str, **variables: t.Any) -> dict[str, str]:
    """What the template expression gives on each host."""
    task = {
        "name": "Render",
        "ansible.builtin.copy": {
            "content": "{{ (" + content + ") | string }}",
            "dest": str(directory) + "/{{ inventory_hostname }}.out",
            "mode": "0644",
        },
    }
    play(directory, hosts, [task], **variables)
    return {host: (directory / f"{host}.out").read_text() for host in hosts}


def configurations(directory: Path, hosts: list[str], **variables: t.Any) -> dict[str, dict[str, t.Any]]:
    template = f"lookup('ansible.builtin.template', '{ROLE}/templates/prometheus.yml.j2')"
    return {host: yaml.safe_load(text) for host, text in written(directory, hosts, template, **variables).items()}


MISTAKES: dict[str, tuple[dict[str, t.Any], str]] = {
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
    play(tmp_path, ["localhost"], tasks)
    said = dict(line.split("=", 1) for line in (tmp_path / "said").read_text().splitlines())
    assert set(said) == set(MISTAKES)
    for name, (_variables, sentence) in MISTAKES.items():
        assert sentence in said[name], name
        assert "in-the-open" not in said[name]


def test_one_server_sends_its_own_labels_only(tmp_path: Path) -> None:
    (config,) = configurations(tmp_path, ["mon-01"], prometheus_server_external_labels={"site": "a"}).values()
    assert config["global"]["external_labels"] == {"site": "a"}
    assert [job["job_name"] for job in config["scrape_configs"]] == ["superpod", "prometheus"]
    (target,) = config["scrape_configs"][1]["static_configs"]
    assert target == {
        "targets": ["localhost:9090"],
        "labels": {"instance": "mon-01:9090", "cluster": "slurm"},
    }
    assert len(config["rule_files"]) == 4


def test_a_pair_is_told_apart_by_what_it_sends_and_its_alerts_are_not(tmp_path: Path) -> None:
    managers = [{"static_configs": [{"targets": ["am:9093"]}]}]
    found = configurations(tmp_path, PEERS[:2], prometheus_server_alertmanagers=managers)
    assert [one["global"]["external_labels"] for one in found.values()] == [
        {"replica": "mon-01"},
        {"replica": "mon-02"},
    ]
    for config in found.values():
        assert config["alerting"]["alertmanagers"] == managers
        assert config["alerting"]["alert_relabel_configs"] == [{"regex": "replica", "action": "labeldrop"}]
        relabel = config["scrape_configs"][0]["relabel_configs"]
        assert [rule.get("action") for rule in relabel] == [None]


def test_a_pair_for_an_engine_that_wants_no_label(tmp_path: Path) -> None:
    for config in configurations(tmp_path, PEERS[:2], prometheus_server_replica_label="").values():
        assert "external_labels" not in config["global"]


def test_an_agent_has_neither_rules_nor_alerts(tmp_path: Path) -> None:
    variables: dict[str, t.Any] = {
        "prometheus_server_agent": True,
        "prometheus_server_remote_write": [{"url": "http://engine/"}],
        "prometheus_server_alertmanagers": [{"static_configs": [{"targets": ["am:9093"]}]}],
    }
    (config,) = configurations(tmp_path, ["mon-01"], **variables).values()
    assert not {"rule_files", "alerting"} & config.keys()
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    ended = subprocess.run(
        [promtool(), "check", "config", "--agent", str(path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_users_own_jobs(tmp_path: Path) -> None:
    own = [{"job_name": "prometheus", "static_configs": [{"targets": ["me:1"]}]}, {"job_name": "x", "scheme": "https"}]
    (config,) = configurations(
        tmp_path,
        ["mon-01"],
        prometheus_server_scrape_configs=own,
        prometheus_server_targets_options={"scheme": "https"},
    ).values()
    assert config["scrape_configs"][1:] == own
    assert config["scrape_configs"][0]["scheme"] == "https"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, t.Any]]:
    directory = tmp_path_factory.mktemp("shards")
    own = [
        {
            "job_name": "own",
            "static_configs": [{"targets": ["a:1"]}],
            "relabel_configs": [{"target_label": "__address__"}],
        }
    ]
    return configurations(directory, PEERS, prometheus_server_scale_out="shards", prometheus_server_scrape_configs=own)


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
        assert "relabel_configs" not in jobs["prometheus"]
        own = jobs["own"]["relabel_configs"]
        assert own[1]["modulus"] == len(PEERS)
        assert own[2] == {"source_labels": ["__tmp_superpod_shard"], "regex": str(number), "action": "keep"}
        assert own[3] == {"target_label": "__address__"}  # the user's come after
        assert [Path(path).name for path in config["rule_files"]] == ["dcgm_as_jobstats.yml", "alerts_prometheus.yml"]


def test_rules_reach_the_host_as_they_are(tmp_path: Path) -> None:
    """What looks like a template in them is Prometheus's."""
    (text,) = written(tmp_path, ["mon-01"], "_prometheus_server_rule_entries | to_json").values()
    entries = {Path(entry["path"]).name: entry for entry in json.loads(text)}
    for name in ("recording.yml", "dcgm_as_jobstats.yml", "alerts.yml", "alerts_prometheus.yml"):
        assert entries[name]["content"] == (ROOT / "files" / "rules" / name).read_text()
        assert entries[name]["validate"] == "/usr/bin/promtool check rules %s"
    assert "{{ $labels" in entries["alerts.yml"]["content"]


def test_the_snippet_for_a_prometheus_that_is_there(tmp_path: Path) -> None:
    template = f"lookup('ansible.builtin.template', '{ROLE}/templates/snippet.yml.j2')"
    (text,) = written(tmp_path, ["mon-01"], template, prometheus_server_use_existing=True).values()
    path = tmp_path / "snippet.yml"
    path.write_text(text)
    ended = subprocess.run([promtool(), "check", "config", str(path)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert job["scrape_interval"] == "30s"
