# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory plugin: the devices of NVIDIA Base Command Manager as hosts and groups."""

from __future__ import annotations

DOCUMENTATION = r"""
name: bcm
short_description: Hosts and groups from NVIDIA Base Command Manager (BCM)
version_added: 0.1.0
author:
  - The superpod.monitoring developers (@superpod-monitoring)
description:
  - Takes all hosts from BCM's head node, in one REST request, without BCM's Python library.
  - Makes the groups C(bcm_category_<name>), C(bcm_role_<name>) and C(bcm_type_<name>), and the groups that the
    playbooks of this collection deploy to, by the rules in O(system_groups).
  - Sets the host variables C(ansible_host) (the device's ip), C(bcm_category), C(bcm_cluster), C(bcm_headnode)
    (the head node that answered), C(bcm_ip), C(bcm_mac), C(bcm_network), C(bcm_roles), C(bcm_type) and C(bcm_uuid).
    What BCM does not say is null; with no ip there is no C(ansible_host).
  - Strings from BCM are data. They are never evaluated as templates.
  - Characters that a group name cannot have become C(_). Where two names would become one group, the changed ones get a
    suffix of six hexadecimal digits, and a warning says so.
  - "The file must be called C(bcm_inventory.yml), C(bcm_inventory.yaml), C(*.bcm.yml) or C(*.bcm.yaml)."
  - By default Ansible goes on with an empty inventory when a source fails. Set C(any_unparsed_is_failed=true) in
    section C([inventory]) of C(ansible.cfg) so that it stops.
requirements:
  - BCM 10 or newer for C(source=rest), or C(cmsh) on this host.
  - Uses the Python library C(requests) where it is installed.
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: Names this plugin.
    type: str
    required: true
    choices: [superpod.monitoring.bcm]
  headnodes:
    description:
      - Names or addresses of the head nodes, asked in this order; the first that answers is used.
      - The default is BCM's own alias of the active head node.
    type: list
    elements: str
    default: [master]
    env:
      - name: BCM_HEADNODES
  port:
    description: TCP port of CMDaemon.
    type: int
    default: 8081
    env:
      - name: BCM_PORT
  certificate:
    description:
      - PEM file of a client certificate that this cluster's CMDaemon issued. The profile C(readonly) suffices.
      - Without it and without O(username), C(~/.cm/admin.pem) and C(~/.cm/cert.pem) are tried, as C(cmsh) does.
      - A relative path starts at the directory of the inventory file. This holds for all paths here.
    type: str
    env:
      - name: BCM_CERTIFICATE
  private_key:
    description: PEM file of the private key, without passphrase. Not needed if O(certificate) holds the key too.
    type: str
    env:
      - name: BCM_PRIVATE_KEY
  ca_certificate:
    description:
      - PEM file of the CA that signed the head node's certificate.
      - The default are BCM's own files on this host, C(/cm/local/apps/cmd/etc/cacert.pem) and C(cluster.pem).
    type: str
    env:
      - name: BCM_CA_CERTIFICATE
  validate_certs:
    description: Whether the head node must prove that it is one. Set this to V(false) only for a test.
    type: bool
    default: true
    env:
      - name: BCM_VALIDATE_CERTS
  check_hostname:
    description: Whether the head node's certificate must name the address in O(headnodes). BCM's own often do not.
    type: bool
    default: false
    env:
      - name: BCM_CHECK_HOSTNAME
  strict_x509:
    description:
      - Whether to apply the strict checks of RFC 5280, as Python 3.13 does by default.
      - BCM's certificates may lack the Authority Key Identifier, which these checks ask for.
    type: bool
    default: false
    env:
      - name: BCM_STRICT_X509
  username:
    description: A BCM user, instead of O(certificate).
    type: str
    env:
      - name: BCM_USERNAME
  password:
    description: The user's password. Use the environment variable or Ansible Vault, not plain text.
    type: str
    env:
      - name: BCM_PASSWORD
  timeout:
    description: Seconds for one question to BCM, over all head nodes. The hosts are one, each RPC call is another.
    type: float
    default: 30
    env:
      - name: BCM_TIMEOUT
  max_bytes:
    description:
      - The largest answer that is read. 10,000 devices are 3 MB; over JSON-RPC they may be 40 MB.
    type: int
    default: 67108864
    env:
      - name: BCM_MAX_BYTES
  source:
    description:
      - Where to ask. V(rest) asks CMDaemon's REST interface on O(headnodes), V(cmsh) runs BCM's shell on this host.
      - V(auto) is V(rest) and, if that gives no answer, V(cmsh) with a warning. It is not the default because C(cmsh)
        on this host may speak for another cluster than O(headnodes).
    type: str
    choices: [auto, rest, cmsh]
    default: rest
    env:
      - name: BCM_SOURCE
  cmsh:
    description:
      - Path of C(cmsh), where O(source) uses it.
      - The default is the one on E(PATH), else C(/cm/local/apps/cmd/bin/cmsh).
    type: str
    env:
      - name: BCM_CMSH
  filters:
    description:
      - Which devices become hosts. Every key that is set must match; an item that begins with V(!) excludes.
      - Without C(types) these are the types that run an operating system, C(HeadNode), C(PhysicalNode), C(CloudNode)
        and C(LiteNode); switches, power distribution units and the like are left out.
    type: dict
    suboptions:
      hostnames:
        description: Globs of host names.
        type: list
        elements: str
      categories:
        description: Globs of categories.
        type: list
        elements: str
      roles:
        description: Globs of roles; one role that matches is enough.
        type: list
        elements: str
      types:
        description: Globs of device types.
        type: list
        elements: str
  system_groups:
    description:
      - Groups by rule. A host is a member if any of C(hosts), C(categories), C(roles) or C(types) matches, and if it is
        in none of C(not_groups).
      - A group named here replaces the default rule of that name; the other defaults stay. A group that no host is in
        exists all the same.
      - The defaults are the six groups of C(superpod.monitoring.site), see the example.
    type: dict
    default: {}
  rpc_groups:
    description:
      - Groups and variables that need BCM's JSON-RPC interface.
      - V(overlay) makes C(bcm_overlay_<name>) and sets C(bcm_overlays), the configuration overlays of the host.
      - V(rack) makes C(bcm_rack_<name>) and sets C(bcm_rack) and C(bcm_rack_position).
      - V(image) makes C(bcm_image_<name>) and sets C(bcm_image) and C(bcm_image_path), the host's software image.
      - C(cmsh) does not have them, so these need O(source=rest).
    type: list
    elements: str
    choices: [overlay, rack, image]
    default: []
  compute_roles:
    description:
      - Compute roles over JSON-RPC from categories, configuration overlays and devices by BCM's priorities, in place of
        the roles that REST lists. For a BCM whose REST interface lists directly assigned roles only.
      - Not needed with C(cmsh), which lists effective roles.
    type: bool
    default: false
  software_images:
    description:
      - Add each software image as a host of group C(bcm_images), with its directory as C(ansible_host) and
        C(bcm_image_path), its name as C(bcm_image), and in C(bcm_image_groups) those of O(system_groups) whose hosts
        use it.
      - Such a host is reached by P(superpod.monitoring.software_image#connection), so Ansible must run where the
        image's directory is, on the head node. C(superpod_deploy_mode=image) tells the roles to start nothing in it.
      - The other hosts get the variables and groups of V(image) in O(rpc_groups); by O(source=cmsh), from their
        category.
      - Needs JSON-RPC, or O(source=cmsh).
    type: bool
    default: false
  strict_devices:
    description:
      - Whether devices that cannot become hosts (no name, a name twice, a record that cannot be read) are an error.
        Otherwise they are left out with a warning.
    type: bool
    default: true
    env:
      - name: BCM_STRICT_DEVICES
  cache_on_failure:
    description:
      - Use the cached answer of any age, with a warning, if no head node answers.
      - Needs a cache plugin that keeps data, such as C(ansible.builtin.jsonfile).
    type: bool
    default: false
    env:
      - name: BCM_CACHE_ON_FAILURE
"""

