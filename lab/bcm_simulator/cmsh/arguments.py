# SPDX-License-Identifier: GPL-3.0-or-later
"""What the words behind a command mean, and which object and property they are about."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import CmshError, NotSimulatedError
from .schema import Property, Schema
from .shell import Shell
from .words import Statement


def texts_of(arguments: Statement) -> list[str]:
    """The words as texts; a parenthesis is not one."""
    if any(word.block is not None for word in arguments):
        raise CmshError("unexpected (")
    return [word.text for word in arguments]


def split_options(command: str, texts: Sequence[str], known: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Options and the other words.  `known` maps each spelling to a name; a name ending in = takes a value."""
    found: dict[str, str] = {}
    others: list[str] = []
    queue = list(texts)
    while queue:
        text = queue.pop(0)
        # An empty word and a single dash are values.
        if not text.startswith("-") or len(text) == 1 or _is_number(text):
            others.append(text)
            continue
        name = known.get(text)
        if name is None:
            raise NotSimulatedError(f"option {text!r} of {command!r}")
        if name.endswith("="):
            if not queue:
                raise CmshError(f"{command}: {text} needs a value")
            found[name] = queue.pop(0)
        else:
            found[name] = "yes"
    return found, others


def _is_number(text: str) -> bool:
    return text[1:].isdigit()


def refuse_more(command: str, texts: Sequence[str]) -> None:
    """A word too many is an error."""
    if texts:
        raise CmshError(f"{command}: unexpected {texts[0]!r}")


def mode_schema(shell: Shell) -> Schema:
    """The mode's schema."""
    schema = shell.places[0].schema
    assert schema is not None
    return schema


def target(shell: Shell, command: str, texts: list[str]) -> tuple[Schema, str]:
    """The object that a property command is about; in a mode its name is the first word."""
    place = shell.places[-1]
    shell.workspace.require_read(mode_schema(shell))
    if place.kind == "mode":
        if not texts:
            raise CmshError(f"{command}: name an object, or use one first")
        return mode_schema(shell), shell.object_place(texts.pop(0)).name
    assert place.schema is not None
    if place.kind == "entry":
        return place.schema, f"{shell.role_owner()}/{place.name}"
    return place.schema, shell.places[1].name


def property_of(schema: Schema, name: str) -> Property:
    """The property by name; one that is not simulated counts as one that BCM does not have."""
    item = schema.property(name)
    if item is None:
        raise CmshError(f"unknown property {name!r} of {schema.type_name} (the BCM simulator knows no such property)")
    return item


def target_property(shell: Shell, command: str, texts: list[str]) -> tuple[Schema, str, Property]:
    """The object, its kind, and the property that a command is about; `texts` keeps what comes after them."""
    schema, name = target(shell, command, texts)
    if not texts:
        raise CmshError(f"{command}: name a property")
    return schema, name, property_of(schema, texts.pop(0))
