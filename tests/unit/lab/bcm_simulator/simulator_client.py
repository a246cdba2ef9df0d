# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a running simulator as a client does."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any

from bcm_simulator.testing import Simulator


@dataclass(frozen=True)
class Reply:
    """An HTTP answer as the client saw it."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    sim: Simulator,
    path: str,
    profile: str | None = "admin",
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    pair: tuple[str, str] | None = None,
    head: int = 0,
    timeout: float = 10.0,
) -> Reply:
    """One request on a connection of its own."""
    context = ssl.create_default_context(cafile=sim.ca)
    context.check_hostname = False
    if pair is None and profile is not None:
        pair = sim.certificate(profile)
    if pair is not None:
        context.load_cert_chain(*pair)
    server = sim.heads[head]
    connection = http.client.HTTPSConnection(server.host, server.port, timeout=timeout, context=context)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Reply(response.status, response.read(), dict(response.getheaders()))
    finally:
        connection.close()


def call(sim: Simulator, name: str, *arguments: Any, profile: str | None = "admin", **request: Any) -> Reply:
    """One JSON-RPC call, `service.call`."""
    service, _, method = name.partition(".")
    body = {"service": service, "call": method, **({"args": list(arguments)} if arguments else {}), **request}
    return ask(sim, "/json", profile, method="POST", body=json.dumps(body).encode())
