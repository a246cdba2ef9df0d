# SPDX-License-Identifier: GPL-3.0-or-later
"""What cmsh's commands do to the state, and what it refuses."""

from __future__ import annotations

import io
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bcm_simulator.cmsh.errors import CmshError, NotSimulatedError
from bcm_simulator.cmsh.main import main as cmsh_main
from bcm_simulator.cmsh.nodelist import expand
from bcm_simulator.cmsh.words import parse
from bcm_simulator.pki import load_certificate, profile_of
from bcm_simulator.testing import Simulator
from simulator_client import ask, call

Run = Callable[..., Any]


def roles_over_rest(sim: Simulator, node: str) -> list[str]:
    found: list[str] = ask(sim, f"/rest/v1/device?hostname={node}").json[0]["roles"]
    return found


# -- the way the demo gives and takes a role


def test_an_overlay_gives_and_takes_a_role(sim: Simulator, cmsh: Run) -> None:
    assert cmsh("configurationoverlay; use slurm-client; append nodes dgx-01 dgx-02; commit").out == ""
    assert roles_over_rest(sim, "dgx-02") == ["slurmclient"]
    cmsh("configurationoverlay; use slurm-client; removefrom nodes dgx-02; commit")
    assert (roles_over_rest(sim, "dgx-01"), roles_over_rest(sim, "dgx-02")) == (["slurmclient"], [])
    cmsh("configurationoverlay; set slurm-client nodes dgx-01..dgx-02; commit")
    assert roles_over_rest(sim, "dgx-02") == ["slurmclient"]
    cmsh("configurationoverlay; use slurm-client; set priority -1; commit")
    assert roles_over_rest(sim, "dgx-01") == []
    cmsh("configurationoverlay; use slurm-client; clear nodes; set categories dgx-h200; set priority 500; commit")
    assert roles_over_rest(sim, "dgx-01") == ["slurmclient"]


