# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of BCM's CMDaemon: REST for the devices, JSON-RPC for what REST lacks.

An answer is what BCM said, or Unknown with the reason.  Unknown is never "no such device" and never "no such role":
whoever acts on an answer acts on a well-formed one only.  No Ansible import; the role monitor ships this file.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import ssl
import time
import typing as t
from urllib.parse import quote

from .bcm_device import Device, devices_from_records, is_address, same_host, shown
from .bcm_http import Session, deadline_after, new_session, use_tls
from .bcm_tls import BcmConfigError, BcmTlsContext, tls_context

__all__ = ["BcmClient", "BcmConfigError", "BcmSettings", "Device", "Devices", "RpcResult", "Unknown"]

SHARED_NAME = "master"
"""BCM's alias of the active head node, in /etc/hosts of every node."""

_CHUNK = 64 * 1024
_HEADNODE = re.compile(r"[A-Za-z0-9_.:-]+")
_COOKIE = re.compile(r"\b(cm-login-token=[^;,\s]+)")
_LOGIN_LOST = (401, 403)
_DENIED = (401, 403, 635, 640)
_CLOSED = (
    ConnectionResetError,
    BrokenPipeError,
    http.client.RemoteDisconnected,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)
# The most telling first: when every head node fails for another reason, this is the one to act on.
_CODES = ("tls", "denied", "too_large", "malformed", "empty", "ambiguous", "status", "timeout", "down")


# No dataclasses here: they would take 1.2 MB of the 25 MB that the role monitor may have.
class _Settings(t.NamedTuple):
    headnodes: tuple[str, ...]
    port: int = 8081
    certificate: str | None = None
    private_key: str | None = None
    ca_certificate: str | None = None
    username: str | None = None
    password: str | None = None
    validate_certs: bool = True
    check_hostname: bool = False
    strict_x509: bool = False
    connect_timeout: float = 5.0
    read_timeout: float = 15.0
    deadline: float = 30.0
    max_bytes: int = 128 * 1024 * 1024


class BcmSettings(_Settings):
    """How to reach CMDaemon.  Times in seconds; files are PEM; head nodes are names or addresses, in order.

    `certificate` with `private_key` (None: the key is in the same file), or `username` with `password`.
    `ca_certificate` None means BCM's own files on this host.  `connect_timeout` and `read_timeout` are for one wait on
    the network, `deadline` for one call over all head nodes; looking a name up is the system's own time beside them.
    """

    __slots__ = ()

    def __new__(cls, *args: t.Any, **kwargs: t.Any) -> BcmSettings:
        made = super().__new__(cls, *args, **kwargs)
        made._check()
        return made

    def __repr__(self) -> str:
        shown_ones = {name: value for name, value in self._asdict().items() if name != "password"}
        return f"BcmSettings({', '.join(f'{name}={value!r}' for name, value in shown_ones.items())})"

    def _check(self) -> None:
        if isinstance(self.headnodes, str) or not self.headnodes:
            raise BcmConfigError("headnodes must list the name or address of at least one BCM head node.")
        for name in self.headnodes:
            if not isinstance(name, str) or not _HEADNODE.fullmatch(name):
                raise BcmConfigError(f"headnodes takes names or addresses without scheme or path, not {shown(name)}.")
            if ":" not in name and not all(0 < len(label) < 64 for label in name.rstrip(".").split(".")):
                raise BcmConfigError(f"headnodes takes names whose parts have 1 to 63 characters, not {shown(name)}.")
            if name.count(":") == 1:
                raise BcmConfigError(f"The port of {name} belongs into port, headnodes takes the name alone.")
        if not 0 < self.port < 65536:
            raise BcmConfigError(f"port must be between 1 and 65535, not {self.port}.")
        if (self.username is None) != (self.password is None):
            raise BcmConfigError("username and password belong together: set both, or use a certificate.")
        if self.username is not None and self.certificate is not None:
            raise BcmConfigError("Set certificate or username, not both: CMDaemon would see two identities.")
        if self.private_key is not None and self.certificate is None:
            raise BcmConfigError("private_key is set without certificate: set certificate too.")
        for name in ("connect_timeout", "read_timeout", "deadline", "max_bytes"):
            if getattr(self, name) <= 0:
                raise BcmConfigError(f"{name} must be greater than 0, not {getattr(self, name)}.")

    def url(self, headnode: str, path: str) -> str:
        host = f"[{headnode}]" if ":" in headnode else headnode
        return f"https://{host}:{self.port}{path}"


