# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ways BcmClient speaks HTTPS: requests where there is room for it, SlimSession where there is not.

Importing requests keeps about 15 MB resident, more than half of what the role monitor may use on a DGX node.
SlimSession is the small part of requests.Session that BcmClient uses, on http.client.  Both take the same TLS context,
follow no redirect, use no proxy and no .netrc, and open one connection for each request: a poll a minute would find a
kept one closed by the server anyway, and a half-closed one looks like a dead head node.
"""

from __future__ import annotations

import http.client
import time
import typing as t
import warnings
from urllib.parse import urlsplit

from .bcm_tls import BcmTlsContext


class Response(t.Protocol):
    """What BcmClient reads of an answer; requests.Response has it too."""

    status_code: int
    headers: t.Any

    def iter_content(self, chunk_size: int) -> t.Iterator[bytes]: ...

    def close(self) -> None: ...


class Session(t.Protocol):
    """What BcmClient calls; requests.Session has it too."""

    # Declared as a property, so that a session may name the options it takes.
    @property
    def request(self) -> t.Callable[..., t.Any]: ...

    def close(self) -> None: ...


class SlimResponse:
    """An answer whose head has been read; the body is read as it is asked for."""

    def __init__(self, connection: http.client.HTTPSConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self.status_code = response.status
        self.headers = response.headers

    def iter_content(self, chunk_size: int) -> t.Iterator[bytes]:
        while chunk := self._response.read(chunk_size):
            yield chunk
        # http.client takes a body that ends early for a complete one when it is read in pieces.
        if self._response.length:
            raise http.client.IncompleteRead(b"", self._response.length)

    def close(self) -> None:
        self._response.close()
        self._connection.close()


class SlimSession:
    """request() and close() of requests.Session, for https only."""

    def __init__(self) -> None:
        self.tls: BcmTlsContext | None = None

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: t.Mapping[str, str],
        timeout: tuple[float, float],
        data: bytes | None = None,
        **_as_requests_would: t.Any,
    ) -> SlimResponse:
        """Send one request; `timeout` is (connect, read) in seconds.  Raises OSError or http.client.HTTPException."""
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.hostname is None:
            raise ValueError(f"SlimSession speaks https only, not {parts.scheme}")
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout[0], context=self.tls)
        try:
            connection.connect()
            connection.sock.settimeout(timeout[1])
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, body=data, headers=dict(headers))
            return SlimResponse(connection, connection.getresponse())
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Nothing is kept open between requests."""


def new_session() -> Session:
    """requests' session where it is installed, else a SlimSession."""
    try:
        import requests  # noqa: PLC0415 - only who needs it pays for it
    except ImportError:
        return SlimSession()
    return requests.Session()


def use_tls(session: Session, context: BcmTlsContext) -> None:
    """Make the session's https connections use `context`.  A session of another kind brings its own TLS."""
    if isinstance(session, SlimSession):
        session.tls = context
    elif hasattr(session, "mount"):
        session.trust_env = False  # type: ignore[attr-defined] # no proxy, no CA and no password from elsewhere
        session.mount("https://", _requests_adapter(context))


def _requests_adapter(context: BcmTlsContext) -> t.Any:
    from requests.adapters import HTTPAdapter  # noqa: PLC0415
    from urllib3.exceptions import InsecureRequestWarning  # noqa: PLC0415

    class BcmAdapter(HTTPAdapter):
        """Sends with our context and nothing else: requests would add the public CAs and match host names itself."""

        def init_poolmanager(self, *args: t.Any, **options: t.Any) -> None:
            options.update(ssl_context=context, assert_hostname=None if context.check_hostname else False)
            super().init_poolmanager(*args, **options)

        def cert_verify(self, *args: t.Any, **options: t.Any) -> None:
            """The context has it all."""

        def send(self, *args: t.Any, **options: t.Any) -> t.Any:
            # A connection that went back to the pool is one the server is about to close: always a new one.
            self.poolmanager.clear()
            with warnings.catch_warnings():
                # validate_certs=false is warned of once, in our words, where it is set.
                warnings.simplefilter("ignore", InsecureRequestWarning)
                return super().send(*args, **options)

    return BcmAdapter()


def deadline_after(context: BcmTlsContext | None, seconds: float) -> float:
    """Set the context's deadline to `seconds` from now; returns it as a time.monotonic() value."""
    deadline = time.monotonic() + seconds
    if context is not None:
        context.deadline = deadline
    return deadline
