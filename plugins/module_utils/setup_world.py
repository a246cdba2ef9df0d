# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can only be tried out while answers are checked: whether somebody listens, what an address answers."""

from __future__ import annotations

import base64
import json
import socket
import typing as t
import urllib.error
import urllib.request
from http.client import HTTPException

from .setup_findings import Host
from .setup_model import Refused

CONNECT_LIMIT = 2.0
READ_LIMIT = 8.0
_MOST = 1 << 20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A password must not follow where somebody else points to."""

    def redirect_request(self, *args: t.Any, **options: t.Any) -> None:
        return None


class RealWorld:
    """Network access from the control machine, without proxies: what is asked for is in the cluster."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())

    def listens(self, host: Host, port: int) -> bool:
        """Whether something on the host takes connections on the port."""
        try:
            with socket.create_connection((host.ip or host.name, port), CONNECT_LIMIT):
                return True
        except OSError:
            return False

    def get(self, url: str, user: str = "", password: str = "") -> tuple[int, t.Any]:
        """Status and JSON body (None if it is none) of a GET; raises Refused if nothing answers."""
        request = urllib.request.Request(url)  # noqa: S310 - http or https, as the question's parser made sure
        if user:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {token}")
        try:
            with self._opener.open(request, timeout=READ_LIMIT) as answer:
                return answer.status, _json(answer.read(_MOST))
        except urllib.error.HTTPError as error:
            with error:
                return error.code, None
        except urllib.error.URLError as error:
            raise Refused(str(getattr(error.reason, "strerror", None) or error.reason)) from None
        except (OSError, ValueError, HTTPException) as error:
            raise Refused(str(error) or type(error).__name__) from None


def _json(content: bytes) -> t.Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
