# SPDX-License-Identifier: GPL-3.0-or-later
"""Entities as JSON-RPC shows them: the keys and default values of a live BCM 11."""

from __future__ import annotations

from typing import Any

from .exclude_lists import EXCLUDE_LISTS
from .state import NO_MAC, NULL_UUID, State, entity_uuid

Entity = dict[str, Any]

# Types of device that run the node's software; the others (switches, PDUs, ...) have fewer keys.
NODE_TYPES = frozenset({"PhysicalNode", "HeadNode", "CloudNode", "LiteNode", "DPU"})

_COMMON: Entity = {"extra_values": None, "modified": False, "revision": "", "to_be_removed": False}
_NODE: Entity = {
    "managementNetwork": NULL_UUID,
    "services": [],
    "fsmounts": [],
    "fsexports": [],
    "staticRoutes": [],
    "gpuSettings": [],
    "powerDistributionUnits": [],
    "powerControl": "none",
    "rackPosition": None,
    "chassisPosition": None,
    "excludeListManipulateScript": "",
    "authenticationService": "CATEGORY",
    "cmdaemonUrl": "",
    "creationTime": 1763617980,
    "defaultGateway": "0.0.0.0",
    "defaultGatewayMetric": 0,
    "customPingScript": "",
    "customPingScriptArgument": "",
    "customPowerScript": "",
    "customPowerScriptArgument": "",
    "customRemoteConsoleScript": "",
    "customRemoteConsoleScriptArgument": "",
    "forceFullEnvironment": False,
    "ioScheduler": "",
    "partNumber": "",
    "serialNumber": "",
    "prometheusMetricForwarders": [],
    "provisioningTransport": "RSYNCDAEMON",
    "pxelabel": "",
    "supportsGNSS": False,
    "switchPorts": [],
    "useExclusivelyFor": "",
    "userDefinedResources": [],
    "versionConfigFiles": False,
    "accessSettings": None,
    "biosSetup": None,
    "bmcSettings": None,
    "proxySettings": None,
    "seLinuxSettings": None,
    "timeZoneSettings": None,
    "notes": "",
    "userdefined1": "",
    "userdefined2": "",
    **_COMMON,
}
# What a head node lacks.
_COMPUTE_ONLY: Entity = {
    "softwareImageProxy": None,
    "installMode": "",
    "nextBootInstallMode": "",
    "installBootRecord": False,
    "excludeListFull": "",
    "excludeListSync": "",
    "excludeListUpdate": "",
    "excludeListGrab": "",
    "excludeListGrabnew": "",
    "initialize": "",
    "finalize": "",
    "disksetup": "",
    "kernelVersion": "",
    "kernelParameters": "",
    "kernelOutputConsole": "",
    "bootLoader": "CATEGORY",
    "bootLoaderFile": "",
    "bootLoaderProtocol": "CATEGORY",
    "fips": "CATEGORY",
    "dataNode": False,
    "allowNetworkingRestart": False,
    "blockDevicesClearedOnNextBoot": [],
    "fromTemplateNode": NULL_UUID,
    "templateNode": False,
    "nodeInstallerDisk": False,
    "modules": [],
    "raidconf": "",
}
_CATEGORY: Entity = {
    "accessSettings": None,
    "allowNetworkingRestart": False,
    "authenticationService": "AUTO",
    "biosSetup": None,
    "bootLoader": "SYSLINUX",
    "bootLoaderFile": "",
    "bootLoaderProtocol": "HTTP",
    "dataNode": False,
    "defaultGateway": "0.0.0.0",
    "defaultGatewayMetric": 0,
    "disksetup": "",
    "dpuSettings": None,
    "excludeListFull": "",
    "excludeListGrab": "",
    "excludeListGrabnew": "",
    "excludeListManipulateScript": "",
    "excludeListSync": "",
    "excludeListUpdate": "",
    "finalize": "",
    "fips": "NO",
    "fsexports": [],
    "fsmounts": [],
    "gpuSettings": [],
    "initialize": "",
    "installBootRecord": False,
    "installMode": "AUTO",
    "interactiveUser": "ALWAYS",
    "ioScheduler": "",
    "kernelOutputConsole": "",
    "kernelParameters": "",
    "kernelVersion": "",
    "managementNetwork": NULL_UUID,
    "modules": [],
    "nameServers": [],
    "newNodeInstallMode": "FULL",
    "nodeInstallerDisk": False,
    "notes": "",
    "proxySettings": None,
    "raidconf": "",
    "searchDomains": [],
    "seLinuxSettings": None,
    "services": [],
    "staticRoutes": [],
    "timeServers": [],
    "timeZoneSettings": None,
    "useExclusivelyFor": "",
    "versionConfigFiles": False,
    "ztpSettings": None,
    **_COMMON,
}
# Text properties of cmsh and their JSON keys.
TEXT_KEYS = {
    "excludelistfullinstall": "excludeListFull",
    "excludelistsyncinstall": "excludeListSync",
    "excludelistupdate": "excludeListUpdate",
    "excludelistgrab": "excludeListGrab",
    "excludelistgrabnew": "excludeListGrabnew",
    "excludelistmanipulatescript": "excludeListManipulateScript",
    "initializescript": "initialize",
    "finalizescript": "finalize",
}
_ROLE_TYPES = {
    "headnode": "HeadNodeRole",
    "boot": "BootRole",
    "provisioning": "ProvisioningRole",
    "monitoring": "MonitoringRole",
    "storage": "StorageRole",
    "backup": "BackupRole",
    "failover": "FailoverRole",
    "firewall": "FirewallRole",
    "slurmserver": "SlurmServerRole",
    "slurmclient": "SlurmClientRole",
    "slurmsubmit": "SlurmSubmitRole",
    "slurmaccounting": "SlurmAccountingRole",
    "subnetmanager": "SubnetManagerRole",
    "scaleserver": "ScaleServerRole",
    "jupyterhub": "JupyterHubRole",
}


