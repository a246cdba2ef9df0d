# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks, and what that profile may do."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass

from cryptography import x509

from .pki import common_name_of, profile_of
from .state import State


@dataclass(frozen=True)
class Identity:
    """The asker.  `kind` is certificate, basic, cookie or nobody; a profile of None may nothing."""

    kind: str
    name: str = ""
    profile: str | None = None
    revoked: bool = False


NOBODY = Identity("nobody")


def by_certificate(certificate: x509.Certificate, state: State) -> Identity:
    """The owner of a client certificate that the CA signed."""
    entry = state["certificates"].get(str(certificate.serial_number))
    revoked = bool(entry and entry["revoked"])
    return Identity("certificate", common_name_of(certificate), profile_of(certificate), revoked)


def by_password(username: str, password: str, state: State, kind: str) -> Identity:
    """A user of the state, or nobody."""
    user = state["users"].get(username)
    if user is None or not user["password"]:
        return NOBODY
    if not hmac.compare_digest(str(user["password"]).encode(), password.encode()):
        return NOBODY
    return Identity(kind, username, user["profile"])


def by_basic_header(header: str, state: State) -> Identity:
    """The user of an `Authorization: Basic` header, or nobody."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return NOBODY
    try:
        username, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return NOBODY
    return by_password(username, password, state, "basic") if colon else NOBODY


def has_token(identity: Identity, token: str, state: State) -> bool:
    """Whether the asker's profile has `token`.  A profile that does not exist has none."""
    profile = state["profiles"].get(identity.profile)
    return profile is not None and token in profile["tokens"]


def has_service(identity: Identity, service: str, state: State) -> bool:
    """Whether the asker's profile may call `service` (any letter case)."""
    profile = state["profiles"].get(identity.profile)
    return profile is not None and service.lower() in (known.lower() for known in profile["services"])


def may_read_devices(identity: Identity, state: State) -> bool:
    """Whether the asker may read /rest/v1/device, with the switches for the profiles nobody has tried."""
    switches = state["switches"]
    if identity.profile == "node" and switches["node_profile_reads_devices"]:
        return True
    if identity.profile == "readonly" and not switches["readonly_profile_reads_devices"]:
        return False
    return has_token(identity, "GET_DEVICE_TOKEN", state)
