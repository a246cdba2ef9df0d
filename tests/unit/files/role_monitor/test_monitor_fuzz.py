# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a head node answers, bytes or JSON: monitoring goes only if the answer, read by the rule alone, says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcm_role_monitor
from hypothesis import example, given
from hypothesis import strategies as st
from superpod_monitoring.bcm_client import BcmClient, BcmSettings
from superpod_role_monitor import bcm, config, decision
from superpod_role_monitor.decision import Observation, State

RULES = json.loads((Path(bcm_role_monitor.LIBRARY) / "config.schema.json").read_text())
CONFIG = config.parse(b'{"bcm_headnodes": ["head"]}', RULES, {})
UNITS = {exporter.unit: "active" for exporter in CONFIG.exporters}
FILE = decision.target_path("dgx-01", CONFIG)
HELD = State("dgx-01", "me", True, 0, {}, {FILE: "dgx-01"})


class Answer:
    """The part of a response that the client reads."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status_code = status
        self.headers = {"Content-Length": str(len(body)), "Content-Type": "application/json"}
        self._body = body

    def iter_content(self, _size: int) -> Iterator[bytes]:
        yield self._body

    def close(self) -> None:
        """Nothing to close."""


class OneAnswer:
    """A session that gives the same answer to every request."""

    def __init__(self, status: int, body: bytes) -> None:
        self._answer = (status, body)

    def request(self, _method: str, _url: str, **_options: Any) -> Answer:
        return Answer(*self._answer)

    def close(self) -> None:
        """Nothing to close."""


def ask(status: int, body: bytes) -> decision.Actions:
    def client(settings: BcmSettings) -> BcmClient:
        # No certificates are at hand, and none are needed: nothing goes over a network.
        return BcmClient(
            BcmSettings(headnodes=settings.headnodes, validate_certs=False), OneAnswer(status, body)
        )  # fmt: skip

    answer = bcm.Bcm(CONFIG, client).answer("dgx-01", lambda _answer: True)
    return decision.decide(Observation("dgx-01", answer, UNITS), HELD, CONFIG, 0.0)[1]


def says_removed(status: int, body: bytes) -> bool:
    """The issue's sentence: a well-formed answer with this host in it and a list of roles without the watched one."""
    try:
        records = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if status != 200 or not isinstance(records, list):
        return False
    named = [one for one in records if isinstance(one, dict) and isinstance(one.get("hostname"), str)]
    mine = [one for one in named if one["hostname"].strip().split(".")[0].lower() == "dgx-01"]
    if not mine or not all(isinstance(one.get("roles"), list) for one in mine):
        return False
    roles = [role for one in mine for role in one["roles"]]
    return all(isinstance(role, str) and role.strip().lower() != "slurmclient" for role in roles)


names = st.sampled_from(["dgx-01", "DGX-01", "dgx-01.cluster", "dgx-02", "", None, 1, " dgx-01 ", "dgx-01\n"])
role_lists = st.lists(st.sampled_from(["slurmclient", "SlurmClient", "storage", "", None, 1, "\ud800"]), max_size=3)
roles = role_lists | st.none() | st.text(max_size=3) | st.dictionaries(st.text(max_size=2), st.none(), max_size=1)
records = st.fixed_dictionaries(
    {}, optional={"hostname": names, "roles": roles, "uuid": st.sampled_from(["me", "you", None, 5]), "type": names}
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | records,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@example(200, [{"hostname": "dgx-01", "roles": [None]}, {"hostname": "dgx-01", "roles": []}])
@given(st.sampled_from([200, 200, 200, 204, 302, 401, 500, 640]), st.lists(records, max_size=3) | anything)
def test_any_json(status: int, value: Any) -> None:
    body = json.dumps(value).encode()
    actions = ask(status, body)
    if actions.stop or actions.remove:
        assert says_removed(status, body)
    if actions.held is None:
        assert actions._replace(notes=()) == decision.Actions()


@given(st.binary(max_size=60))
def test_any_bytes(body: bytes) -> None:
    actions = ask(200, body)
    assert not actions.stop
    assert not actions.remove


def test_the_rule_is_not_met_by_chance() -> None:
    gone = b'[{"hostname": "dgx-01", "roles": [], "uuid": "me"}]'
    assert says_removed(200, gone)
    assert ask(200, gone).remove == (FILE,)
    assert ask(200, b'[{"hostname": "dgx-01", "roles": ["slurmclient"], "uuid": "me"}]').held is True
