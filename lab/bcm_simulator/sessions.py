# SPDX-License-Identifier: GPL-3.0-or-later
"""Login cookies and event sessions of one head node."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from .auth import NOBODY, Identity
from .state import State, entity_uuid

COOKIE = "cm-login-token"
KEEP_ALIVE_SECONDS = 60.0
MAX_WAIT_SECONDS = 600.0
Event = dict[str, Any]

# Sections of the state, and what BCM calls the entities in its events.
_ENTITY_TYPES = (
    ("overlays", "ConfigurationOverlay", "overlay"),
    ("categories", "Category", "category"),
    ("nodes", "Device", "device"),
    ("head_nodes", "Device", "device"),
)


@dataclass
class _Session:
    events: list[Event] = field(default_factory=list)
    keep_alive: float = 0.0


class UnknownSessionError(KeyError):
    """No such session: never registered here, or unregistered."""


class Sessions:
    """The sessions and login tokens that one CMDaemon holds in memory; they end with it."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._changed = threading.Condition()
        self._sessions: dict[str, _Session] = {}
        self._logins: dict[str, Identity] = {}

    def login(self, identity: Identity) -> str:
        """A new token for the cookie."""
        token = secrets.token_hex(16)
        with self._changed:
            self._logins[token] = identity
        return token

    def by_cookie(self, header: str) -> Identity:
        """Who logged in with the cookie of this header."""
        for part in header.split(";"):
            name, _, value = part.strip().partition("=")
            if name == COOKIE:
                return self._logins.get(value, NOBODY)
        return NOBODY

    def register(self) -> str:
        """A new session's uuid."""
        name = str(uuid.uuid4())
        with self._changed:
            self._sessions[name] = _Session(keep_alive=time.monotonic())
        return name

    def unregister(self, name: str) -> bool:
        """Ends the session; whoever waits for its events is told."""
        with self._changed:
            known = self._sessions.pop(name, None) is not None
            self._changed.notify_all()
        return known

    def acknowledge(self, name: str) -> bool:
        """The answer to a KeepAliveEvent."""
        with self._changed:
            return name in self._sessions

    def wait(self, name: str, seconds: float) -> list[Event]:
        """The session's events; waits up to `seconds` for the first.

        Raises UnknownSessionError.
        """
        deadline = time.monotonic() + min(seconds, MAX_WAIT_SECONDS)
        with self._changed:
            while True:
                session = self._sessions.get(name)
                if session is None:
                    raise UnknownSessionError(name)
                now = time.monotonic()
                if now - session.keep_alive >= KEEP_ALIVE_SECONDS:
                    session.keep_alive = now
                    session.events.append(_event("KeepAliveEvent"))
                if session.events or now >= deadline or self._stopping.is_set():
                    events, session.events = session.events, []
                    return events
                self._changed.wait(min(deadline - now, KEEP_ALIVE_SECONDS))

    def wake(self) -> None:
        """Let every waiter look again."""
        with self._changed:
            self._changed.notify_all()

    def state_changed(self, before: State, after: State) -> None:
        """Give every session the EntitiesChangedEvents that lead from one state to the other."""
        with self._changed:
            if not self._sessions:
                return
            events = changed_entities(before, after)
            for session in self._sessions.values():
                session.events.extend(events)
            if events:
                self._changed.notify_all()


def changed_entities(before: State, after: State) -> list[Event]:
    """One EntitiesChangedEvent per entity type that differs."""
    updated: dict[str, list[str]] = {}
    removed: dict[str, list[str]] = {}
    for section, type_name, kind in _ENTITY_TYPES:
        old, new = before[section], after[section]
        for name, entity in new.items():
            if old.get(name) != entity:
                updated.setdefault(type_name, []).append(entity["uuid"] or entity_uuid(kind, name))
        for name, entity in old.items():
            if name not in new:
                removed.setdefault(type_name, []).append(entity["uuid"] or entity_uuid(kind, name))
    return [
        _event(
            "EntitiesChangedEvent",
            entityTypeName=type_name,
            updateUuids=updated.get(type_name, []),
            removeUuids=removed.get(type_name, []),
        )
        for type_name in dict.fromkeys([*updated, *removed])
    ]


def _event(child_type: str, **content: object | None) -> Event:
    return {"baseType": "Event", "childType": child_type, **content}
