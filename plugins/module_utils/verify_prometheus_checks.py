# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the target files against BCM, and of Prometheus against the target files. Pure."""

from __future__ import annotations

import base64
import hashlib
import typing as t
from collections.abc import Iterator, Mapping

from . import target_document
from .monitoring_time import seconds_of
from .target_directory import owner_of, short
from .target_document import OwnDocument, Target, TargetDocumentError
from .verify_outcome import Json, Kind, Outcome, Scene, asked, has_role, number, one_line, queried, why_not

POOL = "superpod"
RELOADED = "prometheus_config_last_reload_successful"
RELOADED_AT = "prometheus_config_last_reload_success_timestamp_seconds"
PRUNE = "ansible-playbook superpod.monitoring.prune_targets -i bcm_inventory.yml"

Files = Mapping[str, t.Optional[bytes]]


def listed(scene: Scene, directory: str) -> tuple[dict[str, bytes | None], str]:
    """The target files by name, and why there are none to be seen."""
    found = scene.facts.get("listings", {}).get(directory)
    reason = why_not(found)
    if reason:
        return {}, reason
    return {
        name: None if content is None else base64.b64decode(content) for name, content in found["files"].items()
    }, ""


# --- targets: {directory, cluster, watched, roles: {node: BCM's}, exporters: {node: a list or nothing}, known} ---


def targets_wanted(wanted: t.Any) -> Json:
    return {"listings": [wanted["directory"]]}


def judge_targets(wanted: t.Any, scene: Scene) -> Iterator[Outcome]:
    files, reason = listed(scene, wanted["directory"])
    yield Outcome(
        "targets_dir",
        wanted["directory"],
        not reason,
        reason,
        "the directory of the target files",
        f"findmnt -T {wanted['directory']}",
    )
    if reason:
        return
    for node in sorted(wanted["roles"]):
        yield from _judge_node(node, wanted, files)
    yield from _judge_others(wanted, files)


def _judge_node(node: str, wanted: Json, files: Files) -> Iterator[Outcome]:
    name = f"{short(node)}.json"
    path = f"{wanted['directory']}/{name}"
    held = has_role(wanted["roles"][node], wanted["watched"])
    restart = "systemctl restart bcm-role-monitor"
    if held is None:
        return
    if not held:
        yield Outcome(
            "target_file",
            path,
            name not in files,
            "is there, but BCM does not give the node the role",
            "no file",
            f"journalctl -u bcm-role-monitor -n 20; {restart}",
            node,
        )
        return
    wrong = file_problem(files, name, short(node), wanted["cluster"], wanted["exporters"].get(node) or None)
    yield Outcome(
        "target_file",
        path,
        not wrong,
        wrong,
        f"the node's exporters with cluster={wanted['cluster']} and hostname={short(node)}",
        f"journalctl -u bcm-role-monitor -n 20; {restart}",
        node,
    )


def file_problem(files: Files, name: str, host: str, cluster: str, exporters: t.Any) -> str:
    """What is wrong with a node's target file; empty if nothing is. *exporters* None: any will do."""
    if name not in files:
        return "is missing, but BCM gives the node the role"
    wrong = _unusable(files[name])
    if wrong:
        return wrong
    document = target_document.decode(files[name] or b"")
    own = target_document.recognise(document)
    if own is None:
        labels = sorted({f"{key}={value}" for group in document for key, value in group.get("labels", {}).items()})
        return one_line(f"is not a role monitor's: {', '.join(labels) or 'no labels'}")
    if own.cluster != cluster or own.host != host:
        return f"has the labels cluster={own.cluster}, hostname={own.host}"
    expected = own.targets if exporters is None else _targets(exporters)
    return "" if own.targets == expected else one_line(f"has {_named(own.targets)} instead of {_named(expected)}")


def _targets(exporters: t.Any) -> tuple[Target, ...]:
    return tuple(sorted(Target(each["job"], int(each["port"])) for each in exporters))


def _named(targets: tuple[Target, ...]) -> str:
    return ", ".join(f"{target.job}:{target.port}" for target in targets) or "nothing"


