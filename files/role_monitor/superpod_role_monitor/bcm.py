# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking BCM about this node: which head node, what it says, and whether that can be believed."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from superpod_monitoring import bcm_client
from superpod_monitoring.bcm_device import Device, same_host
from superpod_monitoring.bcm_http import SlimSession

from .config import Config
from .decision import Known, Unknown

MASTER_URL = "/var/spool/cmd/my.master.cmd.url"
"""Where a provisioned node keeps the URL of its head node (BCM Administrator Manual, appendix A)."""
MASTER = "master"
"""The host name of the active head node on every node of the cluster."""

_LARGEST = 16 * 1024 * 1024
"""Bytes of an answer: 10,000 devices, where an older BCM ignores the filter by host name, are 3 MB."""
_STANDINGS = (("active", ("active_head_node_ip", "shared_head_node_ip")), ("passive", ("passive_head_node_ip",)))
_KEEP = frozenset(("hostname", "uuid", "category", "services", "name"))

ClientFactory = Callable[[bcm_client.BcmSettings], Any]


def slim_client(settings: bcm_client.BcmSettings) -> bcm_client.BcmClient:
    """A client without the memory that requests would take."""
    return bcm_client.BcmClient(settings, SlimSession())


def head_nodes(config: Config, url_file: str = MASTER_URL) -> tuple[str, ...]:
    """The head nodes to ask: as configured, else as BCM's files and names on this node say."""
    if config.bcm_headnodes:
        return config.bcm_headnodes
    found = []
    try:
        with open(url_file, encoding="utf-8") as file:
            host = urlsplit(file.read(1000).strip()).hostname
            if host:
                found.append(host)
    except (OSError, ValueError):
        pass
    return tuple(dict.fromkeys([*found, MASTER]))


def settings(config: Config, nodes: tuple[str, ...]) -> bcm_client.BcmSettings:
    """The client's settings for these head nodes.  Raises BcmConfigError."""
    return bcm_client.BcmSettings(
        headnodes=nodes,
        port=config.bcm_port,
        certificate=config.cert_path,
        private_key=config.key_path,
        ca_certificate=config.ca_path,
        validate_certs=config.verify,
        check_hostname=config.check_hostname,
        connect_timeout=config.request_timeout / 3,
        read_timeout=config.request_timeout,
        deadline=config.request_timeout * len(nodes),
        max_bytes=_LARGEST,
    )


def interpret(answer: bcm_client.Devices | bcm_client.Unknown, host: str) -> Known | Unknown:
    """What the client's answer says of this node."""
    if isinstance(answer, bcm_client.Unknown):
        return Unknown(answer.reason)
    mine = [device for device in answer.devices if same_host(device.hostname, host)]
    if len(mine) != 1:
        count = "twice" if mine else "not at all"
        return Unknown(f"The head node {answer.headnode} lists {host} {count}: check this node's name in BCM.")
    return Known(mine[0].roles, identity(mine[0]))


def identity(device: Device) -> str:
    """What stays with a device when it is renamed."""
    return (device.uuid or device.mac or "").lower()


