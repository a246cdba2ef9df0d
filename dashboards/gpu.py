# SPDX-License-Identifier: GPL-3.0-or-later
"""GPU: every GPU of the chosen nodes, from either exporter; what only DCGM tells in a row of its own."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from dashboards import parts
from dashboards.parts import Column, Query, Steps, graph, number, rows

UID = "superpod-gpu"

NODE = 'cluster="$cluster", hostname=~"$node"'
LEGEND = "{{hostname}} GPU {{gpu}}"


def dashboard() -> model.Dashboard:
    """The dashboard."""
    result = parts.dashboard(
        UID,
        "SuperPOD / GPU (DCGM)",
        "The GPUs of the chosen nodes. Works with dcgm-exporter and with nvidia_gpu_prometheus_exporter.",
        [
            parts.query_variable("cluster", "Cluster", "label_values(gpu:memory_total:bytes, cluster)", several=False),
            parts.query_variable(
                "node", "Node", 'label_values(gpu:memory_total:bytes{cluster="$cluster"}, hostname)', several=True
            ).all_value(".*"),
        ],
        hours=3,
    )
    for section in (_summary, _use, _engines, _health):
        result = section(result)
    return parts.finish(result)


def _summary(result: build.Dashboard) -> build.Dashboard:
    to_job = parts.data_link("Job ${__value.raw}", "superpod-job", {"cluster": "${cluster}", "job": "${__value.raw}"})
    return (
        result.with_row(build.Row("Now"))
        .with_panel(number("GPUs", parts.NUMBER, Query(f"count(gpu:jobs:count{{{NODE}}})"), width=4))
        .with_panel(number("GPUs with a job", parts.NUMBER, Query(f"sum(gpu:jobs:count{{{NODE}}} > bool 0)"), width=4))
        .with_panel(number("Utilisation", parts.RATIO, Query(f"avg(gpu:utilization:ratio{{{NODE}}})"), width=4))
        .with_panel(
            number(
                "Memory in use",
                parts.RATIO,
                Query(f"sum(gpu:memory_used:bytes{{{NODE}}}) / sum(gpu:memory_total:bytes{{{NODE}}})"),
                width=4,
            )
        )
        .with_panel(number("Power", parts.WATTS, Query(f"sum(gpu:power:watts{{{NODE}}})"), width=4))
        .with_panel(
            number(
                "Hottest GPU",
                parts.CELSIUS,
                Query(f"max(gpu:temperature:celsius{{{NODE}}})"),
                thresholds=Steps(parts.GREEN, ((80, parts.YELLOW), (85, parts.RED))),
                width=4,
            )
        )
        .with_panel(
            rows(
                "Who has which GPU",
                [
                    Column("hostname", "Node"),
                    Column("gpu", "GPU"),
                    Column("jobid", "Job", link=to_job),
                    Column("user", "User"),
                    Column("utilisation", "Utilisation", unit=parts.RATIO),
                    Column("memory", "Memory", unit=parts.BYTES),
                    Column("share", "Share of the GPU", unit=parts.RATIO),
                ],
                Query(
                    "max by (hostname, gpu, jobid, user) ("
                    f"job_gpu:utilization:ratio{{{NODE}}} * on (cluster, jobid) group_left (user) job:user:info)",
                    "utilisation",
                ),
                Query(f"sum by (hostname, gpu, jobid) (job_gpu:memory_used:bytes{{{NODE}}})", "memory"),
                Query(f"sum by (hostname, gpu, jobid) (job_gpu:share:ratio{{{NODE}}})", "share"),
                description="A GPU that several jobs share has a line for each of them, with the same use.",
            )
        )
    )


def _use(result: build.Dashboard) -> build.Dashboard:
    to_node = parts.data_link(
        "Node ${__field.labels.hostname}",
        "superpod-node",
        {"cluster": "${cluster}", "node": "${__field.labels.hostname}"},
    )
    return (
        result.with_row(build.Row("Use"))
        .with_panel(
            graph(
                "Utilisation over time",
                parts.RATIO,
                Query(f"gpu:utilization:ratio{{{NODE}}}", LEGEND),
                maximum=1,
                links=[to_node],
            )
        )
        .with_panel(
            graph(
                "Memory over time",
                parts.RATIO,
                Query(f"gpu:memory_used:bytes{{{NODE}}} / gpu:memory_total:bytes{{{NODE}}}", LEGEND),
                maximum=1,
                links=[to_node],
            )
        )
        .with_panel(
            graph(
                "Power over time",
                parts.WATTS,
                Query(f"gpu:power:watts{{{NODE}}}", LEGEND),
                stacked=True,
                links=[to_node],
            )
        )
        .with_panel(
            graph("Temperature", parts.CELSIUS, Query(f"gpu:temperature:celsius{{{NODE}}}", LEGEND), links=[to_node])
        )
        .with_panel(graph("Jobs on the GPU", parts.NUMBER, Query(f"gpu:jobs:count{{{NODE}}}", LEGEND), links=[to_node]))
        .with_panel(graph("SM clock", parts.HERTZ, Query(f"gpu:sm_clock:hertz{{{NODE}}}", LEGEND), links=[to_node]))
    )


def _engines(result: build.Dashboard) -> build.Dashboard:
    per_gpu = "max by (hostname, minor_number)"
    legend = "{{hostname}} GPU {{minor_number}}"
    return (
        result.with_row(build.Row("Profiling"))
        .with_panel(
            graph(
                "Any engine",
                parts.RATIO,
                Query(f"{per_gpu} (nvidia_gpu_graphics_util_percent{{{NODE}}})", legend),
                maximum=1,
                width=8,
            )
        )
        .with_panel(
            graph(
                "Tensor cores",
                parts.RATIO,
                Query(f"{per_gpu} (nvidia_gpu_any_tensor_util_percent{{{NODE}}})", legend),
                maximum=1,
                width=8,
            )
        )
        .with_panel(
            graph(
                "Memory bandwidth",
                parts.RATIO,
                Query(f"{per_gpu} (nvidia_gpu_dram_bw_util_percent{{{NODE}}})", legend),
                maximum=1,
                width=8,
            )
        )
    )


def _health(result: build.Dashboard) -> build.Dashboard:
    return (
        result.with_row(build.Row("Health"))
        .with_panel(
            graph(
                "Last XID code (DCGM)",
                parts.NUMBER,
                Query(f"gpu:xid:last{{{NODE}}}", LEGEND),
                description="0 for none. It stays until the driver is loaded again. Only dcgm-exporter tells it.",
            )
        )
        .with_panel(
            graph(
                "Uncorrectable ECC errors",
                parts.NUMBER,
                Query(f"gpu:ecc_uncorrected:errors{{{NODE}}}", LEGEND),
                description="Since the driver was loaded. dcgm-exporter: only with DCGM_FI_DEV_ECC_DBE_VOL_TOTAL.",
            )
        )
        .with_panel(
            graph(
                "Memory rows remapped for uncorrectable errors (DCGM)",
                parts.NUMBER,
                Query(f"gpu:remapped_uncorrectable:rows{{{NODE}}}", LEGEND),
            )
        )
        .with_panel(
            rows(
                "Alerts",
                [
                    Column("alertname", "Alert"),
                    Column("severity", "Severity"),
                    Column("alertstate", "State"),
                    Column("hostname", "Node"),
                    Column("gpu", "GPU"),
                ],
                Query(
                    f'max by (alertname, alertstate, severity, hostname, gpu) (ALERTS{{{NODE}, alertname=~"Gpu.*"}})',
                    "value",
                ),
                width=12,
            )
        )
    )
