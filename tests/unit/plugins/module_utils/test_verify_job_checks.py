# SPDX-License-Identifier: GPL-3.0-or-later
"""verify's checks of jobs: what nobody can know is not judged, and what could not be seen is said."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.verify_expectations import judge, wanted
from ansible_collections.superpod.monitoring.plugins.module_utils.verify_job_checks import (
    Ended,
    Queued,
    queue_of,
    records_of,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.verify_outcome import Outcome
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils.verify_worlds import DEPLOY, NOW, Json, world


def controller() -> tuple[Json, Json]:
    """Only what is expected of jobs."""
    expected, facts = world("controller")
    return {"jobs": expected["jobs"]}, facts


def outcomes(expected: Json, facts: Json) -> list[Outcome]:
    return judge(expected, facts, DEPLOY)


def failed(expected: Json, facts: Json) -> set[str]:
    return {each.check for each in outcomes(expected, facts) if not each.ok}


def ended(*comments: str) -> str:
    """sacct's answer: jobs that ended ten minutes ago."""
    return "".join(f"{n}|{NOW - 600:.0f}|60|cpu=1|{comment}\n" for n, comment in enumerate(comments, 1))


def test_what_is_asked() -> None:
    look = wanted(controller()[0])
    assert [each["name"] for each in look["commands"]] == ["squeue", "sacct"]
    assert all(each["argv"][:3] == ["env", "env", "SLURM_TIME_FORMAT=%s"] for each in look["commands"])
    assert [each["name"] for each in look["requests"]] == ["jobs of cgroup_exporter", "jobs of the GPU exporter"]
    assert all(
        each["url"].startswith("http://mon-01:9090/api/v1/query?query=") and "cluster%3D%22slurm%22" in each["url"]
        for each in look["requests"]
    )
    assert look["files"] == ["/e.sh", "/e.conf"]


def test_every_check_passes_where_all_is_well() -> None:
    found = outcomes(*controller())
    assert all(each.ok for each in found)
    assert [each.check for each in found] == ["job_measured", "job_gpus", "job_gone", "job_record", "job_summary"]
    assert not any(each.hint for each in found)


def test_a_site_without_gpus_or_without_summaries_in_slurm() -> None:
    expected, facts = controller()
    expected["jobs"].update(gpus=False, summaries={})
    facts["requests"].pop("jobs of the GPU exporter")
    assert [each.check for each in outcomes(expected, facts)] == ["job_measured", "job_record"]
    assert "files" not in {look for look, things in wanted(expected).items() if things}


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("commands", "squeue"),
        ("commands", "sacct"),
        ("requests", "jobs of cgroup_exporter"),
        ("requests", "jobs of the GPU exporter"),
    ],
)
@pytest.mark.parametrize(
    "answer",
    [None, {"error": "no answer within 35 s"}, {"status": 503, "said": "", "rc": 1, "stderr": "", "stdout": ""}],
)
def test_without_an_answer_nothing_is_judged_by_it(place: str, name: str, answer: t.Any) -> None:
    expected, facts = controller()
    facts[place][name] = answer
    assert failed(expected, facts) == set()


def test_where_nothing_ran_it_is_said_how_more_can_be_seen() -> None:
    expected, facts = controller()
    facts["commands"]["squeue"]["stdout"] = facts["commands"]["sacct"]["stdout"] = ""
    facts["requests"]["jobs of the GPU exporter"]["value"] = []
    (hint,) = [each.hint for each in outcomes(expected, facts) if each.hint]
    assert "srun " in hint
    facts["commands"]["sacct"]["stdout"] = ended("JS1:Short")
    assert not any(each.hint for each in outcomes(expected, facts))


@pytest.mark.parametrize(
    ("with_summary", "without", "fails"), [(0, 1, True), (18, 1, True), (19, 1, False), (39, 2, False)]
)
def test_a_moment_without_prometheus_is_no_fault(with_summary: int, without: int, fails: bool) -> None:
    expected, facts = controller()
    facts["commands"]["sacct"]["stdout"] = ended(*["JS1:None"] * with_summary, *[""] * without)
    assert failed(expected, facts) == ({"job_summary"} if fails else set())


@pytest.mark.parametrize("path", ["/e.sh", "/e.conf"])
def test_a_job_from_before_the_program_or_its_settings_needs_no_summary(path: str) -> None:
    expected, facts = controller()
    facts["commands"]["sacct"]["stdout"] = ended("")
    facts["files"][path]["mtime"] = NOW - 599
    assert failed(expected, facts) == set()
    facts["files"][path]["mtime"] = NOW - 601
    assert failed(expected, facts) == {"job_summary"}


def test_what_squeue_says() -> None:
    assert queue_of(
        "12 RUNNING 1790000000 DGX-01.x cpu=1,gres/gpu:h200=8\n13 PENDING N/A\nslurm_load_jobs error\n\n"
    ) == [
        Queued("12", "RUNNING", 1790000000.0, "dgx-01", True),
        Queued("13", "PENDING", 0.0, "", False),
    ]


def test_what_sacct_says() -> None:
    assert records_of(
        "12|1790000000|5|cpu=1|JS1:a|b\n12.batch|1|5||\n13|Unknown|5|cpu=1|\n14|1790000000|0||\n15|1"
    ) == [Ended("12", 1790000000.0, "cpu=1", "JS1:a|b")]


@given(queue=st.text(max_size=300), records=st.text(max_size=300))
def test_whatever_slurm_says_can_be_read(queue: str, records: str) -> None:
    expected, facts = controller()
    facts["commands"]["squeue"]["stdout"], facts["commands"]["sacct"]["stdout"] = queue, records
    assert not any("makes no sense" in each.seen for each in outcomes(expected, facts))
