# SPDX-License-Identifier: GPL-3.0-or-later
"""Healthy hosts for the tests of verify: what each role expects, and facts with which every check passes."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import typing as t

from ansible_collections.superpod.monitoring.plugins.module_utils import target_document
from ansible_collections.superpod.monitoring.plugins.module_utils.verify_expectations import complete, judge

Json = dict[str, t.Any]

NOW = 1_800_000_000.0
DEPLOY = "ansible-playbook site.yml"
UNIT = """[Service]
ExecStart=/usr/local/bin/node_exporter \\
    --web.listen-address=:9100 \\
    --collector.filesystem.fs-types-exclude=^(nfs|tmpfs)$$

Restart=on-failure
"""
HELD = {"roles": ["slurmclient"], "watched": ["slurmclient"]}
TARGETS_DIR = "/cm/shared/targets"
EXPORTERS = [{"unit": "node_exporter.service", "job": "node_exporter", "port": 9100}]


def of_file(
    content: str, mode: str = "0644", owner: str = "root", group: str = "root", mtime: float = NOW - 999
) -> Json:
    """The facts of a file."""
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    return {"state": "file", "mode": mode, "owner": owner, "group": group, "sha256": sha256, "mtime": mtime}


def of_unit(**other: str) -> Json:
    """The facts of a unit that runs."""
    plain = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "UnitFileState": "enabled"}
    return {**plain, "NeedDaemonReload": "no", "MainPID": "42", "Running": "", **other}


def of_target(job: str = "node_exporter", host: str = "dgx-01", **other: t.Any) -> Json:
    """A target of Prometheus."""
    labels = {"job": job, "hostname": host, "cluster": "slurm", "instance": f"{host}:9100"}
    healthy = {"pool": "superpod", "address": f"{host}:9100", "health": "up", "error": "", "last_scrape": NOW - 5}
    return {**healthy, "labels": labels, **other}


def document(host: str = "dgx-01", cluster: str = "slurm", exporters: t.Any = (("node_exporter", 9100),)) -> str:
    """A target file as the facts have it."""
    return base64.b64encode(target_document.encode(target_document.build(host, cluster, exporters))).decode()


NODE_EXPECTED: Json = {
    "files": [
        {
            "check": "exporter_files",
            "entries": [
                {"path": "/etc/systemd/system/node_exporter.service", "content": UNIT},
                {
                    "path": "/etc/systemd/system/prometheus-node-exporter.service",
                    "state": "link",
                    "target": "/dev/null",
                },
                {"path": "/etc/old", "state": "absent"},
            ],
        },
        {"check": "job_hooks", "entries": [{"path": "/cm/epilog.sh", "content": "exit", "mode": "0755"}]},
    ],
    "exporters": {
        "chosen": [
            {"name": "node_exporter", "unit": "node_exporter.service", "port": 9100, "units": ["other.service"]},
            {"name": "cgroup_exporter", "unit": "cgroup_exporter.service", "port": "9306", "units": []},
            {"name": "dcgm-exporter", "unit": "dcgm-exporter.service", "port": 9400, "units": []},
        ],
        "by_systemd": False,
        "held": HELD,
        "listen_address": "",
        "tls": True,
        "users": False,
    },
    "role_monitor": {
        "unit": "bcm-role-monitor.service",
        "state_dir": "/var/lib/bcm-role-monitor",
        "instance": "",
        "host": "DGX-01.cluster",
        "check_interval": "60",
        "held": HELD,
    },
    "units": [{"unit": "bcm-role-monitor.service", "active": True, "enabled": True}],
    "secrets": [{"path": "/etc/client.key"}],
    "certificates": [{"path": "/etc/client.pem", "days": "30"}],
    "directories": [{"path": "/run/gpustat"}],
    "commands": [{"check": "nvidia_smi", "name": "nvidia-smi", "argv": ["nvidia-smi", "-L"], "says": "^GPU "}],
    "clock": {"before": NOW - 1, "after": NOW + 1},
}
STATE = "/var/lib/bcm-role-monitor/dgx-01_state.json"
NODE_FACTS: Json = {
    "time": NOW,
    "units": {
        "node_exporter.service": of_unit(
            UnitFileState="disabled",
            Running="/usr/local/bin/node_exporter --web.listen-address=:9100 "
            "--collector.filesystem.fs-types-exclude=^(nfs|tmpfs)$",
        ),
        "cgroup_exporter.service": of_unit(UnitFileState="disabled"),
        "dcgm-exporter.service": of_unit(UnitFileState="disabled"),
        "bcm-role-monitor.service": of_unit(),
    },
    "listeners": [
        {"port": 9100, "unit": "node_exporter.service", "who": "node_exporter"},
        {"port": 9306, "unit": "cgroup_exporter.service", "who": "cgroup_exporter"},
        {"port": 9400, "unit": "dcgm-exporter.service", "who": "dcgm-exporter"},
    ],
    "files": {
        "/etc/systemd/system/node_exporter.service": of_file(UNIT),
        "/etc/systemd/system/prometheus-node-exporter.service": {"state": "link", "target": "/dev/null"},
        "/etc/old": {"state": "absent"},
        "/cm/epilog.sh": of_file("exit", "0755"),
        "/etc/client.key": of_file("secret", "0600"),
    },
    "contents": {
        STATE: {
            "mtime": NOW - 30,
            "text": json.dumps({"held": True, "units": {"node_exporter.service": {"given_up": False}}}),
        }
    },
    "disks": {"/run/gpustat": {"read_only": False, "free_bytes": 1 << 30, "free_inodes": 1000}},
    "listings": {},
    "certificates": {"/etc/client.pem": {"not_after": NOW + 86400 * 200}},
    "requests": {
        "metrics of node_exporter": {
            "status": 200,
            "value": {
                "samples": 900,
                "series": {
                    "node_uname_info": [1.0],
                    "node_memory_MemTotal_bytes": [1e12],
                    "node_cpu_seconds_total": [1.0],
                },
                "jobs": [],
            },
        },
        "metrics of cgroup_exporter": {"status": 200, "value": {"samples": 9, "series": {}, "jobs": ["7", "8"]}},
        "metrics of dcgm_exporter": {
            "status": 200,
            "value": {"samples": 9, "series": {"DCGM_FI_DEV_GPU_UTIL": [1], "DCGM_FI_DEV_FB_USED": [1]}, "jobs": []},
        },
    },
    "commands": {
        "nvidia-smi": {"rc": 0, "stdout": "GPU 0: NVIDIA H200\n", "stderr": ""},
        "jobs of Slurm": {"rc": 1, "stdout": "job_7\njob_8\n", "stderr": "no such file"},
    },
}

SERVER_EXPECTED: Json = {
    "targets": {
        "directory": TARGETS_DIR,
        "cluster": "slurm",
        "watched": ["slurmclient"],
        "roles": {"dgx-01": ["SlurmClient"], "dgx-02": [], "dgx-03": ""},
        "exporters": {"dgx-01": EXPORTERS, "dgx-02": "", "dgx-03": ""},
        "known": ["dgx-01", "dgx-02", "dgx-03", "mon-01"],
    },
    "prometheus": {
        "url": "http://localhost:9090",
        "unit": "prometheus.service",
        "login": {},
        "directory": TARGETS_DIR,
        "cluster": "slurm",
        "interval": "30s",
        "configs": ["/etc/prometheus/prometheus.yml"],
        "rules": ["/etc/prometheus/rules/alerts.yml"],
        "query": True,
        "shard": [],
    },
    "grafana": {
        "url": "http://localhost:3000/api",
        "unit": "grafana-server.service",
        "user": "admin",
        "password_file": "/etc/superpod-grafana/secrets/admin_password",
        "datasource": "superpod-prometheus",
        "prometheus_url": "http://mon-01:9090",
        "dashboards": ["superpod-job", "superpod-node"],
    },
    "ports": [{"port": 9090, "name": "Prometheus", "units": ["prometheus.service"]}],
}
SERVER_FACTS: Json = {
    "time": NOW,
    "units": {},
    "listeners": [{"port": 9090, "unit": "prometheus.service", "who": "prometheus"}],
    "files": {
        "/etc/prometheus/prometheus.yml": of_file("global:"),
        "/etc/prometheus/rules/alerts.yml": of_file("groups:"),
    },
    "contents": {},
    "disks": {},
    "listings": {
        TARGETS_DIR: {
            "files": {
                "dgx-01.json": document(),
                "dgx-01_dcgm.json": document(exporters=[("dcgm", 9400)]),
                "dgx-03.json": document("dgx-03"),
                "other.json": document("other", "elsewhere"),
                "switches.json": base64.b64encode(b'[{"targets": ["switch:9116"]}]').decode(),
            }
        }
    },
    "certificates": {},
    "requests": {
        "prometheus ready": {"status": 200, "value": None},
        "prometheus metrics": {
            "status": 200,
            "value": {
                "samples": 5,
                "series": {
                    "prometheus_config_last_reload_successful": [1.0],
                    "prometheus_config_last_reload_success_timestamp_seconds": [NOW - 500],
                },
            },
        },
        "prometheus rules": {"status": 200, "value": {"/etc/prometheus/rules/alerts.yml": []}},
        "prometheus empty": {"status": 200, "value": []},
        "prometheus targets": {
            "status": 200,
            "value": [
                of_target(),
                of_target("dcgm"),
                of_target(host="dgx-03"),
                of_target(
                    host="other", labels={"cluster": "elsewhere", "hostname": "other", "job": "x"}, health="down"
                ),
                of_target(pool="prometheus", labels={"job": "prometheus", "cluster": "slurm"}),
            ],
        },
        "grafana health": {"status": 200, "value": {"database": "ok"}},
        "grafana datasource": {"status": 200, "value": {"url": "http://mon-01:9090/"}},
        "grafana datasource health": {"status": 200, "value": {"status": "OK"}},
        "grafana dashboards": {"status": 200, "value": [{"uid": "superpod-job"}, {"uid": "superpod-node"}]},
    },
    "commands": {},
}

CONTROLLER_EXPECTED: Json = {
    "asks_prometheus": {"url": "http://mon-01:9090"},
    "slurm_settings": [
        {"path": ["wlm", "slurm"], "before": {"epilogslurmctld": "/e.sh"}, "after": {}, "differing": [], "frozen": []}
    ],
    "slurm": {
        "argv": ["env"],
        "cluster": "slurm",
        "program": "/e.sh",
        "confined": True,
        "gpus": True,
        "watched": ["slurmclient"],
        "roles": {"dgx-01": ["slurmclient"], "dgx-02": [], "dgx-03": ""},
    },
    "jobs": {
        "argv": ["env"],
        "url": "http://mon-01:9090",
        "cluster": "slurm",
        "settled": "300",
        "gpus": True,
        "watched": ["slurmclient"],
        "roles": {"DGX-01": ["slurmclient"], "dgx-02": [], "dgx-03": ""},
        "summaries": {"files": ["/e.sh", "/e.conf"], "late": 125, "journal": "epilogslurmctld-slurm"},
    },
}
# 7 has GPUs, 8 has none, 9 waits, 10 has just begun, 11 has just ended, 12 and 13 run where nothing is measured
QUEUE = "\n".join(
    f"{number:<24}{state:<24}{started!s:<24}{host:<128}{allocated}"
    for number, state, started, host, allocated in (
        (7, "RUNNING", int(NOW) - 400, "dgx-01.cluster", "cpu=8,mem=1G,node=1,gres/gpu=2,gres/gpu:h200=2"),
        (8, "RUNNING", int(NOW) - 400, "dgx-01", "cpu=8,mem=1G,node=1,gres/gpu=0"),
        (9, "PENDING", "N/A", "n/a", ""),
        (10, "RUNNING", int(NOW) - 100, "dgx-01", "cpu=8,gres/gpu=1"),
        (11, "COMPLETED", int(NOW) - 900, "dgx-01", ""),
        (12, "RUNNING", int(NOW) - 900, "dgx-02", "cpu=8,gres/gpu=1"),
        (13, "RUNNING", int(NOW) - 900, "cpu-01", "cpu=8"),
    )
)
RECORDS = f"""1|{NOW - 3500:.0f}|10|cpu=1,mem=1G|
2|{NOW - 3000:.0f}|10|cpu=1,mem=1G|JS1:Short
3|{NOW - 500:.0f}|900|cpu=1,gres/gpu=1|JS1:H4sIAAAA|more
4|{NOW - 100:.0f}|900|cpu=1|
5|{NOW - 600:.0f}|0||
7|Unknown|400|cpu=8|
6|{NOW - 60:.0f}|9"""
SLURM_CONFIG = """Configuration data as of 2026-11-20T12:00:00
AccountingStorageTRES   = cpu,mem,gres/gpu
ClusterName             = slurm
Epilog                  = /cm/local/apps/cmd/scripts/epilog
EpilogSlurmctld         = /e.sh
GresTypes               = gpu
JobAcctGatherType       = jobacct_gather/cgroup
ProctrackType           = proctrack/cgroup
Prolog                  = /cm/local/apps/cmd/scripts/prolog
SelectTypeParameters    = CR_CORE_MEMORY
TaskPlugin              = task/affinity,task/cgroup

