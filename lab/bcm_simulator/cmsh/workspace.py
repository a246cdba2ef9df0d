# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects as one cmsh process sees them: the stored state and its own changes that are not committed yet."""

from __future__ import annotations

import copy
from pathlib import Path

from ..auth import Identity, has_service, has_token
from ..objects import NODE_TYPES
from ..profiles import MODIFIABLE_SHIPPED, SHIPPED_PROFILES
from ..record import WriteJournal
from ..roles import RoleIndex
from ..state import CATEGORY_PRIORITY, NODE_PRIORITY, State, StateError
from ..store import StateStore
from .errors import CmshError, CommitRefusedError
from .schema import DEVICE, OVERLAY, PROFILE, ROLE, SOFTWARE_IMAGE, WLM_ROLES, Entity, Schema

_DEVICE_SECTIONS = ("head_nodes", "nodes")
# For each kind of owner in role_settings' names, its section.
_OWNER_SECTIONS = {"device": DEVICE.section, "category": "categories", "overlay": OVERLAY.section}
_NEW_PROFILE: Entity = {"nonuser": False, "tokens": [], "services": []}


class Workspace:
    """Reads through to the state file; keeps changes by (section, name) until commit or refresh."""

    def __init__(self, store: StateStore, identity: Identity) -> None:
        self._store = store
        self._identity = identity
        self._journal = WriteJournal(store.path)
        # None: the object is removed.
        self._changes: dict[tuple[str, str], Entity | None] = {}
        self._merged: State | None = None
        self._merged_from: State | None = None
        self._roles: RoleIndex | None = None

    # -- who may

    def require_read(self, schema: Schema) -> None:
        """Refuse objects that the certificate's profile may not read."""
        self._require(schema, schema.read_token, "read")

    def require_write(self, schema: Schema) -> None:
        """Refuse to commit what the certificate's profile may not change."""
        self._require(schema, schema.write_token, "change")

    def _require(self, schema: Schema, token: str, verb: str) -> None:
        state = self._store.snapshot()
        if not has_service(self._identity, schema.service, state) or not has_token(self._identity, token, state):
            raise CmshError(f"permission denied: profile {self._identity.profile} may not {verb} {schema.plural}")

    # -- reading

    def roles(self) -> RoleIndex:
        """The roles of the state with the uncommitted changes."""
        state = self.state()
        if self._roles is None or self._roles.state is not state:
            self._roles = RoleIndex(state)
        return self._roles

    def state(self) -> State:
        """The state with the uncommitted changes."""
        stored = self._store.snapshot()
        if not self._changes:
            return stored
        if self._merged is None or self._merged_from is not stored:
            merged = {section: dict(value) if isinstance(value, dict) else value for section, value in stored.items()}
            _apply(merged, self._changes)
            self._merged, self._merged_from = merged, stored
        return self._merged

    def names(self, section: str) -> list[str]:
        """The names of the objects; head nodes come first among the devices."""
        state = self.state()
        if section == DEVICE.section:
            return [*state["head_nodes"], *state["nodes"]]
        return list(state[section])

    def entity(self, section: str, name: str) -> Entity:
        """One object for reading; CmshError if there is none."""
        state = self.state()
        real = _real_section(state, section, name)
        if name in state[real]:
            entity: Entity = state[real][name]
            return entity
        if section == ROLE.section:
            return {"wlmcluster": next(iter(state["wlm"]), None), "properties": {}}
        raise CmshError(f"{section} has no {name!r}")

    def exists(self, section: str, name: str) -> bool:
        """Whether there is such an object."""
        state = self.state()
        return name in state[_real_section(state, section, name)]

    # -- changing

    def editable(self, section: str, name: str) -> Entity:
        """One object for changing; counts as modified from now on."""
        real = _real_section(self.state(), section, name)
        changed = self._changes.get((real, name))
        if changed is None:
            changed = copy.deepcopy(self.entity(section, name))
            self._changes[real, name] = changed
        self._merged = None
        return changed

    def add_profile(self, name: str) -> None:
        """A new profile, not stored yet."""
        if self.exists(PROFILE.section, name):
            raise CmshError(f"profile {name!r} exists already")
        self._changes[PROFILE.section, name] = copy.deepcopy(_NEW_PROFILE)
        self._merged = None

    def remove(self, schema: Schema, name: str) -> None:
        """Mark an object for removal."""
        self.entity(schema.section, name)
        self._changes[schema.section, name] = None
        self._merged = None

    def set_wlm_unset(self, owner: str, role: str) -> None:
        """A newly assigned workload-manager role has no cluster yet."""
        entity = self.editable(ROLE.section, f"{owner}/{role}")
        entity["wlmcluster"] = None

    def forget_role(self, owner: str, role: str) -> None:
        """An unassigned role takes its settings with it."""
        key = (ROLE.section, f"{owner}/{role}")
        if key in self._changes or key[1] in self._store.snapshot()[ROLE.section]:
            self._changes[key] = None
            self._merged = None

    def modified(self, schema: Schema) -> list[tuple[str, str]]:
        """(state, name) of the objects of this mode with changes: M modified, + added, - removed."""
        stored = self._store.snapshot()
        result: dict[str, str] = {}
        for section, name in self._keys(schema):
            owner = name
            if section == ROLE.section:
                owner = name.rpartition("/")[0].partition("/")[2]
                result.setdefault(owner, "M")
            elif self._changes[section, name] is None:
                result[owner] = "-"
            else:
                result[owner] = "M" if name in stored[section] else "+"
        return [(mark, name) for name, mark in result.items()]

    def refresh(self, schema: Schema) -> None:
        """Drop the changes of this mode's objects."""
        for key in self._keys(schema):
            del self._changes[key]
        self._merged = None

    def validate(self, schema: Schema) -> list[tuple[str, str]]:
        """What BCM would say against this mode's changes: (field, message)."""
        rows: list[tuple[str, str]] = []
        for section, name in self._keys(schema):
            entity = self._changes[section, name]
            if entity is not None:
                rows += _problems(section, name, entity)
            elif name in SHIPPED_PROFILES and section == PROFILE.section:
                rows.append(("name", "A shipped profile cannot be removed"))
        return rows

    def commit(self, schema: Schema) -> tuple[int, int]:
        """Store this mode's changes: (removed, committed).  CommitRefusedError stores nothing."""
        keys = self._keys(schema)
        if not keys:
            return 0, 0
        what = f"cmsh commit {schema.mode} {', '.join(name for _mark, name in self.modified(schema))}"
        try:
            self.require_write(schema)
            rows = self.validate(schema)
            if self._store.snapshot()["switches"]["read_only"]:
                rows.append(("", "This simulated BCM refuses all writes"))
            if rows:
                raise CommitRefusedError(rows)
            changes = {key: self._changes[key] for key in keys}
            try:
                self._store.edit(lambda state: _apply(state, changes))
            except StateError as error:
                raise CommitRefusedError([("", str(error))]) from error
        except CmshError:
            self._journal.add("refused", what, self._identity.profile)
            raise
        self._journal.add("stored", what, self._identity.profile)
        removed = sum(change is None and key[0] == schema.section for key, change in changes.items())
        self.refresh(schema)
        return removed, len({name for section, name in keys if changes[section, name] is not None})

    # -- what is done at once

    @property
    def state_file(self) -> Path:
        """Where the state is."""
        return self._store.path

    def permit_transfer(self, what: str) -> None:
        """Refuse a transfer of images where this certificate may not change any; note it as a write."""
        try:
            self.require_write(SOFTWARE_IMAGE)
            if self._store.snapshot()["switches"]["read_only"]:
                raise CmshError("This simulated BCM refuses all writes")
        except CmshError:
            self._journal.add("refused", what, self._identity.profile)
            raise
        self._journal.add("stored", what, self._identity.profile)

    def lock_image(self, name: str, locked: bool) -> None:
        """Lock or unlock a software image."""
        self.permit_transfer(f"cmsh {'lock' if locked else 'unlock'} {name}")
        self._store.edit(lambda state: state[SOFTWARE_IMAGE.section][name].update(locked=locked))

    def _keys(self, schema: Schema) -> list[tuple[str, str]]:
        return [key for key in self._changes if _belongs(schema, *key)]


