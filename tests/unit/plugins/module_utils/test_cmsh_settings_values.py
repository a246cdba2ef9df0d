# SPDX-License-Identifier: GPL-3.0-or-later
"""When two values mean the same to BCM, and how the marked block goes in and out of a text."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh import CmshError
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh_settings_values import (
    Difference,
    Value,
    assignment,
    check_property,
    check_value,
    differences,
    display,
    lines_of,
    same,
    with_block,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from hypothesis import example, given
from hypothesis import strategies as st

TRUE = ["yes", "1", "on", "true", "YES", "True"]
FALSE = ["no", "0", "off", "false", "NO", "False"]


@pytest.mark.parametrize("shown", TRUE)
@pytest.mark.parametrize("wanted", [True, *TRUE])
def test_all_words_for_yes_are_one(shown: str, wanted: Value) -> None:
    assert same(shown, wanted)
    assert not same(shown, False)
    assert not any(same(shown, word) for word in FALSE)


@pytest.mark.parametrize("shown", FALSE)
@pytest.mark.parametrize("wanted", [False, *FALSE])
def test_all_words_for_no_are_one(shown: str, wanted: Value) -> None:
    assert same(shown, wanted)
    assert not same(shown, True)


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        ("a b c", ["c", "a", "b"]),
        ("a\nb\nc", ["c", "b", "a"]),
        ("a,b", ["b", "a"]),
        ("", []),
        ("CR_Core_Memory", ["CR_Core_Memory"]),
        ("010", 10),
        ("10", "010"),
        ("0.5", 0.5),
        ("5.0", 5),
        ("9007199254740993", 9007199254740993),
        ("syslinux (default)", "syslinux"),
        ("yes (default)", True),
        ("  /x.sh \n", "/x.sh"),
        ("", ""),
        ("# a\n- /b \n\n", "# a\n- /b\n"),
    ],
)
def test_the_same(shown: str, wanted: Value) -> None:
    assert same(shown, wanted)


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        ("a b", ["a"]),
        ("a", ["a", "b"]),
        ("", True),
        ("", False),
        ("10", 11),
        ("ten", 10),
        ("24.1", "24.10"),
        ("CR_CORE", "CR_Core"),
        ("/x.sh", ""),
        ("- /b\n# a", "# a\n- /b\n"),
        ("# a\n\n- /b", "# a\n- /b\n"),
        ("yes", "yessir"),
    ],
)
def test_not_the_same(shown: str, wanted: Value) -> None:
    assert not same(shown, wanted)


VALUES = st.one_of(
    st.booleans(),
    st.integers(),
    st.lists(st.text("abcXYZ019_-./", min_size=1, max_size=8).filter(lambda word: word[0] != "-"), max_size=5),
    st.text("abcXYZ019_ ./", max_size=12),
    st.lists(st.text("abc#- /*", max_size=9), min_size=2, max_size=5).map(lambda lines: "\n".join(lines) + "\n"),
)


@example(9_007_199_254_740_993)
@given(VALUES)
def test_what_was_written_needs_no_second_writing(value: t.Any) -> None:
    wanted = check_value("x", value)
    assert same(display(wanted), wanted)
    assert differences({"x": display(wanted)}, {"x": wanted}) == []


def test_only_what_differs() -> None:
    assert differences({"a": "yes", "b": "x y"}, {"b": ["y"], "a": True}) == [Difference("b", "x y", ["y"])]


@pytest.mark.parametrize(
    ("value", "command"),
    [
        (True, ("set", "p", "yes")),
        (False, ("set", "p", "no")),
        (7, ("set", "p", "7")),
        (["a", "b"], ("set", "p", "a", "b")),
        ([], ("clear", "p")),
        ("", ("clear", "p")),
        ("/x y", ("set", "p", "/x y")),
    ],
)
def test_assignment(value: Value, command: tuple[str, ...]) -> None:
    assert assignment("p", value) == command


@pytest.mark.parametrize("value", [None, {"a": 1}, [["a"]], ["a b"], ["a,b"], [""], [True], ["a\nb"]])
def test_values_that_are_none(value: object) -> None:
    with pytest.raises(Failure) as failure:
        check_value("p", value)
    assert failure.value.code == "bad_value"
    assert "p" in failure.value.message


@pytest.mark.parametrize("value", ["a;b", "`id`", "!id", "a|b", ["a;b"], ["-x"], "-x"])
def test_values_that_cmsh_would_act_on(value: object) -> None:
    with pytest.raises(CmshError) as error:
        check_value("p", value)
    assert error.value.code == "unsafe"


def test_a_text_may_hold_what_a_word_may_not() -> None:
    assert check_value("p", "- /a;b\n!x\n") == "- /a;b\n!x\n"


@pytest.mark.parametrize("name", ["", "A", "a b", "a;b", "a-b", "1a"])
def test_names_that_are_no_property(name: str) -> None:
    with pytest.raises(Failure) as failure:
        check_property(name)
    assert failure.value.code == "bad_property"


SITE = "# the site's\n- /a\n\nno-new-files: - /b\n"
BLOCK = "# BEGIN m\n- /x\n- /y\n# END m\n"


def test_a_block_goes_to_the_end_and_out_again() -> None:
    added = with_block(SITE, ["- /x", "- /y"], "m")
    assert added == SITE + BLOCK
    assert with_block(added, ["- /x", "- /y"], "m") == added
    assert with_block(added, [], "m") == SITE
    assert with_block("", ["- /x", "- /y"], "m") == BLOCK
    assert with_block(BLOCK, [], "m") == ""
    assert with_block(SITE, [], "m") is SITE


def test_a_block_stays_where_it_is_and_others_too() -> None:
    text = "- /a\n" + BLOCK + "- /b\n# BEGIN other\n# END other\n"
    assert with_block(text, ["- /z"], "m") == "- /a\n# BEGIN m\n- /z\n# END m\n- /b\n# BEGIN other\n# END other\n"


@pytest.mark.parametrize("text", ["# BEGIN m\n- /x\n", "# END m\n", "# END m\n# BEGIN m\n", BLOCK + BLOCK])
def test_broken_marks_are_not_guessed_at(text: str) -> None:
    with pytest.raises(Failure) as failure:
        with_block(text, ["- /x"], "m")
    assert failure.value.code == "bad_block"


@given(
    st.lists(st.text("ab#-/ ", max_size=6), max_size=6), st.lists(st.text("xy-/ ", min_size=1, max_size=6), max_size=4)
)
def test_the_sites_lines_survive(site: list[str], lines: list[str]) -> None:
    text = "\n".join(site) + "\n"
    once = with_block(text, lines, "m")
    assert with_block(once, lines, "m") == once
    assert lines_of(with_block(once, [], "m")) == lines_of(text)
    assert lines_of(once)[: len(lines_of(text))] == lines_of(text)
