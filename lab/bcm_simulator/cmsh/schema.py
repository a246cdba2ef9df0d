# SPDX-License-Identifier: GPL-3.0-or-later
"""The modes, their properties and their lists, as far as they are simulated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..exclude_lists import EXCLUDE_LISTS
from ..objects import TEXT_KEYS, role_type
from ..roles import RoleIndex
from ..state import State

Entity = dict[str, Any]
# What a computed property is made from: the state with uncommitted changes, the object's name, the object.
Compute = Callable[[State, str, Entity], Any]


@dataclass(frozen=True)
class Property:
    """One property.

    `kind`: text (one line), long (many lines), yesno, number, names (a list).  `key`: where the entity holds it;
    without one it is in the entity's bag with `default`.  `inherit`: on a device, the category's property that is shown
    with ` (default)` while the device has none.
    """

    name: str
    title: str
    kind: str = "text"
    key: str | None = None
    default: Any = ""
    choices: tuple[str, ...] = ()
    readonly: bool = False
    compute: Compute | None = None
    inherit: bool = False
    names: str | None = None  # the section whose names are the only values


@dataclass(frozen=True)
class Schema:
    """One kind of object: a mode, or what is inside a submode."""

    mode: str
    type_name: str  # as `modified` and `commit` name it
    plural: str
    section: str
    key: str  # the property that is the object's name
    properties: tuple[Property, ...]
    list_format: tuple[tuple[str, int, int], ...] = ()
    bag: str = "properties"
    submodes: tuple[str, ...] = ()
    may_add: bool = False
    service: str = ""
    read_token: str = ""
    write_token: str = ""

    def property(self, name: str) -> Property | None:
        """The property by its cmsh name."""
        return next((candidate for candidate in self.properties if candidate.name == name), None)


def _category_nodes(state: State, name: str, _entity: Entity) -> list[str]:
    return [node for node, entity in state["nodes"].items() if entity["category"] == name]


def _with_role(role: str) -> Compute:
    def compute(state: State, _name: str, _entity: Entity) -> list[str]:
        index = RoleIndex(state)
        return [node for node in (*state["head_nodes"], *state["nodes"]) if role in index.effective(node)]

    return compute


_LONG_TITLES = {
    "excludelistfullinstall": "Exclude list full install",
    "excludelistsyncinstall": "Exclude list sync install",
    "excludelistupdate": "Exclude list update",
    "excludelistgrab": "Exclude list grab",
    "excludelistgrabnew": "Exclude list grab new",
    "excludelistmanipulatescript": "Exclude list manipulate script",
    "initializescript": "Initialize script",
    "finalizescript": "Finalize script",
}
_LONG = tuple(Property(name, _LONG_TITLES[name], "long", default=EXCLUDE_LISTS.get(name, "")) for name in TEXT_KEYS)

DEVICE = Schema(
    mode="device",
    type_name="device",
    plural="Devices",
    section="devices",
    key="hostname",
    properties=(
        Property("hostname", "Hostname", readonly=True, compute=lambda _state, name, _entity: name),
        Property("type", "Type", key="type", readonly=True),
        Property("mac", "MAC", key="mac"),
        Property("category", "Category", key="category", names="categories"),
        Property("ip", "Ip", key="ip"),
        Property("network", "Network", key="network", names="networks"),
        Property("status", "Status", compute=lambda _state, _name, entity: f"[{entity['status']:^8}]", readonly=True),
        Property("rack", "Rack", key="rack", names="racks"),
        Property("softwareimage", "Software image", inherit=True, names="software_images"),
        Property("installmode", "Install mode", inherit=True),
        Property("bootloader", "Boot loader", inherit=True),
        Property("bootloaderprotocol", "Boot loader protocol", inherit=True),
        Property("notes", "Notes"),
        *(Property(item.name, item.title, "long", inherit=True) for item in _LONG),
    ),
    list_format=(
        ("type", 22, 22),
        ("hostname", 16, 32),
        ("mac", 18, 18),
        ("category", 16, 32),
        ("ip", 15, 15),
        ("network", 14, 32),
        ("status", 16, 32),
    ),
    submodes=("roles",),
    service="CMDevice",
    read_token="GET_DEVICE_TOKEN",
    write_token="SET_DEVICE_TOKEN",
)
CATEGORY = Schema(
    mode="category",
    type_name="category",
    plural="Categories",
    section="categories",
    key="name",
    properties=(
        Property("name", "Name", readonly=True, compute=lambda _state, name, _entity: name),
        Property("softwareimage", "Software image", key="image", names="software_images"),
        Property("nodes", "Nodes", "names", readonly=True, compute=_category_nodes),
        Property("installmode", "Install mode", default="AUTO", choices=("AUTO", "FULL", "MAIN", "NOSYNC", "SKIP")),
        Property("newnodeinstallmode", "New node install mode", default="FULL"),
        Property("bootloader", "Boot loader", default="syslinux"),
        Property("bootloaderprotocol", "Boot loader protocol", default="HTTP"),
        Property("kernelversion", "Kernel version"),
        Property("kernelparameters", "Kernel parameters"),
        Property("nameservers", "Name servers", "names", default=()),
        Property("timeservers", "Time servers", "names", default=()),
        Property("notes", "Notes"),
        *_LONG,
    ),
    list_format=(("name", 24, 24), ("softwareimage", 24, 24)),
    submodes=("roles",),
    service="CMDevice",
    read_token="GET_CATEGORY_TOKEN",
    write_token="SET_CATEGORY_TOKEN",
)
OVERLAY = Schema(
    mode="configurationoverlay",
    type_name="configurationoverlay",
    plural="Configuration Overlays",
    section="overlays",
    key="name",
    properties=(
        Property("name", "Name", readonly=True, compute=lambda _state, name, _entity: name),
        Property("priority", "Priority", "number", key="priority", default=500),
        Property("allheadnodes", "All head nodes", "yesno", key="all_head_nodes", default=False),
        Property("nodes", "Nodes", "names", key="nodes", names="devices", default=()),
        Property("categories", "Categories", "names", key="categories", names="categories", default=()),
        Property("roles", "Roles", "names", readonly=True, compute=lambda _state, _name, entity: entity["roles"]),
    ),
    list_format=(
        ("name", 20, 32),
        ("priority", 10, 10),
        ("allheadnodes", 14, 14),
        ("nodes", 16, 64),
        ("categories", 16, 32),
        ("roles", 16, 64),
    ),
    submodes=("roles",),
    service="CMDevice",
    read_token="GET_CONFIGURATION_OVERLAY_TOKEN",
    write_token="SET_CONFIGURATION_OVERLAY_TOKEN",
)
SOFTWARE_IMAGE = Schema(
    mode="softwareimage",
    type_name="softwareimage",
    plural="Software Images",
    section="software_images",
    key="name",
    properties=(
        Property("name", "Name", readonly=True, compute=lambda _state, name, _entity: name),
        Property("path", "Path", key="path"),
    ),
    list_format=(("name", 20, 64), ("path", 24, 64)),
    service="CMPart",
    read_token="GET_SOFTWARE_IMAGE_TOKEN",
    write_token="SET_SOFTWARE_IMAGE_TOKEN",
)
WLM = Schema(
    mode="wlm",
    type_name="wlm",
    plural="Wlm Clusters",
    section="wlm",
    key="name",
    properties=(
        Property("type", "Type", key="type", readonly=True),
        Property("name", "Name", readonly=True, compute=lambda _state, name, _entity: name),
        Property("servernodes", "Server nodes", "names", readonly=True, compute=_with_role("slurmserver")),
        Property("submitnodes", "Submit nodes", "names", readonly=True, compute=_with_role("slurmsubmit")),
        Property("clientnodes", "Client nodes", "names", readonly=True, compute=_with_role("slurmclient")),
        Property("version", "Version", default="24.11"),
        Property("prolog", "Prolog", default="/cm/local/apps/cmd/scripts/prolog"),
        Property("epilog", "Epilog", default="/cm/local/apps/cmd/scripts/epilog"),
        Property("prologslurmctld", "Prolog Slurmctld"),
        Property("epilogslurmctld", "Epilog Slurmctld"),
        Property("prologflags", "Prolog flags", "names", default=("Alloc",)),
        Property("prologepilogtimeout", "Prolog epilog timeout", "number", default=0),
        Property("enableprejob", "Enable prejob", "yesno", default=False),
        Property("selecttypeparameters", "Select type parameters", "names", default=("CR_Core",)),
        Property("accountingstoragetres", "Accounting storage TRES", default="gres/gpu"),
        Property("accountingstoreflags", "Accounting store flags", "names", default=("job_comment",)),
    ),
    list_format=(
        ("type", 7, 7),
        ("name", 21, 32),
        ("servernodes", 12, 64),
        ("submitnodes", 16, 64),
        ("clientnodes", 15, 64),
    ),
    submodes=("cgroups",),
    service="CMJob",
    read_token="GET_WLM_CLUSTER_TOKEN",
    write_token="SET_WLM_CLUSTER_TOKEN",
)
CGROUPS = Schema(
    mode="cgroups",
    type_name="wlm",
    plural="",
    section="wlm",
    key="",
    bag="cgroups",
    properties=(
        Property("constraincores", "Constrain cores", "yesno", default=False),
        Property("constraindevices", "Constrain devices", "yesno", default=False),
        Property("constrainramspace", "Constrain RAM space", "yesno", default=False),
        Property("constrainswapspace", "Constrain swap space", "yesno", default=False),
        Property("jobcgrouptemplate", "Job cgroup template", default="slurm/uid_$UID/job_$JOBID"),
    ),
)
PROFILE = Schema(
    mode="profile",
    type_name="profile",
    plural="Profiles",
    section="profiles",
    key="name",
    properties=(
        Property("name", "Name", readonly=True, compute=lambda _state, name, _entity: name),
        Property("nonuser", "Nonuser", "yesno", key="nonuser", default=False),
        Property("tokens", "Tokens", "names", key="tokens", names="tokens", default=()),
        Property("services", "Services", "names", key="services", names="services", default=()),
    ),
    list_format=(("name", 30, 64), ("nonuser", 8, 8)),
    may_add=True,
    service="CMAuth",
    read_token="GET_PROFILE_TOKEN",
    write_token="SET_PROFILE_TOKEN",
)
ROLE = Schema(
    mode="roles",
    type_name="role",
    plural="Roles",
    section="role_settings",
    key="name",
    properties=(
        Property("name", "Name", readonly=True, compute=lambda _state, name, _entity: name.rpartition("/")[2]),
        Property(
            "type", "Type", readonly=True, compute=lambda _state, name, _entity: role_type(name.rpartition("/")[2])
        ),
        Property("addservices", "Add services", "yesno", default=True),
        Property("wlmcluster", "WLM cluster", key="wlmcluster", names="wlm"),
        Property("slots", "Slots", "number", default=0),
        Property("allqueues", "All Queues", "yesno", default=False),
        Property("queues", "Queues", "names", default=("defq",)),
        Property("features", "Features", "names", default=()),
    ),
)
SCHEMAS = {schema.mode: schema for schema in (DEVICE, CATEGORY, OVERLAY, SOFTWARE_IMAGE, WLM, PROFILE)}
# Modes without objects of a schema.
PLAIN_MODES = ("cert", "main")
# BCM's other top-level modes; the simulator names them in its refusal.
OTHER_MODES = frozenset(
    (
        *("cloud", "edgesite", "etcd", "fspart", "group", "hierarchy", "kubernetes", "monitoring", "network"),
        *("nodegroup", "partition", "powercircuit", "process", "rack", "session", "task", "user"),
    )
)
WLM_ROLES = frozenset({"slurmserver", "slurmclient", "slurmsubmit", "slurmaccounting"})