def _belongs(schema: Schema, section: str, name: str) -> bool:
    if section == ROLE.section:
        return _OWNER_SECTIONS[name.partition("/")[0]] == schema.section
    return section == schema.section or (schema is DEVICE and section in _DEVICE_SECTIONS)


def _real_section(state: State, section: str, name: str) -> str:
    if section != DEVICE.section:
        return section
    return "head_nodes" if name in state["head_nodes"] else "nodes"


def _apply(state: State, changes: dict[tuple[str, str], Entity | None]) -> None:
    for (section, name), entity in changes.items():
        if entity is None:
            state[section].pop(name, None)
        else:
            state[section][name] = entity


def _problems(section: str, name: str, entity: Entity) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if section == "nodes" and entity["category"] is None and entity["type"] in NODE_TYPES:
        rows.append(("category", "The category should be set"))
    if section == OVERLAY.section:
        priority = entity["priority"]
        if priority > 1000 or priority in (CATEGORY_PRIORITY, NODE_PRIORITY):
            rows.append(("priority", "The priority should be between 0 and 1000, except 250 and 750, or negative"))
    if section == PROFILE.section and name in SHIPPED_PROFILES and name not in MODIFIABLE_SHIPPED:
        rows.append(("name", "A shipped profile for programs cannot be modified"))
    if section == ROLE.section and name.rpartition("/")[2] in WLM_ROLES and entity["wlmcluster"] is None:
        rows.append(("wlmCluster", "The WLM cluster should be set"))
    return rows
