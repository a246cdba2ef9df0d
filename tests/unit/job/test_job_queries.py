# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests' client against what the real jobstats asked, was answered, and made of it (docs/stand_ins.md)."""

from __future__ import annotations

import ast
import base64
import gzip
import json
import re
from pathlib import Path

import pytest
from job.job_queries import Job, NoData, queries, samples, summarise

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "jobstats"
DEBUG = (FIXTURES / "two-nodes-queries.txt").read_text()
STORED = (FIXTURES / "two-nodes-stored.txt").read_text()
REAL = json.loads((FIXTURES / "two-nodes.json").read_text())
JOB = Job("37", "slurm", 1795182733, 1795182795, 4)
ASKED = re.findall(r"^DEBUG: query=(.*), time=(\d+)$", DEBUG, re.MULTILINE)
ANSWERED = [ast.literal_eval(text) for text in re.findall(r"^DEBUG: query result=(.*)$", DEBUG, re.MULTILINE)]


def test_it_asks_what_jobstats_asks() -> None:
    assert [(query, str(JOB.end)) for query in queries(JOB).values()] == ASKED


def test_a_job_without_gpus_asks_nothing_of_them() -> None:
    asked = queries(Job("37", "slurm", JOB.start, JOB.end, 0))
    assert list(asked.values()) == [query for query, _time in ASKED if "nvidia" not in query]


def test_it_reads_what_jobstats_reads() -> None:
    answers = {query: samples(answer) for (query, _time), answer in zip(ASKED, ANSWERED)}
    nodes = summarise(JOB, lambda query, time: answers[query] if time == JOB.end else [])
    for node in nodes.values():
        node["total_time"] = round(node["total_time"], 1)
    assert nodes == REAL["nodes"]


def test_the_summary_in_accounting_is_what_jobstats_found() -> None:
    [comment] = set(re.findall(r"data=JS1:(\S+),", STORED))
    assert "query=" not in STORED
    assert json.loads(gzip.decompress(base64.b64decode(comment))) == REAL


def test_no_answer_is_no_data() -> None:
    with pytest.raises(NoData, match="no data of job 37 in cluster slurm"):
        summarise(JOB, lambda _query, _time: [])


def test_a_node_without_one_of_the_numbers_is_no_data() -> None:
    answers = {query: samples(answer) for (query, _time), answer in zip(ASKED, ANSWERED)}
    answers[ASKED[2][0]].pop()
    with pytest.raises(NoData, match="lacks total_time of job 37 on dgx-02"):
        summarise(JOB, lambda query, _time: answers[query])