def test_the_executable_does_the_same(sim: Simulator) -> None:
    rc, out, err = sim.cmsh("configurationoverlay; use slurm-client; append nodes dgx-01; commit", "-n", "-q")
    assert (rc, out, err) == (0, "", "")
    assert roles_over_rest(sim, "dgx-01") == ["slurmclient"]
    done = subprocess.run(
        [sim.cmsh_path, "-n"], input="device\nget dgx-01 ip\n", capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["device", "get dgx-01 ip", "10.141.0.1"]
    assert sim.cmsh("rack list")[0] == 2


def test_assign_and_unassign_on_a_node(sim: Simulator, cmsh: Run) -> None:
    refused = cmsh("device; use dgx-01; roles; assign slurmclient; commit")
    assert "WLM cluster should be set" in refused.out
    assert roles_over_rest(sim, "dgx-01") == []
    assert cmsh("device; use dgx-01; roles; assign slurmclient; set wlmcluster slurm; commit").out == ""
    assert roles_over_rest(sim, "dgx-01") == ["slurmclient"]
    assert cmsh("device; use dgx-01; roles; use slurmclient; get wlmcluster").lines == ["slurm"]
    assert cmsh("device; use dgx-01; roles; unassign slurmclient; commit").out == ""
    assert roles_over_rest(sim, "dgx-01") == []
    assert sim.store.snapshot()["role_settings"] == {}


def test_roles_of_overlays_and_categories(sim: Simulator, cmsh: Run) -> None:
    cmsh("category; use dgx-h200; roles; assign monitoring; commit")
    assert roles_over_rest(sim, "dgx-01") == ["monitoring"]
    assert cmsh("category; use dgx-h200; roles; list").lines[2:] == ["monitoring"]
    cmsh("configurationoverlay; use slurm-client; roles; use slurmclient; set queues a b; set slots 4; commit")
    assert cmsh("configurationoverlay; use slurm-client; roles; use slurmclient; get queues").lines == ["a", "b"]
    assert cmsh("configurationoverlay; use slurm-client; roles; use slurmclient; get wlmcluster").lines == ["slurm"]


@pytest.mark.parametrize("verb", ["unassign slurmclient", "use slurmclient", "assign nosuchrole", "assign"])
def test_wrong_roles(sim: Simulator, cmsh: Run, verb: str) -> None:
    sim.edit(lambda state: state["overlays"]["slurm-client"]["nodes"].append("dgx-01"))
    assert cmsh(f"device; use dgx-01; roles; {verb}").out.count("\n") == 1
    assert sim.writes.attempts == ()


# -- properties


def test_settings_of_the_workload_manager(cmsh: Run) -> None:
    assert cmsh("wlm; use slurm; get epilogslurmctld").lines == [""]
    assert cmsh("wlm; use slurm; get selecttypeparameters").lines == ["CR_Core"]
    assert cmsh("wlm; use slurm; cgroups; get constraincores").lines == ["no"]
    cmsh(
        "wlm; use slurm; set epilogslurmctld /usr/local/sbin/x.sh; set selecttypeparameters CR_Core_Memory;"
        "cgroups; set constraincores ON; set constrainramspace 1; commit"
    )
    assert cmsh("wlm; use slurm; get epilogslurmctld; get selecttypeparameters").lines == [
        "/usr/local/sbin/x.sh",
        "CR_Core_Memory",
    ]
    assert cmsh("wlm; use slurm; cgroups; get constraincores; get constrainramspace; get constraindevices").lines == [
        *("yes", "yes", "no"),
    ]
    cmsh("wlm; use slurm; cgroups; set constraincores False; ..; clear epilogslurmctld; commit")
    assert cmsh("wlm; use slurm; get epilogslurmctld; cgroups; get constraincores").lines == ["", "no"]


def test_nothing_is_stored_without_commit_or_after_refresh(sim: Simulator, cmsh: Run) -> None:
    before = sim.store.path.read_bytes()
    assert cmsh("wlm; use slurm; set epilogslurmctld /x; get epilogslurmctld").lines == ["/x"]
    assert cmsh("wlm; use slurm; set epilogslurmctld /x; refresh; commit; get epilogslurmctld").lines == [""]
    assert sim.store.path.read_bytes() == before
    assert sim.writes.attempts == ()


def test_a_commit_stores_only_its_mode(sim: Simulator, cmsh: Run) -> None:
    cmsh("wlm; use slurm; set epilogslurmctld /x; device; use dgx-01; set notes n; commit")
    state = sim.store.snapshot()
    assert state["nodes"]["dgx-01"]["properties"] == {"notes": "n"}
    assert state["wlm"]["slurm"]["properties"] == {}


def test_lists_by_switch(sim: Simulator, cmsh: Run) -> None:
    cmsh("configurationoverlay; use slurm-client; set nodes dgx-01 dgx-02; commit")
    assert cmsh("configurationoverlay; get slurm-client nodes").lines == ["dgx-01", "dgx-02"]
    sim.switch(cmsh_list_values="line")
    assert cmsh("configurationoverlay; get slurm-client nodes").lines == ["dgx-01 dgx-02"]


@pytest.mark.parametrize(
    "command",
    [
        "device; use dgx-99",
        "device; get dgx-99 ip",
        "device; use dgx-01; get colour",
        "device; use dgx-01; set ip",
        "device; use dgx-01; set hostname x",
        "device; use dgx-01; set category nowhere",
        "device; use dgx-01; append ip 1",
        "configurationoverlay; use slurm-client; append nodes dgx-99",
        "configurationoverlay; use slurm-client; removefrom nodes dgx-01",
        "configurationoverlay; use slurm-client; set priority high",
        "configurationoverlay; use slurm-client; set allheadnodes perhaps",
        "configurationoverlay; use slurm-client; set allheadnodes yes no",
        "configurationoverlay; use slurm-client; set nodes",
        "profile; get exporter tokens",
        "device; list -f colour",
        "device; list -s rack",
        "device; list -f",
        "device; foreach dgx-99 (get ip)",
        "device; foreach dgx-01",
        "device; foreach (get ip)",
        'device; get "dgx-01',
        "device; foreach * (get ip",
        "device; get dgx-01 ip)",
    ],
)
def test_errors_of_a_bcm_are_one_line_and_follow_the_switches(sim: Simulator, cmsh: Run, command: str) -> None:
    first = cmsh(command)
    assert (first.rc, first.out.count("\n"), first.err) == (0, 1, "")
    sim.switch(cmsh_error_rc=1, cmsh_error_stream="stderr")
    second = cmsh(command)
    assert (second.rc, second.out, second.err) == (1, "", first.out)


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("rack; list", "'rack'"),
        ("device; reboot", "'reboot'"),
        ("device; list -Z", "'-Z'"),
        ("device; add physicalnode x", "'add'"),
        ("category; status", "'status'"),
        ("category; use login; roles; list -p", "'-p'"),
        ("device; foreach -r r1 (get ip)", "'-r'"),
        ("device; commit --force", "'--force'"),
        ("commit", "'commit'"),
        ("list", "'list'"),
        ("cert; list", "'list'"),
        ("main; reset", "'reset'"),
        ("nonsense", "'nonsense'"),
        ("device; !id", "'!'"),
        ("device; set dgx-01 notes `id`", "'`'"),
        ("device; set dgx-01 notes '`id`'", "'`'"),
        ("device; list > /tmp/x", "'>'"),
        ("device; list | cat", "'|'"),
        ("device; set dgx-01 notes a\\b", "backslash"),
        ("exit now", "exit"),
        ("device; foreach ^/tmp/nodes (get ip)", "^"),
    ],
)
def test_what_is_not_simulated_is_refused_loudly(cmsh: Run, command: str, named: str) -> None:
    found = cmsh(f"{command}; main showprofile")
    assert found.rc == 2
    assert found.out == ""
    assert "not simulated" in found.err
    assert named in found.err


