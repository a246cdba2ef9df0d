# SPDX-License-Identifier: GPL-3.0-or-later
"""Job: what one job has and what it makes of it."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from dashboards import parts, shared
from dashboards.parts import Query, Steps, graph, number

UID = "superpod-job"

# Job ids and host names are unique within a cluster only: one cluster at a time.
JOB = 'cluster="$cluster", jobid="$job"'
JOB_NODE = f'{JOB}, hostname=~"$node"'
WHOLE_JOB = f'{JOB_NODE}, step="", task=""'
NODE = shared.ONE_CLUSTER

# where jobstats, too, changes colour
CPU_USE = Steps(parts.RED, ((0.65, parts.YELLOW), (0.8, parts.GREEN)))
GPU_USE = Steps(parts.RED, ((0.15, parts.YELLOW), (0.25, parts.GREEN)))


def dashboard() -> model.Dashboard:
    """The dashboard."""
    result = parts.dashboard(
        UID,
        "SuperPOD / Job",
        "CPU, memory and GPUs of one Slurm job, node by node.",
        [
            shared.one_cluster("cgroup_cpus"),
            parts.query_variable(
                "job",
                "Job",
                'label_values(cgroup_cpus{cluster="$cluster", step="", task=""}, jobid)',
                several=False,
            ).allow_custom_value(True),
            parts.query_variable(
                "node",
                "Node",
                'label_values(cgroup_cpus{cluster="$cluster", jobid="$job", step="", task=""}, hostname)',
                several=True,
            ),
        ],
        hours=3,
    )
    return shared.assembled(result, [_summary, _cpu_and_memory, _gpus, _nodes])


def _summary(result: build.Dashboard) -> build.Dashboard:
    return (
        result.with_row(build.Row("Job $job"))
        .with_panel(
            number(
                "User",
                parts.NUMBER,
                Query(f"max by (user) (last_over_time(job:user:info{{{JOB}}}[$__range]))", "{{user}}"),
                name=True,
            )
        )
        .with_panel(
            number("Nodes", parts.NUMBER, Query(f"count(last_over_time(job_node:cpus:count{{{JOB_NODE}}}[$__range]))"))
        )
        .with_panel(
            number(
                "CPU cores", parts.NUMBER, Query(f"sum(last_over_time(job_node:cpus:count{{{JOB_NODE}}}[$__range]))")
            )
        )
        .with_panel(
            number(
                "CPU efficiency",
                parts.RATIO,
                Query(f"avg_over_time(job:cpu_utilization:ratio{{{JOB}}}[$__range])"),
                description="Cores used / cores given, on the average of the time shown.",
                thresholds=CPU_USE,
            )
        )
        .with_panel(
            number(
                "Memory, highest share",
                parts.RATIO,
                Query(f"""
                    sum(max_over_time(job_node:memory_used:bytes{{{JOB_NODE}}}[$__range]))
                    / sum(max_over_time(job_node:memory_limit:bytes{{{JOB_NODE}}}[$__range]))
                """),
                description="Highest memory use of each node / what the job was given there, as jobstats counts it.",
            )
        )
        .with_panel(
            number(
                "GPUs",
                parts.NUMBER,
                Query(f"max_over_time(job:gpus:sum{{{JOB}}}[$__range])"),
                description="A GPU shared with other jobs counts as its share; a MIG slice counts as one.",
            )
        )
        .with_panel(
            number(
                "GPU utilisation",
                parts.RATIO,
                Query(f"avg_over_time(job:gpu_utilization:ratio{{{JOB}}}[$__range])"),
                description="Average of all the job's GPUs over the time shown.",
                thresholds=GPU_USE,
            )
        )
        .with_panel(
            number(
                "Idle GPU hours",
                parts.HOURS,
                Query(f"sum_over_time(job:gpus_idle:sum{{{JOB}}}[$__range]) * {parts.HOURS_PER_SAMPLE}"),
                description="GPU time that the job was given and did not use, within the time shown.",
                decimals=1,
            )
        )
    )


def _cpu_and_memory(result: build.Dashboard) -> build.Dashboard:
    return (
        result.with_row(build.Row("CPU and memory"))
        .with_panel(
            graph(
                "CPU cores over time",
                parts.NUMBER,
                Query(
                    f"max by (hostname) (rate(cgroup_cpu_total_seconds{{{WHOLE_JOB}}}[$__rate_interval]))",
                    "{{hostname}} used",
                ),
                Query(f"max by (hostname) (cgroup_cpus{{{WHOLE_JOB}}})", "{{hostname}} given"),
                links=[shared.to_node()],
            )
        )
        .with_panel(
            graph(
                "CPU time, user and system",
                parts.NUMBER,
                Query(f"sum(rate(cgroup_cpu_user_seconds{{{WHOLE_JOB}}}[$__rate_interval]))", "user"),
                Query(f"sum(rate(cgroup_cpu_system_seconds{{{WHOLE_JOB}}}[$__rate_interval]))", "system"),
                description="Cores, all nodes together. Much system time hints at small I/O or lock contention.",
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Memory",
                parts.BYTES,
                Query(f"max by (hostname) (job_node:memory_used:bytes{{{JOB_NODE}}})", "{{hostname}} used"),
                Query(f"max by (hostname) (job_node:memory_limit:bytes{{{JOB_NODE}}})", "{{hostname}} given"),
                description="Page cache left out, shared memory in, as jobstats counts it.",
                links=[shared.to_node()],
            )
        )
        .with_panel(
            graph(
                "Page cache",
                parts.BYTES,
                Query(f"max by (hostname) (cgroup_memory_cache_bytes{{{WHOLE_JOB}}})", "{{hostname}}"),
                description="Files that the job has in memory; given back when it needs the room.",
                width=6,
            )
        )
        .with_panel(
            graph(
                "Memory limit reached",
                parts.NUMBER,
                Query(
                    f"max by (hostname) (increase(cgroup_memory_fail_count{{{WHOLE_JOB}}}[$__rate_interval]))",
                    "{{hostname}}",
                ),
                description="Times at the limit: page cache goes first, then the job's processes are killed.",
                width=6,
            )
        )
    )


def _gpus(result: build.Dashboard) -> build.Dashboard:
    per_gpu = "max by (hostname, minor_number)"
    return (
        result.with_row(build.Row("GPUs"))
        .with_panel(
            graph(
                "GPU utilisation over time",
                parts.RATIO,
                Query(f"job_gpu:utilization:ratio{{{JOB_NODE}}}", "{{hostname}} GPU {{gpu}}"),
                maximum=1,
                links=[shared.to_node()],
            )
        )
        .with_panel(
            graph(
                "GPU memory",
                parts.BYTES,
                Query(f"job_gpu:memory_used:bytes{{{JOB_NODE}}}", "{{hostname}} GPU {{gpu}}"),
                Query(f"max(job_gpu:memory_total:bytes{{{JOB_NODE}}})", "size of a GPU"),
                description="Of the whole GPU, when several jobs share it.",
                links=[_to_gpus()],
            )
        )
        .with_panel(
            graph(
                "GPU engines",
                parts.RATIO,
                Query(f"avg(nvidia_gpu_graphics_util_percent{{{JOB_NODE}}})", "any engine"),
                Query(f"avg(nvidia_gpu_any_tensor_util_percent{{{JOB_NODE}}})", "tensor cores"),
                Query(f"avg(nvidia_gpu_dram_bw_util_percent{{{JOB_NODE}}})", "memory bandwidth"),
                description="Average of the job's GPUs. Busy without tensor cores or memory traffic is mostly waiting.",
                maximum=1,
            )
        )
        .with_panel(
            graph(
                "GPU power",
                parts.WATTS,
                Query(
                    f"{per_gpu} (nvidia_gpu_power_usage_milliwatts{{{JOB_NODE}}}) / 1000",
                    "{{hostname}} GPU {{minor_number}}",
                ),
                description="Of the whole GPU, also for a MIG slice.",
                width=6,
            )
        )
        .with_panel(
            graph(
                "GPU temperature",
                parts.CELSIUS,
                Query(f"{per_gpu} (nvidia_gpu_temperature_celsius{{{JOB_NODE}}})", "{{hostname}} GPU {{minor_number}}"),
                width=6,
            )
        )
    )


def _nodes(result: build.Dashboard) -> build.Dashboard:
    return (
        result.with_row(build.Row("The job's nodes, everything on them included"))
        .with_panel(
            graph(
                "CPU busy",
                parts.RATIO,
                Query(
                    f'1 - avg by (hostname) (rate(node_cpu_seconds_total{{{NODE}, mode="idle"}}[$__rate_interval]))',
                    "{{hostname}}",
                ),
                maximum=1,
                links=[shared.to_node()],
            )
        )
        .with_panel(
            graph(
                "Memory available",
                parts.BYTES,
                Query(f"max by (hostname) (node_memory_MemAvailable_bytes{{{NODE}}})", "{{hostname}}"),
                links=[shared.to_node()],
            )
        )
    )


def _to_gpus() -> model.DashboardLink:
    return parts.data_link("GPUs of these nodes", "superpod-gpu", {"cluster": "${cluster}", "node": "${node}"})
