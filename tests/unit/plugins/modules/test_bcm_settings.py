# SPDX-License-Identifier: GPL-3.0-or-later
"""bcm_settings on the simulated BCM: each returned field, and what the simulator counted as writes."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh import Cmsh, CmshError
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from ansible_collections.superpod.monitoring.plugins.modules.bcm_settings import check, run
from bcm_simulator.testing import Simulator
from unit.plugins.modules.ansible_run import Task, play
from unit.plugins.modules.in_process import run_in_process

MINE = "/usr/local/sbin/slurmctldepilog.sh"
THEIRS = "/opt/site/epilog.sh"
SITE_LIST = "# the site's\n- /data/*\n\nno-new-files: - /proc/*\n"
OPTIONS: dict[str, t.Any] = {
    "path": ["wlm", "slurm"],
    "settings": {},
    "blocks": {},
    "marker": "superpod.monitoring",
    "expected": {},
    "on_unexpected": "fail",
    "cmd_conf": "/nonexistent",
    "cmsh": None,
    "cmsh_timeout": 30,
}


class Module:
    """What `run` uses of AnsibleModule."""

    def __init__(self, sim: Simulator, directory: Path, check_mode: bool = False, **options: t.Any) -> None:
        self.params = {**OPTIONS, "cmsh": sim.cmsh_path, **options}
        self.check_mode = check_mode
        self.tmpdir = str(directory)


@pytest.fixture
def sim() -> t.Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def fast_sim(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    run_in_process(monkeypatch, sim)
    return sim


def get(sim: Simulator, path: str, name: str) -> str:
    """Return what BCM has, by a way of its own."""
    words = path.split()
    output = Cmsh(sim.cmsh_path).run(
        [("use", word) if at % 2 else (word,) for at, word in enumerate(words)] + [("get", name)]
    )
    assert output.rc == 0, output.stderr
    return output.stdout.rstrip("\n")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "nothing to set"),
        ({"settings": {"version": None}}, "version is a NoneType"),
        ({"settings": {"Version": "1"}}, "'Version' cannot be a property"),
        ({"settings": {"a": "x\n"}, "blocks": {"a": ["x"]}}, "a is in settings and in blocks"),
        ({"settings": {"a": 1}, "expected": {"b": [1]}}, "b is in expected but not in settings"),
        ({"blocks": {"a": "x"}}, "not a list of lines"),
        ({"blocks": {"a": ["x\ny"]}}, "not a list of lines"),
        ({"blocks": {"a": [""]}}, "not a list of lines"),
        ({"blocks": {"a": ["x"]}, "marker": "m\n"}, "marker is not one line"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, t.Any], says: str) -> None:
    with pytest.raises(Failure) as failure:
        check({**OPTIONS, **options})
    assert says in failure.value.message


def test_somebody_elses_value_stops_or_stays(fast_sim: Simulator, tmp_path: Path) -> None:
    fast_sim.cmsh(f"wlm; use slurm; set epilogslurmctld {THEIRS}; commit")
    before = fast_sim.writes.stored
    settings = {"epilogslurmctld": MINE, "prologflags": ["Contain", "Alloc"]}
    options = {"settings": settings, "expected": {"epilogslurmctld": ["", "/old.sh"]}}
    with pytest.raises(Failure) as failure:
        run(Module(fast_sim, tmp_path, **options))
    assert failure.value.code == "unexpected"
    assert failure.value.details == {"current": {"epilogslurmctld": THEIRS}}
    assert THEIRS in failure.value.message
    assert fast_sim.writes.stored == before

    kept = run(Module(fast_sim, tmp_path, **options, on_unexpected="keep"))
    assert kept["kept"] == {"epilogslurmctld": THEIRS}
    assert kept["differing"] == ["prologflags"]
    assert kept["after"]["epilogslurmctld"].strip() == THEIRS
    assert get(fast_sim, "wlm slurm", "epilogslurmctld") == THEIRS

    replaced = run(Module(fast_sim, tmp_path, settings={"epilogslurmctld": MINE}, expected={"epilogslurmctld": THEIRS}))
    assert (replaced["differing"], replaced["kept"]) == (["epilogslurmctld"], {})
    assert get(fast_sim, "wlm slurm", "epilogslurmctld") == MINE
    # what is wanted is never unexpected
    assert (
        run(Module(fast_sim, tmp_path, settings={"epilogslurmctld": MINE}, expected={"epilogslurmctld": [""]}))["kept"]
        == {}
    )
    cleared = run(Module(fast_sim, tmp_path, settings={"epilogslurmctld": ""}))
    assert cleared["after"] == {"epilogslurmctld": ""}
    assert get(fast_sim, "wlm slurm", "epilogslurmctld") == ""


@pytest.mark.parametrize(("stream", "rc"), [("stdout", 0), ("stderr", 1)])
def test_what_bcm_refuses_is_reported_and_not_stored(fast_sim: Simulator, tmp_path: Path, stream: str, rc: int) -> None:
    fast_sim.switch(cmsh_error_stream=stream, cmsh_error_rc=rc)
    path = ["category", "dgx-h200"]
    with pytest.raises(Failure) as failure:
        run(Module(fast_sim, tmp_path, path=path, settings={"notes": "mine", "softwareimage": "no-such-image"}))
    assert failure.value.code == "refused"
    assert failure.value.details["bcm"]
    assert failure.value.details["bcm"] in failure.value.message
    assert get(fast_sim, "category dgx-h200", "notes") == ""
    assert get(fast_sim, "category dgx-h200", "softwareimage") == "dgx-image"
    assert fast_sim.writes.stored == 0


@pytest.mark.parametrize(
    ("path", "name"), [(["wlm", "other"], "version"), (["wlm", "slurm"], "nosuchproperty"), (["nosuchmode"], "version")]
)
def test_what_is_not_there_is_said(fast_sim: Simulator, tmp_path: Path, path: list[str], name: str) -> None:
    with pytest.raises(Failure) as failure:
        run(Module(fast_sim, tmp_path, path=path, settings={name: "x"}))
    assert failure.value.code == "not_found"
    assert "it said nothing" not in failure.value.message
    assert fast_sim.writes.attempts == ()


def test_a_whole_text_and_a_block(fast_sim: Simulator, tmp_path: Path) -> None:
    path = ["category", "dgx-h200"]
    whole = Module(fast_sim, tmp_path, path=path, settings={"excludelistgrab": SITE_LIST})
    assert run(whole)["changed"] is True
    assert run(whole)["changed"] is False
    block = {"excludelistgrab": ["- /etc/bcm-role-monitor/*"], "excludelistgrabnew": ["- /etc/bcm-role-monitor/*"]}
    wanted = SITE_LIST + "# BEGIN superpod.monitoring\n- /etc/bcm-role-monitor/*\n# END superpod.monitoring\n"
    checked = run(Module(fast_sim, tmp_path, check_mode=True, path=path, blocks=block))
    assert checked["after"]["excludelistgrab"] == wanted
    assert get(fast_sim, "category dgx-h200", "excludelistgrab").strip() == SITE_LIST.strip()
    added = run(Module(fast_sim, tmp_path, path=path, blocks=block))
    assert (added["changed"], added["after"]) == (True, checked["after"])
    assert get(fast_sim, "category dgx-h200", "excludelistgrab").strip() == wanted.strip()
    assert run(Module(fast_sim, tmp_path, path=path, blocks=block))["changed"] is False
    removed = run(Module(fast_sim, tmp_path, path=path, blocks={"excludelistgrab": []}))
    assert removed["changed"] is True
    assert get(fast_sim, "category dgx-h200", "excludelistgrab").strip() == SITE_LIST.strip()
    for file in tmp_path.iterdir():
        assert file.suffix == ".txt"


def test_an_editor_never_opens(sim: Simulator, tmp_path: Path) -> None:
    """On a BCM whose `set` opens an editor the module fails, and in time."""
    sim.switch(cmsh_text_from_file="editor")
    settings = {"notes": "x", "finalizescript": "#!\nx\n"}
    module = Module(sim, tmp_path, path=["category", "dgx-h200"], settings=settings, cmsh_timeout=3)
    with pytest.raises((CmshError, Failure), match=r"not end within|refused|does not load"):
        run(module)
    assert sim.writes.stored == 0
    assert get(sim, "category dgx-h200", "notes") == ""


def test_lists_on_one_line_are_the_same(fast_sim: Simulator, tmp_path: Path) -> None:
    path = ["configurationoverlay", "slurm-submit"]
    overlay = Module(fast_sim, tmp_path, path=path, settings={"nodes": ["login-01", "slurm-ctl-01"]})
    for form in ("lines", "line"):
        fast_sim.switch(cmsh_list_values=form)
        assert run(overlay)["changed"] is False
    assert run(Module(fast_sim, tmp_path, path=path, settings={"nodes": []}))["changed"] is True
    assert get(fast_sim, "configurationoverlay slurm-submit", "nodes") == ""


@pytest.mark.plays
def test_through_ansible(sim: Simulator, tmp_path: Path) -> None:
    """Starts with check mode, in which the simulator sees no write; each returned field of each kind of run."""
    freezing = tmp_path / "cmd.conf"
    freezing.write_text("FreezeChangesToSlurmConfig = true\n", encoding="utf-8")
    hanging = tmp_path / "cmsh"
    hanging.write_text("#!/bin/sh\nsleep 600\n", encoding="utf-8")
    hanging.chmod(0o755)
    common = {"cmsh": sim.cmsh_path, "cmd_conf": "/nonexistent"}
    cgroups = {
        **common,
        "path": ["wlm", "slurm", "cgroups"],
        "settings": {"constraincores": True, "constrainramspace": "on"},
    }
    sim.switch(read_only=True)
    checked = play(tmp_path, [Task("bcm_settings", cgroups, check_mode=True)])
    assert sim.writes.attempts == ()
    sim.switch(read_only=False)

    wlm = {
        **common,
        "path": ["wlm", "slurm"],
        "settings": {"epilogslurmctld": MINE, "prologflags": ["Contain", "Alloc"], "prologepilogtimeout": 60},
        "expected": {"epilogslurmctld": [""]},
    }
    notes = {**common, "path": ["category", "login"], "settings": {"notes": ""}}
    played = play(
        tmp_path,
        [
            Task("bcm_settings", cgroups),
            Task("bcm_settings", cgroups),
            Task("bcm_settings", wlm),
            Task("bcm_settings", {**wlm, "settings": {**wlm["settings"], "prologflags": ["Alloc", "Contain"]}}),
            Task("bcm_settings", {**wlm, "settings": {"epilogslurmctld": "/new.sh"}}),
            Task("bcm_settings", {**wlm, "settings": {"epilogslurmctld": "/a; !id"}}),
            Task("bcm_settings", {**wlm, "cmsh": "/no/such/cmsh"}),
            Task("bcm_settings", {**wlm, "cmsh": str(hanging), "cmsh_timeout": 1}),
            Task("bcm_settings", {**wlm, "cmd_conf": str(freezing)}),
            Task("bcm_settings", {**notes, "cmd_conf": str(freezing)}),
        ],
    )
    header = {"before_header": "wlm slurm cgroups", "after_header": "wlm slurm cgroups"}
    no = "constraincores: no\nconstrainramspace: no\n"
    yes = "constraincores: yes\nconstrainramspace: yes\n"
    changed = {
        "changed": True,
        "failed": False,
        "path": ["wlm", "slurm", "cgroups"],
        "before": {"constraincores": "no", "constrainramspace": "no"},
        "after": {"constraincores": "yes", "constrainramspace": "yes"},
        "differing": ["constraincores", "constrainramspace"],
        "kept": {},
        "frozen": [],
        "diff": {**header, "before": no, "after": yes},
    }
    assert checked.results[0] == changed
    assert played.results[0] == changed
    assert played.results[1] == {
        **changed,
        "changed": False,
        "before": changed["after"],
        "differing": [],
        "diff": {**header, "before": yes, "after": yes},
    }
    assert get(sim, "wlm slurm cgroups", "constrainramspace") == "yes"

    first, second, unexpected, unsafe, none, hung, frozen, category = played.results[2:]
    assert first["differing"] == ["epilogslurmctld", "prologflags", "prologepilogtimeout"]
    assert first["after"] == {"epilogslurmctld": MINE, "prologflags": "Contain Alloc", "prologepilogtimeout": "60"}
    assert (second["changed"], second["differing"]) == (False, [])
    failed = {"unexpected": unexpected, "unsafe": unsafe, "no_cmsh": none, "timeout": hung}
    for code, result in failed.items():
        assert result["failed"] is True
        assert result["failure"]["code"] == code
        assert result["failure"]["message"] == result["msg"]
    assert unexpected["failure"]["details"] == {"current": {"epilogslurmctld": MINE}}
    assert unsafe["failure"]["details"] == {}
    assert "contains '!', ';'" in unsafe["msg"]
    assert "did not end within 1 s" in hung["msg"]
    assert (frozen["changed"], frozen["frozen"]) == (False, ["FreezeChangesToSlurmConfig = true"])
    assert "do not reach Slurm" in frozen["warnings"][0]
    assert (category["changed"], category["frozen"]) == (False, [])
    # two commits of the two changed runs, and nothing else
    assert (sim.writes.stored, sim.writes.refused) == (2, 0)
    assert (checked.output + played.output).count("WARNING") == 1
