# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guided setup asks, section by section, with defaults from what was found.  Pure data and decisions."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from .setup_findings import Host, matching, members, not_shared
from .setup_model import Context, Question, Refused, Section, Value, always

TARGETS_DIR = "/cm/shared/apps/jobstats/prometheus-targets"
PROMETHEUS = frozenset(("prometheus",))
GRAFANA = frozenset(("grafana", "grafana-server"))

_MONITORING_NAMES = ("prometheus*", "mon*", "metrics*", "grafana*", "obs*")
_PORTS_ON_DGX = ("node_exporter_port", "cgroup_exporter_port", "nvidia_gpu_exporter_port", "dcgm_exporter_port")
_SERVERS = {"prometheus_servers": "prometheus_port", "grafana_servers": "grafana_port"}


# --- defaults ---


def _default_dgx(context: Context) -> Value:
    hosts = context.findings.hosts
    if matching("category:dgx*", hosts):
        return ["category:dgx*"]
    categories = dict.fromkeys(host.category for host in matching("role:slurmclient", hosts) if host.category)
    return [f"category:{name}" for name in categories] or None


def _default_instance(context: Context) -> Value:
    names = context.findings.slurm_instances
    return names[0] if len(names) == 1 else "slurm" if not names or "slurm" in names else None


def _default_role(role: str) -> Callable[[Context], Value]:
    return lambda context: [f"role:{role}"] if matching(f"role:{role}", context.findings.hosts) else []


def _monitoring_host(context: Context) -> Value:
    """The first host that by its category, else by its name, is there for monitoring."""
    hosts = [host for host in context.findings.hosts if host not in context.members("dgx_nodes")]
    for prefix in ("category:", ""):
        found = members([prefix + glob for glob in _MONITORING_NAMES], hosts)
        if found:
            return [found[0].name]
    return None


def _mode(programs: frozenset[str]) -> Callable[[Context], Value]:
    return lambda context: "existing" if context.findings.running(programs) else "new"


def _found_url(programs: frozenset[str]) -> Callable[[Context], Value]:
    def default(context: Context) -> Value:
        found = context.findings.running(programs)
        return f"http://{found[0][0]}:{found[0][1].port}" if found else None

    return default


def _host_of_url(context: Context) -> Value:
    host = urlsplit(context.get("prometheus_url") or "").hostname
    return [known.name for known in context.findings.hosts if host and host in (known.name, known.ip)][:1]


def _grafana_host(context: Context) -> Value:
    return context.get("prometheus_servers") or _monitoring_host(context)


# --- checks ---


def _known_hosts(*, needed: bool) -> Callable[[Context, Value], str | None]:
    def check(context: Context, value: Value) -> str | None:
        hosts = context.findings.hosts
        for pattern in value:
            if not matching(pattern, hosts):
                return _unknown(pattern, [host.name for host in hosts])
        return "at least one host is needed" if needed and not value else None

    return check


def _unknown(pattern: str, names: Iterable[str]) -> str:
    kind, colon, name = pattern.partition(":")
    if colon and kind in ("category", "role"):
        return f"BCM has no host whose {kind} is {name}"
    near = difflib.get_close_matches(pattern, list(names), n=1)
    return f"BCM has no host {pattern}" + (f"; did you mean {near[0]}" if near else "")


def _server_host(context: Context, value: Value) -> str | None:
    reason = _known_hosts(needed=True)(context, value)
    heads = [host.name for host in members(value, context.findings.hosts) if host.type == "HeadNode"]
    if reason is None and heads and len(context.findings.headnodes) > 1:
        return f"{heads[0]} is one of two head nodes, and monitoring should outlive a failover; name another host"
    return reason


def _in_range(value: Value) -> str | None:
    return None if 0 < value < 65536 else f"{value} is no port; ports go from 1 to 65535"


def _free_on_dgx(key: str) -> Callable[[Context, Value], str | None]:
    def check(context: Context, value: Value) -> str | None:
        taken = next((other for other in _PORTS_ON_DGX if other != key and context.get(other) == value), None)
        if taken:
            return f"port {value} is already taken by {taken}"
        return _in_range(value) or _in_use(context, context.members("dgx_nodes"), value, try_others=False)

    return check


