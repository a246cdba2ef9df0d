# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles and tokens: what the owner of a certificate may do.

The names of the shipped profiles and five token names are BCM's; which other tokens exist and what each call needs is
this simulator's assumption (docs/stand_ins.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SOURCED_TOKENS = frozenset(
    {
        "GET_DEVICE_TOKEN",
        "GET_CATEGORY_TOKEN",
        "GET_NODEGROUP_TOKEN",
        "POWER_STATUS_TOKEN",
        "PROMETHEUS_EXPORTER_TOKEN",
    }
)
ASSUMED_TOKENS = frozenset(
    {
        "GET_CERTIFICATE_TOKEN",
        "GET_CONFIGURATION_OVERLAY_TOKEN",
        "GET_MONITORING_TOKEN",
        "GET_NETWORK_TOKEN",
        "GET_PROFILE_TOKEN",
        "GET_RACK_TOKEN",
        "GET_SOFTWARE_IMAGE_TOKEN",
        "GET_WLM_CLUSTER_TOKEN",
        "POWER_OPERATION_TOKEN",
        "SET_CATEGORY_TOKEN",
        "SET_CERTIFICATE_TOKEN",
        "SET_CONFIGURATION_OVERLAY_TOKEN",
        "SET_DEVICE_TOKEN",
        "SET_PROFILE_TOKEN",
        "SET_SOFTWARE_IMAGE_TOKEN",
        "SET_WLM_CLUSTER_TOKEN",
    }
)
TOKENS = SOURCED_TOKENS | ASSUMED_TOKENS
READ_TOKENS = frozenset(token for token in TOKENS if token.startswith("GET_")) | {"POWER_STATUS_TOKEN"}

SERVICES = (
    "CMAuth",
    "CMCert",
    "CMDevice",
    "CMGui",
    "CMJob",
    "CMMain",
    "CMMon",
    "CMNet",
    "CMPart",
    "CMServ",
    "CMSession",
    "CMUser",
)
_READONLY_SERVICES = tuple(service for service in SERVICES if service != "CMCert")


@dataclass(frozen=True)
class Profile:
    """What a profile lets its owner do; nonuser profiles are for programs and may not be modified."""

    nonuser: bool
    tokens: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


# The tokens of the nonuser profiles are not known: they get none but what their name says.
SHIPPED_PROFILES: dict[str, Profile] = {
    "admin": Profile(False, tuple(sorted(TOKENS)), SERVICES),
    "readonly": Profile(False, tuple(sorted(READ_TOKENS)), _READONLY_SERVICES),
    "portal": Profile(False),
    "autonomous-hardware-recovery": Profile(True),
    "autonomous-job-recovery": Profile(True),
    "bootstrap": Profile(True),
    "cmhealth": Profile(True),
    "cmpam": Profile(True),
    "litenode": Profile(True),
    "monitoringpush": Profile(True),
    "mqtt": Profile(True),
    "node": Profile(True, (), ("CMMain", "CMSession")),
    "power": Profile(True, ("POWER_STATUS_TOKEN", "POWER_OPERATION_TOKEN")),
    "prs": Profile(True),
}
# May be modified although shipped.
MODIFIABLE_SHIPPED = frozenset({"admin", "readonly", "portal"})


def shipped_profiles() -> dict[str, dict[str, Any]]:
    """The shipped profiles in the form that the state has them."""
    return {
        name: {"nonuser": profile.nonuser, "tokens": list(profile.tokens), "services": list(profile.services)}
        for name, profile in SHIPPED_PROFILES.items()
    }
