# SPDX-License-Identifier: GPL-3.0-or-later
"""list and status, and foreach with its selections."""

from __future__ import annotations

from .arguments import mode_schema, property_of, refuse_more, split_options, texts_of
from .errors import CmshError, NotSimulatedError
from .nodelist import expand
from .printing import cell, print_table
from .schema import DEVICE, Property, Schema
from .shell import Place, Shell
from .table import Column, Field, parse_format
from .values import read_value
from .words import Statement

_SELECTORS = {"-n": "nodes", "-c": "category", "-e": "overlay", "-l": "role", "-t": "type"}


def list_objects(shell: Shell, arguments: Statement) -> None:
    """Print the mode's objects as a table."""
    schema = mode_schema(shell)
    shell.workspace.require_read(schema)
    known = {"-f": "format=", "--format": "format=", "-d": "delimiter=", "--delimiter": "delimiter="}
    known.update({"-s": "sort=", "--sort": "sort="})
    if schema is DEVICE:
        known.update({"-t": "type=", "--type": "type="})
    options, others = split_options("list", texts_of(arguments), known)
    refuse_more("list", others)
    fields = (
        parse_format(options["format="])
        if "format=" in options
        else [Field(name, least, most) for name, least, most in schema.list_format]
    )
    items = [property_of(schema, field.name) for field in fields]
    names = [name for name in shell.workspace.names(schema.section) if _of_type(shell, name, options.get("type="))]
    rows = [[_list_cell(shell, schema, name, item) for item in items] for name in names]
    for key in reversed(options["sort="].split(",") if "sort=" in options else []):
        number = next((number for number, item in enumerate(items) if item.name == key), None)
        if number is None:
            raise CmshError(f"list: cannot sort by {key!r}, which is not listed")
        rows.sort(key=lambda row, number=number: row[number])  # type: ignore[misc]
    columns = []
    for field, item in zip(fields, items):
        header = item.name if "format=" in options else item.title
        columns.append(Column(f"{header} (key)" if item.name == schema.key else header, field.least, field.most))
    print_table(shell, columns, rows, options.get("delimiter=", " "))


def _list_cell(shell: Shell, schema: Schema, name: str, item: Property) -> str:
    try:
        value, _inherited = read_value(shell.workspace, schema, name, item)
    except CmshError:
        return ""  # a property that this type of device has not
    return cell(item, value)


def _of_type(shell: Shell, name: str, wanted: str | None) -> bool:
    if wanted is None:
        return True
    return str(shell.workspace.entity(DEVICE.section, name)["type"]).lower() == wanted.lower()


def status(shell: Shell, arguments: Statement) -> None:
    """Print a line on each device."""
    if mode_schema(shell) is not DEVICE:
        raise NotSimulatedError(f"command 'status' in mode {shell.places[0].name}")
    texts = texts_of(arguments)
    shell.workspace.require_read(DEVICE)
    if shell.places[-1].kind == "object" and not texts:
        texts = [shell.places[-1].name]
    names = [name for text in texts for name in expand(text)] or shell.workspace.names(DEVICE.section)
    for name in names:
        status = shell.workspace.entity(DEVICE.section, name)["status"]
        shell.output(f"{name} {'.' * max(3, 20 - len(name))} [{status:^8}]")


def foreach(shell: Shell, arguments: Statement) -> None:
    """Run commands in each of the selected objects."""
    if not arguments or arguments[-1].block is None:
        raise CmshError("foreach: a ( ) with commands is needed at the end")
    schema = mode_schema(shell)
    shell.workspace.require_read(schema)
    block = arguments[-1].block
    for name in _selected(shell, schema, texts_of(arguments[:-1])):
        shell.within([shell.places[0], Place("object", schema, name)], block)


def _selected(shell: Shell, schema: Schema, texts: list[str]) -> list[str]:
    known = {option: f"{name}=" for option, name in _SELECTORS.items()} if schema is DEVICE else {}
    known.update({"-u": "union", "-i": "intersection"})
    options, others = split_options("foreach", texts, known)
    everything = shell.workspace.names(schema.section)
    groups = [set(_selection(shell, name[:-1], value)) for name, value in options.items() if name.endswith("=")]
    for text in others:
        groups.append(set(everything if text == "*" else _known(everything, expand(text))))
    if not groups:
        raise CmshError("foreach: name objects, or * for all")
    chosen = set.intersection(*groups) if "intersection" in options else set.union(*groups)
    return [name for name in everything if name in chosen]


def _known(everything: list[str], names: list[str]) -> list[str]:
    pool = set(everything)
    for name in names:
        if name not in pool:
            raise CmshError(f"foreach: no {name!r}")
    return names


def _selection(shell: Shell, selector: str, value: str) -> list[str]:
    state = shell.state
    devices = {**state["head_nodes"], **state["nodes"]}
    if selector == "nodes":
        return _known(list(devices), expand(value))
    if selector == "category":
        return [name for name, device in devices.items() if device["category"] == value]
    if selector == "type":
        return [name for name, device in devices.items() if str(device["type"]).lower() == value.lower()]
    index = shell.workspace.roles()
    if selector == "role":
        return [name for name in devices if value in index.effective(name)]
    shell.workspace.entity("overlays", value)
    return [name for name in devices if index.in_overlay(name, value)]