def test_quit_on_error(cmsh: Run) -> None:
    commands = "device; get dgx-99 ip; get dgx-01 ip"
    assert cmsh(commands).lines[1:] == ["10.141.0.1"]
    assert cmsh(commands, "-q").lines == cmsh(commands).lines[:1]


# -- texts


def test_texts_from_files_by_switch(sim: Simulator, cmsh: Run, tmp_path: Path) -> None:
    text = "- /etc/x/*\n# a comment\n\nno-new-files: - /y\n"
    (tmp_path / "list").write_text(text)
    command = f"category; use dgx-h200; set excludelistgrab {tmp_path}/list; commit; get excludelistgrab"
    assert cmsh(command).out == text + "\n"
    assert cmsh("device; get dgx-01 excludelistgrab").out == text + " (default)\n"
    assert cmsh("category; use dgx-h200; set excludelistgrab /no/such/file").out.count("\n") == 1
    sim.switch(cmsh_text_from_file="literal")
    assert cmsh(command).lines == [f"{tmp_path}/list"]
    sim.switch(cmsh_text_from_file="editor", cmsh_editor="fails")
    assert cmsh(command).lines == ["excludelistgrab: the editor failed", f"{tmp_path}/list"]
    assert cmsh('category; use dgx-h200; set excludelistgrab "- /z"; commit; get excludelistgrab').lines == ["- /z"]


def test_exclude_lists_are_those_of_bcm_until_somebody_sets_them(sim: Simulator, cmsh: Run) -> None:
    shown = cmsh("category; get dgx-h200 excludelistupdate")
    assert "- /cm/local/apps/cmd/etc/*" in shown.lines
    assert "no-new-files: - /cm/shared/*" in shown.lines
    assert not [line for line in shown.lines if "prometheus" in line or "/etc/ssh" in line]
    assert cmsh("device; get dgx-01 excludelistupdate").out == shown.out.removesuffix("\n") + " (default)\n"
    category = call(sim, "cmdevice.getCategories").json[0]
    assert category["excludeListUpdate"] + "\n" == shown.out
    assert cmsh("category; use dgx-h200; clear excludelistupdate; commit; get excludelistupdate").out == "\n"


def test_an_interactive_session(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = []
    typed = iter(["device", "use dgx-01", "set notes x", "reboot", "get colour", "refresh", "roles", "quit"])

    def type_next(prompt: str) -> str:
        prompts.append(prompt)
        return next(typed)

    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr("builtins.input", type_next)
    assert cmsh_main(sim.store.path, sim.directory, ["-n"], sim.certificate("admin")) == 0
    assert prompts[:4] == [
        "[bcm-head-01]% ",
        "[bcm-head-01->device]% ",
        "[bcm-head-01->device[dgx-01]]% ",
        "[bcm-head-01->device[dgx-01]*]% ",
    ]
    assert prompts[6:] == ["[bcm-head-01->device[dgx-01]]% ", "[bcm-head-01->device[dgx-01]->roles]% "]
    captured = capsys.readouterr()
    assert ("'reboot'" in captured.err, "'colour'" in captured.out) == (True, True)


@pytest.mark.parametrize("command", ["set excludelistgrab", "set excludelistgrab /etc/hostname"])
def test_a_text_without_value_opens_an_editor_and_hangs(sim: Simulator, command: str) -> None:
    sim.switch(cmsh_text_from_file="editor")
    with pytest.raises(subprocess.TimeoutExpired):
        sim.cmsh(f"category; use dgx-h200; {command}", timeout=1.5)


# -- foreach and selections


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("dgx-01..dgx-02", ["dgx-01", "dgx-02"]),
        ("dgx-0[1-2],-dgx-02", ["dgx-01"]),
        ("-c dgx-h200", ["dgx-01", "dgx-02"]),
        ("-l slurmserver", ["slurm-ctl-01"]),
        ("-l slurmserver -c login", ["slurm-ctl-01", "login-01"]),
        ("-i -l slurmsubmit -c login", ["login-01"]),
        ("-e slurm-submit", ["slurm-ctl-01", "login-01"]),
        ("-t headnode", ["bcm-head-01"]),
        ("-n login-01 mon-01", ["login-01", "mon-01"]),
    ],
)
def test_foreach(cmsh: Run, selection: str, names: list[str]) -> None:
    assert cmsh(f"device; foreach {selection} (get hostname)").lines == names


