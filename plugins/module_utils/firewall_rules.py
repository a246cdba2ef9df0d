# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules with which ufw or firewalld lets somebody in to a service, as their own programs print them.  Pure.

Own rules are told from a site's by a mark: ufw's carry a comment, firewalld's name a service that is ours.
"""

from __future__ import annotations

import shlex
import typing as t
from dataclasses import dataclass
from ipaddress import ip_network

from .failure import Failure


@dataclass(frozen=True)
class Opening:
    """TCP *ports* of the service *name*, for *sources* (addresses and networks), or for all where there are none."""

    name: str
    ports: tuple[int, ...]
    sources: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, ports: t.Iterable[int], sources: t.Iterable[str]) -> Opening:
        """With ports and sources written as the firewalls write them; raises Failure for what is neither."""
        ports = tuple(sorted(set(ports)))
        wrong = [port for port in ports if not 0 < port < 65536]
        if wrong:
            raise Failure(f"{wrong[0]} in ports is no port; ports go from 1 to 65535", "bad_port")
        return cls(name, ports, tuple(dict.fromkeys(_network(source) for source in sources)))


def _network(source: str) -> str:
    try:
        network = ip_network(source, strict=False)
    except ValueError:
        raise Failure(
            f"'{source}' in sources is neither an address nor a network; write it like 10.141.0.5 or 10.141.0.0/16",
            "bad_source",
        ) from None
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


class Ufw:
    """Rules as ``ufw show added`` prints them, without the program's name."""

    LIST = ("ufw", "show", "added")

    def __init__(self, name: str) -> None:
        self._mark = f" comment 'superpod.monitoring {name}'"

    def wanted(self, opening: Opening) -> list[str]:
        """Shape: ``allow from SOURCE to any port PORT,PORT proto tcp comment '...'``."""
        ports = ",".join(map(str, opening.ports))
        bare = [f"allow from {source} to any port {ports} proto tcp" for source in opening.sources] or [
            f"allow {ports}/tcp"
        ]
        return [rule + self._mark for rule in bare]

    def of_others(self, listing: str) -> list[str]:
        """What the site lets in already: ufw would put our comment in the place of theirs, and one day we would remove
        it."""
        theirs = [rule for rule in _ufw_rules(listing) if not rule.endswith(self._mark)]
        return [rule.partition(" comment '")[0] + self._mark for rule in theirs]

    def found(self, listing: str) -> list[str]:
        return [rule for rule in _ufw_rules(listing) if rule.endswith(self._mark)]

    def commands(self, new: t.Iterable[str], old: t.Iterable[str]) -> list[list[str]]:
        """What adds the one and takes away the other, in this order: nobody is locked out in between."""
        gone = [["ufw", "delete", *shlex.split(rule[: -len(self._mark)])] for rule in old]
        return [["ufw", *shlex.split(rule)] for rule in new] + gone


class Firewalld:
    """Rich rules of the default zone as ``firewall-cmd --permanent --list-rich-rules`` prints them."""

    LIST = ("firewall-cmd", "--permanent", "--list-rich-rules")
    RELOAD = ("firewall-cmd", "--reload")

    def __init__(self, name: str) -> None:
        self._service = f"superpod-{name}"
        self._mark = f'service name="{self._service}" accept'

    @property
    def service_path(self) -> str:
        """The file in which firewalld finds our service's ports."""
        return f"/etc/firewalld/services/{self._service}.xml"

    def service(self, opening: Opening) -> str:
        """What that file says."""
        ports = "".join(f'  <port protocol="tcp" port="{port}"/>\n' for port in opening.ports)
        return (
            '<?xml version="1.0" encoding="utf-8"?>\n<!-- Managed by superpod.monitoring -->\n'
            f"<service>\n  <short>superpod.monitoring {opening.name}</short>\n{ports}</service>\n"
        )

    def wanted(self, opening: Opening) -> list[str]:
        """Shape: ``rule family="ipv4" source address="SOURCE" service name="superpod-NAME" accept``."""
        return [
            f'rule family="{"ipv6" if ":" in source else "ipv4"}" source address="{source}" {self._mark}'
            for source in opening.sources
        ] or [f"rule {self._mark}"]

    def of_others(self, listing: str) -> list[str]:
        """None: a rule that names our service is ours."""
        return []

    def found(self, listing: str) -> list[str]:
        return [rule for rule in listing.splitlines() if rule.endswith(self._mark)]

    def commands(self, new: t.Iterable[str], old: t.Iterable[str]) -> list[list[str]]:
        """What adds the one and takes away the other, once the firewall has been reloaded."""
        changes = [f"--add-rich-rule={rule}" for rule in new] + [f"--remove-rich-rule={rule}" for rule in old]
        return [["firewall-cmd", "--permanent", change] for change in changes]


def _ufw_rules(listing: str) -> list[str]:
    return [line[len("ufw ") :] for line in listing.splitlines() if line.startswith("ufw ")]