class Devices(t.NamedTuple):
    """What a head node said: its devices, and one sentence for each record that could not be read as one."""

    devices: tuple[Device, ...]
    headnode: str
    problems: tuple[str, ...]


class RpcResult(t.NamedTuple):
    """The JSON value that a call returned."""

    value: t.Any
    headnode: str


class Unknown(t.NamedTuple):
    """No head node gave a usable answer; `reason` is a sentence, `code` one of: tls denied too_large malformed empty
    ambiguous status timeout down."""

    reason: str
    code: str


_Answer = t.TypeVar("_Answer")


class _Failure(Exception):
    """One head node failed; the text tells what and what to change, without naming the head node."""

    def __init__(self, reason: str, code: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.status = status


class BcmClient:
    """Asks the head nodes in order, first the one that answered last.  Not for use by two threads at once."""

    def __init__(self, settings: BcmSettings, session: Session | None = None) -> None:
        self._settings = settings
        self._session = session
        self._tls: BcmTlsContext | None = None
        self._headnode: str | None = None
        self._cookies: dict[str, str] = {}
        self._deadline = 0.0
        self._head_addresses: dict[str, str | None] = {}

    def __repr__(self) -> str:
        return f"BcmClient({', '.join(self._settings.headnodes)})"

    @property
    def headnode(self) -> str | None:
        """The head node that answered last."""
        return self._headnode

    def close(self) -> None:
        if self._session is not None:
            self._session.close()

    def devices(self, hostname: str | None = None) -> Devices | Unknown:
        """All devices, or those of one name, in one request to the head node that answers.

        The name is matched here too, without case and domain, because an older BCM may ignore the filter.  A head node
        that does not list the name is no proof (a passive one may be behind), so the next is asked; if none lists it,
        the answer is Devices without devices.  Raises BcmConfigError.
        """
        path = "/rest/v1/device"
        if hostname is not None:
            path += "?hostname=" + quote(hostname.strip().split(".", 1)[0], safe="")

        missing: list[Devices] = []

        def ask(headnode: str) -> Devices:
            value = self._json("GET", headnode, path)
            answer = self._read_devices(headnode, value)
            if hostname is None:
                return _not_empty(answer)
            matching = tuple(device for device in answer.devices if same_host(device.hostname, hostname))
            if 0 < len(matching) < _records_of(value, hostname):
                raise _Failure(f"lists {shown(hostname)} twice, once unreadably; remove one in BCM", "ambiguous")
            if len({(device.type, device.roles) for device in matching}) > 1:
                raise _Failure(f"lists {shown(hostname)} twice, differently; remove one in BCM", "ambiguous")
            mine = Devices(matching[:1], headnode, answer.problems)
            if not matching:
                missing.append(mine)
                raise _Failure(f"does not list {shown(hostname)}", "empty")
            return mine

        answer = self._first_answer(ask)
        # "Not listed" stands only if every head node that answered said so, and no other one failed.
        if isinstance(answer, Unknown) and len(missing) == len(self._settings.headnodes):
            return missing[0]
        return answer

    def rpc(self, service: str, call: str, *args: object, keep: frozenset[str] | None = None) -> RpcResult | Unknown:
        """POST one JSON-RPC call.  With `keep`, only these keys of any object are kept, as it is parsed: BCM's objects
        are big, and some carry passwords.  Raises BcmConfigError."""
        body = {"service": service, "call": call, "minify": True, "args": list(args)}

        def ask(headnode: str) -> RpcResult:
            try:
                return RpcResult(self._rpc(headnode, body, keep), headnode)
            except _Failure as failure:
                if failure.status not in _LOGIN_LOST or self._cookies.pop(headnode, None) is None:
                    raise
                return RpcResult(self._rpc(headnode, body, keep), headnode)

        return self._first_answer(ask)

    def follow_active(self) -> str | None:
        """Ask BCM which head node is the active one, and from now on ask that one first.

        The passive one answers too, perhaps from a copy that is behind.  None, and no change, where nothing shows it:
        a single head node, a profile without CMMain, an address that is none of ours.  Call it after devices(), whose
        list tells the head nodes' names and addresses.
        """
        if len(self._settings.headnodes) < 2:
            return None
        answer = self.rpc("cmmain", "getHeadNodeIPs")
        value = answer.value if isinstance(answer, RpcResult) and isinstance(answer.value, dict) else {}
        active = value.get("active_head_node_ip")
        if not active:
            return None
        names = [active, *(name for name, address in self._head_addresses.items() if address == active)]
        # The alias and the shared address follow the active head node by themselves, but may be a moment late.
        following = [SHARED_NAME, str(value.get("shared_head_node_ip"))]
        for known in (names, following):
            for headnode in self._settings.headnodes:
                if headnode in known or any(same_host(name, headnode) for name in known if not is_address(name)):
                    self._headnode = headnode
                    return headnode
        return None

    # --- one head node ---

    def _read_devices(self, headnode: str, value: object) -> Devices:
        if not isinstance(value, list):
            raise _Failure(f"answered no list of devices but {_described(value)}", "malformed")
        devices, problems = devices_from_records(value)
        self._head_addresses.update((device.hostname, device.ip) for device in devices if device.type == "HeadNode")
        return Devices(devices, headnode, problems)

    def _rpc(self, headnode: str, body: dict[str, t.Any], keep: frozenset[str] | None) -> t.Any:
        headers = {}
        if self._settings.username is not None:
            headers["Cookie"] = self._cookies.get(headnode) or self._login(headnode)
        return self._json("POST", headnode, "/json", body=body, headers=headers, keep=keep)

    def _login(self, headnode: str) -> str:
        body = {"service": "login", "username": self._settings.username, "password": self._settings.password}
        content, answer = self._exchange("POST", headnode, "/json", body=body, headers={})
        cookie = _COOKIE.search(_set_cookies(answer))
        if content.strip() != b"true" or cookie is None:
            raise _Failure("refused the login: check username and password", "denied")
        self._cookies[headnode] = cookie.group(1)
        return cookie.group(1)

    def _json(
        self,
        method: str,
        headnode: str,
        path: str,
        *,
        body: dict[str, t.Any] | None = None,
        headers: dict[str, str] | None = None,
        keep: frozenset[str] | None = None,
    ) -> t.Any:
        headers = dict(headers or {})
        if method == "GET" and self._settings.username is not None:
            secret = f"{self._settings.username}:{self._settings.password}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(secret).decode("ascii")
        content, answer = self._exchange(method, headnode, path, body=body, headers=headers)
        try:
            return _parse(content, keep)
        except (ValueError, RecursionError):
            kind = str(answer.headers.get("Content-Type") or "something").split(";", maxsplit=1)[0]
            raise _Failure(
                f"answered {shown(kind)} that is no complete JSON; check that port {self._settings.port} is CMDaemon's",
                "malformed",
            ) from None

    def _exchange(
        self, method: str, headnode: str, path: str, *, body: dict[str, t.Any] | None, headers: dict[str, str]
    ) -> tuple[bytes, t.Any]:
        """One request and its whole answer, bounded in time and size; raises _Failure."""
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise _Failure("was not asked because the deadline had passed", "timeout")
        options: dict[str, t.Any] = {
            "headers": {"Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close", **headers},
            "timeout": (min(self._settings.connect_timeout, remaining), min(self._settings.read_timeout, remaining)),
            "stream": True,
            "allow_redirects": False,
            "verify": self._settings.validate_certs,
        }
        if body is not None:
            options["headers"]["Content-Type"] = "application/json"
            options["data"] = json.dumps(body).encode()
        session = self._ready_session()
        try:
            answer = session.request(method, self._settings.url(headnode, path), **options)
            try:
                _check_status(answer, self._settings)
                return self._body(answer), answer
            finally:
                answer.close()
        except (OSError, http.client.HTTPException) as error:
            raise _explained(error, self._settings) from None

    def _body(self, answer: t.Any) -> bytes:
        limit = self._settings.max_bytes
        too_large = _Failure(f"answered more than {limit // 1024 // 1024 or 1} MiB; raise max_bytes", "too_large")
        length = str(answer.headers.get("Content-Length") or "")
        if length.isdigit() and (len(length) > 18 or int(length) > limit):
            raise too_large
        content = bytearray()
        for chunk in answer.iter_content(_CHUNK):
            content += chunk
            if len(content) > limit:
                raise too_large
            if time.monotonic() > self._deadline:
                raise TimeoutError
        return bytes(content)

    # --- all head nodes ---

    def _ready_session(self) -> Session:
        """The session with our TLS in it; made at the first request, so that a bad file is reported by who asks."""
        if self._session is None:
            self._session = new_session()
        if self._tls is None:
            settings = self._settings
            self._tls = tls_context(
                ca_certificate=settings.ca_certificate,
                certificate=settings.certificate,
                private_key=settings.private_key,
                validate_certs=settings.validate_certs,
                check_hostname=settings.check_hostname,
                strict_x509=settings.strict_x509,
            )
            self._tls.deadline = self._deadline
            use_tls(self._session, self._tls)
        return self._session

    def _first_answer(self, ask: t.Callable[[str], _Answer]) -> _Answer | Unknown:
        """Ask each head node until one answers.  Each gets an even share of the time that is left."""
        order = list(self._settings.headnodes)
        if self._headnode in order:
            order.sort(key=lambda name: name != self._headnode)
        end = time.monotonic() + self._settings.deadline
        failures: list[tuple[str, _Failure]] = []
        for number, headnode in enumerate(order):
            share = (end - time.monotonic()) / (len(order) - number)
            self._deadline = deadline_after(self._tls, max(share, 0.0))
            try:
                answer = ask(headnode)
            except _Failure as failure:
                failures.append((headnode, failure))
            else:
                self._headnode = headnode
                return answer
        reason = "; ".join(f"{headnode} {failure.reason}" for headnode, failure in failures)
        code = min((failure.code for headnode, failure in failures), key=_CODES.index)
        return Unknown(reason=f"{reason}.", code=code)


def _records_of(value: t.Any, hostname: str) -> int:
    """How many records have the name, whatever else is wrong with them."""
    named = [one["hostname"] for one in value if isinstance(one, dict) and isinstance(one.get("hostname"), str)]
    return sum(same_host(name.strip(), hostname) for name in named)


def _not_empty(answer: Devices) -> Devices:
    """A cluster has at least its head node, so a list without devices is a wrong answer."""
    if answer.devices:
        return answer
    if answer.problems:
        raise _Failure(f"lists no device that can be read; the first problem: {answer.problems[0][:-1]}", "malformed")
    raise _Failure(
        "lists no device at all, not even itself: check that the certificate's or the user's profile has "
        "GET_DEVICE_TOKEN",
        "empty",
    )


def _parse(content: bytes, keep: frozenset[str] | None) -> t.Any:
    if keep is None:
        return json.loads(content)
    return json.loads(content, object_pairs_hook=lambda pairs: {key: value for key, value in pairs if key in keep})


def _described(value: object) -> str:
    """What a wrong answer is, with BCM's own words where it has some."""
    if isinstance(value, dict):
        for key in ("errormessage", "error", "message", "reason"):
            if isinstance(value.get(key), str):
                return f"an error: {shown(value[key], 160)}"
        return "an object" if value else "an empty object"
    return f"a {type(value).__name__}"


def _set_cookies(answer: t.Any) -> str:
    headers = answer.headers
    values = headers.get_all("Set-Cookie") if hasattr(headers, "get_all") else [headers.get("Set-Cookie")]
    return ", ".join(value for value in values or [] if value)


def _check_status(answer: t.Any, settings: BcmSettings) -> None:
    status = int(answer.status_code)
    if status == 200:
        return
    if status in _DENIED:
        if settings.username is not None:
            advice = "check username and password, and that the user's profile has GET_DEVICE_TOKEN"
        elif settings.certificate is not None:
            advice = f"check that {settings.certificate} is valid and that its profile has GET_DEVICE_TOKEN"
        else:
            advice = "set certificate and private_key, or username and password"
        raise _Failure(f"denied access (HTTP {status}): {advice}", "denied", status)
    if 300 <= status < 400:
        target = shown(str(answer.headers.get("Location") or ""), 120)
        raise _Failure(f"redirects to {target}, which is not followed: set headnodes and port to that", "status")
    raise _Failure(f"answered HTTP {status} instead of 200; see /var/log/cmdaemon there", "status", status)


def _causes(error: BaseException) -> t.Iterator[BaseException]:
    """The error and what it wraps, in the ways requests and urllib3 wrap."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop(0)
        if not isinstance(item, BaseException) or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        waiting += [getattr(item, "reason", None), item.__cause__, item.__context__, *item.args]


def _explained(error: BaseException, settings: BcmSettings) -> _Failure:
    """The failure for an error of the network, of TLS, or of HTTP's form."""
    causes = list(_causes(error))

    def first(*kinds: type[BaseException]) -> t.Any:
        return next((cause for cause in causes if isinstance(cause, kinds)), None)

    verification = first(ssl.SSLCertVerificationError)
    if verification is not None:
        return _Failure(_verification(verification, settings), "tls")
    if first(TimeoutError, socket.timeout) or any("timed out" in str(cause).lower() for cause in causes):
        return _Failure(f"did not answer in time (at most {settings.deadline:g} s in all)", "timeout")
    if first(*_CLOSED):
        # In TLS 1.3 a server that refuses our certificate closes after our handshake is done; the reason may be lost.
        issued = f", and whether its CA issued {settings.certificate}" if settings.certificate else ""
        return _Failure(f"ended the connection without an answer: look whether CMDaemon runs there{issued}", "down")
    return _wrong_peer(first(ssl.SSLError), first(http.client.HTTPException), settings) or _unreachable(
        causes, settings
    )


def _wrong_peer(
    tls: ssl.SSLError | None, http_error: http.client.HTTPException | None, settings: BcmSettings
) -> _Failure | None:
    if tls is not None:
        return _Failure(_tls_refusal(tls, settings), "tls")
    if isinstance(http_error, http.client.IncompleteRead):
        return _Failure("broke off in the middle of its answer", "malformed")
    if http_error is not None:
        return _Failure(f"does not speak HTTP on port {settings.port}: check port", "malformed")
    return None


def _unreachable(causes: list[BaseException], settings: BcmSettings) -> _Failure:
    last = next((cause for cause in reversed(causes) if isinstance(cause, OSError) and cause.strerror), None)
    why = last.strerror if last is not None else type(causes[-1]).__name__
    return _Failure(f"cannot be reached on port {settings.port} ({why}): check headnodes and port", "down")


def _verification(error: ssl.SSLCertVerificationError, settings: BcmSettings) -> str:
    why = error.verify_message or "certificate verify failed"
    if "match" in why.lower():
        return (
            f"shows a certificate for another name ({why}): use that name in headnodes, or set check_hostname to false"
        )
    if settings.strict_x509 and "Authority Key" in why:
        return f"shows a certificate that strict checks refuse ({why}): set strict_x509 to false"
    if "too weak" in why or "too small" in why:
        return (
            f"shows a certificate with too small a key ({why}): renew it, or lower OpenSSL's security level "
            "(CipherString = DEFAULT@SECLEVEL=1 in a file that OPENSSL_CONF names)"
        )
    if "expired" in why or "not yet valid" in why:
        return f"shows a certificate that is not valid now ({why}): renew it, or correct the clock"
    bundle = settings.ca_certificate or "BCM's CA files on this host"
    return f"shows a certificate that {bundle} does not vouch for ({why}): set ca_certificate to this cluster's CA"


def _tls_refusal(error: ssl.SSLError, settings: BcmSettings) -> str:
    why = (error.reason or "TLS failure").lower().replace("_", " ")
    if "wrong version" in why or "http request" in why or "unknown protocol" in why:
        return f"does not speak TLS on port {settings.port}: check port"
    if "alert" in why or "certificate" in why:
        which = settings.certificate or "no certificate"
        return f"refuses our certificate ({why}; sent: {which}): use one that this cluster's CMDaemon issued"
    return f"cannot agree on TLS ({why})"
