# SPDX-License-Identifier: GPL-3.0-or-later
"""How properties are read and written, with a cmsh that answers from a list; bcm_settings has the simulated one."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh import Cmsh, CmshOutput, Command, script
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh_settings import (
    enter,
    names_in_list,
    read,
    split_values,
    write,
)
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh_settings_values import Difference
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure

PATH = ["wlm", "slurm"]
ADDRESS = 'home;wlm;use "slurm";'
REFUSED = """\
Code  Field                    Message
----- ------------------------ --------------------------
1     epilogslurmctld          No such file
"""


class Scripted(Cmsh):
    """Answers each call with the next output and keeps what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def run(self, commands: Iterable[Command]) -> CmshOutput:
        self.asked.append(script(commands))
        return CmshOutput(0, self.answers.pop(0), "")


def values(*parts: str) -> str:
    """What `read` gets for these values."""
    return f"{ADDRESS}\n" + "".join(f"{part}\n{ADDRESS}\n" for part in parts)


def test_the_way_to_an_object() -> None:
    assert script(enter(["configurationoverlay", "slurm-client", "roles", "slurmclient"])) == (
        "configurationoverlay; use slurm-client; roles; use slurmclient"
    )
    assert script(enter(["wlm", "slurm", "cgroups"])) == "wlm; use slurm; cgroups"


@pytest.mark.parametrize("path", [[], ["Wlm"], ["wlm;x"], ["wlm", "slurm", "!id"], [""]])
def test_a_way_that_leads_nowhere(path: list[str]) -> None:
    with pytest.raises(Failure) as failure:
        enter(path)
    assert failure.value.code == "bad_path"


def test_one_call_reads_all() -> None:
    cmsh = Scripted("some notice\n" + values("yes", "", "a\n\nb"))
    assert read(cmsh, PATH, ["one", "two", "three"]) == {"one": "yes", "two": "", "three": "a\n\nb"}
    assert cmsh.asked == ["wlm; use slurm; path; get one; path; get two; path; get three; path"]


def test_an_object_that_is_not_there_is_said_in_bcms_words() -> None:
    with pytest.raises(Failure, match=r"^BCM has no wlm slurm: no such wlm$") as failure:
        split_values(CmshOutput(0, "", "no such wlm\n"), PATH, ["one"])
    assert (failure.value.code, failure.value.details) == ("not_found", {"bcm": "no such wlm"})


@pytest.mark.parametrize(("stdout", "stderr"), [("no property two\n", ""), ("", "no property two\n")])
def test_a_property_that_is_not_there_is_named(stdout: str, stderr: str) -> None:
    output = CmshOutput(0, values("yes") + stdout, stderr)
    with pytest.raises(Failure, match=r"^BCM does not show two of wlm slurm: no property two$"):
        split_values(output, PATH, ["one", "two", "three"])


CHANGE = Difference("epilogslurmctld", "", "/x.sh")


def test_one_call_writes_and_another_looks() -> None:
    cmsh = Scripted("", values("/x.sh", "a"))
    write(cmsh, PATH, [CHANGE, Difference("prologflags", "a b", ["a"])], {})
    assert cmsh.asked == [
        "wlm; use slurm; set epilogslurmctld /x.sh; set prologflags a; commit",
        "wlm; use slurm; path; get epilogslurmctld; path; get prologflags; path",
    ]


@pytest.mark.parametrize("said", [REFUSED, "something else\n"])
def test_a_refused_commit(said: str) -> None:
    with pytest.raises(Failure, match="change epilogslurmctld of wlm slurm, and nothing was changed") as failure:
        write(Scripted(said, values("")), PATH, [CHANGE], {})
    assert failure.value.code == "refused"
    assert failure.value.message.endswith("epilogslurmctld: No such file" if said == REFUSED else "something else")


def test_a_commit_that_took_half_is_not_called_nothing() -> None:
    changes = [CHANGE, Difference("version", "24.05", "24.11")]
    with pytest.raises(Failure, match=r"not take version .* new value for epilogslurmctld: it said") as failure:
        write(Scripted("", values("/x.sh", "24.05")), PATH, changes, {})
    assert failure.value.code == "half_written"
    assert failure.value.details["now"] == {"epilogslurmctld": "/x.sh", "version": "24.05"}


TEXT = Difference("excludelistgrab", "- /a\n", "- /a\n- /b\n")


def test_a_text_is_loaded_and_looked_at_before_it_is_committed() -> None:
    rehearsed = f"{ADDRESS}\n{ADDRESS}\n- /a\n- /b\n{ADDRESS}\n"
    cmsh = Scripted(rehearsed, "", values("- /a\n- /b"))
    write(cmsh, PATH, [TEXT], {"excludelistgrab": "/tmp/x"})
    assert cmsh.asked == [
        "wlm; use slurm; path; set excludelistgrab /tmp/x; path; get excludelistgrab; path; refresh",
        "wlm; use slurm; set excludelistgrab /tmp/x; commit",
        "wlm; use slurm; path; get excludelistgrab; path",
    ]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (f"{ADDRESS}\n{ADDRESS}\n/tmp/x\n{ADDRESS}\n", "text_not_loaded"),
        (f"{ADDRESS}\n{ADDRESS}\n- /a\n{ADDRESS}\n", "text_not_loaded"),
        (f"{ADDRESS}\nno such property\n", "refused"),
    ],
)
def test_a_text_that_cmsh_did_not_load_is_never_committed(answer: str, code: str) -> None:
    cmsh = Scripted(answer)
    with pytest.raises(Failure) as failure:
        write(cmsh, PATH, [TEXT], {"excludelistgrab": "/tmp/x"})
    assert failure.value.code == code
    assert len(cmsh.asked) == 1
    assert "commit" not in cmsh.asked[0]


LIST = """\
Name (key)               Nonuser
------------------------ --------
admin                    no
my profile               yes

"""


def test_names_in_a_list() -> None:
    assert names_in_list(LIST) == ["admin", "my profile"]
    assert names_in_list("nothing\n") == []
    assert names_in_list("") == []
