# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in: the names of upstream's settings, which the role compares with those that it knows."""

PROM_SERVER = "http://prometheus.example:9090"
PROM_RETENTION_DAYS = 365
GPU_EXPORTER_JOBID = True
EXTERNAL_DB_CONFIG = {"enabled": False}
SAMPLING_PERIOD = 30
GPU_UTIL_RED = 15
GPU_UTIL_BLACK = 25
CPU_UTIL_RED = 65
CPU_UTIL_BLACK = 80
TIME_EFFICIENCY_RED = 10
TIME_EFFICIENCY_BLACK = 60
MIN_MEMORY_USAGE = 70
MIN_RUNTIME_SECONDS = 10 * SAMPLING_PERIOD
CLUSTER_TRANS: dict[str, str] = {}
CLUSTER_TRANS_INV: dict[str, str] = {}
MAX_JOBNAME_LEN = 64
NOTES: list[tuple[str, str, str]] = []
