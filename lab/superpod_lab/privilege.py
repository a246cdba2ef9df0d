# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role monitor's certificate may do, from BCM's answers to all requests.  Nothing here touches the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# What comes with the right to read devices; anybody may read BCM's version.
DEVICES = frozenset({"GET /rest/v1/device", "GET /rest/v1/status", "GET /rest/v1/version"})
# A session in which BCM tells that something changed, though not what.
EVENTS = frozenset({"cmsession.registerSession", "cmsession.acknowledgeKeepAlive", "cmsession.unregisterSession"})
OK = 200
# 635: the profile lacks the service; 640: the call is not allowed to it.
DENIED = frozenset({401, 403, 635, 640})


@dataclass(frozen=True)
class Privilege:
    """The requests that a certificate from `host` was let through with, and how many of the others were refused.

    The rest is what the simulator does for nobody.
    """

    host: str
    let_through: tuple[str, ...]
    refused: int

    def sentence(self) -> str:
        rights = "read devices and wait for events" if EVENTS & set(self.let_through) else "read devices"
        return f"role monitor's certificate, from {self.host}: may {rights}; {self.refused} other requests refused"

    def faults(self) -> list[str]:
        """What it may do and should not, and what it may not do and must; empty if it is as it should be."""
        found = set(self.let_through)
        what = f"The role monitor's certificate on {self.host}"
        faults = [f"{what} lets more through than it needs: {name}" for name in sorted(found - DEVICES - EVENTS)]
        if "GET /rest/v1/device" not in found:
            faults.append(f"{what} may not read devices")
        if not self.refused:
            faults.append(f"{what} was refused nothing, so nothing is proved")
        return faults


def privilege(host: str, statuses: Mapping[str, int]) -> Privilege:
    """From the HTTP status that answered each request."""
    return Privilege(
        host,
        tuple(name for name, status in statuses.items() if status == OK),
        sum(status in DENIED for status in statuses.values()),
    )
