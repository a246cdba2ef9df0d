# SPDX-License-Identifier: GPL-3.0-or-later
"""bcm_certificate on the simulated BCM: each returned field, when it renews, what it never touches."""

from __future__ import annotations

import stat
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh import Cmsh, CmshError, CmshOutput
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from ansible_collections.superpod.monitoring.plugins.module_utils.openssl import Certificate, read_certificate
from ansible_collections.superpod.monitoring.plugins.modules import bcm_certificate
from ansible_collections.superpod.monitoring.plugins.modules.bcm_certificate import (
    DAY,
    Present,
    check,
    moment,
    reasons,
    run,
    take_away,
)
from bcm_simulator.pki import Authority, Subject, load_certificate, profile_of
from bcm_simulator.testing import Simulator
from unit.plugins.modules.ansible_run import Task, play
from unit.plugins.modules.in_process import run_in_process

PROFILE = "superpod-devices-ro"
SUBJECT = {
    "organization": "SuperPOD",
    "organizational_unit": "Monitoring",
    "locality": "Cluster",
    "state": "Cluster",
    "country": "XX",
}


def options(sim: Simulator, directory: Path, **changes: t.Any) -> dict[str, t.Any]:
    """The module's parameters, with its defaults."""
    return {
        "common_name": "role-monitor",
        "profile": PROFILE,
        "tokens": ["GET_DEVICE_TOKEN"],
        "services": [],
        "certificate": str(directory / "rm.pem"),
        "private_key": str(directory / "rm.key"),
        "days": 365,
        "renew_before_days": 30,
        "key_length": 2048,
        "subject": SUBJECT,
        "authorities": [sim.ca],
        "revoke_old": False,
        "cmsh": sim.cmsh_path,
        "cmsh_timeout": 30,
        **changes,
    }


class Module:
    """What `run` uses of AnsibleModule."""

    def __init__(self, params: dict[str, t.Any], check_mode: bool = False) -> None:
        self.params = params
        self.check_mode = check_mode


@pytest.fixture
def program() -> t.Iterator[Simulator]:
    """A BCM whose cmsh runs as a program."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def sim(program: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """A BCM whose cmsh answers without a process of its own."""
    run_in_process(monkeypatch, program)
    return program


def ensure(
    sim: Simulator, directory: Path, check_mode: bool = False, later: float = 0, **changes: t.Any
) -> dict[str, t.Any]:
    """Run the module's work `later` seconds from now."""
    return run(Module(options(sim, directory, **changes), check_mode), time.time() + later)


CERTIFICATE = Certificate("role-monitor", PROFILE, 23, 1_000_000 + 100 * DAY, "x")


@pytest.mark.parametrize(
    ("present", "now", "why"),
    [
        (Present(), 0, ["missing"]),
        (Present(CERTIFICATE, has_key=True), 1_000_000, []),
        (Present(CERTIFICATE, has_key=True, revoked=False), 1_000_000 + 70 * DAY, []),
        (Present(CERTIFICATE, has_key=True), 1_000_000 + 70 * DAY + 1, ["expires"]),
        (Present(CERTIFICATE, has_key=True), 1_000_000 + 200 * DAY, ["expires"]),
        (Present(CERTIFICATE), 1_000_000, ["key_missing"]),
        (Present(CERTIFICATE, has_key=True, revoked=True, signed=False), 1_000_000, ["revoked", "other_authority"]),
    ],
)
def test_when_a_new_one_is_needed(present: Present, now: float, why: list[str]) -> None:
    assert reasons(present, 30, now) == why


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tokens": []}, "tokens is empty"),
        ({"common_name": " "}, "common_name is empty"),
        ({"days": 30}, "make days the larger number"),
        ({"renew_before_days": -1}, "make days the larger number"),
        ({"private_key": "/tmp/x", "certificate": "/tmp/../tmp/x"}, "the same file"),
        ({"authorities": ["/no/such/ca.pem"]}, "/no/such/ca.pem does not exist"),
        ({"profile": "readonly"}, "comes with BCM"),
        ({"profile": "node"}, "comes with BCM"),
    ],
)
def test_options_that_make_no_sense(sim: Simulator, tmp_path: Path, changes: dict[str, t.Any], says: str) -> None:
    with pytest.raises(Failure) as failure:
        ensure(sim, tmp_path, **changes)
    assert says in failure.value.message
    assert sim.writes.attempts == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"common_name": "a;b"},
        {"tokens": ["!id"]},
        {"private_key": "/tmp/`id`"},
        {"subject": {**SUBJECT, "locality": 'a"b'}},
    ],
)
def test_nothing_that_cmsh_would_act_on_is_passed(sim: Simulator, tmp_path: Path, changes: dict[str, t.Any]) -> None:
    with pytest.raises(CmshError) as error:
        check(options(sim, tmp_path, **changes))
    assert error.value.code == "unsafe"


