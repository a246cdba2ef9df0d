# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that the playbook verify must find and name, in rounds that a site can have at the same time."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

TARGETS_DIR = "/cm/shared/apps/jobstats/prometheus-targets"
SHARED_HOOKS = "/cm/shared/apps/slurm/var/cm"
PROLOGS = "/cm/local/apps/slurm/var/prologs"
JOBSTATS = "/usr/local/jobstats"
SLURM_CONF = "/cm/shared/apps/slurm/var/etc/slurm/slurm.conf"
DASHBOARDS = "/etc/superpod-grafana/dashboards"
DATASOURCE = "/etc/grafana/provisioning/datasources/superpod.yml"
CERTIFICATES = "/cm/shared/apps/jobstats/certificate"
CGROUP_UNIT = "/etc/systemd/system/cgroup_exporter.service"
MONITOR = "bcm-role-monitor.service"
HEAD, CONTROLLER, LOGIN, PROMETHEUS = "bcm-head-01", "slurm-ctl-01", "login-01", "mon-01"
NODES = ("dgx-01", "dgx-02")

STOPPED = "role monitor stopped"
Found = tuple[str, str, str]
"""A line of the table: host, check, what it is of."""


@dataclass(frozen=True)
class Fault:
    """What breaks something on a host, what mends it, and the lines that verify must have because of it."""

    name: str
    host: str
    breaks: str
    mends: str
    finds: tuple[Found, ...]


@dataclass(frozen=True)
class Round:
    """Faults of the same time; after so many seconds Prometheus has noticed them, too."""

    name: str
    faults: tuple[Fault, ...]
    seconds: float = 0

    def script(self, host: str, mending: bool) -> str:
        """All that is to be done on a host, in the order of the faults, or to mend them in the other one.

        Says UNDONE with the name of a fault where a command fails.
        """
        faults = [fault for fault in self.faults if fault.host == host]
        # role monitors last: they may write again once everything else is as it was
        faults.sort(key=lambda fault: fault.name != STOPPED)
        chosen = (
            [(fault.name, fault.mends) for fault in faults[::-1]] if mending else [(f.name, f.breaks) for f in faults]
        )
        return "\n".join(f"({commands}\n) || echo {shlex.quote(f'UNDONE {name}')}" for name, commands in chosen) + "\n"

    @property
    def hosts(self) -> list[str]:
        """Where there is something to be broken."""
        return sorted({fault.host for fault in self.faults})


def of(host: str, *lines: tuple[str, str]) -> tuple[Found, ...]:
    """Lines about one host."""
    return tuple((host, check, subject) for check, subject in lines)


def unit(name: str, host: str) -> tuple[Found, ...]:
    return of(host, ("service_active", name))


def config(path: str, expression: str) -> tuple[str, str]:
    """Edit a file with sed, and put it back as it was, its time included."""
    return f"cp -a {path} {path}.kept && sed -i {expression!r} {path}", f"mv {path}.kept {path}"


def moved(path: str) -> tuple[str, str]:
    return f"mv {path} {path}.away", f"mv {path}.away {path}"


def restarting(service: str, breaks: str, mends: str) -> tuple[str, str]:
    """With a restart of the service, before and after."""
    restart = f"systemctl daemon-reload; systemctl restart {service}"
    return f"{breaks}; {restart}", f"{mends}; {restart}"


def mode(path: str, wrong: str, right: str) -> tuple[str, str]:
    return f"chmod {wrong} {path}", f"chmod {right} {path}"


def answering(port: int, body: str) -> str:
    """A program that answers every request with a text."""
    return (
        "import http.server\n"
        "class Answer(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        f"        self.send_response(200); self.end_headers(); self.wfile.write({body!r}.encode())\n"
        f"http.server.ThreadingHTTPServer(('', {port}), Answer).serve_forever()\n"
    )


def impostor(service: str, port: int, body: str) -> tuple[str, str]:
    """Have a service's unit run such a program instead."""
    drop_in = f"/run/systemd/system/{service}.d"
    program = f"/run/{service}.py"
    breaks = (
        f"mkdir -p {drop_in}; cat >{program} <<'END'\n{answering(port, body)}END\n"
        f"printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/python3 {program}\\nDynamicUser=no\\nUser=root\\n' "
        f">{drop_in}/impostor.conf; systemctl daemon-reload; systemctl restart {service}"
    )
    return breaks, f"rm -r {drop_in} {program}; systemctl daemon-reload; systemctl restart {service}"


