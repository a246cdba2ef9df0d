# SPDX-License-Identifier: GPL-3.0-or-later
"""get, set, clear, append, removefrom, show."""

from __future__ import annotations

import time
from pathlib import Path

from .arguments import refuse_more, target, target_property, texts_of
from .errors import CmshError
from .nodelist import expand
from .printing import cell, print_table
from .schema import DEVICE, Property, Schema
from .shell import Shell
from .table import FIT, Column
from .values import as_words, check_name, convert, empty_value, read_value, write_value
from .words import Statement

_EDITOR_SECONDS = 3600


def get(shell: Shell, arguments: Statement) -> None:
    """Print a value."""
    texts = texts_of(arguments)
    schema, name, item = target_property(shell, "get", texts)
    refuse_more("get", texts)
    value, inherited = read_value(shell.workspace, schema, name, item)
    words = as_words(item, value)
    suffix = " (default)" if inherited else ""
    if item.kind == "names" and shell.state["switches"]["cmsh_list_values"] == "line":
        words = [" ".join(words)]
    if item.kind == "names" and not words:
        words = [""]
    shell.output("\n".join(words) + suffix)


def set_value(shell: Shell, arguments: Statement) -> None:
    """Change a value."""
    texts = texts_of(arguments)
    schema, name, item = target_property(shell, "set", texts)
    _changeable(item)
    if item.kind == "long":
        value = _long_text(shell, item, texts)
        if value is not None:
            write_value(shell.workspace, schema, name, item, value)
        return
    if not texts:
        raise CmshError(f"set: {item.name} needs a value")
    value = convert(shell.workspace, item, _listed(shell, item, texts))
    write_value(shell.workspace, schema, name, item, value)


def _changeable(item: Property) -> None:
    if item.readonly:
        raise CmshError(f"{item.name} cannot be changed")


def _listed(shell: Shell, item: Property, texts: list[str]) -> list[str]:
    """The elements, with node lists written out."""
    if item.names == DEVICE.section:
        return [name for text in texts for name in expand(text)]
    return texts


def _long_text(shell: Shell, item: Property, texts: list[str]) -> str | None:
    """A text of many lines: from a file, or given; without a value an editor opens and waits for a person."""
    switches = shell.state["switches"]
    from_file = len(texts) == 1 and texts[0].startswith("/")
    if not texts or (from_file and switches["cmsh_text_from_file"] == "editor"):
        if switches["cmsh_editor"] == "hangs":
            time.sleep(_EDITOR_SECONDS)
        raise CmshError(f"{item.name}: the editor failed")
    if len(texts) > 1:
        raise CmshError(f"{item.name} takes one value, not {len(texts)}")
    if from_file and switches["cmsh_text_from_file"] == "works":
        try:
            return Path(texts[0]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CmshError(f"{item.name}: cannot read {texts[0]}") from error
    return texts[0]


def clear(shell: Shell, arguments: Statement) -> None:
    """Give a property its type's empty value."""
    texts = texts_of(arguments)
    schema, name, item = target_property(shell, "clear", texts)
    refuse_more("clear", texts)
    _changeable(item)
    write_value(shell.workspace, schema, name, item, empty_value(item))


def append(shell: Shell, arguments: Statement) -> None:
    """Add to a list."""
    schema, name, item, value, given = _list_change(shell, "append", arguments)
    write_value(shell.workspace, schema, name, item, list(dict.fromkeys([*value, *given])))


def removefrom(shell: Shell, arguments: Statement) -> None:
    """Take from a list."""
    schema, name, item, value, given = _list_change(shell, "removefrom", arguments)
    for element in given:
        if element not in value:
            raise CmshError(f"removefrom: {item.name} has no {element!r}")
    write_value(shell.workspace, schema, name, item, [element for element in value if element not in given])


def _list_change(
    shell: Shell, command: str, arguments: Statement
) -> tuple[Schema, str, Property, list[str], list[str]]:
    texts = texts_of(arguments)
    schema, name, item = target_property(shell, command, texts)
    _changeable(item)
    if item.kind != "names":
        raise CmshError(f"{command}: {item.name} is not a list")
    if not texts:
        raise CmshError(f"{command}: {item.name} needs at least one value")
    value, _inherited = read_value(shell.workspace, schema, name, item)
    given = [check_name(shell.workspace, item, text) for text in _listed(shell, item, texts)]
    return schema, name, item, list(value), given


def show(shell: Shell, arguments: Statement) -> None:
    """Print all properties of an object."""
    texts = texts_of(arguments)
    schema, name = target(shell, "show", texts)
    refuse_more("show", texts)
    rows = []
    for item in schema.properties:
        try:
            value, inherited = read_value(shell.workspace, schema, name, item)
        except CmshError:
            continue  # a property that this type of device has not
        rows.append((item.title, cell(item, value) + (" (default)" if inherited else "")))
    rows += [(submode.capitalize(), "<submode>") for submode in schema.submodes]
    rows.sort(key=lambda row: row[0].lower())
    print_table(shell, [Column("Parameter", 32, 32), Column("Value", 48, FIT)], rows)