def role_type(role: str) -> str:
    """The childType of a role by its short name; names that BCM does not ship are generic roles."""
    return _ROLE_TYPES.get(role, "GenericRole")


def role_object(owner: str, role: str) -> Entity:
    """A role assigned directly to `owner` (kind/name)."""
    return {
        "baseType": "Role",
        "childType": role_type(role),
        "name": role,
        "uuid": entity_uuid("role", f"{owner}/{role}"),
        "addServices": True,
        **_COMMON,
    }


def os_service_object(owner: str, service: State) -> Entity:
    """A service of the operating system that BCM manages for `owner` (kind/name)."""
    return {
        "baseType": "OSServiceConfig",
        "childType": "",
        "name": service["name"],
        "uuid": entity_uuid("service", f"{owner}/{service['name']}"),
        "monitored": service["monitored"],
        "autostart": service["autostart"],
        "runIf": service["run_if"],
        "managed": service["managed"],
        "addFromRole": service["add_from_role"],
        "fromGenericRole": service["from_generic_role"],
        **_COMMON,
    }


def reference(state: State, section: str, kind: str, name: str | None) -> str:
    """The uuid of an entity by name, the null reference for none."""
    if name is None:
        return NULL_UUID
    return state[section][name]["uuid"] or entity_uuid(kind, name)


def device_uuid(state: State, name: str) -> str:
    """The uuid of a node or head node."""
    return reference(state, "nodes" if name in state["nodes"] else "head_nodes", "device", name)


def device_object(state: State, name: str, port: int) -> Entity:
    """One device; only its directly assigned roles are in it."""
    is_head = name in state["head_nodes"]
    device = state["head_nodes" if is_head else "nodes"][name]
    uuid = device["uuid"] or entity_uuid("device", name)
    mac = device["mac"] or NO_MAC
    result: Entity = {
        "baseType": "Device",
        "childType": device["type"],
        "uuid": uuid,
        "parent_uuid": uuid,
        "hostname": name,
        "mac": mac.upper(),
        "partition": entity_uuid("partition", "base"),
    }
    if device["type"] not in NODE_TYPES:
        return {**result, "rackPosition": _rack_position(state, device), "notes": "", **_COMMON}
    interface = _interface(state, name, device)
    result.update(_NODE)
    result["interfaces"] = [interface]
    result["rackPosition"] = _rack_position(state, device)
    result["roles"] = [role_object(f"device/{name}", role) for role in device["roles"]]
    result["services"] = [os_service_object(f"device/{name}", service) for service in device["services"]]
    if is_head:
        result["provisioningInterface"] = NULL_UUID
        result["cmdaemonUrl"] = f"https://{device['ip']}:{port}"
        return result
    result.update(_COMPUTE_ONLY)
    result["category"] = reference(state, "categories", "category", device["category"])
    result["provisioningInterface"] = interface["uuid"]
    for text, key in TEXT_KEYS.items():
        result[key] = device["properties"].get(text, "")
    return result


def _rack_position(state: State, device: Entity) -> Entity | None:
    if device["rack"] is None:
        return None
    return {
        "baseType": "RackPosition",
        "childType": "",
        "rack": reference(state, "racks", "rack", device["rack"]),
        "position": 0,
        "height": 1,
        **_COMMON,
    }


