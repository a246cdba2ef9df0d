# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: prometheus_capacity
short_description: How big a Prometheus server has to be for a SuperPOD
version_added: 1.0.0
author:
  - The superpod.monitoring developers (@superpod-monitoring)
description:
  - Works out series, samples a second, memory, disk and the number of servers. The formulas and where they come from
    stand in docs/sizing.md.
options:
  _input:
    description:
      - The fleet. C(nodes) is required; the others are C(cpus_per_node) (224), C(gpus_per_node) (8), C(jobs_per_day)
        (1000), C(nodes_per_job) (1), C(gpus_per_job) (8, all nodes of the job together), C(hours_per_job) (4),
        C(retention_days) (365), C(scrape_interval) (30, in seconds), C(gpu_exporter)
        (V(nvidia_gpu_prometheus_exporter), V(dcgm_exporter) or V(none)), C(server_memory_gib) (128) and
        C(bytes_per_sample) (2).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Size a server for 128 nodes
  ansible.builtin.debug:
    msg: "{{ {'nodes': 128, 'jobs_per_day': 20000} | superpod.monitoring.prometheus_capacity }}"
"""

RETURN = r"""
_value:
  description:
    - C(targets), C(running_jobs), C(active_series), C(series_per_job), C(head_series), C(samples_per_second),
      C(memory_bytes), C(disk_bytes) and its parts C(disk_samples_bytes), C(disk_index_bytes) and C(disk_wal_bytes), and
      C(servers), the number of shards.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.superpod.monitoring.plugins.module_utils.prometheus_capacity import calculate


def prometheus_capacity(fleet: dict[str, t.Any]) -> dict[str, t.Any]:
    """The filter."""
    try:
        return calculate(fleet)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name -> filter."""
        return {"prometheus_capacity": prometheus_capacity}