def _free_on(servers: str) -> Callable[[Context, Value], str | None]:
    def check(context: Context, value: Value) -> str | None:
        mine = context.members(servers)
        for other, port in _SERVERS.items():
            both = [host.name for host in context.members(other) if host in mine] if other != servers else []
            if both and context.get(port) == value:
                return f"port {value} of {both[0]} is already taken by {port}"
        dgx = [host.name for host in context.members("dgx_nodes") if host in mine]
        taken = next((key for key in _PORTS_ON_DGX if context.get(key) == value), None)
        if dgx and taken:
            return f"port {value} of {dgx[0]} is already taken by {taken}"
        return _in_range(value) or _in_use(context, mine, value, try_others=True)

    return check


def _in_use(context: Context, hosts: Iterable[Host], port: int, *, try_others: bool) -> str | None:
    for host in hosts:
        seen = context.findings.on(host.name)
        listener = seen.listener(port)
        if listener is not None and not listener.ours:
            return f"port {port} of {host.name} is in use by {listener.program}; choose another"
        if seen.problem is not None and try_others and context.world.listens(host, port):
            return f"port {port} of {host.name} is in use by an unknown program; choose another"
    return None


def _answers_like_prometheus(context: Context, value: Value) -> str | None:
    try:
        status, body = context.world.get(f"{value}/api/v1/status/buildinfo")
    except Refused as refused:
        return f"no Prometheus answers at {value}: {refused}"
    if status in (401, 403):
        return f"{value} asks for a password ({status}), which jobstats cannot give; name an address without one"
    if status != 200 or not isinstance(body, dict) or body.get("status") != "success":
        return f"what answers at {value} is no Prometheus (status {status})"
    return None


def _answers_like_grafana(context: Context, value: Value) -> str | None:
    try:
        status, body = context.world.get(f"{value}/api/health")
    except Refused as refused:
        return f"no Grafana answers at {value}: {refused}"
    if status != 200 or not isinstance(body, dict) or "database" not in body:
        return f"what answers at {value} is no Grafana (status {status})"
    return None


def _grafana_lets_in(context: Context, value: Value) -> str | None:
    url, user = context.get("grafana_url"), context.get("grafana_admin_user")
    if not url or not user:
        return None  # that is refused by itself
    try:
        status, _body = context.world.get(f"{url}/api/org", user=user, password=value)
    except Refused as refused:
        return f"no Grafana answers at {url}: {refused}"
    if status in (401, 403):
        return f"Grafana at {url} does not accept this password of {user} ({status})"
    return None if status == 200 else f"Grafana at {url} answers {status} to {user}"


def _seen_by_all(context: Context, value: Value) -> str | None:
    readers = context.members("prometheus_servers") if context.get("prometheus") == "new" else []
    names = [host.name for host in [*context.members("dgx_nodes"), *readers] if host.name in context.findings.seen]
    return not_shared(value, context.findings, dict.fromkeys(names))


def _at_least_a_day(context: Context, value: Value) -> str | None:
    return None if 1 <= value <= 36500 else f"{value} days are not between 1 and 36500"


# --- when a question is asked ---


def _is(key: str, *values: Value) -> Callable[[Context], bool]:
    return lambda context: context.get(key) in values


_NEW_EXISTING_SKIP = {
    "new": "install it",
    "existing": "use one that runs already",
    "skip": "leave it out",
}
_CATEGORY_HELP = "names or globs, category:GLOB, role:NAME; several with commas"


