# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client certificate may do: everything that the simulator knows is tried, and what is let through is listed."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path

from .rest import KNOWN_ENDPOINTS
from .rpc import CALL_NAMES

_TIMEOUT = 10.0
_WRITING_METHODS = ("POST", "PUT", "PATCH", "DELETE")
# Calls that need an argument; what they answer to a wrong one is no longer a question of rights.
_ARGUMENTS = {
    "cmdevice.getNode": ["master"],
    "cmdevice.getDevice": ["master"],
    "cmpart.getRacksByUuids": [[]],
    "cmnet.getNetworksByUuids": [[]],
    "cmsession.registerSession": [6],
    "cmsession.acknowledgeKeepAlive": [""],
    "cmsession.unregisterSession": [""],
}
# These wait or need a session of their own; registerSession stands for them.
_SKIPPED = frozenset({"cmsession.waitForEvents"})


def let_through(host: str, port: int, ca: Path, certificate: Path, key: Path) -> list[str]:
    """The requests that were answered with 200, as `GET /rest/v1/device` or `cmdevice.getDevices`."""
    return [name for name, status in statuses(host, port, ca, certificate, key).items() if status == 200]


def statuses(host: str, port: int, ca: Path, certificate: Path, key: Path) -> dict[str, int]:
    """Every request with the HTTP status that answered it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(ca)
    context.load_cert_chain(certificate, key)
    connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT, context=context)
    try:
        return {name: _status(connection, method, path, body) for name, method, path, body in _requests()}
    finally:
        connection.close()


def _requests() -> list[tuple[str, str, str, bytes]]:
    paths = ["/rest/v1/monitoring/latest", *(f"/rest/v1/{endpoint}" for endpoint in sorted(KNOWN_ENDPOINTS))]
    requests = [(f"GET {path}", "GET", path, b"") for path in paths]
    requests += [(f"{method} {path}", method, path, b"{}") for path in paths for method in _WRITING_METHODS]
    for name in CALL_NAMES:
        if name not in _SKIPPED:
            service, _, call = name.partition(".")
            body = {"service": service, "call": call, "args": _ARGUMENTS.get(name, [])}
            requests.append((name, "POST", "/json", json.dumps(body).encode()))
    return requests


def _status(connection: http.client.HTTPSConnection, method: str, path: str, body: bytes) -> int:
    headers = {} if method == "GET" else {"Content-Type": "application/json"}
    connection.request(method, path, body or None, headers)
    response = connection.getresponse()
    response.read()
    return response.status