@pytest.mark.parametrize("first_call", ["writes", "request_only"])
def test_made_once_whatever_the_first_call_does(sim: Simulator, tmp_path: Path, first_call: str) -> None:
    sim.switch(cmsh_certificate_first_call=first_call)
    made = ensure(sim, tmp_path)
    assert made["reasons"] == ["missing"]
    certificate = load_certificate(tmp_path / "rm.pem")
    assert (profile_of(certificate), str(certificate.serial_number)) == (PROFILE, made["serial"])
    assert stat.S_IMODE((tmp_path / "rm.key").stat().st_mode) == 0o600
    stored = sim.writes.stored
    again = ensure(sim, tmp_path)
    assert (again["changed"], again["reasons"], again["serial"]) == (False, [], made["serial"])
    assert sim.writes.stored == stored
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rm.key", "rm.pem"]


def test_renewed_in_time_and_the_old_one_revoked_if_asked(sim: Simulator, tmp_path: Path) -> None:
    first = ensure(sim, tmp_path)
    assert ensure(sim, tmp_path, later=334 * DAY)["reasons"] == []
    key = (tmp_path / "rm.key").read_bytes()

    checked = ensure(sim, tmp_path, check_mode=True, later=336 * DAY, revoke_old=True, days=500)
    assert checked["reasons"] == ["expires"]
    assert (checked["serial"], checked["not_after"], checked["revoked"]) == (None, None, [first["serial"]])
    assert (tmp_path / "rm.key").read_bytes() == key

    renewed = ensure(sim, tmp_path, later=336 * DAY, revoke_old=True, days=500)
    assert (renewed["reasons"], renewed["revoked"]) == (["expires"], [first["serial"]])
    assert renewed["serial"] not in (None, first["serial"])
    assert (tmp_path / "rm.key").read_bytes() != key
    kept = ensure(sim, tmp_path, later=336 * DAY)
    assert (kept["changed"], kept["serial"]) == (False, renewed["serial"])
    assert read_certificate(str(tmp_path / f"rm.pem.{first['serial']}")).serial == int(first["serial"])


def test_a_revoked_certificate_is_replaced(sim: Simulator, tmp_path: Path) -> None:
    first = ensure(sim, tmp_path)
    sim.edit(lambda state: state["certificates"][first["serial"]].update(revoked=True))
    second = ensure(sim, tmp_path)
    assert (second["reasons"], second["revoked"]) == (["revoked"], [])
    assert ensure(sim, tmp_path)["changed"] is False


def test_another_authority_means_a_new_certificate(sim: Simulator, tmp_path: Path) -> None:
    """As after a new licence. An authority that does not sign what BCM makes is an error, not an endless renewal."""
    ensure(sim, tmp_path)
    Authority.new("New licence", key="ec").store(tmp_path / "new")
    new = [str(tmp_path / "new" / name) for name in ("cacert.pem", "cluster.pem")]
    assert ensure(sim, tmp_path, check_mode=True, authorities=new)["reasons"] == ["other_authority"]
    before = (tmp_path / "rm.pem").read_bytes()
    with pytest.raises(Failure, match=r"cannot be used: it is not signed by .*cacert.pem") as failure:
        ensure(sim, tmp_path, authorities=new)
    assert failure.value.code == "wrong_certificate"
    assert (tmp_path / "rm.pem").read_bytes() == before
    assert ensure(sim, tmp_path, authorities=[])["changed"] is False


