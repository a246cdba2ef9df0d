# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands at each place."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .certificates import list_certificates, order_from_words
from .errors import CmshError, NotSimulatedError
from .nodelist import expand
from .schema import DEVICE, ROLE, WLM_ROLES, Property, Schema
from .shell import Place, Shell
from .table import FIT, Column, Field, parse_format, render
from .words import Statement
from .workspace import as_words, check_name, convert, empty_value, read_value, write_value

_EDITOR_SECONDS = 3600
# The roles that BCM ships, by the names that cmsh and REST show.
_ROLES = frozenset(
    (
        *("headnode", "boot", "provisioning", "monitoring", "storage", "backup", "failover", "firewall"),
        *("slurmserver", "slurmclient", "slurmsubmit", "slurmaccounting", "cgroupsupervisor", "subnetmanager"),
        *("scaleserver", "jupyterhub", "pbsproclient", "pbsproserver", "etcd::host"),
    )
)
_SELECTORS = {"-n": "nodes", "-c": "category", "-e": "overlay", "-l": "role", "-t": "type"}


# -- arguments


def _texts(arguments: Statement) -> list[str]:
    if any(word.block is not None for word in arguments):
        raise CmshError("unexpected (")
    return [word.text for word in arguments]


def _options(command: str, texts: Sequence[str], known: dict[str, str]) -> tuple[dict[str, str], list[str]]:
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


def _none(command: str, texts: Sequence[str]) -> None:
    if texts:
        raise CmshError(f"{command}: unexpected {texts[0]!r}")


def _schema(shell: Shell) -> Schema:
    """The mode's schema."""
    schema = shell.places[0].schema
    assert schema is not None
    return schema


def _target(shell: Shell, command: str, texts: list[str]) -> tuple[Schema, str]:
    """The object that a property command is about; in a mode its name is the first word."""
    place = shell.places[-1]
    shell.workspace.require_read(_schema(shell))
    if place.kind == "mode":
        if not texts:
            raise CmshError(f"{command}: name an object, or use one first")
        return _schema(shell), shell.object_place(texts.pop(0)).name
    assert place.schema is not None
    if place.kind == "entry":
        return place.schema, f"{shell.role_owner()}/{place.name}"
    return place.schema, shell.places[1].name


def _property(schema: Schema, name: str) -> Property:
    item = schema.property(name)
    if item is None:
        raise CmshError(f"unknown property {name!r} of {schema.type_name} (the BCM simulator knows no such property)")
    return item


def _target_property(shell: Shell, command: str, texts: list[str]) -> tuple[Schema, str, Property]:
    schema, name = _target(shell, command, texts)
    if not texts:
        raise CmshError(f"{command}: name a property")
    return schema, name, _property(schema, texts.pop(0))


# -- properties


def _get(shell: Shell, arguments: Statement) -> None:
    texts = _texts(arguments)
    schema, name, item = _target_property(shell, "get", texts)
    _none("get", texts)
    value, inherited = read_value(shell.workspace, schema, name, item)
    words = as_words(item, value)
    suffix = " (default)" if inherited else ""
    if item.kind == "names" and shell.state["switches"]["cmsh_list_values"] == "line":
        words = [" ".join(words)]
    if item.kind == "names" and not words:
        words = [""]
    shell.output("\n".join(words) + suffix)


def _set(shell: Shell, arguments: Statement) -> None:
    texts = _texts(arguments)
    schema, name, item = _target_property(shell, "set", texts)
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


def _clear(shell: Shell, arguments: Statement) -> None:
    texts = _texts(arguments)
    schema, name, item = _target_property(shell, "clear", texts)
    _none("clear", texts)
    _changeable(item)
    write_value(shell.workspace, schema, name, item, empty_value(item))


def _append(shell: Shell, arguments: Statement) -> None:
    schema, name, item, value, given = _list_change(shell, "append", arguments)
    write_value(shell.workspace, schema, name, item, list(dict.fromkeys([*value, *given])))


def _removefrom(shell: Shell, arguments: Statement) -> None:
    schema, name, item, value, given = _list_change(shell, "removefrom", arguments)
    for element in given:
        if element not in value:
            raise CmshError(f"removefrom: {item.name} has no {element!r}")
    write_value(shell.workspace, schema, name, item, [element for element in value if element not in given])


