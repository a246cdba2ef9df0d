# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_config_json import KEYS, answers_of
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_dialogue import Dialogue, unknown_keys
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_findings import Findings, Listener, Mount, Seen
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_model import Refused, parse
from ansible_collections.superpod.monitoring.plugins.module_utils.setup_questions import (
    QUESTIONS,
    SECTIONS,
    TARGETS_DIR,
)
from hypothesis import given
from hypothesis import strategies as st
from setup_worlds import HOSTS, ROOT, SHARED, World, findings

CONFIGS = Path(__file__).resolve().parents[3] / "admin" / "configs"
PROMETHEUS = {"http://mon-01:9091/api/v1/status/buildinfo": (200, {"status": "success", "data": {}})}
GRAFANA = {
    "http://mon-01:3001/api/health": (200, {"database": "ok"}),
    "http://mon-01:3001/api/org": (200, {"name": "Main Org."}),
}


def completed(given: dict[str, t.Any] | None = None, **options: t.Any) -> dict[str, t.Any]:
    dialogue = Dialogue(options.pop("found", findings()), options.pop("world", World()), given, **options)
    assert dialogue.complete() == []
    return dialogue.answers


def refusals(given: dict[str, t.Any], **options: t.Any) -> dict[str, str]:
    """What is wrong with the answers given, by question."""
    dialogue = Dialogue(options.get("found", findings()), options.get("world", World()), given)
    return dict(problem.split(": ", 1) for problem in dialogue.complete())  # type: ignore[misc]


def test_everything_has_a_default_on_a_usual_superpod() -> None:
    answers = completed()
    assert answers["dgx_nodes"] == ["category:dgx*"]
    assert answers["prometheus_servers"] == ["mon-01"]
    assert answers["grafana_servers"] == ["mon-01"]
    assert answers["prometheus_targets_dir"] == TARGETS_DIR
    assert answers["deploy_bcm_role_monitor"] is True


def test_only_what_cannot_be_known_is_asked() -> None:
    """Ports and the like come up only when their default cannot be taken, or when everything is wanted."""
    asked = interview(Dialogue(findings(), World()))
    assert not {"node_exporter_port", "prometheus_port", "headnodes", "prometheus_targets_dir"} & set(asked)
    everything = interview(Dialogue(findings(), World(), everything=True))
    assert set(asked) < set(everything)
    assert "node_exporter_port" in everything
    busy = findings(running={"dgx-02": [Listener(9100, "node_exporter")]})
    dialogue = Dialogue(busy, World())
    steps = {}
    while (step := dialogue.step()) is not None:
        steps[step.question.key] = step
        dialogue.answer(step, "9101" if step.refused else "")
    assert steps["node_exporter_port"].refused == "port 9100 of dgx-02 is in use by node_exporter; choose another"
    assert dialogue.answers["node_exporter_port"] == 9101


def interview(dialogue: Dialogue) -> list[str]:
    asked = []
    while (step := dialogue.step()) is not None:
        asked.append(step.question.key)
        dialogue.answer(step, "")
    return asked


def test_our_own_programs_do_not_occupy_a_port() -> None:
    mine = findings(running={"mon-01": [Listener(9090, "prometheus", ours=True)]})
    assert completed(found=mine)["prometheus"] == "new"
    other = findings(running={"mon-01": [Listener(9090, "prometheus")]})
    url = {"http://mon-01:9090/api/v1/status/buildinfo": (200, {"status": "success"})}
    answers = completed(found=other, world=World(url))
    assert (answers["prometheus"], answers["prometheus_url"]) == ("existing", "http://mon-01:9090")
    assert answers["prometheus_host"] == ["mon-01"]


@pytest.mark.parametrize(
    ("given", "key", "reason"),
    [
        ({"dgx_nodes": ["dgx-99"]}, "dgx_nodes", "BCM has no host dgx-99; did you mean dgx-0"),
        ({"dgx_nodes": "category:h100"}, "dgx_nodes", "BCM has no host whose category is h100"),
        ({"dgx_nodes": "none"}, "dgx_nodes", "at least one host is needed"),
        ({"prometheus_servers": ["bcm-head-01"]}, "prometheus_servers", "is one of two head nodes"),
        ({"prometheus_targets_dir": "/srv/targets"}, "prometheus_targets_dir", "on the root file system of dgx-01"),
        ({"prometheus_targets_dir": "targets"}, "prometheus_targets_dir", "is no absolute path"),
        ({"prometheus_targets_dir": "/cm/shared/../etc"}, "prometheus_targets_dir", "is no absolute path"),
        ({"cgroup_exporter_port": 99999}, "cgroup_exporter_port", "ports go from 1 to 65535"),
        ({"node_exporter_port": 9306}, "node_exporter_port", "is already taken by cgroup_exporter_port"),
        ({"grafana_port": 9090}, "grafana_port", "port 9090 of mon-01 is already taken by prometheus_port"),
        ({"prometheus_retention_days": "a year"}, "prometheus_retention_days", "'a year' is no whole number"),
        ({"prometheus": "maybe"}, "prometheus", "answer one of new, existing, skip"),
        ({"cluster_name": "a b"}, "cluster_name", "is no name"),
        ({"job_hooks": "perhaps"}, "job_hooks", "answer yes or no"),
        ({"prometheus": "existing", "prometheus_url": "mon-01"}, "prometheus_url", "is no address like http://mon-01"),
        ({"prometheus": "existing", "prometheus_url": "http://u:p@mon-01"}, "prometheus_url", "is no address"),
        (
            {"prometheus": "existing", "prometheus_url": "http://mon-01:9999"},
            "prometheus_url",
            "no Prometheus answers at http://mon-01:9999: Connection refused",
        ),
    ],
)
def test_refused_with_the_reason(given: dict[str, t.Any], key: str, reason: str) -> None:
    found = refusals(given)
    assert list(found) == [key]
    assert reason in found[key]


