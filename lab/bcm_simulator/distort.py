# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that change an answer's content."""

from __future__ import annotations

import json
from typing import Any, Callable

from .answer import Answer, json_answer
from .faults import Fault

_HTML = b"<!DOCTYPE html><html><head><title>Base View</title></head><body><div id=root></div></body></html>\n"
Records = list[dict[str, Any]]


def replace_answer(fault: Fault) -> Answer | None:
    """The answer that the fault gives instead of any other; None when the fault only changes the right one."""
    make = _REPLACEMENTS.get(fault.kind)
    return None if make is None else make(fault.options)


def change_answer(fault: Fault, answer: Answer) -> Answer:
    """The right answer with the fault's change; answers that are not lists of devices stay as they are."""
    if answer.status != 200:
        return answer
    if fault.kind == "truncated" and fault.options["how"] == "body":
        return Answer(200, answer.body[: max(1, len(answer.body) // 2)], answer.content_type, answer.headers)
    change = _CHANGES.get(fault.kind)
    if change is None or answer.content_type != "application/json":
        return answer
    records = json.loads(answer.body)
    if not isinstance(records, list) or not all(isinstance(item, dict) and "hostname" in item for item in records):
        return answer
    return json_answer(change(records, fault.options))


def _chosen(records: Records, options: dict[str, Any]) -> int:
    """The index of the node that the fault is about, -1 for none of them."""
    wanted = options["hostname"]
    if wanted is None:
        return 0 if records else -1
    return next((index for index, record in enumerate(records) if record["hostname"] == wanted), -1)


def _missing(records: Records, options: dict[str, Any]) -> Records:
    chosen = _chosen(records, options)
    return [record for index, record in enumerate(records) if index != chosen]


def _duplicate(records: Records, options: dict[str, Any]) -> Records:
    chosen = _chosen(records, options)
    if chosen < 0:
        return records
    twin = {**records[chosen], "uuid": "ffffffff-ffff-4fff-8fff-ffffffffffff"}
    return [*records, twin]


def _nameless(records: Records, options: dict[str, Any]) -> Records:
    chosen = _chosen(records, options)
    if chosen >= 0:
        if options["how"] == "absent":
            del records[chosen]["hostname"]
        else:
            records[chosen]["hostname"] = None if options["how"] == "null" else ""
    return records


def _upper(records: Records, _options: dict[str, Any]) -> Records:
    return [{**record, "hostname": str(record["hostname"]).upper()} for record in records]


def _null_roles(records: Records, _options: dict[str, Any]) -> Records:
    return [{**record, "roles": None} for record in records]


def _absent_roles(records: Records, _options: dict[str, Any]) -> Records:
    return [{key: value for key, value in record.items() if key != "roles"} for record in records]


_CHANGES: dict[str, Callable[[Records, dict[str, Any]], Records]] = {
    "missing_node": _missing,
    "duplicate_node": _duplicate,
    "nameless_node": _nameless,
    "upper_case_names": _upper,
    "null_roles": _null_roles,
    "absent_roles": _absent_roles,
}
_REPLACEMENTS: dict[str, Callable[[dict[str, Any]], Answer]] = {
    "status": lambda options: Answer(options["status"], options["body"].encode(), "text/plain"),
    "html": lambda options: Answer(options["status"], _HTML, "text/html"),
    "redirect": lambda options: Answer(options["status"], b"", "text/html", {"Location": options["location"]}),
    "error_body": lambda options: Answer(options["status"], options["body"].encode()),
    "body": lambda options: Answer(options["status"], options["body"].encode(), options["content_type"]),
    "empty_list": lambda _options: json_answer([]),
    "empty_object": lambda _options: json_answer({}),
}
