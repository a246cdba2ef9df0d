# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingerprints of OpenPGP keys, against those that GnuPG told of the same keys."""

from __future__ import annotations

import base64
import contextlib
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.superpod.monitoring.plugins.filter.openpgp_pinned import openpgp_pinned
from ansible_collections.superpod.monitoring.plugins.module_utils.openpgp_fingerprint import fingerprints
from hypothesis import given, settings
from hypothesis import strategies as st

# Made for this test; the second block's key has a subkey, which does not count.
KEYS = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawBKGxYJKwYBBAHaRw8BAQdABSw9YOs4kULoLKPmCE74W8QESo2VhF63d5pZ
39Pj/sC0E29uZSA8b25lQGxvY2FsaG9zdD6IkAQTFggAOBYhBHD6Ta9s4/wPgVVj
kYgnmmufUSIVBQJrAEobAhsDBQsJCAcCBhUKCQgLAgQWAgMBAh4BAheAAAoJEIgn
mmufUSIVn/0A/3WHMG/uN/HIeJDH40WWZGUtPkAzjzZY/+0Zfd+bvCZWAP0UgJFt
g5xNb9ls5FarEraDPvA9GxNgYi0ZdtCxvZVZAw==
=1odh
-----END PGP PUBLIC KEY BLOCK-----
-----BEGIN PGP PUBLIC KEY BLOCK-----

mI0EawBKGwEEALD0DlEBfhNuMZNcQiwFqXP37+pfcM3a0tL4ohEXcwXyWH/GeG/s
bC8ZmlSvaFJWrTrJ/hE5I9KNJ7hXsr+8L5xF6DxYgk7RaXk3pWSYRDVaQ7zoklG5
oGotySjyI5OxZxV3GxtSlxB/YZaamAVEROccdZaXBjfcjxgEO9Di2NZ1ABEBAAG0
E3R3byA8dHdvQGxvY2FsaG9zdD6IzgQTAQoAOBYhBIrWMToNxKLch/bKFAXzMSWu
CbjVBQJrAEobAhsDBQsJCAcCBhUKCQgLAgQWAgMBAh4BAheAAAoJEAXzMSWuCbjV
uUQD/i24HJOd/L2M55DSnOPVWHD4zgRP/aiHHY0gGN5uZOmCdak+aWZjr6a1+J7A
vwhv4Jf5lQmhu5dRqLpkK/twZxYKqxw8ChJf8/LCmOVhDzVP+9PqU7MW5Iz6kD4K
Hmc3LSukgEMJ4xtYbIccbKj91qVdZDBf5WGD/ofpcF+b1ncM
=Rd8N
-----END PGP PUBLIC KEY BLOCK-----
"""
FINGERPRINTS = ["70FA4DAF6CE3FC0F8155639188279A6B9F512215", "8AD6313A0DC4A2DC87F6CA1405F33125AE09B8D5"]


def test_the_fingerprints_are_gnupgs() -> None:
    assert fingerprints(KEYS) == FINGERPRINTS


def test_a_known_key_passes_unchanged_however_its_fingerprint_is_written() -> None:
    spaced = [" ".join(one[at : at + 4] for at in range(0, 40, 4)).lower() for one in FINGERPRINTS]
    assert openpgp_pinned(KEYS, spaced) == KEYS


def test_a_file_with_one_strange_key_among_known_ones_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match=FINGERPRINTS[1]):
        openpgp_pinned(KEYS, FINGERPRINTS[:1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>404</html>",
        KEYS.replace("BEGIN", "BEGN"),
        KEYS.replace("PUBLIC KEY", "PRIVATE KEY"),
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nnot base 64\n-----END PGP PUBLIC KEY BLOCK-----",
    ],
)
def test_what_is_no_key_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^The key file cannot be used: [^\n]+$"):
        openpgp_pinned(text, FINGERPRINTS)


@settings(max_examples=200)
@given(st.binary(min_size=1, max_size=400))
def test_no_bytes_lead_to_anything_but_an_answer_or_a_sentence(data: bytes) -> None:
    body = base64.b64encode(data).decode()
    text = f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{body}\n-----END PGP PUBLIC KEY BLOCK-----\n"
    with contextlib.suppress(ValueError):
        assert fingerprints(text)


@given(st.integers(min_value=1, max_value=300))
def test_a_key_that_was_cut_off_is_refused(cut: int) -> None:
    first = KEYS[: KEYS.index("-----END")]
    body = base64.b64decode("".join(first.split("\n\n", 1)[1].split("\n=")[0].split()))
    packet_end = 3 + int.from_bytes(body[1:3], "big") if body[0] & 3 == 1 else 2 + body[1]
    short = base64.b64encode(body[: max(1, packet_end - cut)]).decode()
    with pytest.raises(ValueError, match="cut off"):
        fingerprints(f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{short}\n-----END PGP PUBLIC KEY BLOCK-----\n")


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: (
            text[: text.rindex("-----BEGIN")]
            + text[text.rindex("-----BEGIN") :].replace("BLOCK-----\n", "BLOCK----- \t\n", 1)
        ),
        lambda text: (
            text[: text.rindex("-----BEGIN")]
            + text[text.rindex("-----BEGIN") :].replace("BLOCK-----\n\n", "BLOCK-----\nComment ought to be: x y\n\n", 1)
        ),
        lambda text: text.rstrip().removesuffix("-----END PGP PUBLIC KEY BLOCK-----"),
    ],
)
def test_a_block_that_other_programs_may_read_is_not_passed_over(changed: t.Callable[[str], str]) -> None:
    # the second key is the strange one; GnuPG takes it with white space behind its first line
    text = changed(KEYS)
    with pytest.raises(AnsibleFilterError, match="in another form"):
        openpgp_pinned(text, FINGERPRINTS[:1])


@pytest.mark.parametrize("packet", [b"\xc6\x00", b"\xc6\xff\x00\x01\x00\x00\x04" + bytes(65535), b"\xc8\x01\x00"])
def test_packets_that_no_key_has_are_one_sentence(packet: bytes) -> None:
    body = base64.b64encode(packet).decode()
    with pytest.raises(ValueError, match="it holds an OpenPGP"):
        fingerprints(f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{body}\n-----END PGP PUBLIC KEY BLOCK-----\n")
