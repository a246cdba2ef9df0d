# SPDX-License-Identifier: GPL-3.0-or-later
"""Every query of every panel on a real Prometheus that scraped the captured outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboards import document, live_checks
from dashboards.document import Dashboard
from dashboards.live_checks import Run

FILES = Path(__file__).parents[2] / "files" / "dashboards"
DASHBOARDS = {path.stem: document.load(path) for path in sorted(FILES.glob("*.json"))}

JOB_GPU_PANELS = {"GPU utilisation over time", "GPU memory", "GPU engines", "GPU power", "GPU temperature"}
DCGM_PANELS = {"Last XID code (DCGM)", "Memory rows remapped for uncorrectable errors (DCGM)", "Alerts"}
DRIFT_PANELS = {"Nodes that differ"}

# Choices for which there is data for every panel, but for those that are rightly empty: a job without GPUs, what only
# DCGM tells, a healthy cluster. All is what a variable has that is not named.
COMPLETE = [
    ("superpod-job", {"cluster": "slurm", "job": "42"}, set()),
    ("superpod-job", {"cluster": "slurm", "job": "42", "node": "dgx-01"}, set()),
    ("superpod-job", {"cluster": "slurm", "job": "42", "node": "dgx-02"}, set()),
    ("superpod-job", {"cluster": "slurm", "job": "43", "node": "dgx-01"}, JOB_GPU_PANELS),
    ("superpod-job", {"cluster": "slurm2", "job": "42"}, set()),
    (
        "superpod-job",
        {"cluster": "slurm2", "job": "43"},
        JOB_GPU_PANELS | {"GPUs", "GPU utilisation", "Idle GPU hours"},
    ),
    ("superpod-node", {"cluster": "slurm"}, set()),
    ("superpod-node", {"cluster": "slurm", "node": "dgx-01"}, set()),
    ("superpod-node", {"cluster": "slurm", "node": "dgx-02"}, set()),
    ("superpod-node", {"cluster": "slurm", "node": "dgx-03"}, set()),
    ("superpod-node", {"cluster": "slurm2", "node": "dgx-01"}, set()),
    ("superpod-gpu", {"cluster": "slurm"}, set()),
    ("superpod-gpu", {"cluster": "slurm", "node": "dgx-01"}, DCGM_PANELS),
    ("superpod-gpu", {"cluster": "slurm", "node": "dgx-02"}, set()),
    ("superpod-gpu", {"cluster": "slurm", "node": "dgx-03"}, set()),
    ("superpod-gpu", {"cluster": "slurm2"}, DCGM_PANELS),
    ("superpod-fleet", {}, set()),
    ("superpod-fleet", {"cluster": "slurm"}, set()),
    ("superpod-fleet", {"cluster": "slurm2"}, DRIFT_PANELS),
    ("superpod-health", {}, set()),
    ("superpod-health", {"cluster": "slurm"}, set()),
]


@pytest.mark.parametrize(("uid", "wanted", "rightly_empty"), COMPLETE, ids=lambda value: str(value)[:60])
def test_every_query_has_data(run: Run, uid: str, wanted: dict[str, str], rightly_empty: set[str]) -> None:
    found = live_checks.check(run, DASHBOARDS[uid], wanted, complete=True, rightly_empty=frozenset(rightly_empty))
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_no_value_of_any_variable_breaks_a_query(run: Run, uid: str) -> None:
    dashboard = DASHBOARDS[uid]
    tried = 0
    for wanted in _every_value(run, dashboard):
        found = live_checks.check(run, dashboard, wanted, complete=False)
        assert not found, "\n".join(map(str, found))
        tried += 1
    assert tried >= 3


def _every_value(run: Run, dashboard: Dashboard) -> list[dict[str, str]]:
    """Every value of every variable; those after it as they come, those before it each in turn."""
    choices: list[dict[str, str]] = [{}]
    for variable in dashboard.variables:
        if variable.type == "datasource":
            continue
        for earlier in list(choices):
            chosen = live_checks.choose(run, dashboard, earlier)
            before = {
                name: value
                for name, value in chosen.items()
                if _position(dashboard, name) < _position(dashboard, variable.name)
            }
            values = live_checks.options(run, dashboard, variable, before)
            choices += [{**earlier, variable.name: value} for value in values]
    return choices


def _position(dashboard: Dashboard, name: str) -> int:
    return [variable.name for variable in dashboard.variables].index(name)


def _asked(run: Run, uid: str, title: str, wanted: dict[str, str]) -> list[float]:
    """The values of a panel's first query."""
    dashboard = DASHBOARDS[uid]
    panel = next(panel for panel in dashboard.panels if panel.title == title)
    chosen = live_checks.choose(run, dashboard, wanted)
    expr = live_checks.substitute.query(panel.targets[0].expr, chosen, run.window.macros())
    return [float(one.values[0]) for one in run.prometheus.instant(expr, run.window.end)]


