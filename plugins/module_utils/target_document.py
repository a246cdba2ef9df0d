# Copyright: superpod.monitoring contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's Prometheus target file (file_sd): how it is built, checked, written as bytes and recognised.

``<targets_dir>/<hostname>.json`` is a list with one group per exporter of the node::

    [{"targets": ["dgx-01:9100"], "labels": {"cluster": "slurm", "hostname": "dgx-01", "job": "node_exporter"}}]

Prometheus drops a whole file in which one group is wrong, so nothing is written that :func:`problems` objects to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

Document = list[dict[str, Any]]

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LABELS = frozenset(("job", "cluster", "hostname"))


class TargetDocumentError(ValueError):
    """What cannot be a target document; the message is one sentence that says what to change."""


class Target(NamedTuple):
    """One exporter of a node: the value of its ``job`` label and its TCP port."""

    job: str
    port: int


class OwnDocument(NamedTuple):
    """What a document says that this collection wrote: one host, one cluster, its exporters."""

    host: str
    cluster: str
    targets: tuple[Target, ...]


def file_name(host: str, instance: str = "") -> str:
    """The target file's name; *instance* tells apart several role monitors on one node (no host name has a ``_``)."""
    check_host(host)
    return f"{host}_{instance}.json" if instance else f"{host}.json"


def build(host: str, cluster: str, targets: Iterable[Target | tuple[str, int]]) -> Document:
    """The document for one node.  Raises :class:`TargetDocumentError`."""
    check_host(host)
    document: Document = [
        {"targets": [f"{host}:{port}"], "labels": {"job": job, "cluster": cluster, "hostname": host}}
        for job, port in sorted(targets)
    ]
    jobs = [group["labels"]["job"] for group in document]
    for job in jobs:
        if jobs.count(job) > 1:
            raise TargetDocumentError(f"the job {job!r} is given twice for {host}; give each exporter its own job.")
    found = problems(document)
    if not cluster:
        found.insert(0, "the cluster name is empty; set it to Slurm's ClusterName.")
    if found:
        raise TargetDocumentError(found[0])
    return document


def encode(document: Document) -> bytes:
    """The document's bytes: the same for the same content, whatever order it was put together in."""
    groups = sorted(document, key=lambda group: json.dumps(group, sort_keys=True))
    return (json.dumps(groups, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def decode(content: bytes) -> Document:
    """The document in a file's bytes.  Raises :class:`TargetDocumentError` for what Prometheus would refuse."""
    try:
        document = json.loads(content.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise TargetDocumentError(f"this is not JSON that Prometheus can read: {error}.") from None
    found = problems(document)
    if found:
        raise TargetDocumentError(found[0])
    return document  # type: ignore[no-any-return]


def problems(document: object) -> list[str]:
    """What Prometheus' file_sd would object to, a sentence each; empty for a good document.

    The rules are those of Prometheus' ``discovery/targetgroup`` (known keys only, strings only, no null group), of
    ``model.LabelSet`` (label names) and of its target creation (an address with a port and without a ``/``).
    """
    if not isinstance(document, list):
        return ["a target document is a list of groups."]
    found: list[str] = []
    for number, group in enumerate(document, 1):
        if not isinstance(group, dict):
            found.append(f"group {number} is not an object with targets and labels.")
            continue
        found += [f"group {number} has the unknown key {key!r}." for key in group if key not in ("targets", "labels")]
        found += [f"group {number}: {problem}" for problem in _target_problems(group.get("targets"))]
        found += [f"group {number}: {problem}" for problem in _label_problems(group.get("labels", {}))]
    return found


def recognise(document: object) -> OwnDocument | None:
    """What a document of this collection's form says, or None for any other (written by hand, for other hosts)."""
    if not isinstance(document, list) or not document or problems(document):
        return None
    targets = []
    owners = set()
    for group in document:
        labels = group.get("labels", {})
        if set(labels) != _LABELS or len(group["targets"]) != 1:
            return None
        host, _colon, port = group["targets"][0].rpartition(":")
        if host != labels["hostname"] or _HOST.fullmatch(host) is None:
            return None
        owners.add((host, labels["cluster"]))
        targets.append(Target(labels["job"], int(port)))
    if len(owners) != 1:
        return None
    ((host, cluster),) = owners
    return OwnDocument(host, cluster, tuple(sorted(targets)))


def check_host(host: str) -> None:
    """Raise :class:`TargetDocumentError` unless *host* can be a file's name and a target's address."""
    if len(host) > 253 or _HOST.fullmatch(host) is None:
        raise TargetDocumentError(f"{host[:80]!r} is not a host name; use letters, digits, hyphens and dots.")


def _target_problems(targets: object) -> list[str]:
    if not isinstance(targets, list) or not targets:
        return ["targets must be a list of host:port strings."]
    found = []
    for target in targets:
        if not isinstance(target, str):
            found.append("targets must be a list of host:port strings.")
            continue
        host, _colon, port = target.rpartition(":")
        if not host or "/" in target or any(character.isspace() for character in target) or not _is_utf8(target):
            found.append(f"{target[:80]!r} is not a host:port address.")
        elif not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
            found.append(f"{target[:80]!r} has no port between 1 and 65535.")
    return found


def _label_problems(labels: object) -> list[str]:
    if not isinstance(labels, dict):
        return ["labels must be an object of strings."]
    found = [f"{name[:80]!r} is not a label name." for name in labels if _LABEL_NAME.fullmatch(name) is None]
    for name, value in labels.items():
        if not isinstance(value, str) or not _is_utf8(value):
            found.append(f"the label {name[:80]!r} must have a text as its value.")
    return found


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key is given twice")
    return result
