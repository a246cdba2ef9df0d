# SPDX-License-Identifier: GPL-3.0-or-later
"""bcm_images_info and bcm_grabimage on the simulated BCM: each returned field, check mode, and refusals."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import pytest
from ansible_collections.superpod.monitoring.plugins.module_utils.cmsh import Cmsh
from ansible_collections.superpod.monitoring.plugins.module_utils.failure import Failure
from ansible_collections.superpod.monitoring.plugins.modules.bcm_images_info import LISTS, gather
from bcm_simulator.exclude_lists import EXCLUDE_LISTS
from bcm_simulator.testing import Simulator
from unit.plugins.modules.ansible_run import Task, play
from unit.plugins.modules.in_process import run_in_process


@pytest.fixture
def sim(tmp_path: Path) -> t.Iterator[Simulator]:
    for name in ("gold", "other", "node"):
        (tmp_path / name / "etc").mkdir(parents=True)
    (tmp_path / "node/etc/issue").write_text("node\n")
    state = {
        "head_nodes": {"head": {}},
        "categories": {
            "dgx": {"image": "gold"},
            "login": {"image": "other", "properties": {"excludelistgrab": "- /x\n"}},
        },
        "software_images": {"gold": {"path": str(tmp_path / "gold")}, "other": {"path": str(tmp_path / "other")}},
        "nodes": {"dgx-01": {"category": "dgx", "root": str(tmp_path / "node")}, "lost": {}},
    }
    with Simulator(state) as simulator:
        yield simulator


@pytest.fixture
def cmsh(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> Cmsh:
    run_in_process(monkeypatch, sim)
    return Cmsh(sim.cmsh_path)


def test_categories_with_their_images_and_lists(cmsh: Cmsh, tmp_path: Path) -> None:
    found = gather(cmsh, None, None)
    assert found["images"] == {"gold": str(tmp_path / "gold"), "other": str(tmp_path / "other")}
    assert found["node"] == {}
    assert sorted(found["categories"]) == ["dgx", "login"]
    dgx = found["categories"]["dgx"]
    assert (dgx["image"], dgx["path"], dgx["script"]) == ("gold", str(tmp_path / "gold"), False)
    for name in LISTS:
        assert dgx["lists"][name].rstrip("\n") == EXCLUDE_LISTS[name].rstrip("\n")
    assert found["categories"]["login"]["lists"]["excludelistgrab"].rstrip("\n") == "- /x"


def test_a_node_with_a_list_and_an_image_of_its_own(sim: Simulator, cmsh: Cmsh) -> None:
    assert gather(cmsh, [], "dgx-01")["node"] == {"category": "dgx", **gather(cmsh, ["dgx"], None)["categories"]["dgx"]}
    own = {"softwareimage": "other", "excludelistgrab": "- /own\n", "excludelistmanipulatescript": "#!/bin/sh\n"}
    sim.edit(lambda state: state["nodes"]["dgx-01"]["properties"].update(own))
    node = gather(cmsh, [], "dgx-01")["node"]
    assert (node["image"], node["script"]) == ("other", True)
    assert node["lists"]["excludelistgrab"].rstrip("\n") == "- /own"
    assert node["lists"]["excludelistgrabnew"].rstrip("\n") == EXCLUDE_LISTS["excludelistgrabnew"].rstrip("\n")


@pytest.mark.parametrize(
    ("categories", "node", "words"),
    [
        (["gone"], None, "BCM has no category gone; it has dgx, login"),
        ([], "lost", "lost has no category"),
        ([], "gone", "no device gone"),
    ],
)
def test_what_bcm_does_not_have(cmsh: Cmsh, categories: list[str], node: str | None, words: str) -> None:
    with pytest.raises(Failure, match=words) as caught:
        gather(cmsh, categories, node)
    assert caught.value.code == "not_found"


@pytest.mark.plays
def test_as_modules(sim: Simulator, tmp_path: Path) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed (script/bootstrap has it)")
    common = {"cmsh": sim.cmsh_path}
    tasks = [
        Task("bcm_images_info", {**common, "categories": ["dgx"], "node": "dgx-01"}),
        Task("bcm_grabimage", {**common, "node": "dgx-01"}, check_mode=True),
        Task("bcm_grabimage", {**common, "node": "dgx-01"}),
        Task("bcm_grabimage", {**common, "node": "dgx-01", "image": "other", "timeout": 60}),
        Task("bcm_grabimage", {**common, "node": "dgx-01", "image": "gone"}),
        Task("bcm_grabimage", {"node": "dgx-01", "cmsh": "/nonexistent/cmsh"}),
        Task("bcm_images_info", {"cmsh": "/nonexistent/cmsh"}),
    ]
    info, dry, wet, other, refused, *none = play(tmp_path, tasks).results
    assert not info["changed"]
    assert (sorted(info["images"]), list(info["categories"]), info["node"]["category"]) == (
        ["gold", "other"],
        ["dgx"],
        "dgx",
    )

    assert (dry["changed"], dry["dry_run"], dry["node"], dry["image"]) == (True, True, "dgx-01", "")
    assert "etc/issue" in dry["log"]
    assert "dry run = yes" in dry["events"][0]
    assert dry["seconds"] > 0
    assert (wet["changed"], wet["dry_run"]) == (True, False)
    assert [event.split(" on ")[0] for event in wet["events"]] == ["Provisioning started", "Provisioning completed"]
    assert (other["changed"], other["image"]) == (True, "other")
    # the dry run is not among them
    assert sim.writes.stored == 2
    for name in ("gold", "other"):
        assert (tmp_path / name / "etc/issue").read_text() == "node\n"

    assert refused["failure"]["code"] == "refused"
    assert "there is no software image 'gone'" in refused["failure"]["details"]["bcm"]
    assert [result["failure"]["code"] for result in none] == ["no_cmsh", "no_cmsh"]
