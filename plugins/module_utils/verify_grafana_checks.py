# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of Grafana: is it healthy, does its data source answer, are the dashboards there. Pure."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from .verify_outcome import Json, Kind, Outcome, Scene, asked, one_line, why_not

# --- grafana: {url (the API), unit, user, password_file, datasource (its uid), prometheus_url, dashboards: [uids]} ---


def grafana_wanted(wanted: t.Any) -> Json:
    url, login = wanted["url"], {"user": wanted["user"], "password_file": wanted["password_file"]}
    source = f"{url}/datasources/uid/{wanted['datasource']}"
    return {
        "requests": [
            asked("grafana health", f"{url}/health", "document"),
            asked("grafana datasource", source, "document", **login),
            asked("grafana datasource health", f"{source}/health", "document", seconds=30, **login),
            asked("grafana dashboards", f"{url}/search?type=dash-db&tag=superpod", "document", **login),
        ]
    }


def judge_grafana(wanted: t.Any, scene: Scene) -> Iterator[Outcome]:
    answers = scene.facts.get("requests", {})
    look = f"journalctl -u {wanted['unit']} -n 20"
    health, wrong = _value(answers.get("grafana health"), dict)
    if not wrong and health.get("database") != "ok":
        wrong = f"its database is {one_line(health.get('database'))}"
    yield Outcome("grafana_answers", wanted["url"], not wrong, wrong, "healthy", look)
    if wrong:
        return
    if (answers.get("grafana datasource") or {}).get("status") == 401:
        yield Outcome(
            "grafana_login",
            wanted["user"],
            False,
            f"Grafana refuses the password in {wanted['password_file']}, so nothing else can be seen",
            "the administrator's password",
            f"write the password to {wanted['password_file']}, or set grafana_server_admin_password; {scene.deploy}",
        )
        return
    yield from _judge_datasource(wanted, scene)
    found, wrong = _value(answers.get("grafana dashboards"), list)
    there = {each.get("uid") for each in found if isinstance(each, dict)}
    for uid in wanted["dashboards"]:
        seen = wrong or ("" if uid in there else "is missing")
        yield Outcome("dashboard", uid, not seen, seen, "a dashboard of Grafana", scene.deploy)


def _judge_datasource(wanted: Json, scene: Scene) -> Iterator[Outcome]:
    answers = scene.facts.get("requests", {})
    uid = wanted["datasource"]
    source, wrong = _value(answers.get("grafana datasource"), dict)
    if not wrong and str(source.get("url", "")).rstrip("/") != wanted["prometheus_url"].rstrip("/"):
        wrong = f"asks {one_line(source.get('url'))}"
    yield Outcome("datasource", uid, not wrong, wrong, f"asks {wanted['prometheus_url']}", scene.deploy)
    health = answers.get("grafana datasource health")
    _document, wrong = _value(health, dict)
    yield Outcome(
        "datasource_answers",
        uid,
        not wrong,
        wrong,
        "Prometheus answers Grafana",
        f"curl {wanted['prometheus_url']}/-/ready",
    )


def _value(answer: t.Any, kind: type) -> tuple[t.Any, str]:
    """The document in an answer, and what is wrong with the answer."""
    reason = why_not(answer)
    if not reason and answer.get("status") != 200:
        reason = f"answers with status {answer.get('status')}: {one_line(answer.get('said', ''))}"
    if not reason and not isinstance(answer.get("value"), kind):
        reason = f"answers with {one_line(answer.get('value'))}"
    return (kind() if reason else answer["value"]), reason


# --- grafana_content: what the module of this name said in check mode ---


def judge_grafana_content(result: t.Any, scene: Scene) -> Iterator[Outcome]:
    wrong = ""
    if not isinstance(result, dict) or result.get("failed") or "changed" not in result:
        wrong = one_line(result.get("msg", "no answer")) if isinstance(result, dict) else "no answer"
    elif result["changed"]:
        wrong = one_line(f"would change: {', '.join(map(str, result.get('changes') or []))}")
    expected = "data source, folder and dashboards as the role gives them"
    yield Outcome("grafana_content", "Grafana", not wrong, wrong, expected, scene.deploy)


KINDS = {
    "grafana": Kind(grafana_wanted, judge_grafana),
    "grafana_content": Kind(lambda _result: {}, judge_grafana_content),
}