def certificate(days: float) -> tuple[str, str]:
    """Put a certificate with so many days left in the place of the role monitor's; it is not BCM's."""
    path = "/etc/bcm-role-monitor/client.pem"
    program = (
        "import datetime as d, sys\n"
        "from cryptography import x509\n"
        "from cryptography.hazmat.primitives import hashes, serialization\n"
        "key = serialization.load_pem_private_key(open('/etc/bcm-role-monitor/client.key', 'rb').read(), None)\n"
        "name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'role-monitor')])\n"
        "now = d.datetime.now(d.timezone.utc)\n"
        "made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())\n"
        "made = made.serial_number(1).not_valid_before(now - d.timedelta(days=90))\n"
        f"made = made.not_valid_after(now + d.timedelta(days={days}))\n"
        f"open('{path}', 'wb').write(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))\n"
    )
    return f"cp -a {path} {path}.kept && python3 - <<'END'\n{program}END\n", f"mv {path}.kept {path}"


def commented(text: str) -> str:
    """Give the jobs in /root/comments another AdminComment."""
    update = (
        f'{SACCTMGR} -i update job where jobid=$job set AdminComment="{text}" </dev/null >/dev/null || [ ! "{text}" ]'
    )
    return f"while IFS='|' read -r job comment; do {update}; done </root/comments"


def stopped_monitor(host: str) -> Fault:
    """First in a round whose other faults it would mend."""
    return Fault(
        STOPPED,
        host,
        f"systemctl stop {MONITOR}",
        f"systemctl restart {MONITOR}",
        unit(MONITOR, host),
    )


STALE = json.dumps(
    [{"targets": ["dgx-99:9100"], "labels": {"cluster": "slurm", "hostname": "dgx-99", "job": "node_exporter"}}]
)
CLUSTER = 's/"cluster": "slurm"/"cluster": "other"/'
NVIDIA_SMI = "/usr/bin/nvidia-smi"
SACCTMGR = "/cm/local/apps/slurm/current/bin/sacctmgr"
CLOCK = "/usr/lib/python3/dist-packages/clock.pth"

