# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON-RPC: POST /json.  A bare JSON value answers; 635 and 640 deny."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import objects
from .answer import Answer, denial, json_answer, text_answer
from .auth import Identity, by_password, has_service, has_token
from .sessions import COOKIE, UnknownSessionError
from .state import NULL_UUID, State
from .view import View

if TYPE_CHECKING:
    from .server import HeadNodeServer


@dataclass(frozen=True)
class Outcome:
    """An answer and, for the record, what was called."""

    answer: Answer
    call: str


class CallError(Exception):
    """A call that cannot be answered; becomes HTTP 400 with the text."""


@dataclass(frozen=True)
class _Context:
    view: View
    head: HeadNodeServer
    identity: Identity

    @property
    def state(self) -> State:
        return self.view.state


@dataclass(frozen=True)
class _Call:
    """`token` is what the profile needs beside the service, if anything; `run` gets the arguments.

    `cached`: the answer depends on the state alone, and 10,000 objects are not made twice.
    """

    token: str | None
    run: Callable[[_Context, list[Any]], Any]
    cached: bool = False


@dataclass(frozen=True)
class Message:
    """An HTTP request to /json; `encoding` is its Content-Encoding."""

    method: str
    body: bytes
    encoding: str


def answer(view: View, head: HeadNodeServer, identity: Identity, message: Message) -> Outcome:
    """The answer to one request to /json."""
    switches = view.state["switches"]
    if identity.revoked:
        return Outcome(denial(switches["rest_revoked"], "the certificate is revoked"), "")
    if message.method != "POST":
        return Outcome(text_answer(501, f"the BCM simulator does not know {message.method} /json"), "")
    try:
        request = _parse(message.body, message.encoding)
    except CallError as error:
        return Outcome(text_answer(400, str(error)), "")
    if request["service"].lower() == "login":
        return Outcome(_login(view.state, head, request), "login")
    name = f"{request['service'].lower()}.{request.get('call')}"
    if identity.kind == "nobody":
        return Outcome(denial(switches["rest_unauthenticated"], "a client certificate or a login is needed"), name)
    return Outcome(_call(_Context(view, head, identity), request, name), name)


def _call(context: _Context, request: dict[str, Any], name: str) -> Answer:
    switches = context.state["switches"]
    if name in _WRITES:
        context.head.journal.add("refused", name, context.identity.profile)
        text = f"the BCM simulator does not do {name}; change the state with cmsh"
        return _forbidden(context, name, _WRITES[name]) or text_answer(501, text)
    call = _CALLS.get(name)
    if call is None:
        if switches["rpc_unknown_call"] == "empty":
            return Answer(200, b"")
        return text_answer(501 if name in _KNOWN else 400, f"the BCM simulator does not know the call {name}")
    forbidden = _forbidden(context, name, call.token)
    if forbidden is not None:
        return forbidden
    try:
        return _run(context, request, name, call)
    except CallError as error:
        return text_answer(400, f"{name}: {error}")


def _run(context: _Context, request: dict[str, Any], name: str, call: _Call) -> Answer:
    minify = request.get("minify") is True and context.state["switches"]["minify"] == "drop"
    arguments = _arguments(request)
    known = context.view.rpc_bodies.get((name, minify)) if call.cached and not arguments else None
    if known is not None:
        return Answer(200, known)
    value = call.run(context, arguments)
    answered = json_answer(_minified(value) if minify else value)
    if call.cached:
        context.view.rpc_bodies[name, minify] = answered.body
    return answered


def _forbidden(context: _Context, name: str, token: str | None) -> Answer | None:
    """635 when the profile lacks the service, 640 when it lacks the call's token."""
    profile = context.identity.profile
    service = name.partition(".")[0]
    if not has_service(context.identity, service, context.state):
        return text_answer(635, f"profile {profile} may not use {service}")
    if token is not None and not has_token(context.identity, token, context.state):
        return text_answer(640, f"profile {profile} may not call {name}")
    return None