def _interface(state: State, name: str, device: Entity) -> Entity:
    return {
        "baseType": "NetworkInterface",
        "childType": "NetworkPhysicalInterface",
        "name": "BOOTIF",
        "ip": device["ip"] or "0.0.0.0",
        "ipv6Ip": "::0",
        "ipv6Dhcp": False,
        "mac": NO_MAC,
        "network": reference(state, "networks", "network", device["network"]),
        "dhcp": False,
        "startIf": "ALWAYS",
        "onNetworkPriority": 0,
        "additionalHostnames": [],
        "alternativeHostname": "",
        "bootable": False,
        "bringupduringinstall": "NO",
        "cardtype": "",
        "connectedMode": False,
        "excludeFromDhcpd": False,
        "speed": "",
        "switchPorts": [],
        "uuid": entity_uuid("interface", f"{name}/BOOTIF"),
        **_COMMON,
    }


def category_object(state: State, name: str) -> Entity:
    """One category.  bmcSettings holds a password in clear, as a real one does."""
    category = state["categories"][name]
    uuid = category["uuid"] or entity_uuid("category", name)
    result: Entity = {
        "baseType": "Category",
        "childType": "",
        "name": name,
        "uuid": uuid,
        "parent_uuid": uuid,
        **_CATEGORY,
    }
    result["bmcSettings"] = {
        "baseType": "BMCSettings",
        "childType": "",
        "userName": "bmc",
        "password": "simulated-bmc-password",
        **_COMMON,
    }
    result["softwareImageProxy"] = {
        "baseType": "SoftwareImageProxy",
        "childType": "",
        "parentSoftwareImage": reference(state, "software_images", "image", category["image"]),
        "revisionID": -1,
        **_COMMON,
    }
    result["roles"] = [role_object(f"category/{name}", role) for role in category["roles"]]
    result["services"] = [os_service_object(f"category/{name}", service) for service in category["services"]]
    for text, key in TEXT_KEYS.items():
        result[key] = category["properties"].get(text, EXCLUDE_LISTS.get(text, ""))
    return result


def overlay_object(state: State, name: str) -> Entity:
    """One configuration overlay."""
    overlay = state["overlays"][name]
    return {
        "baseType": "ConfigurationOverlay",
        "childType": "",
        "name": name,
        "uuid": overlay["uuid"] or entity_uuid("overlay", name),
        "allHeadNodes": overlay["all_head_nodes"],
        "nodes": [device_uuid(state, node) for node in overlay["nodes"]],
        "categories": [reference(state, "categories", "category", category) for category in overlay["categories"]],
        "customizationFiles": [],
        "roles": [role_object(f"overlay/{name}", role) for role in overlay["roles"]],
        "priority": overlay["priority"],
        **_COMMON,
    }


def rack_object(state: State, name: str) -> Entity:
    """One rack; only its name and height are simulated."""
    rack = state["racks"][name]
    uuid = rack["uuid"] or entity_uuid("rack", name)
    return {"baseType": "Rack", "childType": "", "name": name, "uuid": uuid, "height": rack["height"], **_COMMON}


def software_image_object(state: State, name: str) -> Entity:
    """One software image; only its name and path are simulated."""
    image = state["software_images"][name]
    uuid = image["uuid"] or entity_uuid("image", name)
    path = image["path"] or f"/cm/images/{name}"
    return {"baseType": "SoftwareImage", "childType": "", "name": name, "uuid": uuid, "path": path, **_COMMON}


def network_object(state: State, name: str) -> Entity:
    """One network; only its name, domain and range are simulated."""
    network = state["networks"][name]
    return {
        "baseType": "Network",
        "childType": "",
        "name": name,
        "uuid": network["uuid"] or entity_uuid("network", name),
        "domainName": network["domain"],
        "baseAddress": network["base"],
        "netmaskBits": network["netmask_bits"],
        **_COMMON,
    }


_ALWAYS = frozenset({"baseType", "childType", "uuid", "name", "hostname"})
_DEFAULTS: dict[str, Entity] = {
    "Device": {**_NODE, **_COMPUTE_ONLY, "roles": [], "interfaces": []},
    "Category": {**_CATEGORY, "roles": []},
    "ConfigurationOverlay": {
        **_COMMON,
        "allHeadNodes": False,
        "nodes": [],
        "categories": [],
        "customizationFiles": [],
        "roles": [],
        "priority": 500,
    },
}


def minified(entity: Entity) -> Entity:
    """Without the fields that have their type's default value, as `minify` is assumed to work."""
    defaults = _DEFAULTS.get(entity.get("baseType", ""), _COMMON)
    missing = object()
    return {key: value for key, value in entity.items() if key in _ALWAYS or defaults.get(key, missing) != value}