def test_foreach_comes_back_each_time(cmsh: Run) -> None:
    lines = cmsh("device; foreach * (get hostname; roles; list); path").lines
    assert lines[-1] == "home;device;"
    names = ["bcm-head-01", "dgx-01", "dgx-02", "slurm-ctl-01", "login-01", "mon-01"]
    assert [line for line in lines if line in names] == names
    assert lines.count("Name (key)") == 6


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ["a", "b"]),
        ("node009..node011", ["node009", "node010", "node011"]),
        ("node00[1-3]", ["node001", "node002", "node003"]),
        ("node00[1..7:2]", ["node001", "node003", "node005", "node007"]),
        ("r[1-2]n[01-02]", ["r1n01", "r1n02", "r2n01", "r2n02"]),
        ("node001..node005,-node002..node003", ["node001", "node004", "node005"]),
        ("dgx-01", ["dgx-01"]),
    ],
)
def test_node_lists(text: str, names: list[str]) -> None:
    assert expand(text) == names


@pytest.mark.parametrize("text", ["", "a,", "node3..node1", "node1..other3", "n[3-1]", "n[x]", "n[1-2]..n[3-4]", "n[1"])
def test_node_lists_that_are_none(text: str) -> None:
    with pytest.raises(CmshError):
        expand(text)


def test_words() -> None:
    assert [[word.text for word in statement] for statement in parse("a 'b;c' \"d e\"f;; g\n;h")] == [
        ["a", "b;c", "d ef"],
        ["g"],
        ["h"],
    ]
    assert [word.text for word in parse('x ""')[0]] == ["x", ""]
    with pytest.raises(NotSimulatedError):
        parse("a $x; !b")


# -- moving about


def test_a_mode_before_a_command_is_only_for_that_command(cmsh: Run) -> None:
    assert cmsh("configurationoverlay; device get dgx-01 ip; path").lines == [
        "10.141.0.1",
        "home;configurationoverlay;",
    ]
    assert cmsh("device; use dgx-01; exit; path; home; path; exit; path").lines == ["home;device;", "home;"]
    assert cmsh("quit; path").lines == []
    assert cmsh("device; use dgx-01; use dgx-02; get hostname").lines == ["dgx-02"]
    assert cmsh("wlm; use slurm; cgroups; category; use login; path").lines == ["home;category;use login;"]


# -- cmsh's own options


