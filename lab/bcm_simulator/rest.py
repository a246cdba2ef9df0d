# SPDX-License-Identifier: GPL-3.0-or-later
"""REST v1 and the other plain paths, as answers without I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .answer import Answer, denial, json_answer, text_answer
from .auth import Identity, has_token, may_read_devices
from .view import View

# The endpoints that a live BCM 11.0 listed; those that are not simulated answer 501.
KNOWN_ENDPOINTS = frozenset(
    [
        "monitoring",
        "chargeback",
        "firmware",
        "status",
        "session",
        "check",
        "version",
        "license",
        "sysinfo",
        "category",
        "network",
        "device",
        "rack",
        "newdevice",
        "workload",
        "freeport",
        "power",
        "event",
        "lldp",
    ]
)
_OTHER_PATHS = ("/rest", "/rest/", "/rest/v1", "/rest/v1/", "/api", "/base-view", "/base-view/", "/exporter")
_TOKENS = {
    "device": "GET_DEVICE_TOKEN",
    "category": "GET_CATEGORY_TOKEN",
    "network": "GET_NETWORK_TOKEN",
    "monitoring": "GET_MONITORING_TOKEN",
    "status": "GET_DEVICE_TOKEN",
}


def answer(view: View, method: str, path: str, query: Mapping[str, str], identity: Identity) -> Answer:
    """The answer to a request that is not JSON-RPC.  Unknown query parameters are ignored, unknown paths refused."""
    if path == "/info/version":
        return Answer(200, (str(view.state["version"]) + "\n").encode(), "text/plain")
    switches = view.state["switches"]
    if identity.revoked:
        return denial(switches["rest_revoked"], "the certificate is revoked")
    if identity.kind == "nobody":
        return denial(switches["rest_unauthenticated"], "a client certificate or a password is needed")
    parts = path.split("/")
    known = parts[:3] == ["", "rest", "v1"] and len(parts) > 3 and parts[3] in KNOWN_ENDPOINTS
    other = path in _OTHER_PATHS or path.startswith("/prometheuspush/")
    # REST v1 is read-only but for a few calls, none of which is simulated.
    if not known and not other:
        return text_answer(404, f"no such path: {path}")
    if other or method != "GET":
        return _not_simulated(method, path)
    return _read(view, parts[3], [part for part in parts[4:] if part], query, identity)


def _read(view: View, endpoint: str, rest: list[str], query: Mapping[str, str], identity: Identity) -> Answer:
    path = "/".join(("/rest/v1", endpoint, *rest))
    if not _allowed(endpoint, identity, view):
        return denial(view.state["switches"]["rest_denied"], f"profile {identity.profile} may not read {path}")
    read = _ENDPOINTS.get(endpoint)
    return (read and read(view, rest, query)) or _not_simulated("GET", path)


def _allowed(endpoint: str, identity: Identity, view: View) -> bool:
    if endpoint == "device":
        return may_read_devices(identity, view.state)
    token = _TOKENS.get(endpoint)
    return token is None or has_token(identity, token, view.state)


def _device(view: View, rest: list[str], query: Mapping[str, str]) -> Answer | None:
    switches = view.state["switches"]
    if rest:
        found = view.device(rest[0]) if switches["device_path_form"] == "object" and len(rest) == 1 else None
        return text_answer(404, "no such path") if found is None else json_answer(found)
    if "hostname" in query and switches["honour_hostname_filter"]:
        found = view.device(query["hostname"])
        return json_answer([] if found is None else [found])
    return Answer(200, view.device_body())


def _category(view: View, rest: list[str], query: Mapping[str, str]) -> Answer | None:
    if rest:
        return None
    if "name" in query and view.state["switches"]["honour_hostname_filter"]:
        return json_answer(view.categories(query["name"]))
    return Answer(200, view.category_body())


def _network(_view: View, rest: list[str], _query: Mapping[str, str]) -> Answer | None:
    return None if rest else json_answer(["topology", "nvdomain"])


def _monitoring(_view: View, rest: list[str], _query: Mapping[str, str]) -> Answer | None:
    return json_answer({"data": []}) if rest == ["latest"] else None


def _version(view: View, rest: list[str], _query: Mapping[str, str]) -> Answer | None:
    version = str(view.state["version"])
    return (
        None if rest else _in_shape(view, [{"hostname": name, "version": version} for name in view.state["head_nodes"]])
    )


def _status(view: View, rest: list[str], _query: Mapping[str, str]) -> Answer | None:
    devices = {**view.state["nodes"], **view.state["head_nodes"]}
    return (
        None if rest else _in_shape(view, [{"hostname": name, "status": devices[name]["status"]} for name in devices])
    )


def _in_shape(view: View, records: list[dict[str, str]]) -> Answer | None:
    shape = view.state["switches"]["rest_version"]
    if shape == "absent":
        return None
    return json_answer(records if shape == "list" else {record["hostname"]: record for record in records})


_ENDPOINTS: dict[str, Callable[[View, list[str], Mapping[str, str]], Answer | None]] = {
    "device": _device,
    "category": _category,
    "network": _network,
    "monitoring": _monitoring,
    "version": _version,
    "status": _status,
}


def _not_simulated(method: str, path: str) -> Answer:
    return text_answer(501, f"the BCM simulator does not know {method} {path}")
