# SPDX-License-Identifier: GPL-3.0-or-later
"""What several dashboards have alike: variables, links to each other, panels about GPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import stat
from grafana_foundation_sdk.models import dashboard as model

from dashboards import parts
from dashboards.parts import Query, number

ONE_CLUSTER = 'cluster="$cluster", hostname=~"$node"'
ALL_CLUSTERS = 'cluster=~"$cluster"'
CLUSTER_OF_SERIES = "${__field.labels.cluster}"
NODE_OF_SERIES = "${__field.labels.hostname}"

Section = Callable[[build.Dashboard], build.Dashboard]


def assembled(unfinished: build.Dashboard, sections: Sequence[Section]) -> model.Dashboard:
    """The dashboard with its sections, each of which adds a row and its panels."""
    for section in sections:
        unfinished = section(unfinished)
    return parts.finish(unfinished)


def one_cluster(series: str) -> build.QueryVariable:
    """One of the clusters that *series* has."""
    return parts.query_variable("cluster", "Cluster", f"label_values({series}, cluster)", several=False)


def clusters() -> build.QueryVariable:
    """Any number of the clusters that are scraped."""
    asked = 'label_values(up{job="node_exporter"}, cluster)'
    return parts.query_variable("cluster", "Cluster", asked, several=True).all_value(".*")


def nodes(series: str) -> build.QueryVariable:
    """Any number of the cluster's nodes that *series* has."""
    asked = f'label_values({series}{{cluster="$cluster"}}, hostname)'
    return parts.query_variable("node", "Node", asked, several=True).all_value(".*")


def to_job(cluster: str = "${cluster}") -> model.DashboardLink:
    """From a job's number in a table to its dashboard."""
    return parts.data_link("Job ${__value.raw}", "superpod-job", {"cluster": cluster, "job": "${__value.raw}"})


def to_node(cluster: str = "${cluster}") -> model.DashboardLink:
    """From a series to its node's dashboard."""
    return parts.data_link(f"Node {NODE_OF_SERIES}", "superpod-node", {"cluster": cluster, "node": NODE_OF_SERIES})


def gpus(selector: str, width: int) -> stat.Panel:
    """How many GPUs there are."""
    return number("GPUs", parts.NUMBER, Query(f"count(gpu:jobs:count{{{selector}}})"), width=width)


def gpus_with_a_job(selector: str, width: int) -> stat.Panel:
    """How many of them have a job."""
    return number("GPUs with a job", parts.NUMBER, Query(f"sum(gpu:jobs:count{{{selector}}} > bool 0)"), width=width)