def test_a_key_that_others_can_read_is_closed(sim: Simulator, tmp_path: Path) -> None:
    first = ensure(sim, tmp_path)
    (tmp_path / "rm.key").chmod(0o640)
    checked = ensure(sim, tmp_path, check_mode=True)
    assert (checked["changed"], checked["key_mode_corrected"]) == (True, True)
    assert stat.S_IMODE((tmp_path / "rm.key").stat().st_mode) == 0o640
    corrected = ensure(sim, tmp_path)
    assert (corrected["key_mode_corrected"], corrected["serial"]) == (True, first["serial"])
    assert corrected["diff"]["before"] == corrected["diff"]["after"] + "others can read the key\n"
    assert stat.S_IMODE((tmp_path / "rm.key").stat().st_mode) == 0o600
    assert ensure(sim, tmp_path)["changed"] is False


def test_a_lost_key_means_a_new_pair(sim: Simulator, tmp_path: Path) -> None:
    ensure(sim, tmp_path)
    (tmp_path / "rm.key").unlink()
    assert ensure(sim, tmp_path)["reasons"] == ["key_missing"]
    assert ensure(sim, tmp_path)["changed"] is False


def test_the_administrators_certificate_is_never_replaced(sim: Simulator, tmp_path: Path) -> None:
    certificate, key = sim.certificate("admin", "Administrator")
    content = Path(certificate).read_bytes(), Path(key).read_bytes()
    for changes, says in (
        ({"certificate": certificate, "private_key": key}, "is the certificate of 'Administrator'"),
        ({"certificate": certificate}, "is the certificate of 'Administrator'"),
        ({"private_key": key}, "whose key that is cannot be seen"),
    ):
        with pytest.raises(Failure, match=says) as failure:
            ensure(sim, tmp_path, **changes)
        assert failure.value.code == "not_ours"
    ensure(sim, tmp_path)
    with pytest.raises(Failure, match="is not the key of"):
        ensure(sim, tmp_path, private_key=key)
    assert (Path(certificate).read_bytes(), Path(key).read_bytes()) == content


def test_the_profile_has_exactly_the_tokens(sim: Simulator, tmp_path: Path) -> None:
    wide = ["GET_CATEGORY_TOKEN", "GET_DEVICE_TOKEN"]
    assert ensure(sim, tmp_path, tokens=["get_device_token", "get_category_token"])["profile"] == {
        "name": PROFILE,
        "tokens": wide,
        "services": [],
        "change": "created",
    }
    narrow = ensure(sim, tmp_path, services=["CMDevice"])
    assert (narrow["profile"]["change"], narrow["reasons"]) == ("changed", [])
    assert "  token GET_CATEGORY_TOKEN\n" in narrow["diff"]["before"]
    assert "  token GET_CATEGORY_TOKEN\n" not in narrow["diff"]["after"]
    assert "  service CMDevice\n" in narrow["diff"]["after"]
    assert ensure(sim, tmp_path, services=["CMDevice"])["changed"] is False
    assert sim.cmsh(f"profile; get {PROFILE} tokens")[1].split() == ["GET_DEVICE_TOKEN"]


def test_a_profile_for_people_is_left_alone(sim: Simulator, tmp_path: Path) -> None:
    sim.edit(lambda state: state["profiles"].update({"ours": {"nonuser": False, "tokens": [], "services": []}}))
    with pytest.raises(Failure, match="for people"):
        ensure(sim, tmp_path, profile="ours")
    assert sim.writes.attempts == ()