def test_wrong_password() -> None:
    given = {
        "grafana": "existing",
        "grafana_url": "http://mon-01:3001",
        "configure_grafana": True,
        "grafana_admin_password": "wrong password",
    }
    world = World(GRAFANA)
    assert refusals(given, world=world) == {
        "grafana_admin_password": "Grafana at http://mon-01:3001 does not accept this password of admin (401)."
    }
    assert world.passwords == ["wrong password"]
    given["grafana_admin_password"] = "right password"
    assert completed(given, world=world)["grafana_admin_password"] == "right password"


def test_all_that_is_wrong_at_once() -> None:
    found = refusals(
        {"dgx_nodes": ["nobody"], "prometheus_servers": ["nobody"], "prometheus_targets_dir": "/srv", "job_hooks": "?"}
    )
    assert set(found) == {"dgx_nodes", "prometheus_servers", "job_hooks"} | {"prometheus_targets_dir"} & set(found)
    assert len(found) >= 3
    assert unknown_keys({"cluster_nam": "x"}) == ["cluster_nam: there is no such question; did you mean cluster_name."]


def test_a_port_on_a_host_that_was_not_looked_at() -> None:
    found = findings(seen={})
    world = World(listening={("mon-01", 9090)})
    assert refusals({}, found=found, world=world) == {
        "prometheus_port": "port 9090 of mon-01 is in use by an unknown program; choose another."
    }


def test_directories_are_shared_by_source_or_by_identity() -> None:
    def on(dgx: Mount, mon: Mount) -> Findings:
        seen = {"dgx-01": Seen((ROOT, dgx)), "mon-01": Seen((ROOT, mon))}
        return findings(seen=seen)

    here = {"prometheus_targets_dir": "/data/targets"}
    nfs = Mount("/data", "nfs4", "filer:/data", None)
    other = Mount("/data", "nfs4", "filer2:/data", None)
    local = Mount("/data", "xfs", "/dev/sdb1", "128-7")
    served = Mount("/data", "nfs4", "mon-01:/data", "128-7")
    assert refusals(here, found=on(nfs, nfs)) == {}
    assert refusals(here, found=on(served, local)) == {}
    assert "filer:/data (nfs4) on dgx-01, but on filer2:/data (nfs4) on mon-01" in str(
        refusals(here, found=on(nfs, other))
    )
    assert "/dev/sdb1 (xfs) on mon-01" in str(refusals(here, found=on(nfs, local)))
    assert SHARED.target == "/cm/shared"


def test_interrupted_and_resumed() -> None:
    """What is left to ask after a resume is what was left before, whatever the place of the interruption."""
    whole = interview(Dialogue(findings(), World()))
    for done in range(len(whole)):
        first = Dialogue(findings(), World())
        for _number in range(done):
            step = first.step()
            assert step is not None
            first.answer(step, "")
        second = Dialogue(findings(), World(), json.loads(json.dumps(first.answers)))
        assert interview(second) == whole[done:]


def test_a_kept_answer_that_no_longer_holds_is_asked_again_with_the_reason() -> None:
    kept = completed()
    busy = findings(running={"mon-01": [Listener(9090, "cockpit-ws")]})
    dialogue = Dialogue(busy, World(), kept)
    step = dialogue.step()
    assert step is not None
    assert (step.question.key, step.refused) == (
        "prometheus_port",
        "port 9090 of mon-01 is in use by cockpit-ws; choose another",
    )


# --- the role monitor's three scenarios ---


def test_scenario_1_new_prometheus() -> None:
    taken = answers_of({"cluster_name": "slurm", "prometheus_server": "mon-01", "use_existing_prometheus": False})
    dialogue = Dialogue(findings(), World(), taken.answers)
    assert dialogue.complete() == []
    assert dialogue.answers["deploy_bcm_role_monitor"] is True
    assert dialogue.answers["use_custom_prometheus_targets_dir"] is False
    assert dialogue.answers["prometheus_targets_dir"] == TARGETS_DIR
    assert dialogue.warnings() == []


