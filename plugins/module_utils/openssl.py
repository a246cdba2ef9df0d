# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read BCM client certificates and their keys with the `openssl` program, which each head node has.

A key is only ever turned into its public half here; nothing returns or prints more of it.
"""

from __future__ import annotations

import re
import ssl
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

PROFILE_OID = "1.3.6.1.4.4324.1"
"""The X.509 extension in which BCM puts the name of a client certificate's profile."""

_TIME_LIMIT = 20.0
_PUBLIC_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)
_PROFILE = re.compile(
    rf"OBJECT\s*:{re.escape(PROFILE_OID)}\n(?:[^\n]*BOOLEAN[^\n]*\n)?[^\n]*OCTET STRING\s*\[HEX DUMP\]:([0-9A-F]+)"
)
_STRING_TAGS = frozenset((0x0C, 0x13, 0x16))  # UTF8String, PrintableString, IA5String


class OpensslError(Exception):
    """A file that is not what it should be, or no openssl; one sentence without any of the file's content."""


@dataclass(frozen=True)
class Certificate:
    """What a client certificate says: `not_after` in seconds since 1970, `profile` empty without the extension."""

    common_name: str
    profile: str
    serial: int
    not_after: int
    public_key: str


def read_certificate(path: str) -> Certificate:
    """Read the first certificate of a PEM file; raises OpensslError."""
    problem = f"{path} cannot be read as a certificate"
    what = ["-serial", "-enddate", "-subject", "-nameopt", "multiline,utf8,-esc_msb", "-pubkey"]
    shown = _openssl(["x509", "-in", path, "-noout", *what], problem)
    try:
        return Certificate(
            common_name=_field(r"^\s+commonName\s*= (.*)$", shown, ""),
            profile=_profile(_openssl(["asn1parse", "-in", path], problem)),
            serial=int(_field(r"^serial=([0-9A-F]+)$", shown), 16),
            not_after=int(ssl.cert_time_to_seconds(_field(r"^notAfter=(.*)$", shown))),
            public_key=_public_key(shown),
        )
    except ValueError as error:
        raise OpensslError(f"{problem}: {error}") from error


def read_public_key(path: str) -> str:
    """Read the public half of an unencrypted private key, as in `Certificate.public_key`; raises OpensslError."""
    problem = f"{path} cannot be read as a private key"
    try:
        return _public_key(_openssl(["pkey", "-in", path, "-passin", "pass:", "-pubout"], problem))
    except ValueError as error:
        raise OpensslError(problem) from error


def is_signed_by(path: str, authorities: Iterable[str]) -> bool:
    """Whether one of the certificates in the files `authorities` signed the one in `path`.

    Its dates do not matter here, nor how strong the signature is: older clusters have weak ones.
    """
    trusted = [word for authority in authorities for word in ("-trusted", authority)]
    command = ["verify", "-auth_level", "0", "-no_check_time", "-partial_chain", *trusted, path]
    return _run(command).returncode == 0


def _openssl(arguments: list[str], problem: str) -> str:
    ended = _run(arguments)
    if ended.returncode:
        raise OpensslError(problem)
    return ended.stdout


def _run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["openssl", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
            timeout=_TIME_LIMIT,
        )
    except OSError as error:
        raise OpensslError(f"openssl cannot be run ({error.strerror}); install it on the head node") from error
    except subprocess.TimeoutExpired as error:
        raise OpensslError(f"openssl {arguments[0]} did not end within {_TIME_LIMIT:g} s") from error


def _field(pattern: str, text: str, default: str | None = None) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    if match is None and default is None:
        raise ValueError("openssl shows it in another form than expected")
    return match[1] if match else str(default)


def _public_key(text: str) -> str:
    match = _PUBLIC_KEY.search(text)
    if match is None:
        raise ValueError("openssl shows no public key")
    return match[0]


def _profile(parsed: str) -> str:
    """Return the profile in the output of `asn1parse`: a short DER string inside the extension's octets."""
    match = _PROFILE.search(parsed)
    if match is None:
        return ""
    octets = bytes.fromhex(match[1])
    if len(octets) < 2 or octets[0] not in _STRING_TAGS or octets[1] != len(octets) - 2:
        return ""
    return octets[2:].decode("utf-8", "replace")
