# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus's web configuration file (TLS, users), of which a part is made on the control machine."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import hashlib
import os
import re
import ssl
import tempfile
import typing as t

BCRYPT = re.compile(r"\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}")
COST = 10
LONGEST_PASSWORD = 72  # bytes; bcrypt leaves out what comes after
_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class WebConfigError(ValueError):
    """The settings cannot become a web configuration: one sentence, without any secret in it."""


def is_hash(password: str) -> bool:
    """Whether this is a bcrypt hash already."""
    return BCRYPT.fullmatch(password) is not None


def salt(name: str) -> str:
    """A bcrypt salt that is always the same for this name, so that a second run changes nothing.

    Made of the name only: from a salt made of the password, too, the password could be guessed without bcrypt's cost.
    """
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big")
    # 22 characters hold 132 bits; bcrypt takes the last one with its lowest four bits at zero.
    characters = [_ALPHABET[(number << 4) >> 6 * place & 63] for place in reversed(range(22))]
    return "".join(characters)


@functools.lru_cache(maxsize=256)
def hashed(password: str, name: str) -> str:
    """The bcrypt hash of a password; a hash is returned as it is.  Raises WebConfigError."""
    if is_hash(password):
        return password
    encoded = password.encode()
    if not encoded or len(encoded) > LONGEST_PASSWORD or b"\0" in encoded:
        raise WebConfigError(f"The password of '{name}' must have 1 to {LONGEST_PASSWORD} bytes.")
    setting = f"$2b${COST:02d}${salt(name)}"
    found = _by_libcrypt(encoded, setting) or _by_module(encoded, setting)
    if found is None or not is_hash(found):
        raise WebConfigError(
            f"The password of '{name}' cannot be hashed here: neither the control machine's libcrypt nor a Python "
            f"module bcrypt makes bcrypt hashes; give the hash instead ('htpasswd -nBC {COST} {name}' makes one)."
        )
    return found


def _by_libcrypt(password: bytes, setting: str) -> str | None:
    library = ctypes.util.find_library("crypt")
    if library is None:
        return None
    try:
        crypt = ctypes.CDLL(library).crypt
    except (OSError, AttributeError):
        return None
    crypt.restype = ctypes.c_char_p
    crypt.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
    answer = crypt(password, setting.encode())
    return t.cast("bytes", answer).decode("ascii", "replace") if answer else None


def _by_module(password: bytes, setting: str) -> str | None:
    try:
        import bcrypt  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - not there on most machines
    except ImportError:
        return None
    return t.cast("bytes", bcrypt.hashpw(password, setting.encode())).decode()


def check_pair(certificate: str, key: str) -> None:
    """Raise WebConfigError unless the PEM texts are a certificate and its private key, without a passphrase."""
    with tempfile.TemporaryDirectory() as directory:
        paths = []
        for name, text in (("certificate", certificate), ("key", key)):
            paths.append(os.path.join(directory, name))
            with open(os.open(paths[-1], os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
        try:
            # A passphrase would be asked for on the terminal otherwise.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(paths[0], paths[1], password=lambda: "")
        except (ssl.SSLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or "not readable"
            raise WebConfigError(
                f"cert_file and key_file of Prometheus's TLS are not a certificate and its private key ({reason})."
            ) from None


def web_config(
    config: t.Mapping[str, t.Any],
    users: t.Mapping[str, str],
    credentials: t.Mapping[str, str],
    directory: str,
    site: str,
) -> dict[str, t.Any]:
    """What web.yml holds: the user's part, and every user with a hash; empty where there is neither.

    credentials: file name -> content of what is put into *directory*; a certificate and key among them are checked to
    belong together, before the ones in use are replaced.  site: makes the hashes differ between sites.
    Raises WebConfigError.  Source: Prometheus's documentation, "HTTPS and authentication".
    """
    if "basic_auth_users" in config:
        raise WebConfigError(
            "prometheus_server_web_config must not have basic_auth_users; set prometheus_server_users."
        )
    tls = config.get("tls_server_config") or {}
    pair = [
        credentials.get(os.path.basename(path))
        for path in (str(tls.get("cert_file", "")), str(tls.get("key_file", "")))
        if os.path.dirname(path) == directory
    ]
    if len(pair) == 2 and pair[0] is not None and pair[1] is not None:
        check_pair(pair[0], pair[1])
    made = {name: hashed(str(password), f"{name}@{site}") for name, password in sorted(users.items())}
    return {**config, **({"basic_auth_users": made} if made else {})}