def test_input_is_echoed_when_piped_and_not_with_c_or_f(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pair = sim.certificate("admin", "Administrator")
    monkeypatch.setattr("sys.stdin", io.StringIO("device\nget dgx-01 ip\n"))
    assert cmsh_main(sim.store.path, sim.directory, ["-n"], pair) == 0
    assert capsys.readouterr().out.splitlines() == ["device", "get dgx-01 ip", "10.141.0.1"]
    (tmp_path / "commands").write_text("device\nget dgx-01 ip\n")
    assert cmsh_main(sim.store.path, sim.directory, ["-n", "-f", str(tmp_path / "commands")], pair) == 0
    assert capsys.readouterr().out.splitlines() == ["10.141.0.1"]
    assert cmsh_main(sim.store.path, sim.directory, ["-n", "-x", "-c", "main showprofile"], pair) == 0
    assert capsys.readouterr().out.splitlines() == ["main showprofile", "admin"]


@pytest.mark.parametrize(
    "options", [("-q", "--hide-events", "--disable-events"), ("-r", "-Q", "-m"), ("--norc", "--quit")]
)
def test_options_that_are_known(cmsh: Run, options: tuple[str, ...]) -> None:
    assert cmsh("main showprofile", *options).lines == ["admin"]


@pytest.mark.parametrize("options", [("-t",), ("-z",), ("-u",), ("--color", "no"), ("host:8081",), ("--json",)])
def test_options_that_are_not_simulated(cmsh: Run, options: tuple[str, ...]) -> None:
    found = cmsh("main showprofile", *options)
    assert (found.rc, options[0] in found.err) == (2, True)


def test_an_rc_file_needs_n(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cmshrc").write_text("alias x\n")
    pair = sim.certificate("admin")
    assert cmsh_main(sim.store.path, sim.directory, ["-c", "main showprofile"], pair) == 2
    assert ".cmshrc" in capsys.readouterr().err
    assert cmsh_main(sim.store.path, sim.directory, ["-n", "-c", "main showprofile"], pair) == 0


def test_the_key_pair_of_the_home_directory(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    def shown() -> str:
        cmsh_main(sim.store.path, sim.directory, ["-n", "-c", "main showprofile"])
        captured = capsys.readouterr()
        return captured.out.strip() or captured.err.strip()

    assert "no certificate" in shown()
    (tmp_path / ".cm").mkdir()
    for name, profile in (("cert", "readonly"), ("admin", "admin")):
        certificate, key = sim.certificate(profile)
        (tmp_path / ".cm" / f"{name}.pem").write_bytes(Path(certificate).read_bytes())
        (tmp_path / ".cm" / f"{name}.key").write_bytes(Path(key).read_bytes())
        assert shown() == profile


def test_certificates_that_do_not_connect(sim: Simulator, cmsh: Run) -> None:
    admin, readonly = sim.certificate("admin"), sim.certificate("readonly")
    revoked = sim.certificate("admin", "revoked")
    sim.revoke(revoked[0])
    for pair, words in (
        (sim.foreign_certificate(), "not signed by this cluster"),
        (sim.certificate("admin", days=-1), "has expired"),
        (revoked, "is revoked"),
        ((admin[0], readonly[1]), "does not belong"),
        (("/none.pem", admin[1]), "cannot read"),
    ):
        found = cmsh("main showprofile", pair=pair)
        assert (found.rc, found.out, words in found.err) == (1, "", True)
    assert cmsh("main showprofile", "-i", readonly[0], "-k", readonly[1]).lines == ["readonly"]
    assert "needed together" in cmsh("main showprofile", "-i", readonly[0]).err


# -- profiles and certificates


def test_a_profile_and_a_certificate_that_reads_devices_only(sim: Simulator, cmsh: Run, tmp_path: Path) -> None:
    assert cmsh("profile; add exporter-ro; append tokens get_device_token; set nonuser yes; commit").out == ""
    assert cmsh("profile; get exporter-ro tokens; get exporter-ro nonuser").lines == ["GET_DEVICE_TOKEN", "yes"]
    command = (
        'cert; createcertificate 2048 rolemon "Org" "Unit" "City" "State" XX exporter-ro "" 365 '
        f"{tmp_path}/x.key {tmp_path}/x.pem"
    )
    assert cmsh(command).lines == [
        f"Certificate key written to file: {tmp_path}/x.key",
        f"Certificate pem written to file: {tmp_path}/x.pem",
    ]
    for name in ("x.key", "x.pem"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    certificate = load_certificate(tmp_path / "x.pem")
    assert (profile_of(certificate), certificate.public_key().key_size) == ("exporter-ro", 2048)  # type: ignore[union-attr]
    pair = (str(tmp_path / "x.pem"), str(tmp_path / "x.key"))
    assert ask(sim, "/rest/v1/device", pair=pair).status == 200
    assert sim.let_through(*pair) == ["GET /rest/v1/device", "GET /rest/v1/status", "GET /rest/v1/version"]
    for mode in ("device", "category", "configurationoverlay", "softwareimage", "wlm", "profile"):
        assert "permission denied" in cmsh(f"{mode} list", pair=pair).out
    assert "permission denied" in cmsh(command, pair=pair).out
    assert "permission denied" in cmsh("cert listcertificates", pair=pair).out
    row = cmsh("cert listcertificates").lines[-1].split()
    assert (row[0], row[1], row[-2], row[-1]) == ("1", "No", "exporter-ro", "rolemon")
    assert cmsh("cert revokecertificate 1").out == ""
    assert cmsh("cert listcertificates").lines[-1].split()[1] == "Yes"
    assert ask(sim, "/rest/v1/device", pair=pair).status == 401


def test_the_first_call_may_only_request(sim: Simulator, cmsh: Run, tmp_path: Path) -> None:
    sim.switch(cmsh_certificate_first_call="request_only")
    command = f"cert; createcertificate 2048 x O U C S XX readonly peter 28 {tmp_path}/x.key {tmp_path}/x.pem"
    assert cmsh(command).lines == ["[notice] bcm-head-01: New certificate request with ID: 1"]
    assert not (tmp_path / "x.pem").exists()
    assert len(cmsh(command).lines) == 2
    assert (tmp_path / "x.pem").exists()
    assert "peter" in cmsh("cert listcertificates").lines[-1]
    assert cmsh(command, "--hide-events").lines == []


@pytest.mark.parametrize(
    "arguments",
    [
        "2048 x O U C S XX readonly",
        "768 x O U C S XX readonly '' 28 /tmp/x.key /tmp/x.pem",
        "2048 x O U C S Germany readonly '' 28 /tmp/x.key /tmp/x.pem",
        "2048 x O U C S XX nosuch '' 28 /tmp/x.key /tmp/x.pem",
        "2048 x O U C S XX readonly '' forever /tmp/x.key /tmp/x.pem",
        "2048 x O U C S XX readonly '' 28 x.key x.pem",
        "2048 x O U C S XX readonly '' 28 /no/such/x.key /no/such/x.pem",
    ],
)
def test_certificates_that_cannot_be(sim: Simulator, cmsh: Run, arguments: str) -> None:
    assert cmsh(f"cert createcertificate {arguments}").out.startswith("createcertificate")
    assert sim.store.snapshot()["certificates"] == {}


def test_shipped_profiles(cmsh: Run) -> None:
    assert "cannot be modified" in cmsh("profile; use node; append tokens GET_DEVICE_TOKEN; commit").out
    assert "cannot be removed" in cmsh("profile; remove power; commit").out
    assert cmsh("profile; use readonly; removefrom tokens GET_RACK_TOKEN; commit").out == ""
    assert "GET_RACK_TOKEN" not in cmsh("profile; get readonly tokens").lines
    assert "does not exist" in cmsh("profile; use readonly; append tokens FLY_TOKEN").out
    assert "exists already" in cmsh("profile; add readonly").out
    assert cmsh("profile; add x; append services cmdevice; get services").lines == ["CMDevice"]


# -- who may, and how it is counted


def test_a_readonly_certificate_reads_and_cannot_commit(sim: Simulator, cmsh: Run) -> None:
    pair = sim.certificate("readonly")
    assert cmsh("device; get dgx-01 ip", pair=pair).lines == ["10.141.0.1"]
    found = cmsh("configurationoverlay; use slurm-client; append nodes dgx-01; commit", pair=pair)
    assert "permission denied" in found.out
    assert (sim.writes.stored, sim.writes.refused) == (0, 1)
    assert sim.writes.attempts[0]["profile"] == "readonly"


def test_a_bcm_that_refuses_all_writes_counts_them(sim: Simulator, cmsh: Run, tmp_path: Path) -> None:
    sim.switch(read_only=True)
    before = sim.store.path.read_bytes()
    assert "refuses all writes" in cmsh("wlm; use slurm; set epilogslurmctld /x; commit").out
    certificate = f"createcertificate 2048 x O U C S XX readonly '' 28 {tmp_path}/x.key {tmp_path}/x.pem"
    assert "refuses all writes" in cmsh(f"cert {certificate}").out
    assert (sim.writes.stored, sim.writes.refused) == (0, 2)
    assert sim.store.path.read_bytes() == before
    assert list(tmp_path.iterdir()) == []


def test_stored_writes_are_counted(sim: Simulator, cmsh: Run) -> None:
    cmsh("wlm; use slurm; set epilogslurmctld /x; commit; commit")
    assert (sim.writes.stored, sim.writes.refused) == (1, 0)


def test_overlay_priorities_that_bcm_has_itself(cmsh: Run) -> None:
    for priority in (250, 750, 1001):
        assert "priority" in cmsh(f"configurationoverlay; use slurm-client; set priority {priority}; commit").out