NODES_ROUND = Round(
    "nodes",
    (
        stopped_monitor("dgx-01"),
        Fault(
            "role monitor without a success for an hour",
            "dgx-01",
            "touch -d '1 hour ago' /var/lib/bcm-role-monitor/dgx-01_state.json",
            "true",
            of("dgx-01", ("last_success", MONITOR)),
        ),
        Fault(
            "role monitor not started at boot",
            "dgx-01",
            f"systemctl disable -q {MONITOR}",
            f"systemctl enable -q {MONITOR}",
            of("dgx-01", ("service_enabled", MONITOR)),
        ),
        Fault(
            "exporter stopped",
            "dgx-01",
            "systemctl stop node_exporter",
            "systemctl start node_exporter",
            of(
                "dgx-01",
                ("service_active", "node_exporter.service"),
                ("port", "9100 (node_exporter)"),
                ("metrics", "node_exporter"),
                ("target_up", "node_exporter of dgx-01"),
            ),
        ),
        Fault(
            "exporter started at boot, whatever BCM says",
            "dgx-01",
            "systemctl enable -q cgroup_exporter",
            "systemctl disable -q cgroup_exporter",
            of("dgx-01", ("service_enabled", "cgroup_exporter.service")),
        ),
        Fault(
            "/run read-only",
            "dgx-01",
            "mount -t tmpfs -o ro tmpfs /run/gpustat",
            "umount /run/gpustat",
            of("dgx-01", ("directory_writable", "/run/gpustat")),
        ),
        stopped_monitor("dgx-02"),
        Fault(
            "another cluster in a target file",
            "dgx-02",
            f"sed -i '{CLUSTER}' {TARGETS_DIR}/dgx-02.json",
            "true",
            of("dgx-02", ("target_file", f"{TARGETS_DIR}/dgx-02.json")),
        ),
        Fault(
            "target file of a host that is gone",
            "dgx-02",
            f"echo '{STALE}' >{TARGETS_DIR}/dgx-99.json",
            f"rm {TARGETS_DIR}/dgx-99.json",
            (
                (PROMETHEUS, "target_file_stale", f"{TARGETS_DIR}/dgx-99.json"),
                ("dgx-99", "target_up", "node_exporter of dgx-99"),
            ),
        ),
        Fault(
            "target file that Prometheus cannot read",
            "dgx-02",
            f"echo '[{{' >{TARGETS_DIR}/switches.json",
            f"rm {TARGETS_DIR}/switches.json",
            of(PROMETHEUS, ("target_file", f"{TARGETS_DIR}/switches.json")),
        ),
        Fault(
            "nvidia-smi hangs",
            "dgx-02",
            f"{moved(NVIDIA_SMI)[0]}; printf '#!/bin/sh\\nsleep 60\\n' >{NVIDIA_SMI}; chmod 755 {NVIDIA_SMI}",
            moved(NVIDIA_SMI)[1],
            of("dgx-02", ("nvidia_smi", "nvidia-smi")),
        ),
        Fault(
            "private key that everybody can read",
            "dgx-02",
            *mode("/etc/bcm-role-monitor/client.key", "0644", "0600"),
            of("dgx-02", ("secret_permissions", "/etc/bcm-role-monitor/client.key")),
        ),
        Fault(
            "prolog's link missing",
            "dgx-02",
            f"rm {PROLOGS}/60-prolog-jobstats.sh",
            f"ln -s {SHARED_HOOKS}/prolog-jobstats.sh {PROLOGS}/60-prolog-jobstats.sh",
            of("dgx-02", ("job_hooks", f"{PROLOGS}/60-prolog-jobstats.sh")),
        ),
        Fault(
            "epilog not executable",
            "dgx-02",
            *mode(f"{SHARED_HOOKS}/epilog-jobstats.sh", "0644", "0755"),
            tuple((node, "job_hooks", f"{SHARED_HOOKS}/epilog-jobstats.sh") for node in NODES),
        ),
        Fault(
            "clock ahead",
            LOGIN,
            f"echo 'import time; time.time = lambda right=time.time: right() + 300' >{CLOCK}",
            f"rm {CLOCK}",
            of(LOGIN, ("clock", "time of day")),
        ),
    ),
    seconds=12,
)