def test_a_token_that_bcm_does_not_know(sim: Simulator, tmp_path: Path) -> None:
    with pytest.raises(Failure) as failure:
        ensure(sim, tmp_path, tokens=["NO_SUCH_TOKEN"])
    assert failure.value.code == "refused"
    assert failure.value.details["bcm"] in failure.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_certificate_that_bcm_did_not_make_as_ordered(program: Simulator, tmp_path: Path) -> None:
    """A cmsh that writes some other pair: nothing of it is used."""
    admin = program.certificate("admin", "Administrator")
    wrapper = tmp_path / "cmsh"
    wrapper.write_text(
        "#!/bin/sh\n"
        'case "$*" in *createcertificate*) '
        f'for last in $*; do key=$pem; pem=$last; done; cp {admin[1]} "$key"; cp {admin[0]} "$pem";; '
        f'*) exec {program.cmsh_path} "$@";; esac\n',
        encoding="utf-8",
    )
    wrapper.chmod(0o755)
    with pytest.raises(Failure) as failure:
        ensure(program, tmp_path, cmsh=str(wrapper), authorities=[])
    assert failure.value.code == "wrong_certificate"
    assert "its profile is 'admin'" in failure.value.message
    assert "its common name is 'Administrator'" in failure.value.message
    assert [file.name for file in tmp_path.iterdir()] == ["cmsh"]


@pytest.mark.plays
def test_through_ansible(program: Simulator, tmp_path: Path) -> None:
    """Starts with check mode, in which the simulator sees no write; each returned field; never the key."""
    etc = tmp_path / "cm"
    etc.mkdir()
    certificate, key = str(etc / "rm.pem"), str(etc / "rm.key")
    task = {
        "common_name": "role-monitor",
        "profile": PROFILE,
        "certificate": certificate,
        "private_key": key,
        "authorities": [program.ca],
        "cmsh": program.cmsh_path,
    }
    program.switch(read_only=True)
    checked = play(tmp_path, [Task("bcm_certificate", task, check_mode=True)])
    assert program.writes.attempts == ()
    assert list(etc.iterdir()) == []
    program.switch(read_only=False)

    before = time.time()
    played = play(
        tmp_path,
        [
            Task("bcm_certificate", task),
            Task("bcm_certificate", task),
            Task("bcm_certificate", task, check_mode=True),
            Task("bcm_certificate", {**task, "profile": "admin"}),
        ],
        verbose=True,
    )
    assert program.writes.refused == 0
    made = read_certificate(certificate)
    assert before + 364 * DAY < made.not_after < time.time() + 366 * DAY
    line = f"certificate {made.serial}, valid until {moment(made.not_after)}\n"
    rights = f"profile {PROFILE}\n  token GET_DEVICE_TOKEN\n"
    header = {"before_header": certificate, "after_header": certificate}
    created = {
        "changed": True,
        "failed": False,
        "common_name": "role-monitor",
        "certificate": certificate,
        "private_key": key,
        "profile": {"name": PROFILE, "tokens": ["GET_DEVICE_TOKEN"], "services": [], "change": "created"},
        "reasons": ["missing"],
        "key_mode_corrected": False,
        "serial": str(made.serial),
        "not_after": moment(made.not_after),
        "revoked": [],
        "unsure": [],
        "diff": {**header, "before": "", "after": rights + line},
    }
    kept = {
        **created,
        "changed": False,
        "profile": {**created["profile"], "change": "none"},
        "reasons": [],
        "diff": {**header, "before": rights + line, "after": rights + line},
    }
    planned = {
        **created,
        "serial": None,
        "not_after": None,
        "diff": {**header, "before": "", "after": rights + "a new certificate\n"},
    }
    assert checked.results == [planned]
    assert played.results[:3] == [created, kept, kept]
    refused = played.results[3]
    assert refused["failed"] is True
    assert refused["failure"] == {"message": refused["msg"], "code": "not_ours", "details": {}}

    assert stat.S_IMODE((etc / "rm.key").stat().st_mode) == 0o600
    secret = (etc / "rm.key").read_text(encoding="utf-8")
    everything = checked.output + played.output + (tmp_path / "results.json").read_text(encoding="utf-8")
    assert "PRIVATE KEY" not in everything
    assert not any(part in everything for part in secret.splitlines()[1:-1])
    assert "WARNING" not in everything