# Two GPUs on each dgx-01, three on dgx-02 and on dgx-03. Jobs 42 and 43 share a GPU of dgx-02; dgx-03 has 42, and 77 in
# a slice; both dgx-01 have 42. Of the GPUs with a job all run at 87 %, but for the slice (0 %).
SHARED = 0.87
BUSY_WATTS, FREE_WATTS = 412.345, 78.901


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("GPUs", 2 + 3 + 3 + 2),
        ("GPUs with a job", 1 + 1 + 2 + 1),
        ("GPUs free", 1 + 2 + 1 + 1),
        ("GPU power", 4 * BUSY_WATTS + 6 * FREE_WATTS),
        # 42 has three GPUs and half of one, 43 the other half, 77 a slice
        ("Given but idle", 4 * (1 - SHARED) + 1),
    ],
)
def test_a_shared_gpu_counts_once(run: Run, title: str, expected: float) -> None:
    assert _asked(run, "superpod-fleet", title, {}) == [pytest.approx(expected)]


def test_a_shared_gpu_is_half_of_each_jobs(run: Run) -> None:
    # one on dgx-01, half of one on dgx-02, one on dgx-03
    assert _asked(run, "superpod-job", "GPUs", {"cluster": "slurm", "job": "42"}) == [2.5]
    assert _asked(run, "superpod-job", "GPUs", {"cluster": "slurm", "job": "43"}) == [0.5]


JOBSTATS = [
    "max_over_time(cgroup_memory_total_bytes{cluster='slurm',jobid='42',step='',task=''}[10s])",
    (
        "max_over_time(((cgroup_memory_rss_bytes{cluster='slurm',jobid='42',step='',task=''}"
        "+cgroup_memory_shmem_bytes{cluster='slurm',jobid='42',step='',task=''})"
        " or 1*cgroup_memory_rss_bytes{cluster='slurm',jobid='42',step='',task=''})[10s:])"
    ),
    "max_over_time(cgroup_cpu_total_seconds{cluster='slurm',jobid='42',step='',task=''}[10s])",
    "max_over_time(cgroup_cpus{cluster='slurm',jobid='42',step='',task=''}[10s])",
    "max_over_time(nvidia_gpu_memory_total_bytes{cluster='slurm',jobid='42'}[10s:])",
    "max_over_time(nvidia_gpu_memory_used_bytes{cluster='slurm',jobid='42'}[10s:])",
    (
        "avg_over_time((nvidia_gpu_duty_cycle{cluster='slurm',jobid='42'}"
        " or (nvidia_gpu_graphics_util_percent{cluster='slurm',jobid='42'} * 100))[10s:])"
    ),
]


@pytest.mark.parametrize("query", JOBSTATS, ids=range(len(JOBSTATS)))
def test_jobstats_gets_each_node_once_with_either_gpu_exporter(run: Run, query: str) -> None:
    series = run.prometheus.instant(query, run.window.end)
    hosts = sorted(one.labels["instance"].split(":")[0] for one in series)
    if "nvidia" in query:
        assert hosts == ["dgx-01", "dgx-02", "dgx-03"]
        assert all("minor_number" in one.labels for one in series)
    else:
        assert hosts == ["dgx-01", "dgx-02", "dgx-03", "dgx-06"]