EXPORTERS_ROUND = Round(
    "exporters and role monitors",
    (
        stopped_monitor("dgx-01"),
        Fault(
            "port taken by another program",
            "dgx-01",
            "systemctl stop cgroup_exporter; systemd-run -q --unit=thief python3 -m http.server 9306",
            "systemctl stop thief; systemctl start cgroup_exporter",
            of(
                "dgx-01",
                ("service_active", "cgroup_exporter.service"),
                ("port", "9306 (cgroup_exporter)"),
                ("metrics", "cgroup_exporter"),
                ("target_up", "cgroup_exporter of dgx-01"),
            ),
        ),
        Fault(
            "exporter that serves something else",
            "dgx-01",
            *impostor("node_exporter.service", 9100, "<html>It works!</html>"),
            of(
                "dgx-01",
                ("service_options", "node_exporter.service"),
                ("metrics", "node_exporter"),
                ("target_up", "node_exporter of dgx-01"),
            ),
        ),
        Fault(
            "configuration that the role monitor refuses",
            "dgx-01",
            *config("/etc/bcm-role-monitor/config.json", 's/"bcm_port": .*/"bcm_port": -1,/'),
            of(
                "dgx-01",
                ("role_monitor_config", "/etc/bcm-role-monitor/config.json"),
                ("role_monitor_config_valid", "/usr/local/bin/bcm_role_monitor.py --check-config"),
                ("bcm_answers", "/usr/local/bin/bcm_role_monitor.py --check-access"),
            ),
        ),
        Fault(
            "certificate that ends soon",
            "dgx-01",
            *certificate(5.5),
            of("dgx-01", ("certificate", "/etc/bcm-role-monitor/client.pem")),
        ),
        stopped_monitor("dgx-02"),
        Fault(
            "exporter that serves nothing",
            "dgx-02",
            *impostor("nvidia_gpu_prometheus_exporter.service", 9445, ""),
            of(
                "dgx-02",
                ("service_options", "nvidia_gpu_prometheus_exporter.service"),
                ("metrics", "nvidia_gpu_prometheus_exporter"),
                ("samples", "gpu_exporter of dgx-02"),
            ),
        ),
        Fault(
            "exporter with other options",
            "dgx-02",
            *restarting("cgroup_exporter", *config(CGROUP_UNIT, "s/listen-address=:9306/& --collect.fullslurm/")),
            of(
                "dgx-02",
                ("exporter_files", CGROUP_UNIT),
                ("service_options", "cgroup_exporter.service"),
            ),
        ),
        Fault(
            "certificate that has expired",
            "dgx-02",
            *certificate(-2),
            of(
                "dgx-02",
                ("certificate", "/etc/bcm-role-monitor/client.pem"),
                ("bcm_answers", "/usr/local/bin/bcm_role_monitor.py --check-access"),
            ),
        ),
        Fault(
            "role monitor's program changed",
            "dgx-02",
            *config("/usr/local/bin/bcm_role_monitor.py", "$ a # mine"),
            of("dgx-02", ("role_monitor_program", "/usr/local/bin/bcm_role_monitor.py")),
        ),
        Fault(
            "/run full",
            "dgx-02",
            "mount -t tmpfs -o size=4k,nr_inodes=1 tmpfs /run/gpustat",
            "umount /run/gpustat",
            of("dgx-02", ("directory_writable", "/run/gpustat")),
        ),
        Fault(
            "unit changed without systemd knowing",
            "dgx-02",
            *config("/etc/systemd/system/node_exporter.service", "$ a # mine"),
            of(
                "dgx-02",
                ("exporter_files", "/etc/systemd/system/node_exporter.service"),
                ("service_reread", "node_exporter.service"),
            ),
        ),
        Fault(
            "epilog changed",
            "dgx-02",
            *config(f"{SHARED_HOOKS}/epilog-jobstats.sh", "$ a # mine"),
            tuple((node, "job_hooks", f"{SHARED_HOOKS}/epilog-jobstats.sh") for node in NODES),
        ),
        Fault(
            "jobs without their summary",
            CONTROLLER,
            f"sacct -anXP -S now-2hours -o jobidraw,admincomment >/root/comments; {commented('lost')}",
            f"{commented('$comment')}; rm /root/comments",
            of(CONTROLLER, ("job_summary", "AdminComment")),
        ),
        Fault(
            "the made key's directory open to everybody",
            HEAD,
            *mode(CERTIFICATES, "0755", "0700"),
            of(HEAD, ("certificate_dir", CERTIFICATES)),
        ),
    ),
    seconds=8,
)