def test_a_name_with_other_letters(sim: Simulator, tmp_path: Path) -> None:
    made = ensure(sim, tmp_path, common_name="Rollen-Wächter 1")
    assert made["common_name"] == "Rollen-Wächter 1"
    assert ensure(sim, tmp_path, common_name="Rollen-Wächter 1")["changed"] is False
    assert (
        load_certificate(tmp_path / "rm.pem").subject
        == Subject("Rollen-Wächter 1", "SuperPOD", "Monitoring", "Cluster", "Cluster", "XX").name()
    )


def test_taken_away_with_every_certificate_of_the_name_and_with_the_profile(sim: Simulator, tmp_path: Path) -> None:
    before = sim.store.snapshot()
    serials = [ensure(sim, tmp_path)["serial"], ensure(sim, tmp_path, later=336 * DAY, days=500)["serial"]]
    planned = take_away(Module(options(sim, tmp_path), check_mode=True))
    assert planned["revoked"] == serials
    assert (tmp_path / "rm.pem").exists()
    assert PROFILE in sim.store.snapshot()["profiles"]

    assert take_away(Module(options(sim, tmp_path))) == planned
    assert planned["profile"] == {"name": PROFILE, "tokens": [], "services": [], "change": "removed"}
    after = sim.store.snapshot()
    assert after["profiles"] == before["profiles"]
    assert [after["certificates"][serial]["revoked"] for serial in serials] == [True, True]
    assert list(tmp_path.iterdir()) == []
    again = take_away(Module(options(sim, tmp_path)))
    assert (again["changed"], again["revoked"], again["profile"]["change"]) == (False, [], "none")


def stranger(profile: str = "superpod-devices-rw", name: str = "role-monitor") -> dict[str, t.Any]:
    """What BCM has of somebody else's certificate."""
    return {"name": name, "profile": profile, "system_login": "", "revoked": False, "not_after": None}


def revoked(sim: Simulator) -> list[str]:
    return [serial for serial, entry in sim.store.snapshot()["certificates"].items() if entry["revoked"]]


def test_a_strangers_certificate_that_the_list_does_not_tell_from_ours_stays(sim: Simulator, tmp_path: Path) -> None:
    """Of both profiles it shows `superpod-devices`. The profile stays as well: the stranger's may be this one."""
    serial = ensure(sim, tmp_path)["serial"]
    sim.edit(lambda state: state["certificates"].update({"77": stranger()}))
    planned = take_away(Module(options(sim, tmp_path), check_mode=True))
    assert (planned["revoked"], planned["unsure"], planned["profile"]["change"]) == ([serial], ["77"], "none")
    assert take_away(Module(options(sim, tmp_path))) == planned
    assert revoked(sim) == [serial]
    assert PROFILE in sim.store.snapshot()["profiles"]
    assert list(tmp_path.iterdir()) == []
    again = take_away(Module(options(sim, tmp_path)))
    assert (again["changed"], again["revoked"], again["unsure"]) == (False, [], ["77"])

    sim.edit(lambda state: state["certificates"]["77"].update(revoked=True))
    assert take_away(Module(options(sim, tmp_path)))["profile"]["change"] == "removed"


def test_without_its_file_a_certificate_is_ours_only_if_the_list_shows_all(sim: Simulator, tmp_path: Path) -> None:
    for profile, known in ((PROFILE, False), ("short", True)):
        serial = ensure(sim, tmp_path, profile=profile)["serial"]
        for file in tmp_path.iterdir():
            file.unlink()
        result = take_away(Module(options(sim, tmp_path, profile=profile)))
        assert (result["revoked"], result["unsure"]) == (([serial], []) if known else ([], [serial]))


def test_files_beside_it_that_prove_nothing(sim: Simulator, tmp_path: Path) -> None:
    other = ensure(sim, tmp_path, profile="superpod-devices-rw")["serial"]
    (tmp_path / "rm.key").unlink()
    (tmp_path / "rm.pem").rename(tmp_path / f"rm.pem.{other}")
    (tmp_path / "rm.pem.78").write_text("78\n", encoding="utf-8")
    ensure(sim, tmp_path)
    sim.edit(lambda state: state["certificates"].update({"78": stranger()}))
    result = take_away(Module(options(sim, tmp_path)))
    assert result["unsure"] == [other, "78"]
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"rm.pem.{other}", "rm.pem.78"]


