# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A BCM profile for a program: the tokens and services that a certificate with it may use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .cmsh import Cmsh, Command, Verbatim
from .cmsh_settings import names_in_list, read, write
from .cmsh_settings_values import Value, differences
from .failure import Failure

SHIPPED = frozenset(
    (
        *("admin", "readonly", "portal", "node", "litenode", "bootstrap", "power", "cmhealth", "cmpam", "mqtt", "prs"),
        *("autonomous-hardware-recovery", "autonomous-job-recovery", "monitoringpush"),
    )
)
"""The profiles that come with BCM; the collection leaves them alone."""


@dataclass(frozen=True)
class Profile:
    """Tokens in upper case and services, each sorted; `nonuser` is set for profiles of programs."""

    tokens: tuple[str, ...]
    services: tuple[str, ...]
    nonuser: bool = True


def profile(tokens: Iterable[str], services: Iterable[str]) -> Profile:
    """Return the profile of a program with these tokens and services."""
    return Profile(tuple(sorted({token.upper() for token in tokens})), tuple(sorted(set(services))))


def read_profile(cmsh: Cmsh, name: str) -> Profile | None:
    """Return the profile, or None if BCM has none of this name; raises Failure and CmshError."""
    if name not in names_in_list(cmsh.run([("profile",), ("list", Verbatim("-f"), "name:[8-128]")]).stdout):
        return None
    shown = read(cmsh, ["profile", name], ["tokens", "services", "nonuser"])
    found = profile(shown["tokens"].split(), shown["services"].split())
    return Profile(found.tokens, found.services, shown["nonuser"].strip().lower() == "yes")


def check_ours(name: str, found: Profile | None) -> None:
    """Raise Failure if the profile is not one that this collection may make or change."""
    if name in SHIPPED:
        raise Failure(f"the profile {name} comes with BCM and is never changed; give one of your own", "not_ours")
    if found is not None and not found.nonuser:
        raise Failure(
            f"BCM has a profile {name} for people (nonuser is no), which is left alone; give another name", "not_ours"
        )


def write_profile(cmsh: Cmsh, name: str, found: Profile | None, wanted: Profile) -> None:
    """Make or change the profile, then see that BCM has it; raises Failure and CmshError."""
    if found is None:
        _add(cmsh, name, wanted)
        return
    path = ["profile", name]
    current = {"tokens": " ".join(found.tokens), "services": " ".join(found.services)}
    values: dict[str, Value] = {"tokens": list(wanted.tokens), "services": list(wanted.services)}
    write(cmsh, path, differences(current, values), {})


def _add(cmsh: Cmsh, name: str, wanted: Profile) -> None:
    commands: list[Command] = [("profile",), ("add", name), ("append", "tokens", *wanted.tokens)]
    if wanted.services:
        commands.append(("append", "services", *wanted.services))
    output = cmsh.run([*commands, ("set", "nonuser", "yes"), ("commit",)])
    made = read_profile(cmsh, name)
    if made != wanted:
        said = output.words or "it said nothing"
        raise Failure(f"BCM did not make the profile {name} with these tokens: {said}", "refused", bcm=output.words)


def remove_profile(cmsh: Cmsh, name: str) -> None:
    """Remove the profile, then see that BCM has it no more; raises Failure and CmshError."""
    output = cmsh.run([("profile",), ("remove", name), ("commit",)])
    if read_profile(cmsh, name) is not None:
        said = output.words or "it said nothing"
        raise Failure(f"BCM did not remove the profile {name}: {said}", "refused", bcm=output.words)
