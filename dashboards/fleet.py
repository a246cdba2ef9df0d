# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleet: what all nodes of one or several clusters do, and who leaves GPUs idle."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from dashboards import parts, shared
from dashboards.parts import Column, Query, bars, graph, number, rows

UID = "superpod-fleet"

FLEET = shared.ALL_CLUSTERS
USER = "* on (cluster, jobid) group_left (user) job:user:info"


def dashboard() -> model.Dashboard:
    """The dashboard."""
    result = parts.dashboard(
        UID,
        "SuperPOD / Fleet",
        "Utilisation of the whole SuperPOD, idle GPUs and whose they are, drift between BCM and Prometheus.",
        [
            shared.clusters(),
        ],
        hours=24,
    )
    return shared.assembled(result, [_summary, _over_time, _waste, _drift])


def _summary(result: build.Dashboard) -> build.Dashboard:
    return (
        result.with_row(build.Row("Now"))
        .with_panel(number("Nodes", parts.NUMBER, Query(f'sum(up{{job="node_exporter", {FLEET}}})')))
        .with_panel(
            number("Jobs", parts.NUMBER, Query(f"count(count by (cluster, jobid) (job_node:cpus:count{{{FLEET}}}))"))
        )
        .with_panel(shared.gpus(FLEET, width=3))
        .with_panel(shared.gpus_with_a_job(FLEET, width=3))
        .with_panel(number("GPUs free", parts.NUMBER, Query(f"sum(gpu:jobs:count{{{FLEET}}} == bool 0)")))
        .with_panel(
            number(
                "Utilisation",
                parts.RATIO,
                Query(f"avg(gpu:utilization:ratio{{{FLEET}}})"),
                description="Average of all GPUs, with and without a job.",
            )
        )
        .with_panel(
            number(
                "Given but idle",
                parts.NUMBER,
                Query(f"sum(job:gpus_idle:sum{{{FLEET}}})"),
                description="The unused part of each GPU that a job has, added up. A shared GPU counts once.",
                decimals=1,
            )
        )
        .with_panel(number("GPU power", parts.WATTS, Query(f"sum(gpu:power:watts{{{FLEET}}})")))
    )


def _over_time(result: build.Dashboard) -> build.Dashboard:
    return (
        result.with_row(build.Row("Over time"))
        .with_panel(
            graph(
                "GPUs over time",
                parts.NUMBER,
                Query(f"count by (cluster) (gpu:jobs:count{{{FLEET}}})", "{{cluster}} all"),
                Query(f"sum by (cluster) (gpu:jobs:count{{{FLEET}}} > bool 0)", "{{cluster}} with a job"),
                Query(f"sum by (cluster) (gpu:utilization:ratio{{{FLEET}}})", "{{cluster}} busy"),
                description="Busy: the utilisation of all GPUs added up. A shared GPU counts once.",
            )
        )
        .with_panel(
            graph(
                "GPU memory in use",
                parts.RATIO,
                Query(
                    f"sum by (cluster) (gpu:memory_used:bytes{{{FLEET}}})"
                    f" / sum by (cluster) (gpu:memory_total:bytes{{{FLEET}}})",
                    "{{cluster}}",
                ),
                maximum=1,
                width=6,
            )
        )
        .with_panel(
            graph(
                "GPU power over time",
                parts.WATTS,
                Query(f"sum by (cluster) (gpu:power:watts{{{FLEET}}})", "{{cluster}}"),
                stacked=True,
                width=6,
            )
        )
        .with_panel(
            graph(
                "CPU cores",
                parts.NUMBER,
                Query(f"sum by (cluster) (job_node:cpus:count{{{FLEET}}})", "{{cluster}} given to jobs"),
                Query(f"sum by (cluster) (job_node:cpu_usage:cores{{{FLEET}}})", "{{cluster}} used by jobs"),
            )
        )
        .with_panel(
            graph(
                "Jobs over time",
                parts.NUMBER,
                Query(
                    f"count by (cluster) (count by (cluster, jobid) (job_node:cpus:count{{{FLEET}}}))",
                    "{{cluster}} all",
                ),
                Query(f"count by (cluster) (job:gpus:sum{{{FLEET}}})", "{{cluster}} with GPUs"),
            )
        )
    )


def _waste(result: build.Dashboard) -> build.Dashboard:
    to_job = shared.to_job(cluster="${__data.fields.Cluster}")
    to_node = shared.to_node(shared.CLUSTER_OF_SERIES)
    return (
        result.with_row(build.Row("Idle GPUs"))
        .with_panel(
            bars(
                "Users with the most idle GPU hours",
                parts.HOURS,
                Query(
                    f"topk(10, sum by (cluster, user) (sum_over_time(user:gpus_idle:sum{{{FLEET}}}[$__range])))"
                    f" * {parts.HOURS_PER_SAMPLE}",
                    "{{user}} ({{cluster}})",
                ),
                description="GPU time that their jobs were given and did not use, within the time shown.",
            )
        )
        .with_panel(
            bars(
                "Least used nodes",
                parts.RATIO,
                Query(
                    "bottomk(10, avg by (cluster, hostname) ("
                    f"avg_over_time(gpu:utilization:ratio{{{FLEET}}}[$__range])))",
                    "{{hostname}} ({{cluster}})",
                ),
                description="Average of all GPUs of the node over the time shown.",
                maximum=1,
                links=[to_node],
            )
        )
        .with_panel(
            rows(
                "Jobs with the most idle GPUs",
                [
                    Column("cluster", "Cluster"),
                    Column("jobid", "Job", link=to_job),
                    Column("user", "User"),
                    Column("idle", "GPUs idle"),
                    Column("gpus", "GPUs"),
                    Column("utilisation", "Utilisation", unit=parts.RATIO),
                ],
                Query(f"topk(20, job:gpus_idle:sum{{{FLEET}}} {USER})", "idle"),
                Query(f"sum by (cluster, jobid) (job:gpus:sum{{{FLEET}}})", "gpus"),
                Query(f"sum by (cluster, jobid) (job:gpu_utilization:ratio{{{FLEET}}})", "utilisation"),
            )
        )
    )


def _drift(result: build.Dashboard) -> build.Dashboard:
    drift = "NodeInBcmNotScraped|NodeScrapedNotInBcm|TargetFileStale|NodeUnreachable"
    return (
        result.with_row(build.Row("Drift between BCM and Prometheus"))
        .with_panel(
            graph(
                "Nodes in BCM and in Prometheus",
                parts.NUMBER,
                Query(
                    f"sum by (cluster) (max by (cluster, hostname) (bcm_role_monitor_role_held{{{FLEET}}}))",
                    "{{cluster}} with the role in BCM",
                ),
                Query(
                    "count by (cluster) (count by (cluster, hostname) ("
                    f'up{{{FLEET}, job=~"cgroup_exporter|gpu_exporter|dcgm_exporter"}}))',
                    "{{cluster}} scraped",
                ),
                description="As the nodes' role monitors say. The two lines should be one.",
            )
        )
        .with_panel(
            rows(
                "Nodes that differ",
                [
                    Column("cluster", "Cluster"),
                    Column("hostname", "Node"),
                    Column("alertname", "Alert"),
                    Column("alertstate", "State"),
                ],
                Query(
                    f'max by (cluster, hostname, alertname, alertstate) (ALERTS{{{FLEET}, alertname=~"{drift}"}})',
                    "value",
                ),
                width=12,
            )
        )
    )
