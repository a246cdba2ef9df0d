# SPDX-License-Identifier: GPL-3.0-or-later
"""The behaviours of BCM that nobody has checked: switches in the state; the default is what is assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class SwitchError(ValueError):
    """A switch that does not exist, or a value that it does not have."""


@dataclass(frozen=True)
class Switch:
    """The values a switch may take (the first is the default) and what it decides."""

    values: tuple[Any, ...]
    meaning: str


SWITCHES: dict[str, Switch] = {
    # REST
    "honour_hostname_filter": Switch((True, False), "device?hostname=X and category?name=X filter, or are ignored"),
    "rest_roles": Switch(("effective", "direct"), "which roles /rest/v1/device lists"),
    "empty_roles": Switch(("list", "null", "absent"), "a device without roles has [], null, or no key"),
    "rest_version": Switch(("list", "object", "absent"), "/rest/v1/version and status: a list, an object, or 501"),
    "device_path_form": Switch((404, "object"), "/rest/v1/device/<name>"),
    # who may read
    "node_profile_reads_devices": Switch((False, True), "a node's own certificate may read /rest/v1/device"),
    "readonly_profile_reads_devices": Switch((True, False), "profile readonly suffices for /rest/v1/device"),
    "rest_unauthenticated": Switch((401, 403, 635, 640, "tls_abort"), "REST without certificate or password"),
    "rest_denied": Switch((403, 401, 635, 640, "tls_abort"), "REST with a profile that lacks the token"),
    "rest_revoked": Switch((401, 403, 635, 640, "tls_abort"), "a revoked certificate, REST and RPC"),
    # two head nodes
    "passive": Switch(
        ("fresh", "stale", "refuse"), "the passive head node: answers, answers from an old copy, refuses"
    ),
    # JSON-RPC
    "minify": Switch(("drop", "keep"), "minify:true drops default-valued fields"),
    "rpc_unknown_call": Switch(("error", "empty"), "an unknown call: HTTP 400 with a text, or an empty 200"),
    # TLS
    "server_aki": Switch((True, False), "the server certificate has an Authority Key Identifier"),
    "server_san": Switch((True, False), "the server certificate has subject alternative names"),
    "server_key": Switch(("rsa2048", "rsa1024", "ec"), "the server certificate's key"),
    # cmsh
    "cmsh_error_rc": Switch((0, 1), "cmsh's exit status after a failed command"),
    "cmsh_error_stream": Switch(("stdout", "stderr"), "where cmsh writes errors"),
    "cmsh_overlay_prefix": Switch(("name", "name_priority"), "roles; list without -p: [overlay:x] or [overlay:x:500]"),
    "cmsh_text_from_file": Switch(
        ("works", "editor", "literal"), "set <text property> /path loads the file, opens an editor, or takes the path"
    ),
    "cmsh_editor": Switch(("hangs", "fails"), "an editor that opens waits for a person, or ends with an error"),
    "cmsh_trailing_spaces": Switch((False, True), "the last column of a table is padded like the others"),
    "cmsh_list_values": Switch(("lines", "line"), "get of a list property: one value a line, or all on one line"),
    "cmsh_certificate_first_call": Switch(
        ("writes", "request_only"), "createcertificate's first call writes the files"
    ),
    # the simulator itself
    "read_only": Switch((False, True), "refuse every write and count it"),
}


def with_defaults(given: object) -> dict[str, Any]:
    """All switches, with the given ones set; unknown names and values are refused."""
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise SwitchError("switches must be a mapping of switch names to values")
    result = {name: switch.values[0] for name, switch in SWITCHES.items()}
    for name, value in given.items():
        switch = SWITCHES.get(name)
        if switch is None:
            raise SwitchError(f"unknown switch {name!r}; known are: {', '.join(sorted(SWITCHES))}")
        if not any(value == known and isinstance(value, bool) == isinstance(known, bool) for known in switch.values):
            raise SwitchError(f"switch {name} cannot be {value!r}; it can be one of {list(switch.values)}")
        result[name] = value
    return result