def _list_change(
    shell: Shell, command: str, arguments: Statement
) -> tuple[Schema, str, Property, list[str], list[str]]:
    texts = _texts(arguments)
    schema, name, item = _target_property(shell, command, texts)
    _changeable(item)
    if item.kind != "names":
        raise CmshError(f"{command}: {item.name} is not a list")
    if not texts:
        raise CmshError(f"{command}: {item.name} needs at least one value")
    value, _inherited = read_value(shell.workspace, schema, name, item)
    given = [check_name(shell.workspace, item, text) for text in _listed(shell, item, texts)]
    return schema, name, item, list(value), given


def _show(shell: Shell, arguments: Statement) -> None:
    texts = _texts(arguments)
    schema, name = _target(shell, "show", texts)
    _none("show", texts)
    rows = []
    for item in schema.properties:
        try:
            value, inherited = read_value(shell.workspace, schema, name, item)
        except CmshError:
            continue  # a property that this type of device has not
        rows.append((item.title, _cell(item, value) + (" (default)" if inherited else "")))
    rows += [(submode.capitalize(), "<submode>") for submode in schema.submodes]
    rows.sort(key=lambda row: row[0].lower())
    _print_table(shell, [Column("Parameter", 32, 32), Column("Value", 48, FIT)], rows)


def _cell(item: Property, value: Any) -> str:
    if item.kind == "long":
        return f"<{len(str(value or '').encode())}B>"
    return ",".join(as_words(item, value))


def _print_table(shell: Shell, columns: Sequence[Column], rows: Sequence[Sequence[str]], delimiter: str = " ") -> None:
    trailing = shell.state["switches"]["cmsh_trailing_spaces"]
    for line in render(columns, rows, delimiter, trailing=trailing):
        shell.output(line)


# -- lists


def _list(shell: Shell, arguments: Statement) -> None:
    schema = _schema(shell)
    shell.workspace.require_read(schema)
    known = {"-f": "format=", "--format": "format=", "-d": "delimiter=", "--delimiter": "delimiter="}
    known.update({"-s": "sort=", "--sort": "sort="})
    if schema is DEVICE:
        known.update({"-t": "type=", "--type": "type="})
    options, others = _options("list", _texts(arguments), known)
    _none("list", others)
    fields = (
        parse_format(options["format="])
        if "format=" in options
        else [Field(name, least, most) for name, least, most in schema.list_format]
    )
    items = [_property(schema, field.name) for field in fields]
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
    _print_table(shell, columns, rows, options.get("delimiter=", " "))


def _list_cell(shell: Shell, schema: Schema, name: str, item: Property) -> str:
    try:
        value, _inherited = read_value(shell.workspace, schema, name, item)
    except CmshError:
        return ""  # a property that this type of device has not
    return _cell(item, value)


def _of_type(shell: Shell, name: str, wanted: str | None) -> bool:
    if wanted is None:
        return True
    return str(shell.workspace.entity(DEVICE.section, name)["type"]).lower() == wanted.lower()


def _status(shell: Shell, arguments: Statement) -> None:
    if _schema(shell) is not DEVICE:
        raise NotSimulatedError(f"command 'status' in mode {shell.places[0].name}")
    texts = _texts(arguments)
    shell.workspace.require_read(DEVICE)
    if shell.places[-1].kind == "object" and not texts:
        texts = [shell.places[-1].name]
    names = [name for text in texts for name in expand(text)] or shell.workspace.names(DEVICE.section)
    for name in names:
        status = shell.workspace.entity(DEVICE.section, name)["status"]
        shell.output(f"{name} {'.' * max(3, 20 - len(name))} [{status:^8}]")


# -- objects


def _use(shell: Shell, arguments: Statement) -> None:
    texts = _texts(arguments)
    if len(texts) != 1:
        raise CmshError("use: name one object")
    shell.places = [shell.places[0], shell.object_place(texts[0])]


def _add(shell: Shell, arguments: Statement) -> None:
    schema = _schema(shell)
    if not schema.may_add:
        raise NotSimulatedError(f"command 'add' in mode {schema.mode}")
    texts = _texts(arguments)
    if len(texts) != 1:
        raise CmshError("add: name one object")
    shell.workspace.require_read(schema)
    shell.workspace.add_profile(texts[0])
    shell.places = [shell.places[0], shell.object_place(texts[0])]


