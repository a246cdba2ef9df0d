# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for BCM's events (a long poll over JSON-RPC), so that a change of roles is seen at once.

Only ever a reason to look sooner: what BCM says of the node is asked as in any other check, and polling goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from superpod_monitoring.bcm_client import BcmConfigError, RpcResult

SESSION_KIND = 6
WAIT = 10
"""Seconds of one long poll.  Both numbers are those of pythoncm, BCM's own Python client."""
RETRY = 60.0
"""Seconds before events are tried again after a failure."""
SPREAD = 1.0
"""Seconds over which the nodes of a cluster spread their checks after an event that all of them get."""

RELEVANT = frozenset(("Device", "Category", "ConfigurationOverlay"))
"""Entities that can change a node's roles."""


def concerns(events: Any, own: str) -> bool:
    """Whether any of these events may have changed the roles of the device with the uuid *own* ("": not known)."""
    if not isinstance(events, list):
        return False
    return any(isinstance(event, dict) and _concerns(event, own) for event in events)


def keep_alive(events: Any) -> bool:
    """Whether BCM asks if anybody is still there."""
    return isinstance(events, list) and any(_kind(event) == "KeepAliveEvent" for event in events)


def ended(events: Any) -> bool:
    """Whether BCM has ended the session, or answered something that is no list of events."""
    return not isinstance(events, list) or any(_kind(event) == "EndOfSessionEvent" for event in events)


def _kind(event: Any) -> Any:
    return event.get("childType") if isinstance(event, dict) else None


def _concerns(event: dict[str, Any], own: str) -> bool:
    if _kind(event) != "EntitiesChangedEvent" or event.get("entityTypeName") not in RELEVANT:
        return False
    if event["entityTypeName"] != "Device" or not own:
        return True
    # Thousands of other nodes' changes must not make every node ask.
    changed = [uuid for key in ("updateUuids", "removeUuids") for uuid in _list(event.get(key))]
    return any(isinstance(uuid, str) and uuid.lower() == own for uuid in changed)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


class Listener(threading.Thread):
    """Holds a session with a client of its own; calls *wake* after an event, *changed* when it connects or fails."""

    def __init__(
        self,
        make_client: Callable[[], Any],
        own: Callable[[], str],
        wake: Callable[[], None],
        changed: Callable[[bool, str], None],
    ) -> None:
        super().__init__(name="events", daemon=True)
        self._make_client = make_client
        self._own = own
        self._wake = wake
        self._changed = changed
        self._stopping = threading.Event()
        self.connected = False

    def stop(self) -> None:
        """End after the poll in progress; nobody waits for it."""
        self._stopping.set()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                reason = self._session()
            except BcmConfigError as error:
                reason = str(error)
            self.connected = False
            if self._stopping.is_set():
                return
            self._changed(False, reason)
            self._stopping.wait(RETRY)

    def _session(self) -> str:
        """One session, until it fails; returns the reason."""
        client = self._make_client()
        try:
            session = client.rpc("cmsession", "registerSession", SESSION_KIND)
            if not isinstance(session, RpcResult):
                return str(session.reason)
            if not isinstance(session.value, str):
                return "BCM gave no session."
            self.connected = True
            self._changed(True, str(session.headnode))
            self._wake()  # for what changed before there was a session
            try:
                return self._poll(client, session.value)
            finally:
                if self._stopping.is_set():
                    client.rpc("cmsession", "unregisterSession", session.value)
        finally:
            client.close()

    def _poll(self, client: Any, session: str) -> str:
        while not self._stopping.is_set():
            answer = client.rpc("cmsession", "waitForEvents", session, WAIT)
            if not isinstance(answer, RpcResult):
                return str(answer.reason)
            if ended(answer.value):
                return "BCM ended the session."
            if keep_alive(answer.value):
                client.rpc("cmsession", "acknowledgeKeepAlive", session)
            if concerns(answer.value, self._own()):
                self._wake()
        return ""