@pytest.mark.parametrize("entry", [stranger("node", "fa-16-3e-74-24-dc"), stranger(PROFILE, "theirs")])
def test_a_number_that_is_somebody_elses_now(sim: Simulator, tmp_path: Path, entry: dict[str, t.Any]) -> None:
    """The files are from a cluster before this one, which counts anew."""
    serial = ensure(sim, tmp_path)["serial"]
    sim.edit(lambda state: state["certificates"].update({serial: entry}))
    renewed = ensure(sim, tmp_path, later=336 * DAY, revoke_old=True, days=500)
    assert (renewed["reasons"], renewed["revoked"], renewed["unsure"]) == (["expires"], [], [])
    assert take_away(Module(options(sim, tmp_path)))["revoked"] == [renewed["serial"]]
    assert revoked(sim) == [renewed["serial"]]


def test_a_number_that_may_be_cut_off_is_left(sim: Simulator, tmp_path: Path) -> None:
    sim.edit(lambda state: state["certificates"].update({"123455": stranger("other")}))
    assert ensure(sim, tmp_path)["serial"] == "123456"
    renewed = ensure(sim, tmp_path, later=336 * DAY, revoke_old=True, days=500)
    assert (renewed["revoked"], renewed["unsure"]) == ([], ["123456"])


def test_without_a_list_nothing_is_taken_away(sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure(sim, tmp_path)
    before = sim.store.snapshot()
    ask = Cmsh.run

    def denied(self: Cmsh, commands: t.Any) -> CmshOutput:
        listing = ("listcertificates",) in commands
        return CmshOutput(0, "permission denied\n", "") if listing else ask(self, commands)

    monkeypatch.setattr(Cmsh, "run", denied)
    with pytest.raises(Failure, match="cannot be read, and nothing was changed: permission denied") as failure:
        take_away(Module(options(sim, tmp_path)))
    assert (failure.value.code, failure.value.details) == ("unreadable", {"bcm": "permission denied"})
    assert sim.store.snapshot() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rm.key", "rm.pem"]


def test_doubt_is_said(sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    class Whole(Module):
        warn = staticmethod(said.append)

        def exit_json(self, **result: t.Any) -> None:
            assert result["unsure"] == (["77", "78"] if said else [])

    module = Whole(options(sim, tmp_path, state="absent"))
    monkeypatch.setattr(bcm_certificate, "AnsibleModule", lambda **_spec: module)
    bcm_certificate.main()
    assert said == []
    sim.edit(lambda state: state["certificates"].update({"77": stranger(), "78": stranger()}))
    bcm_certificate.main()
    assert len(said) == 1
    assert f"certificates of role-monitor with the profile {PROFILE}: 77, 78; they and the profile stay" in said[0]


def test_a_profile_that_somebody_else_has_stays(sim: Simulator, tmp_path: Path) -> None:
    run(Module(options(sim, tmp_path)), time.time())
    theirs = {"common_name": "theirs", "certificate": str(tmp_path / "t.pem"), "private_key": str(tmp_path / "t.key")}
    run(Module(options(sim, tmp_path, **theirs)), time.time())
    result = take_away(Module(options(sim, tmp_path)))
    assert len(result["revoked"]) == 1
    assert result["profile"]["change"] == "none"
    state = sim.store.snapshot()
    assert PROFILE in state["profiles"]
    assert not state["certificates"][str(read_certificate(tmp_path / "t.pem").serial)]["revoked"]


def test_what_is_not_ours_is_not_taken_away(sim: Simulator, tmp_path: Path) -> None:
    certificate, key = sim.certificate("admin", "Administrator")
    before = sim.store.snapshot()["certificates"]
    with pytest.raises(Failure, match="is the certificate of 'Administrator'"):
        take_away(Module(options(sim, tmp_path, certificate=certificate, private_key=key)))
    assert Path(certificate).exists()
    with pytest.raises(Failure, match="comes with BCM"):
        take_away(Module(options(sim, tmp_path, profile="admin")))
    assert sim.store.snapshot()["certificates"] == before