Cgroup Support Configuration:
ConstrainCores          = yes
ConstrainRAMSpace       = yes
"""
SLURM_NODE = "NodeName=dgx-01 Arch=x86_64 Gres=gpu:h200:8(S:0-1) State=IDLE+CLOUD Weight=1\n"
CONTROLLER_FACTS: Json = {
    "time": NOW,
    "files": {"/e.sh": {"state": "file", "mtime": NOW - 3400}, "/e.conf": {"state": "file", "mtime": NOW - 9999}},
    "requests": {
        "prometheus from here": {"status": 200, "value": {"status": "success"}},
        "jobs of cgroup_exporter": {
            "status": 200,
            "value": [{"labels": {"jobid": "7"}, "value": 1.0}, {"labels": {"jobid": "8"}, "value": 1.0}],
        },
        "jobs of the GPU exporter": {
            "status": 200,
            "value": [
                {"labels": {"hostname": "dgx-01", "jobid": "7"}, "value": 2.0},
                {"labels": {"hostname": "dgx-01", "jobid": "11"}, "value": 1.0},
            ],
        },
    },
    "commands": {
        "squeue": {"rc": 0, "stdout": QUEUE, "stderr": ""},
        "sacct": {"rc": 0, "stdout": RECORDS, "stderr": ""},
        "scontrol show config": {"rc": 0, "stdout": SLURM_CONFIG, "stderr": ""},
        "scontrol show node": {"rc": 0, "stdout": SLURM_NODE, "stderr": ""},
    },
}
WORLDS = {
    "node": (NODE_EXPECTED, NODE_FACTS),
    "server": (SERVER_EXPECTED, SERVER_FACTS),
    "controller": (CONTROLLER_EXPECTED, CONTROLLER_FACTS),
}


def world(name: str) -> tuple[Json, Json]:
    """Copies of what a host's roles expect, and of its facts."""
    expected, facts = WORLDS[name]
    return copy.deepcopy(expected), copy.deepcopy(facts)


def findings(expected: Json, facts: Json) -> list[tuple[str, str, str]]:
    """Check, subject and what was seen of each check that failed."""
    outcomes = judge(complete(expected), facts, DEPLOY)
    return [(outcome.check, outcome.subject, outcome.seen) for outcome in outcomes if not outcome.ok]