def _remove(shell: Shell, arguments: Statement) -> None:
    schema = _schema(shell)
    if not schema.may_add:
        raise NotSimulatedError(f"command 'remove' in mode {schema.mode}")
    texts = _texts(arguments)
    if len(texts) != 1:
        raise CmshError("remove: name one object")
    shell.workspace.remove(schema, shell.object_place(texts[0]).name)


def _commit(shell: Shell, arguments: Statement) -> None:
    options, others = _options("commit", _texts(arguments), {"-w": "wait", "--wait": "wait"})
    del options  # everything is done at once here
    _none("commit", others)
    schema = _schema(shell)
    removed, committed = shell.workspace.commit(schema)
    if removed:
        shell.output(f"Successfully removed {removed} {schema.plural}")
        shell.output(f"Successfully committed {committed} {schema.plural}")


def _refresh(shell: Shell, arguments: Statement) -> None:
    _none("refresh", _texts(arguments))
    shell.workspace.refresh(_schema(shell))


def _modified(shell: Shell, arguments: Statement) -> None:
    _none("modified", _texts(arguments))
    schema = _schema(shell)
    rows = [(mark, schema.type_name, name) for mark, name in shell.workspace.modified(schema)]
    if not rows:
        shell.output(f"No modified objects of type {schema.type_name}")
        return
    _print_table(shell, [Column("State", 6, 6), Column("Type", 24, 24), Column("Name", 35, FIT)], rows)


def _validate(shell: Shell, arguments: Statement) -> None:
    _none("validate", _texts(arguments))
    rows = shell.workspace.validate(_schema(shell))
    if rows:
        print_refusal(shell.output, rows)
    else:
        shell.output("All good")


def print_refusal(output: Callable[[str], None], rows: Sequence[tuple[str, str]]) -> None:
    """BCM's table for a commit that it refuses."""
    columns = [Column("Code", 5, 5), Column("Field", 24, 24), Column("Message", 26, 26, cut=False)]
    for line in render(columns, [(str(number), *row) for number, row in enumerate(rows, 1)]):
        output(line)


def _foreach(shell: Shell, arguments: Statement) -> None:
    if not arguments or arguments[-1].block is None:
        raise CmshError("foreach: a ( ) with commands is needed at the end")
    schema = _schema(shell)
    shell.workspace.require_read(schema)
    block = arguments[-1].block
    for name in _selected(shell, schema, _texts(arguments[:-1])):
        shell.within([shell.places[0], Place("object", schema, name)], block)


def _selected(shell: Shell, schema: Schema, texts: list[str]) -> list[str]:
    known = {option: f"{name}=" for option, name in _SELECTORS.items()} if schema is DEVICE else {}
    known.update({"-u": "union", "-i": "intersection"})
    options, others = _options("foreach", texts, known)
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


# -- roles


def _list_roles(shell: Shell, arguments: Statement) -> None:
    options, others = _options("list", _texts(arguments), {"-p": "priority", "--priority": "priority"})
    _none("list", others)
    mode, owner = shell.places[0].name, shell.places[1].name
    if mode == "device":
        rows = [[text] for text in _role_lines(shell, owner, "priority" in options)]
    elif options:
        raise NotSimulatedError(f"option '-p' of 'list' for the roles of a {mode}")
    else:
        rows = [[role] for role in shell.workspace.entity(_schema(shell).section, owner)["roles"]]
    _print_table(shell, [Column("Name (key)", 30, 30, cut=False)], rows)


def _role_lines(shell: Shell, device: str, with_priority: bool) -> list[str]:
    prefix_switch = shell.state["switches"]["cmsh_overlay_prefix"]
    lines: list[str] = []
    direct: list[str] = []
    for assignment in shell.workspace.roles().assignments(device):
        if assignment.origin == "node":
            direct.append(f"[{assignment.priority}] {assignment.role}" if with_priority else assignment.role)
            continue
        origin = f"{assignment.origin}:{assignment.owner}"
        if with_priority or (assignment.origin == "overlay" and prefix_switch == "name_priority"):
            origin += f":{assignment.priority}"
        lines.append(f"[{origin}] {assignment.role}")
    return lines + direct