def _judge_others(wanted: Json, files: Files) -> Iterator[Outcome]:
    """Files of hosts that BCM does not know, and files that Prometheus cannot read."""
    nodes = {f"{short(node)}.json" for node in wanted["roles"]}
    known = {short(host) for host in wanted["known"]}
    for name in sorted(set(files) - nodes):
        path = f"{wanted['directory']}/{name}"
        owner = owner_of(name, files[name])
        if owner is not None and owner.cluster == wanted["cluster"]:
            gone = short(owner.host) not in known
            yield Outcome("target_file_stale", path, not gone, "is of a host that BCM does not know", "no file", PRUNE)
        elif owner is None:
            wrong = _unusable(files[name])
            yield Outcome("target_file", path, not wrong, wrong, "a document that Prometheus can use", f"rm {path}")


def _unusable(content: bytes | None) -> str:
    if content is None:
        return "is no small regular file"
    try:
        target_document.decode(content)
    except TargetDocumentError as error:
        return one_line(f"Prometheus cannot use it: {error}")
    return ""


# --- prometheus: {url, login, directory, cluster, interval, configs, rules, query, shard: [number, of] or None} ---


def prometheus_wanted(wanted: t.Any) -> Json:
    login = wanted.get("login") or {}
    url = wanted["url"]
    requests = [
        asked("prometheus ready", f"{url}/-/ready", "nothing", **login),
        asked("prometheus targets", f"{url}/api/v1/targets?state=active", "targets", seconds=30, **login),
        asked("prometheus metrics", f"{url}/metrics", "metrics", series=[RELOADED, RELOADED_AT], **login),
    ]
    if wanted.get("query", True):
        ours = f'{{cluster="{wanted["cluster"]}"}}'
        empty = f"scrape_samples_scraped{ours} == 0 and up{ours} == 1"
        requests += [
            asked("prometheus rules", f"{url}/api/v1/rules", "rules", seconds=30, **login),
            queried("prometheus empty", url, empty, **login),
        ]
    return {
        "requests": requests,
        "files": [*wanted["configs"], *wanted["rules"]],
        "listings": [wanted["directory"]],
    }


def judge_prometheus(wanted: t.Any, scene: Scene) -> Iterator[Outcome]:
    answers = scene.facts.get("requests", {})
    look = f"journalctl -u {wanted['unit']} -n 20"
    wrong = _answer_problem(answers.get("prometheus ready"))
    yield Outcome("prometheus_answers", wanted["url"], not wrong, wrong, "ready", look)
    if wrong:
        return
    yield from _judge_loaded(wanted, scene, f"systemctl reload {wanted['unit']}; {look}")
    if wanted.get("query", True):
        yield from _judge_rules(wanted, answers.get("prometheus rules"), scene)
        yield from _judge_samples(answers.get("prometheus empty"), wanted)
    yield from _judge_scraped(wanted, scene)


def _answer_problem(answer: t.Any) -> str:
    reason = why_not(answer)
    if not reason and answer.get("status") != 200:
        reason = f"answers with status {answer.get('status')}: {one_line(answer.get('said', ''))}"
    return reason


def _judge_loaded(wanted: Json, scene: Scene, mend: str) -> Iterator[Outcome]:
    answer = scene.facts.get("requests", {}).get("prometheus metrics")
    wrong = _answer_problem(answer)
    if not wrong:
        series = (answer.get("value") or {}).get("series", {})
        times = [
            number(scene.facts.get("files", {}).get(path, {}).get("mtime"))
            for path in wanted["configs"] + wanted["rules"]
        ]
        if not series.get(RELOADED):
            wrong = f"its metrics lack {RELOADED}"
        elif series[RELOADED][0] != 1:
            wrong = "it could not load its configuration when it last tried"
        elif max(times, default=0.0) > number(max(series.get(RELOADED_AT) or [0.0])) + 1:
            wrong = "its files have changed since it loaded them"
    yield Outcome("config_loaded", wanted["url"], not wrong, wrong, "it runs with the files that are there", mend)


def _judge_rules(wanted: Json, answer: t.Any, scene: Scene) -> Iterator[Outcome]:
    wrong = _answer_problem(answer)
    loaded = {} if wrong else answer.get("value") or {}
    for path in wanted["rules"]:
        failing = loaded.get(path) or []
        seen = wrong or ("is not loaded" if path not in loaded else one_line("; ".join(failing)))
        mend = scene.deploy if not failing else f"promtool check rules {path}"
        yield Outcome("rules", path, not seen, seen, "loaded, and every rule can be evaluated", mend)


