# SPDX-License-Identifier: GPL-3.0-or-later
"""GPU: every GPU of the chosen nodes, from either exporter; what only DCGM tells in a row of its own."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models import dashboard as model

from dashboards import parts, shared
from dashboards.parts import Column, Query, Steps, graph, number, rows

UID = "superpod-gpu"

NODE = shared.ONE_CLUSTER
LEGEND = "{{hostname}} GPU {{gpu}}"


def dashboard() -> model.Dashboard:
    """The dashboard."""
    result = parts.dashboard(
        UID,
        "SuperPOD / GPU (DCGM)",
        "The GPUs of the chosen nodes. Works with dcgm-exporter and with nvidia_gpu_prometheus_exporter.",
        [
            shared.one_cluster("gpu:memory_total:bytes"),
            shared.nodes("gpu:memory_total:bytes"),
        ],
        hours=3,
    )
    return shared.assembled(result, [_summary, _use, _engines, _health])


def _summary(result: build.Dashboard) -> build.Dashboard:
    return (
        result.with_row(build.Row("Now"))
        .with_panel(shared.gpus(NODE, width=4))
        .with_panel(shared.gpus_with_a_job(NODE, width=4))
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
                    Column("jobid", "Job", link=shared.to_job()),
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
    def per_gpu(
        title: str, unit: str, series: str, *, maximum: float | None = None, stacked: bool = False
    ) -> timeseries.Panel:
        link = shared.to_node()
        return graph(title, unit, Query(series, LEGEND), maximum=maximum, stacked=stacked, links=[link])

    memory = f"gpu:memory_used:bytes{{{NODE}}} / gpu:memory_total:bytes{{{NODE}}}"
    return (
        result.with_row(build.Row("Use"))
        .with_panel(per_gpu("Utilisation over time", parts.RATIO, f"gpu:utilization:ratio{{{NODE}}}", maximum=1))
        .with_panel(per_gpu("Memory over time", parts.RATIO, memory, maximum=1))
        .with_panel(per_gpu("Power over time", parts.WATTS, f"gpu:power:watts{{{NODE}}}", stacked=True))
        .with_panel(per_gpu("Temperature", parts.CELSIUS, f"gpu:temperature:celsius{{{NODE}}}"))
        .with_panel(per_gpu("Jobs on the GPU", parts.NUMBER, f"gpu:jobs:count{{{NODE}}}"))
        .with_panel(per_gpu("SM clock", parts.HERTZ, f"gpu:sm_clock:hertz{{{NODE}}}"))
    )


def _engines(result: build.Dashboard) -> build.Dashboard:
    def share(title: str, metric: str) -> timeseries.Panel:
        asked = Query(f"max by (hostname, minor_number) ({metric}{{{NODE}}})", "{{hostname}} GPU {{minor_number}}")
        return graph(title, parts.RATIO, asked, maximum=1, width=8)

    return (
        result.with_row(build.Row("Profiling"))
        .with_panel(share("Any engine", "nvidia_gpu_graphics_util_percent"))
        .with_panel(share("Tensor cores", "nvidia_gpu_any_tensor_util_percent"))
        .with_panel(share("Memory bandwidth", "nvidia_gpu_dram_bw_util_percent"))
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