def _parse(body: bytes, encoding: str) -> dict[str, Any]:
    if encoding == "gzip":
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError, zlib.error) as error:
            raise CallError("the body is not gzip") from error
    elif encoding:
        raise CallError(f"the BCM simulator does not know Content-Encoding {encoding}")
    try:
        request = json.loads(body)
    except ValueError as error:
        raise CallError("the body is not JSON") from error
    if not isinstance(request, dict) or not isinstance(request.get("service"), str):
        raise CallError("the body must be an object with `service`")
    known = {"service", "call", "args", "arg", "minify", "username", "password"}
    for key in request:
        if key not in known:
            raise CallError(f"the BCM simulator does not know the key {key!r}")
    return request


def _arguments(request: dict[str, Any]) -> list[Any]:
    if "arg" in request:
        return [request["arg"]]
    arguments = request.get("args", [])
    if not isinstance(arguments, list):
        raise CallError("args must be a list")
    return arguments


def _minified(value: Any) -> Any:
    if isinstance(value, list):
        return [_minified(item) for item in value]
    if isinstance(value, dict) and "baseType" in value:
        return objects.minified(value)
    return value


def _login(state: State, head: HeadNodeServer, request: dict[str, Any]) -> Answer:
    identity = by_password(str(request.get("username", "")), str(request.get("password", "")), state, "cookie")
    if identity.kind == "nobody":
        return denial(state["switches"]["rest_unauthenticated"], "wrong user name or password")
    token = head.sessions.login(identity)
    return Answer(200, b"true", headers={"Set-Cookie": f"{COOKIE}={token}; Path=/; HttpOnly"})


# -- the calls


def _devices(wanted: Callable[[str], bool]) -> Callable[[_Context, list[Any]], Any]:
    def run(context: _Context, arguments: list[Any]) -> Any:
        _no_arguments(arguments)
        state, port = context.state, context.head.address[1]
        every = [*state["nodes"].items(), *state["head_nodes"].items()]
        return [objects.device_object(state, name, port) for name, device in every if wanted(device["type"])]

    return run


def _device(context: _Context, arguments: list[Any]) -> Any:
    name = _one_text(arguments)
    state = context.state
    name = state["active"] if name == "master" else name
    if name not in state["nodes"] and name not in state["head_nodes"]:
        raise CallError(f"no device {name!r}")
    return objects.device_object(state, name, context.head.address[1])


def _every(section: str, make: Callable[[State, str], objects.Entity]) -> Callable[[_Context, list[Any]], Any]:
    def run(context: _Context, arguments: list[Any]) -> Any:
        _no_arguments(arguments)
        return [make(context.state, name) for name in context.state[section]]

    return run


def _by_uuids(section: str, make: Callable[[State, str], objects.Entity]) -> Callable[[_Context, list[Any]], Any]:
    def run(context: _Context, arguments: list[Any]) -> Any:
        if len(arguments) != 1 or not isinstance(arguments[0], list):
            raise CallError("one list of uuids is needed")
        every = [make(context.state, name) for name in context.state[section]]
        return [entity for entity in every if entity["uuid"] in arguments[0]]

    return run


def _version(context: _Context, arguments: list[Any]) -> Any:
    _no_arguments(arguments)
    return {"cmVersion": str(context.state["version"])}


def _head_node_ips(context: _Context, arguments: list[Any]) -> Any:
    _no_arguments(arguments)
    state = context.state
    passive = _passive(state)
    active_ip = state["head_nodes"][state["active"]]["ip"]
    return {
        "active_head_node_ip": active_ip,
        "passive_head_node_ip": state["head_nodes"][passive]["ip"] if passive else "",
        "shared_head_node_ip": active_ip if passive else "",
    }


def _active_passive(context: _Context, arguments: list[Any]) -> Any:
    _no_arguments(arguments)
    state = context.state
    passive = _passive(state)
    return [objects.device_uuid(state, state["active"]), objects.device_uuid(state, passive) if passive else NULL_UUID]


def _passive(state: State) -> str | None:
    return next((name for name in state["head_nodes"] if name != state["active"]), None)


def _register(context: _Context, arguments: list[Any]) -> Any:
    if len(arguments) != 1 or not isinstance(arguments[0], int):
        raise CallError("one number is needed, the kind of client")
    return context.head.sessions.register()