def test_scenario_2_existing_prometheus_with_a_directory() -> None:
    config = {
        "use_existing_prometheus": True,
        "prometheus_server": "mon-01",
        "prometheus_port": 9091,
        "prometheus_targets_dir": "/cm/shared/prometheus/service-discovery",
    }
    dialogue = Dialogue(findings(), World(PROMETHEUS), answers_of(config).answers)
    assert dialogue.complete() == []
    assert dialogue.answers["use_custom_prometheus_targets_dir"] is True
    assert dialogue.answers["prometheus_targets_dir"] == "/cm/shared/prometheus/service-discovery"
    assert dialogue.warnings() == []


def test_scenario_3_existing_prometheus_without_one_warns() -> None:
    config = {"use_existing_prometheus": True, "prometheus_server": "mon-01", "prometheus_port": 9091}
    dialogue = Dialogue(findings(), World(PROMETHEUS), answers_of(config).answers)
    assert dialogue.complete() == []
    assert dialogue.answers["prometheus_targets_dir"] == TARGETS_DIR
    [warning] = dialogue.warnings()
    assert "prometheus_targets_dir was not given" in warning
    assert TARGETS_DIR in warning


# --- configuration files ---


@pytest.mark.parametrize("name", ["new", "shared-hosts", "existing-monitoring", "dcgm"])
def test_configuration_files_are_complete(name: str) -> None:
    taken = answers_of(json.loads((CONFIGS / f"{name}.json").read_text()))
    assert taken.problems == []
    assert unknown_keys(taken.answers) == []
    dialogue = Dialogue(findings(), World({**PROMETHEUS, **GRAFANA}), taken.answers)
    assert dialogue.complete() == []
    for key, value in taken.answers.items():
        if key in dialogue.answers and isinstance(value, (bool, int)):
            assert dialogue.answers[key] == value, key


def test_the_files_have_all_keys() -> None:
    used: set[str] = set()
    for path in CONFIGS.glob("*.json"):
        used |= set(json.loads(path.read_text()))
    assert used == KEYS


def test_dcgm_configuration() -> None:
    taken = answers_of(json.loads((CONFIGS / "dcgm.json").read_text()))
    assert taken.answers["gpu_exporter"] == "dcgm"
    assert taken.answers["headnodes"] == ["bcm-head-01"]
    assert taken.answers["slurm_controllers"] == ["slurm-ctl-01"]
    assert any("embedded" in note and "not support" in note for note in taken.notes)
    assert any(note.startswith("paths (") for note in taken.notes)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ([], "the configuration must be a JSON object"),
        ({"cluster": "x"}, "cluster is not known here"),
        ({"systems": {"gpu_nodes": []}}, "systems.gpu_nodes is not known here"),
        ({"systems": []}, "systems must be an object"),
        ({"systems": {"dgx_nodes": [1]}}, "systems.dgx_nodes must be a host's name or a list of them"),
        ({"use_existing_grafana": "yes", "grafana_server": "a"}, "use_existing_grafana must be true or false"),
        ({"use_custom_prometheus_targets_dir": True}, "prometheus_targets_dir is missing"),
        ({"dcgm_mode": "other"}, "dcgm_mode must be remote or embedded"),
    ],
)
def test_bad_configuration_files(config: t.Any, problem: str) -> None:
    assert problem in " ".join(answers_of(config).problems)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(KEYS)) | st.text(max_size=5), JSON, max_size=8))
def test_any_configuration_is_taken_or_refused_in_words(config: dict[str, t.Any]) -> None:
    taken = answers_of(config)
    dialogue = Dialogue(findings(), World(), taken.answers)
    for problem in [*taken.problems, *taken.notes, *dialogue.complete()]:
        assert problem
        assert "Traceback" not in problem


@given(st.dictionaries(st.sampled_from(sorted(QUESTIONS)), JSON | st.sampled_from([host.name for host in HOSTS])))
def test_any_answers_are_taken_or_refused(given: dict[str, t.Any]) -> None:
    """Whatever is given, what is accepted is well-formed: it would be accepted again, and comes out the same."""
    dialogue = Dialogue(findings(), World(), given)
    problems = dialogue.complete()
    for key, value in dialogue.answers.items():
        assert parse(QUESTIONS[key], value) == value
    if not problems:
        again = Dialogue(findings(), World(), dialogue.answers)
        assert again.complete() == []
        assert again.answers == dialogue.answers


@given(st.text(max_size=12), st.sampled_from(sorted(QUESTIONS)))
def test_any_typed_text(text: str, key: str) -> None:
    """No answer can carry a template or a line break into the files."""
    try:
        value = parse(QUESTIONS[key], text)
    except Refused:
        return
    if QUESTIONS[key].kind != "secret":
        assert not set("{}\n\r\"'\\$`") & set(json.dumps(value, ensure_ascii=False).replace('"', ""))


def test_every_question_explains_itself_in_a_line() -> None:
    for question in QUESTIONS.values():
        assert len(question.explain) < 110, question.key
        assert question.explain.endswith((".", "?")), question.key
    assert [section.key for section in SECTIONS] == [
        "overview",
        "cpu",
        "gpu",
        "node",
        "summaries",
        "prometheus",
        "grafana",
        "ondemand",
        "jobstats",
        "role_monitor",
        "imaging",
    ]
