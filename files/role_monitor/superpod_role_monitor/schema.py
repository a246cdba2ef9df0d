# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of JSON Schema as config.schema.json needs, without a third-party package."""

from __future__ import annotations

import json
import re
from typing import Any

KEYWORDS = frozenset(
    (
        *("$schema", "title", "description", "default"),
        *("type", "enum", "minimum", "maximum", "pattern", "items", "minItems", "uniqueItems"),
        *("properties", "required", "additionalProperties"),
    )
)
"""What this understands; a schema with any other keyword would be checked by halves."""

_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "object": ("an object", (dict,)),
    "array": ("a list", (list,)),
    "string": ("a text", (str,)),
    "boolean": ("true or false", (bool,)),
    "integer": ("a whole number", (int,)),
    "number": ("a number", (int, float)),
    "null": ("null", (type(None),)),
}


def problems(value: Any, schema: dict[str, Any], key: str = "") -> list[str]:
    """What is wrong with *value*, a sentence each that names the key and what it should be."""
    where = key or "the configuration"
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        return [
            f"{where} is {_shown(value)}; it must be one of {', '.join(json.dumps(one) for one in schema['enum'])}."
        ]
    allowed = schema.get("type", [])
    allowed = [allowed] if isinstance(allowed, str) else allowed
    if allowed and not any(_is(value, name) for name in allowed):
        return [f"{where} is {_shown(value)}; it must be {' or '.join(_TYPES[name][0] for name in allowed)}."]
    found: list[str] = []
    if isinstance(value, str):
        found = _text_problems(value, schema, where)
    elif isinstance(value, list):
        found = _list_problems(value, schema, where)
    elif isinstance(value, dict):
        found = _object_problems(value, schema, key, where)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        found = _number_problems(value, schema, where)
    return found


def defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """The default of every property that has one."""
    return {name: rule["default"] for name, rule in schema["properties"].items() if "default" in rule}


def _text_problems(value: str, schema: dict[str, Any], where: str) -> list[str]:
    pattern = schema.get("pattern")
    if pattern is not None and re.search(pattern, value) is None:
        return [f"{where} is {_shown(value)}; it must match {pattern}"]
    return []


def _number_problems(value: float, schema: dict[str, Any], where: str) -> list[str]:
    # Written so that NaN, which Python's JSON reader takes, fails too.
    if "minimum" in schema and not value >= schema["minimum"]:
        return [f"{where} is {_shown(value)}; it must be {schema['minimum']} or more."]
    if "maximum" in schema and not value <= schema["maximum"]:
        return [f"{where} is {_shown(value)}; it must be {schema['maximum']} or less."]
    return []


def _list_problems(value: list[Any], schema: dict[str, Any], where: str) -> list[str]:
    found = []
    if len(value) < schema.get("minItems", 0):
        found.append(f"{where} has {len(value)} entries; it must have at least {schema['minItems']}.")
    if schema.get("uniqueItems") and any(_same(one, other) for n, one in enumerate(value) for other in value[:n]):
        found.append(f"{where} has an entry twice.")
    for number, item in enumerate(value):
        found += problems(item, schema.get("items", {}), f"{where}[{number}]")
    return found


def _object_problems(value: dict[str, Any], schema: dict[str, Any], key: str, where: str) -> list[str]:
    prefix = f"{key}." if key else ""
    properties = schema.get("properties", {})
    found = [f"{prefix}{name} is missing." for name in schema.get("required", []) if name not in value]
    for name, item in value.items():
        if name in properties:
            found += problems(item, properties[name], prefix + name)
        elif schema.get("additionalProperties") is False:
            found.append(f"{_shown(name)} is no key of {where}; known are {', '.join(sorted(properties))}.")
    return found


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name][1])


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 is 1.0, but true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