SECTIONS: tuple[Section, ...] = (
    Section(
        "overview",
        "Overview",
        "Which cluster this is, and which of BCM's hosts are what.",
        (
            Question(
                "cluster_name",
                "text",
                "Slurm's ClusterName. jobstats finds a job's series by it, so it must be the same in both.",
                default=lambda context: context.findings.cluster_name,
            ),
            Question(
                "headnodes",
                "hosts",
                "BCM's head nodes, in the order in which they are asked.",
                default=lambda context: list(context.findings.headnodes) or None,
                check=_known_hosts(needed=True),
                routine=always,
            ),
            Question(
                "dgx_nodes",
                "hosts",
                f"The nodes whose jobs are measured ({_CATEGORY_HELP}).",
                default=_default_dgx,
                check=_known_hosts(needed=True),
            ),
            Question(
                "slurm_instance",
                "text",
                "Name of the Slurm instance in BCM (cmsh -c 'wlm; list').",
                default=_default_instance,
                routine=always,
            ),
            Question(
                "slurm_controllers",
                "hosts",
                "Where slurmctld runs; none leaves Slurm alone.",
                default=_default_role("slurmserver"),
                check=_known_hosts(needed=False),
            ),
            Question(
                "login_nodes",
                "hosts",
                "Where users shall find the jobstats command; none leaves it out.",
                default=_default_role("slurmsubmit"),
                check=_known_hosts(needed=False),
            ),
        ),
    ),
    Section(
        "cpu",
        "CPU job statistics",
        "Slurm confines each job to a cgroup, from which cgroup_exporter on the DGX nodes reads its CPU and memory.",
        (
            Question(
                "configure_slurm",
                "yes_no",
                "Have BCM constrain jobs to their cores and memory? Else there is nothing to read.",
                default=lambda context: True,
                applies=lambda context: bool(context.get("slurm_controllers")),
            ),
            Question(
                "cgroup_exporter_port",
                "number",
                "TCP port of cgroup_exporter on the DGX nodes.",
                default=lambda context: 9306,
                check=_free_on_dgx("cgroup_exporter_port"),
                routine=always,
            ),
        ),
    ),
    Section(
        "gpu",
        "GPU job statistics",
        "An exporter reads the GPUs; Slurm's prolog and epilog tell it whose job each GPU belongs to.",
        (
            Question(
                "gpu_exporter",
                "choice",
                "Which exporter reads the GPUs? Both of them serve jobstats.",
                default=lambda context: "jobstats",
                choices={
                    "jobstats": "nvidia_gpu_prometheus_exporter, which jobstats was made for",
                    "dcgm": "NVIDIA's dcgm-exporter over the running nvidia-dcgm service: more metrics",
                    "none": "no GPU metrics",
                },
            ),
            Question(
                "nvidia_gpu_exporter_port",
                "number",
                "TCP port of nvidia_gpu_prometheus_exporter on the DGX nodes.",
                default=lambda context: 9445,
                check=_free_on_dgx("nvidia_gpu_exporter_port"),
                applies=_is("gpu_exporter", "jobstats"),
                routine=always,
            ),
            Question(
                "dcgm_exporter_port",
                "number",
                "TCP port of dcgm-exporter on the DGX nodes.",
                default=lambda context: 9400,
                check=_free_on_dgx("dcgm_exporter_port"),
                applies=_is("gpu_exporter", "dcgm"),
                routine=always,
            ),
            Question(
                "job_hooks",
                "yes_no",
                "Install prolog and epilog, so that GPU metrics carry the job's number?",
                default=lambda context: True,
                applies=_is("gpu_exporter", "jobstats", "dcgm"),
            ),
        ),
    ),
    Section(
        "node",
        "Node statistics",
        "node_exporter on the DGX nodes: what the whole node does.",
        (
            Question(
                "node_exporter_port",
                "number",
                "TCP port of node_exporter on the DGX nodes.",
                default=lambda context: 9100,
                check=_free_on_dgx("node_exporter_port"),
                routine=always,
            ),
        ),
    ),
    Section(
        "summaries",
        "Job summaries",
        "At a job's end the controller can store jobstats' summary with the job, so that it outlives Prometheus' data.",
        (
            Question(
                "job_summaries",
                "yes_no",
                "Store a summary of each job (EpilogSlurmctld, set through BCM)?",
                default=lambda context: True,
                applies=lambda context: bool(context.get("slurm_controllers")),
            ),
        ),
    ),
    Section(
        "prometheus",
        "Prometheus",
        "The database of all metrics.",
        (
            Question(
                "prometheus",
                "choice",
                "Install a Prometheus server, use one that there is, or leave it out?",
                default=_mode(PROMETHEUS),
                choices=_NEW_EXISTING_SKIP,
            ),
            Question(
                "prometheus_servers",
                "hosts",
                "The host to install it on; the same host may serve other purposes, too.",
                default=_monitoring_host,
                check=_server_host,
                applies=_is("prometheus", "new"),
            ),
            Question(
                "prometheus_port",
                "number",
                "Its TCP port.",
                default=lambda context: 9090,
                check=_free_on("prometheus_servers"),
                applies=_is("prometheus", "new"),
                routine=always,
            ),
            Question(
                "prometheus_url",
                "url",
                "Address of the Prometheus server there is, as the login nodes reach it.",
                default=_found_url(PROMETHEUS),
                check=_answers_like_prometheus,
                applies=_is("prometheus", "existing"),
            ),
            Question(
                "prometheus_host",
                "hosts",
                "Which of BCM's hosts it runs on, where the scrape job is left for it; none if it is elsewhere.",
                default=_host_of_url,
                check=_known_hosts(needed=False),
                applies=_is("prometheus", "existing"),
                routine=always,
            ),
            Question(
                "prometheus_retention_days",
                "number",
                "For how many days are metrics kept?",
                default=lambda context: 365,
                check=_at_least_a_day,
                applies=_is("prometheus", "new", "existing"),
                routine=always,
            ),
        ),
    ),
    Section(
        "grafana",
        "Grafana",
        "The dashboards.",
        (
            Question(
                "grafana",
                "choice",
                "Install a Grafana server, use one that there is, or leave it out?",
                default=_mode(GRAFANA),
                choices=_NEW_EXISTING_SKIP,
            ),
            Question(
                "grafana_servers",
                "hosts",
                "The host to install it on; it may be Prometheus' host.",
                default=_grafana_host,
                check=_server_host,
                applies=_is("grafana", "new"),
            ),
            Question(
                "grafana_port",
                "number",
                "Its TCP port.",
                default=lambda context: 3000,
                check=_free_on("grafana_servers"),
                applies=_is("grafana", "new"),
                routine=always,
            ),
            Question(
                "grafana_url",
                "url",
                "Address of the Grafana server there is.",
                default=_found_url(GRAFANA),
                check=_answers_like_grafana,
                applies=_is("grafana", "existing"),
            ),
            Question(
                "configure_grafana",
                "yes_no",
                "Put datasource and dashboards into it? That needs its administrator's password.",
                default=lambda context: False,
                applies=_is("grafana", "existing"),
            ),
            Question(
                "grafana_admin_user",
                "text",
                "Name of its administrator.",
                default=lambda context: "admin",
                applies=_is("configure_grafana", True),
                routine=always,
            ),
            Question(
                "grafana_admin_password",
                "secret",
                "Its administrator's password; it goes to a file that only you can read.",
                check=_grafana_lets_in,
                applies=_is("configure_grafana", True),
            ),
        ),
    ),
    Section(
        "ondemand",
        "Open OnDemand",
        "Open OnDemand can link each job to its dashboard. That is set up in Open OnDemand itself.",
        (
            Question(
                "open_ondemand",
                "yes_no",
                "Add notes on that to the list of what is left to do?",
                default=lambda context: False,
            ),
        ),
    ),
    Section(
        "jobstats",
        "The jobstats command",
        "jobstats JOBID shows users what a job has used.",
        (
            Question(
                "jobstats_command",
                "yes_no",
                "Install jobstats on the login nodes?",
                default=lambda context: context.get("prometheus") != "skip",
                applies=lambda context: bool(context.get("login_nodes")),
            ),
        ),
    ),
    Section(
        "role_monitor",
        "BCM role monitor",
        "A daemon on each DGX node: while BCM gives it the role slurmclient, exporters run and are scraped.",
        (
            Question(
                "deploy_bcm_role_monitor",
                "yes_no",
                "Install it? Without it the exporters always run, and the list of targets changes with each run only.",
                default=lambda context: True,
            ),
            Question(
                "use_custom_prometheus_targets_dir",
                "yes_no",
                f"Shall the target files go to another directory than {TARGETS_DIR}?",
                default=lambda context: context.get("prometheus") == "existing",
            ),
            Question(
                "prometheus_targets_dir",
                "path",
                "That directory: every DGX node writes a file there, Prometheus reads them all.",
                default=lambda context: TARGETS_DIR,
                check=_seen_by_all,
                routine=lambda context: context.get("use_custom_prometheus_targets_dir") is False,
            ),
        ),
    ),
    Section(
        "imaging",
        "BCM imaging",
        "Nodes are reinstalled from software images, so what is installed must get into these.",
        (
            Question(
                "bcm_category_management",
                "yes_no",
                "List BCM's software images as hosts, too, so that --limit bcm_images can install into them?",
                default=lambda context: False,
            ),
        ),
    ),
)

QUESTIONS: dict[str, Question] = {question.key: question for section in SECTIONS for question in section.questions}