EXAMPLES = r"""
# bcm_inventory.yml on a head node, as root: everything by default.
plugin: superpod.monitoring.bcm
---
# Two head nodes, a read-only certificate, hosts of the shared groups named.
plugin: superpod.monitoring.bcm
headnodes: [bcm-head-01, bcm-head-02]
certificate: /etc/superpod/inventory.pem
private_key: /etc/superpod/inventory.key
ca_certificate: /etc/superpod/bcm-ca.pem
system_groups:
  dgx_nodes:
    categories: ["dgx*", "h200-*"]
  prometheus_servers:
    hosts: [mon-01]
  grafana_servers:
    hosts: [mon-01]
---
# The default rules, as they would be written.
plugin: superpod.monitoring.bcm
system_groups:
  dgx_nodes: {categories: ["dgx*"]}
  slurm_controllers: {roles: [slurmserver]}
  login_nodes: {roles: [slurmsubmit], not_groups: [dgx_nodes, slurm_controllers]}
  prometheus_servers: {}
  grafana_servers: {}
  bcm_headnodes: {types: [HeadNode]}
---
# Racks from JSON-RPC, own variables and groups, and an answer that outlives a head node.
plugin: superpod.monitoring.bcm
filters:
  categories: ["!decommissioned"]
rpc_groups: [rack]
compose:
  ansible_user: "'root'"
keyed_groups:
  - key: bcm_network
    prefix: net
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: /var/cache/superpod-inventory
cache_timeout: 300
cache_on_failure: true
"""