def _assign(shell: Shell, arguments: Statement) -> None:
    role = _one_role("assign", arguments)
    if role not in _ROLES:
        raise CmshError(f"assign: no role {role!r} (the BCM simulator knows no such role)")
    section, owner = _schema(shell).section, shell.places[1].name
    if role in shell.workspace.entity(section, owner)["roles"]:
        raise CmshError(f"assign: {owner} has role {role} already")
    shell.workspace.editable(section, owner)["roles"].append(role)
    if role in WLM_ROLES:
        shell.workspace.set_wlm_unset(shell.role_owner(), role)
    shell.places = [*shell.places[:3], Place("entry", ROLE, role)]


def _unassign(shell: Shell, arguments: Statement) -> None:
    role = _one_role("unassign", arguments)
    _direct_role(shell, "unassign", role)
    shell.workspace.editable(_schema(shell).section, shell.places[1].name)["roles"].remove(role)
    shell.workspace.forget_role(shell.role_owner(), role)
    shell.places = shell.places[:3]


def _use_role(shell: Shell, arguments: Statement) -> None:
    role = _one_role("use", arguments)
    _direct_role(shell, "use", role)
    shell.places = [*shell.places[:3], Place("entry", ROLE, role)]


def _one_role(command: str, arguments: Statement) -> str:
    texts = _texts(arguments)
    if len(texts) != 1:
        raise CmshError(f"{command}: name one role")
    return texts[0]


def _direct_role(shell: Shell, command: str, role: str) -> None:
    owner = shell.places[1].name
    if role not in shell.workspace.entity(_schema(shell).section, owner)["roles"]:
        raise CmshError(f"{command}: {owner} has no directly assigned role {role!r}")


# -- certificates and the session


def _show_profile(shell: Shell, arguments: Statement) -> None:
    _none("showprofile", _texts(arguments))
    shell.output(shell.profile)


def _create_certificate(shell: Shell, arguments: Statement) -> None:
    order = order_from_words(_texts(arguments))
    for line in shell.issuer.create(order, shell.events):
        shell.output(line)


def _list_certificates(shell: Shell, arguments: Statement) -> None:
    _none("listcertificates", _texts(arguments))
    shell.issuer.require("GET_CERTIFICATE_TOKEN")
    for line in list_certificates(shell.state):
        shell.output(line)


def _revoke_certificate(shell: Shell, arguments: Statement) -> None:
    texts = _texts(arguments)
    if len(texts) != 1:
        raise CmshError("revokecertificate: name one serial number")
    shell.issuer.revoke(texts[0])


Verb = Callable[[Shell, Statement], None]
_PROPERTY_VERBS: dict[str, Verb] = {
    "get": _get,
    "set": _set,
    "clear": _clear,
    "append": _append,
    "removefrom": _removefrom,
    "show": _show,
}
_CHANGE_VERBS: dict[str, Verb] = {
    "commit": _commit,
    "refresh": _refresh,
    "modified": _modified,
    "validate": _validate,
}
_OBJECT_VERBS: dict[str, Verb] = {
    **_PROPERTY_VERBS,
    **_CHANGE_VERBS,
    "list": _list,
    "use": _use,
    "add": _add,
    "remove": _remove,
    "status": _status,
    "foreach": _foreach,
}
_ROLE_VERBS: dict[str, Verb] = {
    **_CHANGE_VERBS,
    "list": _list_roles,
    "assign": _assign,
    "unassign": _unassign,
    "use": _use_role,
}
VERBS: dict[str, dict[str, Verb]] = {
    "top": {},
    "mode": _OBJECT_VERBS,
    "object": _OBJECT_VERBS,
    "roles": _ROLE_VERBS,
    "entry": {**_ROLE_VERBS, **_PROPERTY_VERBS},
    "cgroups": {**_PROPERTY_VERBS, **_CHANGE_VERBS},
    "main": {"showprofile": _show_profile},
    "cert": {
        "createcertificate": _create_certificate,
        "listcertificates": _list_certificates,
        "revokecertificate": _revoke_certificate,
    },
}
