# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request is answered with, before it meets the network."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

REASONS = {635: "Service restricted", 640: "RPC restricted"}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer.  `abort`: the connection ends instead of an answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    abort: bool = False


def json_answer(value: Any) -> Answer:
    """200 with a bare JSON value, as CMDaemon answers."""
    return Answer(200, json.dumps(value, separators=(",", ":")).encode())


def text_answer(status: int, text: str) -> Answer:
    """A status with a plain sentence.  The text is the simulator's own: BCM's is not known."""
    return Answer(status, (text + "\n").encode(), "text/plain")


def denial(how: Any, text: str) -> Answer:
    """What a denial switch says: a status, or the end of the connection."""
    if how == "tls_abort":
        return Answer(0, abort=True)
    return text_answer(how, text)
