# SPDX-License-Identifier: GPL-3.0-or-later
"""What verify says to facts: nothing of healthy ones, one line for each fault, and never a traceback."""

from __future__ import annotations

import base64
import json
import os
import typing as t

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils import verify_prometheus_checks
from ansible_collections.superpod.monitoring.plugins.module_utils.target_document import build, encode
from ansible_collections.superpod.monitoring.plugins.module_utils.verify_expectations import (
    UnknownKindError,
    complete,
    judge,
    wanted,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.verify_host_checks import options_in
from ansible_collections.superpod.monitoring.plugins.module_utils.verify_slurm_checks import node_problem, nodes_of
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils.verify_worlds import (
    DEPLOY,
    EXPORTERS,
    NOW,
    RECORDS,
    SLURM_CONFIG,
    STATE,
    TARGETS_DIR,
    WORLDS,
    Json,
    document,
    findings,
    of_target,
    of_unit,
    world,
)

EXAMPLES = 2000 if os.environ.get("SUPERPOD_TEST_FULL") == "1" else 100
UNIT_FILE = "/etc/systemd/system/node_exporter.service"
LINK = "/etc/systemd/system/prometheus-node-exporter.service"


def put(facts: Json, path: str, value: t.Any) -> Json:
    """Change one fact; parts of the path are separated by two slashes, which no path on a host has."""
    *parents, last = path.split("//")
    place: t.Any = facts
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if value is None:
        del place[int(last) if isinstance(place, list) else last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return facts


@pytest.mark.parametrize("name", WORLDS)
def test_healthy_hosts_have_nothing_to_be_said_of(name: str) -> None:
    expected, facts = world(name)
    assert findings(expected, facts) == []
    assert len(judge(complete(expected), facts, DEPLOY)) > 10


HALF = {"status": 200, "value": {"samples": 4, "series": {"node_uname_info": [1.0]}, "jobs": []}}
EMPTY = {"status": 200, "value": {"samples": 0, "series": {}, "jobs": []}}
NODE_FAULTS = [
    (f"files//{UNIT_FILE}//sha256", "0", ("exporter_files", UNIT_FILE, "has another content")),
    (f"files//{UNIT_FILE}//owner", "bob", ("exporter_files", UNIT_FILE, "has owner bob")),
    (f"files//{UNIT_FILE}", {"state": "absent"}, ("exporter_files", UNIT_FILE, "is missing")),
    (f"files//{LINK}//target", "/x", ("exporter_files", LINK, "leads to /x")),
    (f"files//{LINK}", {"state": "absent"}, ("exporter_files", LINK, "is missing")),
    (f"files//{LINK}", None, ("exporter_files", LINK, "cannot be read: it was not looked at")),
    ("files///etc/old", {"state": "directory"}, ("exporter_files", "/etc/old", "is a directory")),
    ("files///cm/epilog.sh//mode", "0644", ("job_hooks", "/cm/epilog.sh", "has mode 0644")),
    (
        "files///cm/epilog.sh",
        {"error": "no answer within 10 s"},
        ("job_hooks", "/cm/epilog.sh", "cannot be read: no answer within 10 s"),
    ),
    ("files///etc/client.key//mode", "0640", ("secret_permissions", "/etc/client.key", "has mode 0640")),
    ("files///etc/client.key//owner", "bob", ("secret_permissions", "/etc/client.key", "has owner bob")),
    (
        "units//bcm-role-monitor.service//ActiveState",
        "failed",
        ("service_active", "bcm-role-monitor.service", "is failed (running)"),
    ),
    (
        "units//bcm-role-monitor.service//LoadState",
        "masked",
        ("service_active", "bcm-role-monitor.service", "is masked (masked)"),
    ),
    (
        "units//bcm-role-monitor.service//LoadState",
        "not-found",
        ("service_active", "bcm-role-monitor.service", "is no unit that systemd can load (not-found)"),
    ),
    (
        "units//bcm-role-monitor.service",
        None,
        ("service_active", "bcm-role-monitor.service", "systemd does not tell: it was not looked at"),
    ),
    (
        "units//bcm-role-monitor.service//UnitFileState",
        "disabled",
        ("service_enabled", "bcm-role-monitor.service", "is disabled at boot"),
    ),
    (
        "units//node_exporter.service//UnitFileState",
        "enabled",
        ("service_enabled", "node_exporter.service", "is enabled at boot"),
    ),
    (
        "units//node_exporter.service//NeedDaemonReload",
        "yes",
        ("service_reread", "node_exporter.service", "its file has changed since systemd read it"),
    ),
    (
        "units//node_exporter.service//Running",
        "/usr/bin/python3 x",
        ("service_options", "node_exporter.service", "runs as /usr/bin/python3 x"),
    ),
    ("listeners//0", None, ("port", "9100 (node_exporter)", "nobody listens there")),
    (
        "listeners//0",
        {"port": 9100, "unit": "", "who": "nc (process 7)"},
        ("port", "9100 (node_exporter)", "taken by nc (process 7)"),
    ),
    (
        "requests//metrics of node_exporter",
        HALF,
        ("metrics", "node_exporter", "4 samples, without node_memory_MemTotal_bytes, node_cpu_seconds_total"),
    ),
    ("requests//metrics of cgroup_exporter", EMPTY, ("metrics", "cgroup_exporter", "not one sample")),
    (
        "requests//metrics of cgroup_exporter",
        {"status": 500, "said": "oops"},
        ("metrics", "cgroup_exporter", "answers with status 500: oops"),
    ),
    ("requests//metrics of cgroup_exporter", {"error": "refused"}, ("metrics", "cgroup_exporter", "refused")),
    (
        "requests//metrics of cgroup_exporter//value//jobs",
        ["42"],
        ("job_series", "cgroup_exporter", "nothing of the running jobs 7, 8"),
    ),
    (
        f"contents//{STATE}//mtime",
        NOW - 3600,
        (
            "last_success",
            "bcm-role-monitor.service",
            "BCM last gave it an answer at 2027-01-15 07:00:00 UTC, 3600 s ago",
        ),
    ),
    (f"contents//{STATE}", {"error": "No such file"}, ("last_success", STATE, "No such file")),
    (f"contents//{STATE}//text", "{}", ("state", STATE, "is no state of a role monitor")),
    (
        f"contents//{STATE}//text",
        '{"held": false, "units": {}}',
        ("state", "bcm-role-monitor.service", "holds that the node does not have the role"),
    ),
    (
        f"contents//{STATE}//text",
        '{"held": true, "units": {"a.service": {"given_up": true}}}',
        ("given_up", "bcm-role-monitor.service", "has given up starting a.service"),
    ),
    (
        "certificates///etc/client.pem//not_after",
        NOW + 86400 * 9,
        ("certificate", "/etc/client.pem", "has 9 days left (until 2027-01-24)"),
    ),
    (
        "certificates///etc/client.pem//not_after",
        NOW - 1,
        ("certificate", "/etc/client.pem", "has expired on 2027-01-15"),
    ),
    ("certificates///etc/client.pem", {"error": "no PEM"}, ("certificate", "/etc/client.pem", "no PEM")),
    (
        "disks///run/gpustat//read_only",
        True,
        ("directory_writable", "/run/gpustat", "its file system is read-only"),
    ),
    ("disks///run/gpustat//free_inodes", 0, ("directory_writable", "/run/gpustat", "its file system is full")),
    ("disks///run/gpustat//free_bytes", 9, ("directory_writable", "/run/gpustat", "its file system is full")),
    ("disks///run/gpustat", {"error": "is not there"}, ("directory_writable", "/run/gpustat", "is not there")),
    (
        "commands//nvidia-smi",
        {"error": "no answer within 10 s"},
        ("nvidia_smi", "nvidia-smi", "no answer within 10 s"),
    ),
    ("commands//nvidia-smi//rc", 9, ("nvidia_smi", "nvidia-smi", "ended with 9 and said: GPU 0: NVIDIA H200")),
    ("commands//nvidia-smi//stdout", "None\n", ("nvidia_smi", "nvidia-smi", "says None")),
    ("time", NOW + 40, ("clock", "time of day", "is 39 s ahead of the control machine")),
]
SETTING = "slurm_setting"
SERVER_FAULTS = [
    ("listings", {TARGETS_DIR: {"error": "hangs"}}, ("targets_dir", TARGETS_DIR, "hangs")),
    (
        f"listings//{TARGETS_DIR}//files//dgx-01.json",
        None,
        ("target_file", f"{TARGETS_DIR}/dgx-01.json", "is missing, but BCM gives the node the role"),
    ),
    (
        f"listings//{TARGETS_DIR}//files//dgx-01.json",
        document(cluster="other"),
        ("target_file", f"{TARGETS_DIR}/dgx-01.json", "has the labels cluster=other, hostname=dgx-01"),
    ),
    (
        f"listings//{TARGETS_DIR}//files//dgx-01.json",
        document(exporters=[("node_exporter", 9101)]),
        (
            "target_file",
            f"{TARGETS_DIR}/dgx-01.json",
            "has node_exporter:9101 instead of node_exporter:9100",
        ),
    ),
    (
        f"listings//{TARGETS_DIR}//files//dgx-01.json",
        base64.b64encode(b'[{"targets": ["x:1"], "labels": {"job": "a"}}]').decode(),
        ("target_file", f"{TARGETS_DIR}/dgx-01.json", "is not a role monitor's: job=a"),
    ),
    (
        f"listings//{TARGETS_DIR}//files//dgx-02.json",
        document("dgx-02"),
        ("target_file", f"{TARGETS_DIR}/dgx-02.json", "is there, but BCM does not give the node the role"),
    ),
    (
        f"listings//{TARGETS_DIR}//files//dgx-99.json",
        document("dgx-99"),
        ("target_file_stale", f"{TARGETS_DIR}/dgx-99.json", "is of a host that BCM does not know"),
    ),
    (
        f"listings//{TARGETS_DIR}//files//bad.json",
        base64.b64encode(b"{}").decode(),
        ("target_file", f"{TARGETS_DIR}/bad.json", "Prometheus cannot use it: a target document is a list of groups."),
    ),
    (
        "requests//prometheus ready",
        {"status": 503, "said": "starting"},
        ("prometheus_answers", "http://localhost:9090", "answers with status 503: starting"),
    ),
    (
        "requests//prometheus metrics//value//series//prometheus_config_last_reload_successful//0",
        0.0,
        ("config_loaded", "http://localhost:9090", "it could not load its configuration when it last tried"),
    ),
    (
        "files///etc/prometheus/rules/alerts.yml//mtime",
        NOW - 100,
        ("config_loaded", "http://localhost:9090", "its files have changed since it loaded them"),
    ),
    (
        "requests//prometheus rules//value",
        {},
        ("rules", "/etc/prometheus/rules/alerts.yml", "is not loaded"),
    ),
    (
        "requests//prometheus rules//value//" + "/etc/prometheus/rules/alerts.yml",
        ["a: bad"],
        ("rules", "/etc/prometheus/rules/alerts.yml", "a: bad"),
    ),
    (
        "requests//prometheus empty//value",
        [{"labels": {"job": "j", "hostname": "dgx-01"}, "value": 0}],
        ("samples", "j of dgx-01", "its last scrape brought not one sample"),
    ),
    (
        "requests//prometheus empty",
        {"error": "no answer within 30 s"},
        ("samples", "http://localhost:9090", "no answer within 30 s"),
    ),
    (
        "requests//prometheus targets//value//0",
        None,
        ("targets_scraped", "dgx-01", "Prometheus does not scrape node_exporter"),
    ),
    (
        "requests//prometheus targets//value//0//health",
        "down",
        ("target_up", "node_exporter of dgx-01", "is down: not scraped yet"),
    ),
    (
        "requests//prometheus targets//value//0//last_scrape",
        NOW - 1000,
        ("target_fresh", "node_exporter of dgx-01", "was last scraped 1000 s ago"),
    ),
    (
        "requests//prometheus targets//value//3",
        of_target("old_exporter"),
        (
            "target_expected",
            "old_exporter of dgx-01",
            "Prometheus scrapes dgx-01:9100, which is in no target file (cluster=slurm)",
        ),
    ),
    (
        "requests//grafana health//value//database",
        "failing",
        ("grafana_answers", "http://localhost:3000/api", "its database is failing"),
    ),
    (
        "requests//grafana datasource",
        {"status": 401, "said": ""},
        (
            "grafana_login",
            "admin",
            "Grafana refuses the password in /etc/superpod-grafana/secrets/admin_password, so nothing else can be seen",
        ),
    ),
    (
        "requests//grafana datasource//value//url",
        "http://other:9090",
        ("datasource", "superpod-prometheus", "asks http://other:9090"),
    ),
    (
        "requests//grafana datasource health",
        {"status": 500, "said": "refused"},
        ("datasource_answers", "superpod-prometheus", "answers with status 500: refused"),
    ),
    ("requests//grafana dashboards//value//0", None, ("dashboard", "superpod-job", "is missing")),
]


def config(old: str, new: str) -> str:
    assert old in SLURM_CONFIG
    return SLURM_CONFIG.replace(old, new)


CONFIG = "commands//scontrol show config//stdout"
CONTROLLER_FAULTS = [
    (
        "requests//prometheus from here",
        {"error": "refused"},
        ("prometheus_from_here", "http://mon-01:9090", "refused"),
    ),
    (
        "requests//prometheus from here//value",
        [],
        ("prometheus_from_here", "http://mon-01:9090", "answers with []"),
    ),
    (
        "commands//scontrol show config",
        {"rc": 1, "stdout": "", "stderr": "Unable to contact slurm controller"},
        ("slurm_answers", "scontrol show config", "ended with 1 and said: Unable to contact slurm controller"),
    ),
    (
        CONFIG,
        config("ClusterName             = slurm", "ClusterName = hal"),
        ("cluster_name", "ClusterName", "Slurm's is hal, and superpod_cluster_name is slurm"),
    ),
    (
        CONFIG,
        config("= /e.sh", "= (null)"),
        ("epilogslurmctld", "EpilogSlurmctld", "slurmctld runs (null)"),
    ),
    (
        CONFIG,
        config("ConstrainCores          = yes", "ConstrainCores = no"),
        (SETTING, "ConstrainCores", "slurmctld has ConstrainCores=no"),
    ),
    (
        CONFIG,
        config("CR_CORE_MEMORY", "CR_CORE"),
        (SETTING, "SelectTypeParameters", "slurmctld has SelectTypeParameters=CR_CORE"),
    ),
    (
        CONFIG,
        config("jobacct_gather/cgroup", "jobacct_gather/linux"),
        (SETTING, "JobAcctGatherType", "slurmctld has JobAcctGatherType=jobacct_gather/linux"),
    ),
    (
        CONFIG,
        config("task/affinity,task/cgroup", "task/affinity"),
        (SETTING, "TaskPlugin", "slurmctld has TaskPlugin=task/affinity"),
    ),
    (
        CONFIG,
        config("GresTypes               = gpu", "GresTypes = (null)"),
        (SETTING, "GresTypes", "slurmctld has GresTypes=(null)"),
    ),
    (
        CONFIG,
        config("cpu,mem,gres/gpu", "cpu,mem"),
        (SETTING, "AccountingStorageTRES", "slurmctld has AccountingStorageTRES=cpu,mem"),
    ),
    (
        CONFIG,
        config("= /cm/local/apps/cmd/scripts/prolog", "= (null)"),
        (SETTING, "Prolog", "slurmctld has Prolog=(null)"),
    ),
    ("commands//scontrol show node//stdout", "", ("slurm_node", "dgx-01", "Slurm does not know it")),
    (
        "commands//scontrol show node//stdout",
        "NodeName=dgx-01 Gres=(null) State=IDLE\n",
        ("slurm_node", "dgx-01", "has no GPUs in Slurm (Gres=(null))"),
    ),
    (
        "requests//jobs of cgroup_exporter//value",
        [{"labels": {"jobid": "8"}, "value": 1.0}],
        ("job_measured", "jobs on dgx-01", "Prometheus has nothing of the running jobs 7"),
    ),
    (
        "requests//jobs of the GPU exporter//value",
        [],
        ("job_gpus", "jobs on dgx-01", "Prometheus has nothing of the running jobs 7"),
    ),
    (
        "requests//jobs of the GPU exporter//value",
        [{"labels": {"hostname": "dgx-01", "jobid": job}, "value": 1.0} for job in ("7", "6")],
        ("job_gone", "GPUs of dgx-01", "are still said to be of 6, which Slurm does not have any more"),
    ),
    (
        "commands//sacct//stdout",
        RECORDS.replace("cpu=1,gres/gpu=1", ""),
        ("job_record", "AllocTRES", "is without CPUs for 3, which have run"),
    ),
    (
        "commands//sacct//stdout",
        RECORDS.replace("JS1:H4s", "js1:h4s"),
        ("job_summary", "AdminComment", "1 of 2 jobs of the last hour have no summary: 3; instead js1:h4sIAAAA|more"),
    ),
    (
        "commands//sacct//stdout",
        RECORDS.replace("JS1:Short", ""),
        ("job_summary", "AdminComment", "1 of 2 jobs of the last hour have no summary: 2"),
    ),
]


@pytest.mark.parametrize(("path", "value", "finding"), NODE_FAULTS)
def test_a_fault_of_a_node(path: str, value: t.Any, finding: tuple[str, str, str]) -> None:
    expected, facts = world("node")
    assert findings(expected, put(facts, path, value)) == [finding]


@pytest.mark.parametrize(("path", "value", "finding"), SERVER_FAULTS)
def test_a_fault_of_a_server(path: str, value: t.Any, finding: tuple[str, str, str]) -> None:
    expected, facts = world("server")
    found = findings(expected, put(facts, path, value))
    assert finding in found
    # A directory that hangs is said for both who read it; a target that is gone from its file is scraped until then.
    assert {each[0] for each in found} <= {finding[0], "targets", "target_expected", "targets_scraped"}


@pytest.mark.parametrize(("path", "value", "finding"), CONTROLLER_FAULTS)
def test_a_fault_of_a_controller(path: str, value: t.Any, finding: tuple[str, str, str]) -> None:
    expected, facts = world("controller")
    assert findings(expected, put(facts, path, value)) == [finding]


def test_what_fails_says_what_was_expected_and_what_mends_it() -> None:
    for name, faults in (("node", NODE_FAULTS), ("server", SERVER_FAULTS), ("controller", CONTROLLER_FAULTS)):
        for path, value, (check, subject, _seen) in faults:
            expected, facts = world(name)
            outcomes = judge(complete(expected), put(facts, path, value), DEPLOY)
            (failed,) = (each for each in outcomes if not each.ok and (each.check, each.subject) == (check, subject))
            assert failed.expected
            if check not in ("service_active", "samples"):
                assert failed.mend


def test_bcms_settings() -> None:
    expected, facts = world("controller")
    said = expected["slurm_settings"][0]
    said.update({"differing": ["epilogslurmctld"], "after": {"epilogslurmctld": "/e.sh"}, "frozen": ["Freeze = 1"]})
    said["before"]["epilogslurmctld"] = ""
    expected["slurm_settings"].append({"failed": True, "msg": "cmsh is not there"})
    assert findings(expected, facts) == [
        ("bcm_setting", "wlm slurm epilogslurmctld", "BCM has nothing"),
        ("bcm_setting", "wlm slurm", "Freeze = 1 in cmd.conf keeps BCM from writing Slurm's files"),
        ("settings_read", "Slurm's settings", "cmsh is not there"),
    ]


def test_a_node_without_the_role_has_its_exporters_stopped() -> None:
    expected, facts = world("node")
    nothing = {"roles": [], "watched": ["slurmclient"]}
    expected["exporters"]["held"] = expected["role_monitor"]["held"] = nothing
    asks = [request["name"] for request in wanted(complete(expected))["requests"]]
    assert asks == []
    assert {check for check, _subject, _seen in findings(expected, facts)} == {"service_active", "state"}
    for unit in ("node_exporter", "cgroup_exporter", "dcgm-exporter"):
        facts["units"][f"{unit}.service"] = of_unit(ActiveState="inactive", UnitFileState="disabled")
    facts["listeners"] = []
    facts["contents"][STATE]["text"] = json.dumps({"held": False, "units": {}})
    assert findings(expected, facts) == []
    facts["listeners"] = [{"port": 9100, "unit": "", "who": "nc"}]
    assert findings(expected, facts) == [("port", "9100 (node_exporter)", "taken by nc")]


def test_where_bcms_roles_are_not_known_nothing_is_said_of_what_should_run() -> None:
    expected, facts = world("node")
    expected["exporters"]["held"] = expected["role_monitor"]["held"] = {"roles": "", "watched": ["slurmclient"]}
    facts["units"]["node_exporter.service"]["ActiveState"] = "inactive"
    facts["listeners"] = []
    assert findings(expected, facts) == []


def test_exporters_with_a_password_answer_that_they_want_one() -> None:
    expected, facts = world("node")
    expected["exporters"].update({"users": True, "listen_address": "10.0.0.1"})
    by_name = {each["name"]: each["url"] for each in wanted(complete(expected))["requests"]}
    assert by_name == {
        "metrics of node_exporter": "https://10.0.0.1:9100/metrics",
        "metrics of cgroup_exporter": "http://10.0.0.1:9306/metrics",
        "metrics of dcgm_exporter": "https://10.0.0.1:9400/metrics",
    }
    for name in ("node_exporter", "dcgm_exporter"):
        facts["requests"][f"metrics of {name}"] = {"status": 401, "said": "Unauthorized"}
    assert findings(expected, facts) == []


def test_targets_are_a_matter_of_the_host_they_are_on() -> None:
    expected, facts = world("server")
    put(facts, f"listings//{TARGETS_DIR}//files//dgx-01.json", None)
    put(facts, "requests//prometheus targets//value//2//health", "down")
    hosts = {each.host for each in judge(complete(expected), facts, DEPLOY) if not each.ok}
    assert hosts == {"dgx-01", "dgx-03"}


def test_exporters_of_a_node_that_is_not_in_the_run_are_any() -> None:
    expected, facts = world("server")
    expected["targets"]["exporters"] = {}
    put(facts, f"listings//{TARGETS_DIR}//files//dgx-01.json", document(exporters=[("node_exporter", 9101)]))
    assert [each for each in findings(expected, facts) if each[0] == "target_file"] == []


def test_an_agent_is_not_asked_for_rules() -> None:
    expected, facts = world("server")
    expected["prometheus"]["query"] = False
    for name in ("prometheus rules", "prometheus empty"):
        assert name not in [request["name"] for request in wanted(complete(expected))["requests"]]
        del facts["requests"][name]
    assert findings(expected, facts) == []


def test_a_shard_is_to_scrape_its_share_only() -> None:
    # Prometheus' own test of hashmod has 976 for "baz" and the modulus 1000.
    assert [
        number for number in range(1000) if verify_prometheus_checks.in_shard("baz", {"shard": [number, 1000]})
    ] == [976]
    expected, facts = world("server")
    hosts = [f"dgx-{number:02}" for number in range(1, 41)]
    shares = [
        {host for host in hosts if verify_prometheus_checks.in_shard(host, {"shard": [number, 3]})}
        for number in range(3)
    ]
    assert set().union(*shares) == set(hosts)
    assert sum(map(len, shares)) == len(hosts)
    assert all(shares)
    own = next(number for number, share in enumerate(shares) if "dgx-01" in share)
    facts["requests"]["prometheus targets"]["value"] = []
    expected["prometheus"]["shard"] = [(own + 1) % 3, 3]
    missed = {subject for check, subject, _seen in findings(expected, facts) if check == "targets_scraped"}
    assert "dgx-01" not in missed


def test_options_of_a_unit() -> None:
    assert options_in("[Service]\nExecStart=/usr/bin/x \\\n  -a 'b c' \\\n  d$$\n\nRestart=no\n") == "-a b c d$"
    assert options_in("[Service]\nType=exec\n") == ""
    assert options_in("[Service]\nExecStart=/usr/bin/x 'a\n") == ""


def test_nodes_of_slurm() -> None:
    text = (
        "NodeName=DGX-01 Gres=gpu:8 State=IDLE+DRAIN Reason=Prolog error [slurm@2026-11-20T10:00:00]\n"
        "NodeName=dgx-02 Gres=gpu:8 State=DOWN* Reason=Not responding [slurm@2026]\n"
        "NodeName=dgx-03 Gres=gpu:8 State=IDLE+DRAIN Reason=memory bad [root@2026]\n"
    )
    nodes = nodes_of(text)
    assert node_problem(nodes["dgx-01"], True).startswith("is IDLE+DRAIN: Prolog error")
    assert node_problem(nodes["dgx-02"], True).startswith("is DOWN*: Not responding")
    assert node_problem(nodes["dgx-03"], True) == ""


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnknownKindError, match=r"^disks is no kind of check; use one of "):
        wanted(complete({"disks": []}))


def test_the_request_has_each_thing_once() -> None:
    expected = {"files": [{"check": "a", "entries": [{"path": "/a"}, {"path": "/a"}]}], "secrets": [{"path": "/a"}]}
    assert wanted(complete(expected))["files"] == ["/a"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: t.Any, path: tuple[t.Any, ...] = ()) -> list[tuple[t.Any, ...]]:
    """Every place in a document."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += places(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            found += places(inner, (*path, number))
    return found


@pytest.mark.parametrize("name", WORLDS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_no_facts_are_too_odd(name: str, data: st.DataObject) -> None:
    expected, facts = world(name)
    for _ in range(data.draw(st.integers(1, 3))):
        *parents, last = data.draw(st.sampled_from(places(facts)))
        place: t.Any = facts
        for part in parents:
            place = place[part]
        place[last] = data.draw(ANYTHING)
    outcomes = judge(complete(expected), facts, DEPLOY)
    assert outcomes
    for outcome in outcomes:
        assert "\n" not in outcome.seen
        assert len(outcome.seen) < 400
    json.dumps(outcomes)


@settings(max_examples=EXAMPLES, deadline=None)
@given(content=st.binary(max_size=200) | st.just(encode(build("dgx-01", "slurm", [("node_exporter", 9100)]))))
def test_no_target_file_is_too_odd(content: bytes) -> None:
    files = {"dgx-01.json": content}
    seen = verify_prometheus_checks.file_problem(files, "dgx-01.json", "dgx-01", "slurm", EXPORTERS)
    assert (seen == "") == (content == encode(build("dgx-01", "slurm", [("node_exporter", 9100)])))


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ({"changed": False, "changes": []}, ""),
        ({"changed": True, "changes": ["dashboard superpod-job"]}, "would change: dashboard superpod-job"),
        ({"failed": True, "msg": "Grafana refuses the token"}, "Grafana refuses the token"),
        ("", "no answer"),
    ],
)
def test_a_grafana_that_is_elsewhere(said: t.Any, seen: str) -> None:
    assert findings({"grafana_content": said}, {"time": NOW}) == (
        [("grafana_content", "Grafana", seen)] if seen else []
    )
