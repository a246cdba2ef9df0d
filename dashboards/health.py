# SPDX-License-Identifier: GPL-3.0-or-later
"""Monitoring health: whether what the other dashboards show can be trusted."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from dashboards import parts, shared
from dashboards.parts import BAD_FROM_ONE, Column, Query, Steps, graph, number, rows

UID = "superpod-health"

FLEET = shared.ALL_CLUSTERS
EXPORTERS = f'job=~"node_exporter|cgroup_exporter|gpu_exporter|dcgm_exporter", {FLEET}'


def dashboard() -> model.Dashboard:
    """The dashboard."""
    result = parts.dashboard(
        UID,
        "SuperPOD / Monitoring health",
        "Exporters, role monitors, alerts, and Prometheus itself.",
        [
            shared.clusters(),
        ],
        hours=6,
    )
    return shared.assembled(result, [_summary, _exporters, _role_monitors, _prometheus])


def _summary(result: build.Dashboard) -> build.Dashboard:
    return (
        result.with_row(build.Row("Now"))
        .with_panel(number("Targets", parts.NUMBER, Query(f"count(up{{{EXPORTERS}}})")))
        .with_panel(
            number("Targets down", parts.NUMBER, Query(f"sum(up{{{EXPORTERS}}} == bool 0)"), thresholds=BAD_FROM_ONE)
        )
        .with_panel(
            number(
                "Alerts firing",
                parts.NUMBER,
                Query(f'count(ALERTS{{{FLEET}, alertstate="firing"}})'),
                if_empty="0",
                thresholds=Steps(parts.GREEN, ((1, parts.YELLOW),)),
            )
        )
        .with_panel(
            number(
                "Oldest answer of BCM",
                parts.SECONDS,
                Query(f"time() - min(bcm_role_monitor_last_success_timestamp_seconds{{{FLEET}}})"),
                description="Of all role monitors.",
                thresholds=Steps(parts.GREEN, ((300, parts.YELLOW), (900, parts.RED))),
            )
        )
        .with_panel(
            number(
                "Units given up",
                parts.NUMBER,
                Query(f"sum(bcm_role_monitor_given_up{{{FLEET}}})"),
                thresholds=BAD_FROM_ONE,
            )
        )
        .with_panel(
            number(
                "Configuration reloads",
                parts.NUMBER,
                Query("sum(prometheus_config_last_reload_successful == bool 0)"),
                description="Prometheus servers whose last reload failed.",
                thresholds=BAD_FROM_ONE,
            )
        )
        .with_panel(number("Series", parts.NUMBER, Query("sum(prometheus_tsdb_head_series)")))
        .with_panel(
            number(
                "Rule errors",
                parts.NUMBER,
                Query("sum(increase(prometheus_rule_evaluation_failures_total[$__range]))"),
                thresholds=BAD_FROM_ONE,
                decimals=0,
            )
        )
        .with_panel(
            rows(
                "Alerts",
                [
                    Column("alertname", "Alert"),
                    Column("severity", "Severity"),
                    Column("alertstate", "State"),
                    Column("cluster", "Cluster"),
                    Column("hostname", "Node"),
                    Column("instance", "Instance"),
                ],
                Query(
                    f"max by (alertname, severity, alertstate, cluster, hostname, instance) (ALERTS{{{FLEET}}})",
                    "value",
                ),
            )
        )
    )


def _exporters(result: build.Dashboard) -> build.Dashboard:
    return (
        result.with_row(build.Row("Exporters"))
        .with_panel(
            graph(
                "Targets that answer",
                parts.NUMBER,
                Query(f"sum by (cluster, job) (up{{{EXPORTERS}}})", "{{job}} ({{cluster}})"),
            )
        )
        .with_panel(
            rows(
                "Targets that do not answer",
                [
                    Column("cluster", "Cluster"),
                    Column("hostname", "Node"),
                    Column("job", "Exporter"),
                    Column("instance", "Instance"),
                ],
                Query(f"max by (cluster, hostname, job, instance) (up{{{EXPORTERS}}}) == 0", "value"),
                width=12,
            )
        )
        .with_panel(
            graph(
                "Slowest scrape",
                parts.SECONDS,
                Query(f"max by (cluster, job) (scrape_duration_seconds{{{EXPORTERS}}})", "{{job}} ({{cluster}})"),
            )
        )
        .with_panel(
            graph(
                "Samples per scrape",
                parts.NUMBER,
                Query(f"sum by (cluster, job) (scrape_samples_scraped{{{EXPORTERS}}})", "{{job}} ({{cluster}})"),
                description="All nodes together.",
                stacked=True,
            )
        )
    )


def _role_monitors(result: build.Dashboard) -> build.Dashboard:
    return (
        result.with_row(build.Row("Role monitors"))
        .with_panel(
            graph(
                "Age of the last answer of BCM",
                parts.SECONDS,
                Query(
                    f"time() - min by (cluster) (bcm_role_monitor_last_success_timestamp_seconds{{{FLEET}}})",
                    "{{cluster}} oldest",
                ),
                Query(
                    f"time() - avg by (cluster) (bcm_role_monitor_last_success_timestamp_seconds{{{FLEET}}})",
                    "{{cluster}} average",
                ),
                width=8,
            )
        )
        .with_panel(
            graph(
                "Role monitors",
                parts.NUMBER,
                Query(f"count by (cluster, version) (bcm_role_monitor_info{{{FLEET}}})", "{{version}} ({{cluster}})"),
                Query(
                    f"sum by (cluster) (bcm_role_monitor_events_connected{{{FLEET}}})", "{{cluster}} get BCM's events"
                ),
                width=8,
            )
        )
        .with_panel(
            graph(
                "Head node that answers",
                parts.NUMBER,
                Query(
                    f"count by (cluster, headnode) (bcm_role_monitor_headnode_info{{{FLEET}}})",
                    "{{headnode}} ({{cluster}})",
                ),
                stacked=True,
                width=8,
            )
        )
        .with_panel(
            graph(
                "Checks without an answer, and with file errors",
                parts.NUMBER,
                Query(
                    f"sum by (cluster) (increase(bcm_role_monitor_unknown_answers_total{{{FLEET}}}[$__rate_interval]))",
                    "{{cluster}} no answer",
                ),
                Query(
                    f"sum by (cluster) (increase(bcm_role_monitor_file_errors_total{{{FLEET}}}[$__rate_interval]))",
                    "{{cluster}} target file",
                ),
            )
        )
        .with_panel(
            graph(
                "Attempts to start a unit",
                parts.NUMBER,
                Query(
                    "sum by (cluster, unit) ("
                    f"increase(bcm_role_monitor_start_attempts_total{{{FLEET}}}[$__rate_interval]))",
                    "{{unit}} ({{cluster}})",
                ),
            )
        )
    )


def _prometheus(result: build.Dashboard) -> build.Dashboard:
    return (
        result.with_row(build.Row("Prometheus"))
        .with_panel(
            graph("Series over time", parts.NUMBER, Query("prometheus_tsdb_head_series", "{{instance}}"), width=8)
        )
        .with_panel(
            graph(
                "Samples appended per second",
                parts.NUMBER,
                Query(
                    "sum by (instance) (rate(prometheus_tsdb_head_samples_appended_total[$__rate_interval]))",
                    "{{instance}}",
                ),
                width=8,
            )
        )
        .with_panel(
            graph(
                "Memory",
                parts.BYTES,
                Query('process_resident_memory_bytes{job="prometheus"}', "{{instance}}"),
                width=8,
            )
        )
        .with_panel(
            graph(
                "Storage",
                parts.BYTES,
                Query("prometheus_tsdb_storage_blocks_bytes", "{{instance}} blocks"),
                Query("prometheus_tsdb_retention_limit_bytes", "{{instance}} limit"),
                description="A limit of 0 means that only the retention time limits it.",
                width=8,
            )
        )
        .with_panel(
            graph(
                "Time to evaluate the rules",
                parts.SECONDS,
                Query("sum by (instance) (prometheus_rule_group_last_duration_seconds)", "{{instance}}"),
                width=8,
            )
        )
        .with_panel(
            graph(
                "Target files",
                parts.NUMBER,
                Query("count by (instance) (prometheus_sd_file_mtime_seconds)", "{{instance}} files"),
                Query(
                    'sum by (instance) (prometheus_sd_discovered_targets{name="scrape"})',
                    "{{instance}} targets",
                ),
                width=8,
            )
        )
    )