import os
import time
import typing as t

from ansible import template
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ..module_utils.bcm_client import BcmClient, BcmConfigError, BcmSettings, Unknown
from ..module_utils.bcm_groups import Plan, StrictDevicesError, parse_filters, parse_system_groups, plan_inventory
from ..module_utils.bcm_rest import Extras, rest_snapshot
from ..module_utils.bcm_snapshot import Snapshot, from_cache, to_cache
from ..module_utils.bcm_tls import cmsh_key_pair


def _unsafe_marker() -> t.Callable[[t.Any], t.Any] | None:
    """What marks a text as no template; None on core 2.19 and newer, where texts are none by default."""
    if hasattr(template, "trust_as_template"):
        return None
    from ansible.utils.unsafe_proxy import wrap_var  # noqa: PLC0415 - deprecated where it is not needed

    return wrap_var


UNSAFE = _unsafe_marker()

_FILE_NAMES = ("bcm_inventory.yml", "bcm_inventory.yaml", ".bcm.yml", ".bcm.yaml")
_CONSTRUCTED = ("compose", "groups", "keyed_groups")
_CONNECT_LIMIT = 5.0
_READ_LIMIT = 15.0


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "superpod.monitoring.bcm"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and os.path.basename(path).endswith(_FILE_NAMES)

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_options(path)
        try:
            # All of it first, then the inventory: a failure half-way must not leave half the hosts behind.
            filters = parse_filters(self.get_option("filters"))
            system_groups = parse_system_groups(self.get_option("system_groups"))
            snapshot = self._snapshot(path, cache)
            plan = plan_inventory(snapshot, filters, system_groups, self.get_option("strict_devices"))
        except (BcmConfigError, StrictDevicesError) as error:
            raise AnsibleParserError(f"{path}: {error}") from None
        for warning in plan.warnings:
            self.display.warning(f"{path}: {warning}")
        self._fill(plan)
        self._construct(plan)

    # --- options ---

    def _read_options(self, path: str) -> None:
        try:
            config = self._read_config_data(path)
        except AnsibleError as error:
            line = yaml_line(error)
            where = f" at line {line}" if line else ""
            raise AnsibleParserError(f"{path} cannot be read{where}: {one_line(error, path)}") from None
        except (AttributeError, TypeError):
            raise AnsibleParserError(f"{path} must be a mapping that begins with plugin: {self.NAME}.") from None
        known = self.option_definitions
        unknown = sorted(str(key) for key in config if key not in known)
        if unknown:
            raise AnsibleParserError(
                f"{path} has an option {', '.join(unknown)} that {self.NAME} does not have; "
                f"it has {', '.join(sorted(known))}."
            )

    def _path(self, option: str, inventory_path: str) -> str | None:
        value = self.get_option(option)
        if not value:
            return None
        return os.path.join(os.path.dirname(os.path.abspath(inventory_path)), os.path.expanduser(str(value)))

    def _settings(self, path: str) -> BcmSettings:
        certificate, private_key = self._path("certificate", path), self._path("private_key", path)
        username, password = self.get_option("username"), self.get_option("password")
        if certificate is None and not username:
            pair = cmsh_key_pair()
            if pair is None:
                raise BcmConfigError(
                    "set certificate and private_key, or username and password; there is none in ~/.cm."
                )
            certificate, private_key = pair
        timeout = self.get_option("timeout")
        return BcmSettings(
            headnodes=tuple(str(name) for name in self.get_option("headnodes")),
            port=self.get_option("port"),
            certificate=certificate,
            private_key=private_key,
            ca_certificate=self._path("ca_certificate", path),
            username=str(username) if username else None,
            password=str(password) if password else None,
            validate_certs=self.get_option("validate_certs"),
            check_hostname=self.get_option("check_hostname"),
            strict_x509=self.get_option("strict_x509"),
            connect_timeout=min(_CONNECT_LIMIT, timeout),
            read_timeout=min(_READ_LIMIT, timeout),
            deadline=timeout,
            max_bytes=self.get_option("max_bytes"),
        )

    def _extras(self) -> Extras:
        groups = self.get_option("rpc_groups")
        return Extras(
            overlays="overlay" in groups,
            racks="rack" in groups,
            images="image" in groups,
            software_images=self.get_option("software_images"),
            roles=self.get_option("compute_roles"),
        )

    # --- BCM or the cache ---

    def _snapshot(self, path: str, may_read_cache: bool) -> Snapshot:
        wants_cache, on_failure = self.get_option("cache"), self.get_option("cache_on_failure")
        if not wants_cache and not on_failure:
            return self._ask(path)
        key, asked = self._open_cache(path), self._asked()
        kept = self._cached(key, asked)
        timeout = self.get_option("cache_timeout")
        if kept and wants_cache and may_read_cache and (not timeout or time.time() - kept[1] <= timeout):
            return kept[0]
        try:
            snapshot = self._ask(path)
        except AnsibleParserError as error:
            if not on_failure or kept is None:
                raise
            age = max(0, int(time.time() - kept[1]))
            self.display.warning(f"{error} The answer of {age} s ago is used, because cache_on_failure is set.")
            return kept[0]
        self._cache[key] = {"asked": asked, "time": time.time(), "snapshot": to_cache(snapshot)}
        return snapshot

    def _open_cache(self, path: str) -> str:
        """Load the cache plugin without an expiry of its own, so that an old answer is there for cache_on_failure."""
        timeout = self.get_option("cache_timeout")
        self.set_option("cache_timeout", 0)
        try:
            self.load_cache_plugin()
        finally:
            self.set_option("cache_timeout", timeout)
        return self.get_cache_key(path)

    def _asked(self) -> dict[str, t.Any]:
        """What decides the answer: a cached one for other options is not used."""
        names = ("headnodes", "port", "source", "rpc_groups", "compute_roles", "software_images")
        return {name: self.get_option(name) for name in names}

    def _cached(self, key: str, asked: dict[str, t.Any]) -> tuple[Snapshot, float] | None:
        try:
            entry = self._cache.get(key)
        except Exception as error:  # noqa: BLE001 - cache plugins raise what their storage raises
            self.display.warning(f"The cached answer cannot be used: {' '.join(str(error).split())}")
            return None
        if not isinstance(entry, dict) or entry.get("asked") != asked or not isinstance(entry.get("time"), float):
            return None
        snapshot = from_cache(entry.get("snapshot"))
        return None if snapshot is None else (snapshot, entry["time"])

    def _ask(self, path: str) -> Snapshot:
        source = self.get_option("source")
        if source != "rest" and self.get_option("rpc_groups"):
            raise BcmConfigError(f"rpc_groups needs source: rest, it cannot be had with source: {source}.")
        answer = self._ask_cmsh() if source == "cmsh" else self._ask_rest(path)
        if isinstance(answer, Unknown) and source == "auto":
            other = self._ask_cmsh()
            if isinstance(other, Snapshot):
                self.display.warning(f"{path}: cmsh on this host is used instead of REST: {answer.reason}")
                return other
            answer = Unknown(f"{answer.reason} cmsh neither: {other.reason}", answer.code)
        if isinstance(answer, Unknown):
            raise AnsibleParserError(f"{path}: no inventory from BCM: {answer.reason}")
        return answer

    def _ask_rest(self, path: str) -> Snapshot | Unknown:
        client = BcmClient(self._settings(path))
        try:
            return rest_snapshot(client, self._extras())
        finally:
            client.close()

    def _ask_cmsh(self) -> Snapshot | Unknown:
        from ..module_utils.bcm_cmsh import cmsh_snapshot  # noqa: PLC0415 - few need it
        from ..module_utils.cmsh import Cmsh, CmshError  # noqa: PLC0415

        try:
            runner = Cmsh(self.get_option("cmsh"), timeout=self.get_option("timeout"))
        except CmshError as error:
            return Unknown(f"{error}.", "down")
        return cmsh_snapshot(runner, self.get_option("software_images"))

    # --- into Ansible ---

    def _fill(self, plan: Plan) -> None:
        """Past the inventory's own methods, which look every name up again: at 10,000 hosts that is a second."""
        hosts = {}
        for name, variables in plan.hosts.items():
            # The name too: as inventory_hostname it is a variable.
            self.inventory.add_host(as_data(name))
            hosts[name] = host = self.inventory.get_host(name)
            for variable, value in variables.items():
                host.set_variable(variable, as_data(value))
        for name, members in plan.groups.items():
            group = self.inventory.groups[self.inventory.add_group(name)]
            for member in members:
                group.add_host(hosts[member])

    def _construct(self, plan: Plan) -> None:
        compose, groups, keyed_groups = (self.get_option(option) for option in _CONSTRUCTED)
        if not (compose or groups or keyed_groups):
            return
        strict = self.get_option("strict")
        for host in plan.hosts:
            variables = self.inventory.get_host(host).get_vars()
            self._set_composite_vars(compose, variables, host, strict=strict)
            self._add_host_to_composed_groups(groups, variables, host, strict=strict)
            self._add_host_to_keyed_groups(keyed_groups, variables, host, strict=strict)


def yaml_line(error: BaseException) -> int | None:
    """The line, from 1, at which a YAML parser gave up, if that is what went wrong."""
    cause: t.Any = error
    while cause is not None:
        mark = getattr(cause, "problem_mark", None)
        if mark is not None:
            return int(mark.line) + 1
        cause = getattr(cause, "orig_exc", None) or cause.__cause__ or cause.__context__
    return None


def one_line(error: BaseException, path: str) -> str:
    """What Ansible says of a file, without the file's name again and without the excerpt that some releases add."""
    text = " ".join(str(error).split("The error appears to be in", maxsplit=1)[0].split())
    return text.replace(path, "the file")


def as_data(value: t.Any) -> t.Any:
    """A value from BCM that Ansible will not evaluate.

    Core 2.19 and newer evaluate only what is marked as a template.  Older ones evaluate all but what is marked as
    unsafe, and show that mark in their output; so only texts that could begin a template get it.
    """
    if UNSAFE is None:
        return value
    if isinstance(value, str):
        return UNSAFE(value) if "{" in value else value
    if isinstance(value, list):
        return [as_data(item) for item in value]
    return value