def _judge_samples(answer: t.Any, wanted: Json) -> Iterator[Outcome]:
    wrong = _answer_problem(answer)
    if wrong:
        yield Outcome("samples", wanted["url"], False, wrong, "an answer to a query", "")
        return
    empty = answer.get("value") or []
    if not empty:
        yield Outcome("samples", wanted["url"], True)
    for each in empty:
        labels = each.get("labels", {})
        subject = f"{labels.get('job', '?')} of {labels.get('hostname', labels.get('instance', '?'))}"
        yield Outcome(
            "samples",
            subject,
            False,
            "its last scrape brought not one sample",
            "samples",
            f"curl http://{labels.get('instance', '?')}/metrics",
            str(labels.get("hostname", "")),
        )


def _judge_scraped(wanted: Json, scene: Scene) -> Iterator[Outcome]:
    answer = scene.facts.get("requests", {}).get("prometheus targets")
    wrong = _answer_problem(answer)
    files, unseen = listed(scene, wanted["directory"])
    if wrong or unseen:
        yield Outcome("targets", wanted["url"], False, wrong or unseen, "what is scraped, and the target files", "")
        return
    documents = [own for own in (owner_of(name, content) for name, content in files.items()) if own is not None]
    owners = {own.host: own for own in documents if own.cluster == wanted["cluster"] and in_shard(own.host, wanted)}
    active = [each for each in answer["value"] if each["pool"] == POOL and _is_ours(each, wanted, owners)]
    seen = {(each["labels"].get("hostname"), each["labels"].get("job")) for each in active}
    for own in documents:
        if own.host not in owners or own.cluster != wanted["cluster"]:
            continue
        missing = [target.job for target in own.targets if (own.host, target.job) not in seen]
        yield Outcome(
            "targets_scraped",
            own.host,
            not missing,
            f"Prometheus does not scrape {', '.join(missing)}",
            "every target of its file is scraped",
            f"journalctl -u {wanted['unit']} -n 20; systemctl reload {wanted['unit']}",
            own.host,
        )
    for each in active:
        yield from _judge_target(each, wanted, documents, float(scene.facts.get("time", 0)))


def in_shard(host: str, wanted: Mapping[str, t.Any]) -> bool:
    """Whether this server scrapes the host, by Prometheus' own `hashmod`: the last 8 bytes of the MD5."""
    if not wanted.get("shard"):
        return True
    own, servers = wanted["shard"]
    hashed = hashlib.md5(host.encode(), usedforsecurity=False).digest()[8:]
    return int.from_bytes(hashed, "big") % int(servers) == int(own)


def _is_ours(each: Json, wanted: Json, owners: Mapping[str, OwnDocument]) -> bool:
    """Several clusters may share a Prometheus."""
    labels = each["labels"]
    return labels.get("cluster") == wanted["cluster"] or labels.get("hostname") in owners


def _judge_target(each: Json, wanted: Json, documents: list[OwnDocument], now: float) -> Iterator[Outcome]:
    labels = each["labels"]
    host, job = str(labels.get("hostname", "")), str(labels.get("job", "?"))
    subject = f"{job} of {host or each['address']}"
    there = any(
        own.host == host and own.cluster == labels.get("cluster") and any(target.job == job for target in own.targets)
        for own in documents
    )
    yield Outcome(
        "target_expected",
        subject,
        there,
        f"Prometheus scrapes {each['address']}, which is in no target file (cluster={labels.get('cluster')})",
        "only what the target files say is scraped, with their labels",
        f"systemctl reload {wanted['unit']}",
        host,
    )
    up = each["health"] == "up"
    yield Outcome(
        "target_up",
        subject,
        up,
        f"is {each['health']}: {one_line(each['error']) or 'not scraped yet'}",
        "up",
        f"curl http://{each['address']}/metrics",
        host,
    )
    if up:
        age = now - number(each["last_scrape"])
        interval = seconds_of(wanted["interval"], 60.0)
        yield Outcome(
            "target_fresh",
            subject,
            age <= interval * 3 + 15,
            f"was last scraped {age:.0f} s ago" if each["last_scrape"] else "was never scraped",
            f"a scrape each {interval:g} s",
            f"journalctl -u {wanted['unit']} -n 20",
            host,
        )


KINDS = {
    "targets": Kind(targets_wanted, judge_targets),
    "prometheus": Kind(prometheus_wanted, judge_prometheus),
}