def _wait(context: _Context, arguments: list[Any]) -> Any:
    if len(arguments) != 2 or not isinstance(arguments[0], str) or not isinstance(arguments[1], (int, float)):
        raise CallError("a session's uuid and a number of seconds are needed")
    try:
        return context.head.sessions.wait(arguments[0], float(arguments[1]))
    except UnknownSessionError as error:
        raise CallError("unknown session") from error


def _acknowledge(context: _Context, arguments: list[Any]) -> Any:
    return context.head.sessions.acknowledge(_one_text(arguments))


def _unregister(context: _Context, arguments: list[Any]) -> Any:
    return context.head.sessions.unregister(_one_text(arguments))


def _no_arguments(arguments: list[Any]) -> None:
    if arguments:
        raise CallError(f"takes no arguments, not {len(arguments)}")


def _one_text(arguments: list[Any]) -> str:
    if len(arguments) != 1 or not isinstance(arguments[0], str):
        raise CallError("one text argument is needed")
    return arguments[0]


_GET_DEVICE, _GET_OVERLAY = "GET_DEVICE_TOKEN", "GET_CONFIGURATION_OVERLAY_TOKEN"
_CALLS: dict[str, _Call] = {
    "cmdevice.getDevices": _Call(_GET_DEVICE, _devices(lambda _type: True), cached=True),
    "cmdevice.getNodes": _Call(_GET_DEVICE, _devices(lambda kind: kind in objects.NODE_TYPES), cached=True),
    "cmdevice.getComputeNodes": _Call(
        _GET_DEVICE, _devices(lambda kind: kind in objects.NODE_TYPES - {"HeadNode"}), cached=True
    ),
    "cmdevice.getNode": _Call(_GET_DEVICE, _device),
    "cmdevice.getDevice": _Call(_GET_DEVICE, _device),
    "cmdevice.getCategories": _Call("GET_CATEGORY_TOKEN", _every("categories", objects.category_object), cached=True),
    "cmdevice.getConfigurationOverlays": _Call(_GET_OVERLAY, _every("overlays", objects.overlay_object), cached=True),
    "cmpart.getRacks": _Call("GET_RACK_TOKEN", _every("racks", objects.rack_object), cached=True),
    "cmpart.getRacksByUuids": _Call("GET_RACK_TOKEN", _by_uuids("racks", objects.rack_object)),
    "cmpart.getSoftwareImages": _Call(
        "GET_SOFTWARE_IMAGE_TOKEN", _every("software_images", objects.software_image_object), cached=True
    ),
    "cmnet.getNetworks": _Call("GET_NETWORK_TOKEN", _every("networks", objects.network_object), cached=True),
    "cmnet.getNetworksByUuids": _Call("GET_NETWORK_TOKEN", _by_uuids("networks", objects.network_object)),
    "cmmain.getVersion": _Call(None, _version),
    "cmmain.getHeadNodeIPs": _Call(None, _head_node_ips),
    "cmmain.getActivePassiveUuids": _Call(None, _active_passive),
    "cmsession.registerSession": _Call(None, _register),
    "cmsession.waitForEvents": _Call(None, _wait),
    "cmsession.acknowledgeKeepAlive": _Call(None, _acknowledge),
    "cmsession.unregisterSession": _Call(None, _unregister),
}
# Calls that change something: authorised like the others, counted, and never done.
_WRITES = {
    "cmdevice.addDevice": "SET_DEVICE_TOKEN",
    "cmdevice.updateDevice": "SET_DEVICE_TOKEN",
    "cmdevice.powerOperation": "POWER_OPERATION_TOKEN",
    "cmdevice.reboot": "POWER_OPERATION_TOKEN",
}
# Calls that a BCM has and the simulator does not.
_KNOWN = frozenset(
    {
        "cmdevice.getNodeGroups",
        "cmdevice.getDevicesByUuids",
        "cmpart.getPartitions",
        "cmjob.getWlmClusters",
        "cmjob.getJobQueues",
        "cmmain.verifyAPI",
        "cmmain.getLicenseInfo",
        "cmauth.getProfiles",
    }
)
CALL_NAMES = (*_CALLS, *_WRITES)
