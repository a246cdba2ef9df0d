# SPDX-License-Identifier: GPL-3.0-or-later
"""A property's value: read with inheritance, converted from words, written, and as words again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..profiles import SERVICES, TOKENS
from .errors import CmshError
from .schema import CATEGORY, Entity, Property, Schema
from .workspace import Workspace

_TRUE = frozenset({"yes", "1", "on", "true"})
_FALSE = frozenset({"no", "0", "off", "false"})


def read_value(workspace: Workspace, schema: Schema, name: str, item: Property) -> tuple[Any, bool]:
    """A property's value and whether it is inherited from the category."""
    entity = workspace.entity(schema.section, name)
    if item.compute is not None:
        return item.compute(workspace.state(), name, entity), False
    if item.key is not None:
        return entity[item.key], False
    bag = entity[schema.bag]
    if item.name in bag:
        return bag[item.name], False
    if item.inherit:
        return _inherited(workspace, name, entity, item)
    return item.default, False


def _inherited(workspace: Workspace, name: str, entity: Entity, item: Property) -> tuple[Any, bool]:
    if entity["category"] is None:
        raise CmshError(f"device {name!r} has no property {item.name!r}")
    category = workspace.entity("categories", entity["category"])
    if item.name == "softwareimage":
        return category["image"], True
    origin = CATEGORY.property(item.name)
    default = "" if origin is None else origin.default
    return category["properties"].get(item.name, default), True


def write_value(workspace: Workspace, schema: Schema, name: str, item: Property, value: Any) -> None:
    """Change a property; the value must have its kind already (`convert`)."""
    entity = workspace.editable(schema.section, name)
    if item.key is not None:
        entity[item.key] = value
    else:
        entity[schema.bag][item.name] = value


def convert(workspace: Workspace, item: Property, words: Iterable[str]) -> Any:
    """The words of a `set` as a value of the property's kind; CmshError for what BCM cannot take."""
    given = list(words)
    if item.kind == "names":
        return list(dict.fromkeys(check_name(workspace, item, word) for word in given))
    if len(given) != 1:
        raise CmshError(f"{item.name} takes one value, not {len(given)}")
    text = given[0]
    if item.kind == "yesno":
        if text.lower() not in _TRUE | _FALSE:
            raise CmshError(f"{item.name} must be yes or no, not {text!r}")
        return text.lower() in _TRUE
    if item.kind == "number":
        try:
            return int(text)
        except ValueError as error:
            raise CmshError(f"{item.name} must be a number, not {text!r}") from error
    if item.choices and text.upper() not in item.choices:
        raise CmshError(f"{item.name} must be one of {', '.join(item.choices)}, not {text!r}")
    return check_name(workspace, item, text)


def check_name(workspace: Workspace, item: Property, word: str) -> str:
    """The name as BCM spells it, where the property names other objects."""
    if item.names is None:
        return word
    if item.names == "tokens":
        known: Iterable[str] = TOKENS
        word = word.upper()
    elif item.names == "services":
        known = SERVICES
        word = next((service for service in SERVICES if service.lower() == word.lower()), word)
    elif workspace.exists(item.names, word):
        return word
    else:
        known = ()
    if word not in known:
        raise CmshError(f"{item.name}: {word!r} does not exist")
    return word


def empty_value(item: Property) -> Any:
    """What `clear` leaves."""
    if item.kind in ("text", "long"):
        if item.name == "mac":
            return "00:00:00:00:00:00"
        return None if item.names is not None else ""
    return {"yesno": False, "number": 0, "names": []}[item.kind]


def as_words(item: Property, value: Any) -> list[str]:
    """A value as `get` prints it, one string per element."""
    if item.kind == "yesno":
        return ["yes" if value else "no"]
    if item.kind == "names":
        return [str(element) for element in value or ()]
    if item.name == "mac" and value:
        return [str(value).upper()]
    return ["" if value is None else str(value)]
