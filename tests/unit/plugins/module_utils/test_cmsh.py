# SPDX-License-Identifier: GPL-3.0-or-later
"""The cmsh runner: what it refuses to pass, what it reads from the output, and that it always ends."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh import (
    Cmsh,
    CmshError,
    Refusal,
    Verbatim,
    find_cmsh,
    parse_refusals,
    quote,
    script,
    started,
    without_events,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import failing
from hypothesis import given
from hypothesis import strategies as st

REFUSED = """\
Code  Field                    Message
----- ------------------------ --------------------------
1     category                 The category should be set
2                              Two things: are wrong
"""


def fake_cmsh(directory: Path, body: str) -> str:
    path = directory / "cmsh"
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize(
    "word",
    [
        "a;b",
        "a!id",
        "a`id`",
        "a|b",
        "a>b",
        "a<b",
        "a\nb",
        "a\rb",
        'a"b',
        "a'b",
        "a\\b",
        "$(id)",
        "a\0b",
        "#x",
        "a\u2028b",
    ],
)
def test_what_cmsh_would_act_on_is_refused(word: str) -> None:
    with pytest.raises(CmshError) as error:
        quote(word)
    assert error.value.code == "unsafe"
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("word", ["-w", "--wait", "-1x", "-"])
def test_a_value_cannot_become_an_option(word: str) -> None:
    with pytest.raises(CmshError, match="option"):
        quote(word)


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("slurm", "slurm"),
        ("/usr/local/sbin/x.sh", "/usr/local/sbin/x.sh"),
        ("-1", "-1"),
        ("", '""'),
        ("Santa Clara", '"Santa Clara"'),
        ("dgx[01-04]", '"dgx[01-04]"'),
        ("Universität", "Universität"),
        (Verbatim("|"), "|"),
    ],
)
def test_quoting(word: str, quoted: str) -> None:
    assert quote(word) == quoted


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_a_word_is_refused_or_stays_one_word(words: list[str]) -> None:
    """Read back by a shell's word splitting, which knows the same quotes, a command is the words that went in."""
    try:
        line = script([words])
    except CmshError:
        return
    assert shlex.split(line) == words
    assert not set(line) & set("!`;|><\n\r\\")


def test_refusals_are_read_by_the_width_of_the_columns() -> None:
    assert parse_refusals("noise\n" + REFUSED + "\n1     not a row\n") == (
        Refusal("1", "category", "The category should be set"),
        Refusal("2", "", "Two things: are wrong"),
    )
    assert parse_refusals("Code Field Message\nno dashes\n") == ()


def test_event_lines_are_dropped_and_role_prefixes_are_not() -> None:
    text = (
        "[category:default] cgroupsupervisor\n"
        "Fri Nov 20 09:43:59 2026 [notice] head: New certificate request with ID: 16\n"
        "[warning] head: x\n"
        "slurmclient\n"
    )
    assert without_events(text) == "[category:default] cgroupsupervisor\nslurmclient\n"


def test_run_passes_one_line_without_a_terminal_or_an_editor(tmp_path: Path) -> None:
    cmsh = fake_cmsh(tmp_path, 'printf "%s\\n" "$@" "$EDITOR" "$VISUAL"; cat')
    output = Cmsh(cmsh, certificate="/c.pem", private_key="/c.key").run(
        [("wlm",), ("use", "slurm 1"), ("get", "version")]
    )
    assert output.rc == 0
    assert output.stdout.splitlines() == [
        *["-n", "-q", "--hide-events", "--disable-events", "-i", "/c.pem", "-k", "/c.key", "-c"],
        'wlm; use "slurm 1"; get version',
        *["false", "false"],
    ]


def test_a_refusal_is_seen_whatever_the_exit_status_and_the_stream(tmp_path: Path) -> None:
    for redirect in ("", ">&2"):
        output = Cmsh(fake_cmsh(tmp_path, f"cat {redirect} <<'END'\n{REFUSED}END\nexit 0")).run([("commit",)])
        assert [refusal.field for refusal in output.refusals] == ["category", ""]
        assert output.words == "category: The category should be set; Two things: are wrong"


def test_other_words_come_from_both_streams(tmp_path: Path) -> None:
    output = Cmsh(fake_cmsh(tmp_path, "echo out; echo err >&2; exit 3")).run([("commit",)])
    assert (output.rc, output.words, output.refusals) == (3, "err / out", ())


def test_a_hanging_cmsh_and_its_children_are_ended(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    cmsh = fake_cmsh(tmp_path, f"sh -c 'echo $$ > {marker}; exec sleep 600'")
    with pytest.raises(CmshError, match=r"did not end within 0.5 s.*get x") as error:
        Cmsh(cmsh, timeout=0.5).run([("get", "x")])
    assert error.value.code == "timeout"
    assert ends(int(marker.read_text()))


def test_a_session_ends_with_the_body(tmp_path: Path) -> None:
    """cmsh has ended, but nobody has waited for it, and its child holds the pipe."""
    cmsh = fake_cmsh(tmp_path, "sleep 600 & echo $!; exit 0")
    with started([cmsh], stdin=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
    assert ends(child)


def ends(pid: int) -> bool:
    for _ in range(100):
        if not Path(f"/proc/{pid}/status").exists() or "State:\tZ" in Path(f"/proc/{pid}/status").read_text():
            return True
        time.sleep(0.05)
    return False


def test_nothing_is_run_when_a_word_is_unsafe(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with pytest.raises(CmshError):
        Cmsh(fake_cmsh(tmp_path, f"touch {marker}")).run([("get", "x"), ("set", "y", "a;b")])
    assert not marker.exists()


def test_no_cmsh_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CmshError, match="head node") as error:
        find_cmsh(str(tmp_path / "none"))
    assert error.value.code == "no_cmsh"

    class Module:
        def fail_json(self, msg: str, **kwargs: t.Any) -> t.NoReturn:
            raise SystemExit(kwargs["failure"]["code"] + ": " + msg)

    with pytest.raises(SystemExit, match=r"^no_cmsh: .* is not here; run this on a BCM head node"), failing(Module()):
        find_cmsh(str(tmp_path / "none"))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    assert find_cmsh(fake_cmsh(tmp_path, "")) == find_cmsh()


def test_a_broken_cmsh_is_one_sentence(tmp_path: Path) -> None:
    path = Path(fake_cmsh(tmp_path, ""))
    path.write_text("#!/no/such/interpreter\n", encoding="utf-8")
    with pytest.raises(CmshError, match="cannot be run") as error:
        Cmsh(str(path)).run([("list",)])
    assert error.value.code == "failed"
