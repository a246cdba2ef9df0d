# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingerprints of the public keys in an armoured OpenPGP file (RFC 9580, sections 4.2, 5.5.4 and 6)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

PUBLIC_KEY = 6
# Signature, public key, marker, trust, user id, public subkey, user attribute, padding: what a public key consists of.
_OF_A_KEY = frozenset((2, PUBLIC_KEY, 10, 12, 13, 14, 17, 21))
_BLOCK = re.compile(
    r"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:[\w-]+: .*\r?\n)*\s*(?P<body>[A-Za-z0-9+/=\s]+?)"
    r"(?:^=[A-Za-z0-9+/]{4}\s*)?-----END PGP PUBLIC KEY BLOCK-----",
    re.MULTILINE,
)


def fingerprints(text: str) -> list[str]:
    """The fingerprints, in capital hexadecimal digits, of all primary keys in the text, in their order.

    Raises ValueError with one sentence where the text holds no armoured public key, or something in which another
    program could find a key that is not among these.
    """
    if "-----BEGIN" in _BLOCK.sub("", text):
        raise ValueError("it holds a block in another form than an armoured OpenPGP public key has")
    found = [one for block in _BLOCK.finditer(text) for one in _of_packets(_bytes(block["body"]))]
    if not found:
        raise ValueError("it is not an armoured OpenPGP public key (-----BEGIN PGP PUBLIC KEY BLOCK-----)")
    return found


def _bytes(body: str) -> bytes:
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except binascii.Error as error:
        raise ValueError(f"its OpenPGP armour is damaged: {error}") from error


def _of_packets(data: bytes) -> Iterator[str]:
    for tag, packet in _packets(data):
        if tag not in _OF_A_KEY:
            raise ValueError(f"it holds an OpenPGP packet of type {tag}, which is no part of a public key")
        if tag == PUBLIC_KEY:
            yield _fingerprint(packet)


def _fingerprint(packet: bytes) -> str:
    version, size = packet[0] if packet else 0, len(packet)
    if version == 4 and size < 1 << 16:
        return hashlib.sha1(b"\x99" + size.to_bytes(2, "big") + packet).hexdigest().upper()  # noqa: S324  # the format's
    if version == 6:
        return hashlib.sha256(b"\x9b" + size.to_bytes(4, "big") + packet).hexdigest().upper()
    raise ValueError(
        f"it holds an OpenPGP key of version {version} and {size} bytes, of which no fingerprint can be taken"
    )


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        try:
            tag, start, size = _header(data, at)
        except IndexError:
            raise ValueError("its OpenPGP packets are cut off") from None
        if start + size > len(data):
            raise ValueError("its OpenPGP packets are cut off")
        yield tag, data[start : start + size]
        at = start + size


def _header(data: bytes, at: int) -> tuple[int, int, int]:
    """A packet's tag, where its body starts, and the body's length."""
    first = data[at]
    if not first & 0x80:
        raise ValueError("it holds something else than OpenPGP packets")
    if first & 0x40:
        return first & 0x3F, *_new_length(data, at + 1)
    kind = first & 0x03
    if kind == 3:
        raise ValueError("it holds an OpenPGP packet without a length")
    octets = 1 << kind
    end = at + 1 + octets
    if end > len(data):
        raise IndexError
    return (first >> 2) & 0x0F, end, int.from_bytes(data[at + 1 : end], "big")


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < 192:
        return at + 1, first
    if first < 224:
        return at + 2, ((first - 192) << 8) + data[at + 1] + 192
    if first < 255:
        raise ValueError("it holds an OpenPGP packet in parts, which no key has")
    if at + 5 > len(data):
        raise IndexError
    return at + 5, int.from_bytes(data[at + 1 : at + 5], "big")