SERVERS_ROUND = Round(
    "servers and Slurm",
    (
        stopped_monitor("dgx-01"),
        Fault(
            "target file missing",
            "dgx-01",
            f"rm {TARGETS_DIR}/dgx-01.json",
            "true",
            of("dgx-01", ("target_file", f"{TARGETS_DIR}/dgx-01.json")),
        ),
        Fault(
            "file, exporters and state of a node without the role",
            "dgx-02",
            f"systemctl kill -s STOP {MONITOR}",
            f"systemctl kill -s CONT {MONITOR}",
            of(
                "dgx-02",
                ("target_file", f"{TARGETS_DIR}/dgx-02.json"),
                ("state", MONITOR),
                *(
                    ("service_active", f"{name}.service")
                    for name in ("node_exporter", "cgroup_exporter", "nvidia_gpu_prometheus_exporter")
                ),
            ),
        ),
        Fault(
            "Prometheus' configuration changed, and not loaded",
            PROMETHEUS,
            *config("/etc/prometheus/prometheus.yml", "$ a # mine"),
            of(
                PROMETHEUS,
                ("prometheus_config", "/etc/prometheus/prometheus.yml"),
                ("config_loaded", "http://localhost:9090"),
            ),
        ),
        Fault(
            "rules missing",
            PROMETHEUS,
            *moved("/etc/prometheus/rules/alerts.yml"),
            of(PROMETHEUS, ("rule_files", "/etc/prometheus/rules/alerts.yml")),
        ),
        Fault(
            "data source with another URL",
            PROMETHEUS,
            *restarting("grafana-server", *config(DATASOURCE, "s#url: .*#url: http://mon-01:9099#")),
            of(
                PROMETHEUS,
                ("datasource_file", DATASOURCE),
                ("datasource", "superpod-prometheus"),
                ("datasource_answers", "superpod-prometheus"),
            ),
        ),
        Fault(
            "dashboard missing",
            PROMETHEUS,
            *restarting("grafana-server", *moved(f"{DASHBOARDS}/superpod-gpu.json")),
            of(PROMETHEUS, ("dashboard_files", f"{DASHBOARDS}/superpod-gpu.json"), ("dashboard", "superpod-gpu")),
        ),
        Fault(
            "jobstats missing on the controller",
            CONTROLLER,
            *moved(JOBSTATS),
            of(CONTROLLER, ("jobstats", f"{JOBSTATS}/jobstats --help"), ("jobstats_config", f"{JOBSTATS}/config.py")),
        ),
        Fault(
            "job summaries for another cluster",
            CONTROLLER,
            *config("/etc/jobstats/epilogslurmctld-slurm.conf", "s/^cluster=.*/cluster=other/"),
            of(CONTROLLER, ("epilog_settings", "/etc/jobstats/epilogslurmctld-slurm.conf")),
        ),
        Fault(
            "job summaries' program not executable",
            CONTROLLER,
            *mode("/usr/local/sbin/epilogslurmctld-slurm.sh", "0644", "0755"),
            of(CONTROLLER, ("epilog_program", "/usr/local/sbin/epilogslurmctld-slurm.sh")),
        ),
        Fault(
            "jobs not counted by their cgroups, and a node without GPUs",
            CONTROLLER,
            f"cp -a {SLURM_CONF} {SLURM_CONF}.kept; "
            f"sed -i 's/^JobAcctGatherType=.*//; s/^\\(NodeName=dgx-01 .*\\) Gres=.*/\\1/' {SLURM_CONF}; "
            "systemctl restart slurmctld",
            "true",  # BCM's part writes its section anew; see the round's end
            of(CONTROLLER, ("slurm_setting", "JobAcctGatherType")) + of("dgx-01", ("slurm_node", "dgx-01")),
        ),
        Fault(
            "jobstats broken on the login node",
            LOGIN,
            *config(f"{JOBSTATS}/jobstats", "1 a raise SystemExit(3)"),
            of(LOGIN, ("jobstats", "/usr/local/bin/jobstats --help")),
        ),
        Fault(
            "jobstats not a command any more",
            LOGIN,
            "chmod 0744 /usr/local/bin/jobstats",
            "chmod 0755 /usr/local/bin/jobstats",
            of(LOGIN, ("jobstats_command", "/usr/local/bin/jobstats")),
        ),
    ),
    seconds=12,
)

AWAY_ROUND = Round(
    "away",
    (
        Fault(
            "Prometheus stopped",
            PROMETHEUS,
            "systemctl stop prometheus",
            "systemctl start prometheus; until curl -sf localhost:9090/-/ready; do sleep 0.5; done",
            of(
                PROMETHEUS,
                ("service_active", "prometheus.service"),
                ("port", "9090 (Prometheus)"),
                ("prometheus_answers", "http://localhost:9090"),
                ("datasource_answers", "superpod-prometheus"),
            )
            + tuple((host, "prometheus_from_here", "http://mon-01:9090") for host in (CONTROLLER, LOGIN)),
        ),
        Fault(
            "accounting away",
            CONTROLLER,
            "systemctl stop slurmdbd",
            "systemctl start slurmdbd",
            tuple((host, "accounting", "sacct") for host in (CONTROLLER, LOGIN)),
        ),
        Fault(
            "role monitor masked",
            "dgx-02",
            f"mv /etc/systemd/system/{MONITOR} /root/; systemctl mask -q {MONITOR}",
            f"systemctl unmask -q {MONITOR}; mv /root/{MONITOR} /etc/systemd/system/; systemctl enable -q {MONITOR}",
            of("dgx-02", ("service_active", MONITOR), ("role_monitor_unit", f"/etc/systemd/system/{MONITOR}")),
        ),
        Fault(
            "host that ssh does not reach",
            "dgx-01",
            "systemctl stop ssh; pkill -x sshd; true",  # Ansible keeps connections
            "systemctl start ssh",
            of("dgx-01", ("reachable", "")),
        ),
    ),
)
