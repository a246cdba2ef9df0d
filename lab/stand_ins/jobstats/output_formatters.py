# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in: a few lines for people."""

from __future__ import annotations

from jobstats import Job


def report(job: Job, found: dict[str, object] | str) -> str:
    lines = [f"(stand-in) job {job.raw_id} on {job.cluster}: {job.state}, {job.end - job.start} s, {job.cpus} CPUs"]
    if isinstance(found, str):
        return lines[0] + f"\nno data: {found}"
    nodes = found["nodes"]
    assert isinstance(nodes, dict)
    return "\n".join(lines + [f"  {node}: {use['total_time']:.0f} s of CPU time" for node, use in nodes.items()])
