# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in BCM's tree a session is, and which commands there are at that place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..state import State
from .certificates import Issuer
from .errors import CmshError, NotSimulatedError
from .schema import CGROUPS, OTHER_MODES, PLAIN_MODES, ROLE, SCHEMAS, Schema
from .words import Statement, Word, parse
from .workspace import Workspace

_ALIASES = {"ls": ("list",), "ds": ("device", "status"), "..": ("exit",), "/": ("home",)}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9]+")
# How role_settings names the owners of roles.
OWNER_KINDS = {"device": "device", "category": "category", "configurationoverlay": "overlay"}


@dataclass(frozen=True)
class Place:
    """One step of the path: a `mode`, an `object` in it, a `submode`, an `entry` in that."""

    kind: str
    schema: Schema | None
    name: str


class QuitShell(Exception):
    """`quit`, or `exit` at the top."""


class Shell:
    """One cmsh process.  `events`: asynchronous event lines are shown."""

    def __init__(
        self,
        verbs: Mapping[str, Mapping[str, Callable[[Shell, Statement], None]]],
        workspace: Workspace,
        issuer: Issuer,
        *,
        profile: str,
        events: bool,
    ) -> None:
        self._verbs = verbs
        self.workspace = workspace
        self.issuer = issuer
        self.profile = profile
        self.events = events
        self.places: list[Place] = []

    def output(self, text: str) -> None:
        """Print a line, or several."""
        print(text)

    @property
    def state(self) -> State:
        """The state with this process's own changes."""
        return self.workspace.state()

    def run(self, text: str) -> None:
        """Run all statements of one line."""
        for statement in parse(text):
            self.execute(statement)

    def execute(self, statement: Statement) -> None:
        """Run one statement."""
        first = statement[0]
        if first.block is not None:
            raise CmshError("a command is expected, not a (")
        alias = _ALIASES.get(first.text)
        words = (*(Word(text) for text in alias), *statement[1:]) if alias else statement
        command, arguments = words[0].text, words[1:]
        if command in OTHER_MODES:
            raise NotSimulatedError(f"mode {command!r}")
        if command in SCHEMAS or command in PLAIN_MODES:
            self._mode(command, arguments)
        elif command in ("exit", "home", "path", "quit"):
            self._move(command, arguments)
        elif self._is_submode(command):
            self._submode(command, arguments)
        else:
            self._verb(command, arguments)

    def within(self, places: list[Place], statements: tuple[Statement, ...]) -> None:
        """Run statements at another place and come back."""
        before, self.places = self.places, places
        try:
            for statement in statements:
                self.execute(statement)
        finally:
            self.places = before

    def _mode(self, mode: str, arguments: Statement) -> None:
        schema = SCHEMAS.get(mode)
        place = Place("mode", schema, mode)
        if not arguments:
            self.places = [place]
        elif schema is not None and arguments[0].text in schema.submodes and len(arguments) == 2:
            # `device roles node001` stays there, as the manual's sample goes on with a plain `list`.
            self.places = [place]
            self._submode(arguments[0].text, arguments[1:])
        else:
            # `device status x` runs status in device mode and comes back.
            self.within([place], (arguments,))

    def _is_submode(self, command: str) -> bool:
        place = self.places[-1] if self.places else None
        return (
            place is not None
            and place.kind in ("mode", "object")
            and place.schema is not None
            and command in place.schema.submodes
        )

    def _submode(self, command: str, arguments: Statement) -> None:
        if self.places[-1].kind == "mode":
            if len(arguments) != 1:
                raise CmshError(f"{command}: use an object first")
            self.places = [*self.places, self.object_place(arguments[0].text)]
            arguments = ()
        entered = [*self.places, Place("submode", CGROUPS if command == "cgroups" else ROLE, command)]
        if arguments:
            self.within(entered, (arguments,))
        else:
            self.places = entered

    def object_place(self, name: str) -> Place:
        """An object of the current mode, as a place to go to."""
        schema = self.places[0].schema
        if schema is None:
            raise CmshError(f"mode {self.places[0].name} has no objects")
        self.workspace.require_read(schema)
        self.workspace.entity(schema.section, name)
        return Place("object", schema, name)

    def _move(self, command: str, arguments: Statement) -> None:
        if arguments:
            raise NotSimulatedError(f"{command} with arguments")
        if command == "path":
            self.output(self._path())
        elif command == "home":
            self.places = []
        elif command == "quit" or not self.places:
            raise QuitShell
        else:
            self.places = self.places[:-1]

    def _path(self) -> str:
        words = ["home"]
        for place in self.places:
            if place.kind in ("object", "entry"):
                quote = "" if _PLAIN_NAME.fullmatch(place.name) else '"'
                words.append(f"use {quote}{place.name}{quote}")
            else:
                words.append(place.name)
        return ";".join(words) + ";"

    def _verb(self, command: str, arguments: Statement) -> None:
        where = self.where()
        verb = self._verbs.get(where, {}).get(command)
        if verb is None:
            raise NotSimulatedError(f"command {command!r} {self._where_text(where)}")
        verb(self, arguments)

    def where(self) -> str:
        """Which set of commands there is here."""
        if not self.places:
            return "top"
        place = self.places[-1]
        if place.kind == "submode":
            return place.name
        return place.name if place.schema is None else place.kind

    def _where_text(self, where: str) -> str:
        if where == "top":
            return "at the top level"
        return "in mode " + " ".join(place.name for place in self.places)

    def role_owner(self) -> str:
        """The owner of the roles of the current submode, as role_settings names it."""
        return f"{OWNER_KINDS[self.places[0].name]}/{self.places[1].name}"

    def prompt(self, host: str) -> str:
        """The prompt of an interactive session."""
        text = host
        for place in self.places:
            text += f"[{place.name}]" if place.kind in ("object", "entry") else f"->{place.name}"
        schema = self.places[0].schema if self.places else None
        changed = "*" if schema is not None and self.workspace.modified(schema) else ""
        return f"[{text}{changed}]% "
