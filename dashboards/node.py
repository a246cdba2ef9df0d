# SPDX-License-Identifier: GPL-3.0-or-later
"""Node: one DGX node, or several side by side."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from dashboards import parts, shared
from dashboards.parts import Column, Query, graph, number, rows

UID = "superpod-node"

NODE = shared.ONE_CLUSTER
BUSY = 'mode!="idle"'
REAL_DEVICES = 'device!~"lo|veth.*|ifb.*|docker.*|br-.*|virbr.*"'
REAL_DISKS = 'device!~"zram.*|loop.*|ram.*|dm-.*"'
REAL_FILESYSTEMS = 'fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660"'


def dashboard() -> model.Dashboard:
    """The dashboard."""
    result = parts.dashboard(
        UID,
        "SuperPOD / Node",
        "CPU, memory, network, disks, GPUs and jobs of a node.",
        [
            shared.one_cluster("node_uname_info"),
            shared.nodes("node_uname_info"),
        ],
        hours=3,
    )
    return shared.assembled(result, [_summary, _system, _gpus])


def _summary(result: build.Dashboard) -> build.Dashboard:
    with_user = "* on (cluster, jobid) group_left (user) job:user:info"
    return (
        result.with_row(build.Row("Now"))
        .with_panel(number("Nodes", parts.NUMBER, Query(f"count(node_uname_info{{{NODE}}})"), width=4))
        .with_panel(
            number(
                "CPU busy",
                parts.RATIO,
                Query(f'1 - avg(rate(node_cpu_seconds_total{{{NODE}, mode="idle"}}[$__rate_interval]))'),
                width=4,
            )
        )
        .with_panel(
            number(
                "Memory in use",
                parts.RATIO,
                Query(f"1 - sum(node_memory_MemAvailable_bytes{{{NODE}}}) / sum(node_memory_MemTotal_bytes{{{NODE}}})"),
                width=4,
            )
        )
        .with_panel(shared.gpus(NODE, width=4))
        .with_panel(shared.gpus_with_a_job(NODE, width=4))
        .with_panel(
            number("Jobs", parts.NUMBER, Query(f"count(count by (jobid) (job_node:cpus:count{{{NODE}}}))"), width=4)
        )
        .with_panel(
            rows(
                "Jobs on these nodes",
                [
                    Column("hostname", "Node"),
                    Column("jobid", "Job", link=shared.to_job()),
                    Column("user", "User"),
                    Column("cpus", "CPUs"),
                    Column("cores", "CPUs used"),
                    Column("memory", "Memory", unit=parts.BYTES),
                    Column("gpus", "GPUs"),
                    Column("utilisation", "GPU utilisation", unit=parts.RATIO),
                ],
                Query(f"sum by (hostname, jobid, user) (job_node:cpus:count{{{NODE}}} {with_user})", "cpus"),
                Query(f"sum by (hostname, jobid) (job_node:cpu_usage:cores{{{NODE}}})", "cores"),
                Query(f"sum by (hostname, jobid) (job_node:memory_used:bytes{{{NODE}}})", "memory"),
                Query(f"sum by (hostname, jobid) (job_gpu:share:ratio{{{NODE}}})", "gpus"),
                Query(f"avg by (hostname, jobid) (job_gpu:utilization:ratio{{{NODE}}})", "utilisation"),
                description="A GPU shared by several jobs counts as its share.",
            )
        )
    )


def _system(result: build.Dashboard) -> build.Dashboard:
    def rate(metric: str, more: str = "") -> str:
        return f"rate({metric}{{{NODE}{', ' if more else ''}{more}}}[$__rate_interval])"

    return (
        result.with_row(build.Row("System"))
        .with_panel(
            graph(
                "CPU time by kind",
                parts.RATIO,
                Query(f"avg by (mode) ({rate('node_cpu_seconds_total', BUSY)})", "{{mode}}"),
                description="Share of all cores of these nodes.",
                stacked=True,
            )
        )
        .with_panel(
            graph("Load, 5 minutes", parts.NUMBER, Query(f"max by (hostname) (node_load5{{{NODE}}})", "{{hostname}}"))
        )
        .with_panel(
            graph(
                "Memory",
                parts.BYTES,
                Query(
                    f"max by (hostname) (node_memory_MemTotal_bytes{{{NODE}}})"
                    f" - max by (hostname) (node_memory_MemAvailable_bytes{{{NODE}}})",
                    "{{hostname}} in use",
                ),
                Query(f"max by (hostname) (node_memory_MemTotal_bytes{{{NODE}}})", "{{hostname}} total"),
            )
        )
        .with_panel(
            graph(
                "Time spent waiting (pressure)",
                parts.RATIO,
                Query(f"max by (hostname) ({rate('node_pressure_cpu_waiting_seconds_total')})", "{{hostname}} CPU"),
                Query(
                    f"max by (hostname) ({rate('node_pressure_memory_waiting_seconds_total')})", "{{hostname}} memory"
                ),
                Query(f"max by (hostname) ({rate('node_pressure_io_waiting_seconds_total')})", "{{hostname}} I/O"),
                description="Share of time in which some task waited for it.",
            )
        )
        .with_panel(
            graph(
                "Network",
                parts.BYTES_PER_SECOND,
                Query(
                    f"sum by (hostname) ({rate('node_network_receive_bytes_total', REAL_DEVICES)})",
                    "{{hostname}} received",
                ),
                Query(
                    f"sum by (hostname) ({rate('node_network_transmit_bytes_total', REAL_DEVICES)})",
                    "{{hostname}} sent",
                ),
                description="All real interfaces together; InfiniBand's own counters are not among them.",
            )
        )
        .with_panel(
            graph(
                "Disks",
                parts.BYTES_PER_SECOND,
                Query(f"sum by (hostname) ({rate('node_disk_read_bytes_total', REAL_DISKS)})", "{{hostname}} read"),
                Query(
                    f"sum by (hostname) ({rate('node_disk_written_bytes_total', REAL_DISKS)})", "{{hostname}} written"
                ),
            )
        )
        .with_panel(
            graph(
                "File systems in use",
                parts.RATIO,
                Query(
                    f"1 - max by (hostname, mountpoint) (node_filesystem_avail_bytes{{{NODE}, {REAL_FILESYSTEMS}}}"
                    f" / node_filesystem_size_bytes{{{NODE}, {REAL_FILESYSTEMS}}})",
                    "{{hostname}} {{mountpoint}}",
                ),
                maximum=1,
            )
        )
        .with_panel(
            graph(
                "Up since",
                parts.SECONDS,
                Query(
                    f"max by (hostname) (node_time_seconds{{{NODE}}} - node_boot_time_seconds{{{NODE}}})",
                    "{{hostname}}",
                ),
            )
        )
    )


def _gpus(result: build.Dashboard) -> build.Dashboard:
    legend = "{{hostname}} GPU {{gpu}}"
    here = {"cluster": "${cluster}", "node": shared.NODE_OF_SERIES}
    to_gpus = parts.data_link(f"GPUs of {shared.NODE_OF_SERIES}", "superpod-gpu", here)
    return (
        result.with_row(build.Row("GPUs"))
        .with_panel(
            graph(
                "GPU utilisation",
                parts.RATIO,
                Query(f"gpu:utilization:ratio{{{NODE}}}", legend),
                maximum=1,
                links=[to_gpus],
            )
        )
        .with_panel(
            graph("GPU memory", parts.BYTES, Query(f"gpu:memory_used:bytes{{{NODE}}}", legend), links=[to_gpus])
        )
        .with_panel(
            graph(
                "GPU power of the node",
                parts.WATTS,
                Query(f"sum by (hostname) (gpu:power:watts{{{NODE}}})", "{{hostname}}"),
            )
        )
        .with_panel(
            graph(
                "Hottest GPU",
                parts.CELSIUS,
                Query(f"max by (hostname) (gpu:temperature:celsius{{{NODE}}})", "{{hostname}}"),
            )
        )
    )
