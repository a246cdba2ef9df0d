# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of certificates as the administrator manual shows it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh_certificate import (
    Listed,
    parse_holders,
    parse_list,
)
from hypothesis import given
from hypothesis import strategies as st

LIST = """\
Serial Revoked  Time left    Profile          System log in    Name
------ -------- ------------ ---------------- ---------------- -----------------------------
1      No       5214w 1d     admin            root             Administrator
10     No       5214w 1d     node                              fa-16-3e-74-24-dc
23     Yes      4w 1d        readonly         peter            1 No 7
"""


def test_the_first_two_columns_of_the_rows_count() -> None:
    assert parse_list(LIST) == [Listed(1, False), Listed(10, False), Listed(23, True)]
    assert parse_list("") == []


def sort(*rows: str, name: str = "role-monitor", profile: str = "superpod-role-monitor", known: t.Any = ()) -> t.Any:
    """(ours, others, unsure)"""
    found = parse_holders("".join([LIST, *[f"{row}\n" for row in rows]]), name, profile, known)
    return found and tuple(found)


def row(serial: int | str, profile: str, name: str, revoked: str = "No") -> str:
    return f"{serial!s:6.6} {revoked:8} 52w 0d       {profile:16.16} {'':16} {name}"


def test_who_has_a_profile_that_is_shown_whole() -> None:
    assert sort(name="fa-16-3e-74-24-dc", profile="node") == ([10], [], [])
    assert sort(name="someone", profile="node") == ([], [10], [])
    assert sort(name="fa-16-3e-74-24-dc", profile="nod") == ([], [], [])
    assert sort(name="1 No 7", profile="readonly") == ([], [], [])  # revoked
    assert sort(row(5, "mine", "x"), row(6, "mine", "y"), row(7, "mine", "x"), name="x", profile="mine") == (
        [5, 7],
        [6],
        [],
    )


@pytest.mark.parametrize("profile", ["superpod-role-monitor", "superpod-role-mother", "superpod-role-mo"])
def test_a_profile_that_is_cut_off_may_be_anybodys(profile: str) -> None:
    """Also one of just 16 letters."""
    assert sort(row(31, "superpod-role-monitor", "role-monitor"), profile=profile) == ([], [], [31])
    assert sort(row(31, "superpod-role-monitor", "role-monitor"), profile=profile, known={31}) == ([31], [], [])
    assert sort(row(31, "superpod-role-monitor", "theirs"), profile=profile) == ([], [31], [])


def test_another_profile_and_one_that_only_begins_like_ours() -> None:
    assert sort(row(31, "superpod-role-monitor", "role-monitor"), profile="superpod-other") == ([], [], [])
    assert sort(row(31, "superpod", "role-monitor"), known={31}) == ([], [], [])


def test_a_known_number_is_not_enough() -> None:
    """As when the cluster was made anew and counts from one again."""
    assert sort(row(31, "node", "role-monitor"), known={31}) == ([], [], [])
    assert sort(row(31, "superpod-role-monitor", "theirs"), known={31}) == ([], [31], [])
    assert sort(row(31, "superpod-role-monitor", "role-monitor", "Yes"), known={31}) == ([], [], [])


def test_a_name_and_a_number_may_be_cut_off_too() -> None:
    long = "a" * 29
    assert sort(row(31, "mine", long), name=long, profile="mine") == ([], [], [31])
    assert sort(row(31, "mine", long), name=f"{long}b", profile="mine") == ([], [], [31])
    assert sort(row(31, "mine", long), name=f"{long}b", profile="mine", known={31}) == ([31], [], [])
    assert sort(row(31, "mine", f"{long}b"), name=f"{long}b", profile="mine") == ([31], [], [])
    assert sort(row(1234567, "mine", "x"), name="x", profile="mine", known={123456}) == ([], [], [123456])


@pytest.mark.parametrize(
    "text",
    ["", "permission denied\n", "------ ---\n", LIST.replace("Profile", "Rights "), "\n".join(LIST.split("\n")[2:])],
)
def test_what_is_no_list_is_not_an_empty_one(text: str) -> None:
    assert parse_holders(text, "x", "node", ()) is None


@given(
    st.lists(st.tuples(st.text("abc", min_size=1, max_size=20), st.text("ab", min_size=1, max_size=2)), max_size=12),
    st.text("abc", min_size=1, max_size=20),
    st.sets(st.integers(100, 111)),
)
def test_nobody_elses_certificate_is_ours(made: list[tuple[str, str]], profile: str, files: set[int]) -> None:
    """And each one that has the profile is seen, so that this is not removed below somebody."""
    rows = [row(100 + at, *each) for at, each in enumerate(made)]
    by_number = {100 + at: each for at, each in enumerate(made)}
    known = {number for number in files if by_number.get(number) == (profile, "a")}
    ours, others, unsure = sort(*rows, name="a", profile=profile, known=known)
    assert known <= set(ours)
    assert all(by_number[number] == (profile, "a") for number in ours)
    assert {number for number, each in by_number.items() if each[0] == profile} <= {*ours, *others, *unsure}