class Bcm:
    """The questions of one cycle, over one client that is made anew when head nodes or files change."""

    def __init__(self, config: Config, factory: ClientFactory = slim_client, url_file: str = MASTER_URL) -> None:
        self._config = config
        self._factory = factory
        self._url_file = url_file
        self._nodes: tuple[str, ...] = ()
        self._client: Any = None

    @property
    def headnode(self) -> str | None:
        """The head node that answered last."""
        return None if self._client is None else self._client.headnode

    def close(self) -> None:
        """Forget the client; the next question makes a new one, with the certificate as it is then."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def answer(self, host: str, doubt: Callable[[Known], bool]) -> Known | Unknown:
        """What BCM says of this node.

        An answer that *doubt* finds grave is not taken from a passive head node, which may have an old copy of BCM's
        data and which the client may be talking to after a fail-over.
        """
        try:
            found = interpret(self._ready().devices(host), host)
            if isinstance(found, Known) and doubt(found) and len(self._nodes) > 1:
                return self._confirmed(host, found, doubt)
        except bcm_client.BcmConfigError as error:
            return Unknown(str(error))
        return found

    def owner(self, name: str) -> str | None:
        """The identity of the device of that name, "" if BCM has none, None if that is not known."""
        try:
            answer = self._ready().devices(name)
        except bcm_client.BcmConfigError:
            return None
        if isinstance(answer, bcm_client.Unknown):
            return None
        return next((identity(device) for device in answer.devices if same_host(device.hostname, name)), "")

    def services(self, host: str) -> frozenset[str] | None:
        """The names of the services that BCM itself manages on this node; None where BCM does not tell us.

        These are all in the list of the node and of its category, whatever their settings.  What a role brings counts
        where BCM lists it there.  A certificate that may read nodes but not categories tells of the node's own ones.
        """
        try:
            client = self._ready()
            node = client.rpc("cmdevice", "getNode", host, keep=_KEEP)
            if isinstance(node, bcm_client.Unknown) or not isinstance(node.value, dict):
                return None
            found = _service_names(node.value)
            categories = client.rpc("cmdevice", "getCategories", keep=_KEEP)
        except bcm_client.BcmConfigError:
            return None
        if isinstance(categories, bcm_client.Unknown) and categories.code != "denied":
            return None
        if isinstance(categories, bcm_client.RpcResult) and isinstance(categories.value, list):
            for category in categories.value:
                if isinstance(category, dict) and category.get("uuid") == node.value.get("category"):
                    found |= _service_names(category)
        return frozenset(found)

    def _ready(self) -> Any:
        nodes = head_nodes(self._config, self._url_file)
        if self._client is None or nodes != self._nodes:
            self.close()
            self._nodes = nodes
            self._client = self._factory(settings(self._config, nodes))
        return self._client

    def _confirmed(self, host: str, found: Known, doubt: Callable[[Known], bool]) -> Known | Unknown:
        """A grave answer, if it comes from the active head node or no other one that answers contradicts it."""
        here = self.headnode or ""
        standing = self._standing(here)
        if standing == "active":
            return found
        said: dict[str, Known] = {}
        for node in self._nodes:
            if node != here:
                other = interpret(self._once(node, lambda client: client.devices(host)), host)
                if isinstance(other, Known):
                    said[node] = other
        if standing is None and all(doubt(other) for other in said.values()):
            return found
        for node, other in said.items():
            if self._standing(node) == "active":
                return other
        if standing == "passive":
            return Unknown(f"{here} is the passive head node, and the active one gives no answer.")
        return Unknown(f"The head nodes {here} and {' and '.join(said)} say different things about {host}.")

    def _standing(self, node: str) -> str | None:
        """Whether a head node is the active or the passive one, as far as it says so itself."""
        answer = self._once(node, lambda client: client.rpc("cmmain", "getHeadNodeIPs"))
        if not isinstance(answer, bcm_client.RpcResult) or not isinstance(answer.value, dict):
            return None
        own = _addresses(node)
        for standing, keys in _STANDINGS:
            if own & {str(answer.value.get(key) or "") for key in keys}:
                return standing
        return None

    def _once(self, node: str, ask: Callable[[Any], Any]) -> Any:
        client = self._factory(settings(self._config, (node,)))
        try:
            return ask(client)
        finally:
            client.close()


def _addresses(node: str) -> set[str]:
    try:
        return {str(entry[4][0]) for entry in socket.getaddrinfo(node, None, type=socket.SOCK_STREAM)}
    except OSError:
        return set()


def _service_names(entity: dict[str, Any]) -> set[str]:
    services = entity.get("services")
    if not isinstance(services, list):
        return set()
    names = {service.get("name") if isinstance(service, dict) else service for service in services}
    return {name for name in names if isinstance(name, str) and name}
