# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS towards CMDaemon: what is trusted, who we are, and a deadline on the socket itself.

BCM's server certificates are signed by the cluster's own CA and may lack the subject alternative name of the address
in use, or the Authority Key Identifier that Python 3.13's strict checks ask for.  So the chain is always verified, and
host name and strictness are switches of their own.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
import typing as t

BCM_CA_FILES = ("/cm/local/apps/cmd/etc/cacert.pem", "/cm/local/apps/cmd/etc/cluster.pem")
"""Where BCM keeps what verifies CMDaemon's certificate; the bundle is both (Administrator Manual, ch. 16)."""


def cmsh_key_pair() -> tuple[str, str] | None:
    """The certificate and the private key that cmsh uses for this user, None if there are none."""
    for name in ("admin", "cert"):
        certificate, key = (os.path.expanduser(f"~/.cm/{name}.{suffix}") for suffix in ("pem", "key"))
        if os.path.exists(certificate) and os.path.exists(key):
            return certificate, key
    return None


class BcmConfigError(ValueError):
    """A setting that cannot work; the text is one sentence that says what to change."""


class _DeadlineSocket(ssl.SSLSocket):
    """No handshake and no read waits beyond the context's deadline.

    A read limit alone is no bound: a server that sends one byte a second restarts it each time.
    """

    def _shorten_timeout(self) -> None:
        deadline = getattr(self.context, "deadline", None)
        if deadline is None:
            return
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the deadline of the whole request has passed")
        timeout = self.gettimeout()
        if timeout is None or timeout > remaining:
            self.settimeout(remaining)

    def do_handshake(self, block: bool = False) -> None:
        self._shorten_timeout()
        super().do_handshake(block)

    def read(self, len: int = 1024, buffer: t.Any = None) -> t.Any:  # noqa: A002 - the name of the base class
        self._shorten_timeout()
        return super().read(len, buffer)


class BcmTlsContext(ssl.SSLContext):
    """An SSLContext whose sockets obey `deadline`, a time.monotonic() value, or None for no limit."""

    sslsocket_class = _DeadlineSocket
    deadline: float | None = None

    def wrap_socket(self, sock: socket.socket, *args: t.Any, **options: t.Any) -> ssl.SSLSocket:
        if options.get("server_hostname") is None and self.check_hostname:
            # urllib3 1.26 gives no name for an address; the peer's address is the one that was asked for.
            options["server_hostname"] = sock.getpeername()[0]
        return super().wrap_socket(sock, *args, **options)


def _readable(path: str, what: str) -> str:
    path = os.path.expanduser(path)
    try:
        with open(path, "rb"):
            return path
    except OSError as error:
        raise BcmConfigError(f"The {what} {path} cannot be read: {error.strerror}.") from None


def _trust(context: ssl.SSLContext, ca_certificate: str | None) -> None:
    if ca_certificate is not None:
        files = [_readable(ca_certificate, "CA bundle")]
    else:
        files = [path for path in BCM_CA_FILES if os.path.exists(path)]
        if not files:
            raise BcmConfigError(
                "No CA to verify the head node with: set ca_certificate to a copy of the head node's "
                f"{BCM_CA_FILES[0]} and cluster.pem in one file."
            )
    for path in files:
        try:
            context.load_verify_locations(cafile=path)
        except (ssl.SSLError, OSError):
            raise BcmConfigError(f"The CA bundle {path} holds no PEM certificate.") from None


def _refuse_passphrase() -> bytes:
    raise BcmConfigError("The private key is encrypted, and nobody is there to type its passphrase: use a key without.")


def _identify(context: ssl.SSLContext, certificate: str, private_key: str | None) -> None:
    certificate = _readable(certificate, "certificate")
    private_key = _readable(private_key, "private key") if private_key else None
    try:
        context.load_cert_chain(certificate, private_key, password=_refuse_passphrase)
    except BcmConfigError:
        raise
    except (ssl.SSLError, OSError) as error:
        key = private_key or certificate
        if "MISMATCH" in str(error):
            raise BcmConfigError(f"The private key {key} does not belong to the certificate {certificate}.") from None
        raise BcmConfigError(f"{certificate} and {key} are not a PEM certificate and its private key.") from None


def tls_context(
    *,
    ca_certificate: str | None,
    certificate: str | None,
    private_key: str | None,
    validate_certs: bool,
    check_hostname: bool,
    strict_x509: bool,
) -> BcmTlsContext:
    """The context for one client.  Paths of PEM files; `ca_certificate` None means BCM's own files on this host.

    Raises BcmConfigError for a file that is missing, unreadable or no PEM.
    """
    context = BcmTlsContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = validate_certs and check_hostname
    if validate_certs:
        context.verify_mode = ssl.CERT_REQUIRED
        # cluster.pem alone may be given: it is the issuer, but it need not be self-signed.
        context.verify_flags |= ssl.VerifyFlags(0x80000)  # X509_V_FLAG_PARTIAL_CHAIN; named in ssl since Python 3.10
        if strict_x509:
            context.verify_flags |= ssl.VERIFY_X509_STRICT
        _trust(context, ca_certificate)
    else:
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        _identify(context, certificate, private_key)
    return context
