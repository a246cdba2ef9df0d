# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and write properties of one BCM object through cmsh: compare by meaning, write only what differs.

An object is addressed by a path of words, alternately a mode and an object in it: `[wlm, slurm, cgroups]` is
`wlm; use slurm; cgroups`, `[configurationoverlay, slurm-client, roles, slurmclient]` the role in that overlay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from .cmsh import Cmsh, CmshOutput, Command
from .cmsh_settings_values import Difference, assignment, check_property, is_text, same
from .failure import Failure

_MODE = re.compile(r"[a-z][a-z0-9]*")


def enter(path: Sequence[str]) -> list[Command]:
    """Return the commands that lead to the object; raises Failure for a path that leads nowhere."""
    if not path:
        raise Failure("path is empty; give for example [wlm, slurm, cgroups]", "bad_path")
    for word in path[::2]:
        if not _MODE.fullmatch(word):
            raise Failure(f"{word!r} in path is no mode of cmsh; modes and objects take turns in it", "bad_path")
    return [("use", word) if position % 2 else (word,) for position, word in enumerate(path)]


def read(cmsh: Cmsh, path: Sequence[str], properties: Iterable[str]) -> dict[str, str]:
    """Return what BCM shows for each property, with one cmsh process; raises Failure and CmshError.

    `get` prints a value of any number of lines and no name. So `path`, which prints the address of the place, stands
    between the values: it also shows that cmsh is where it should be, and how far it came before it stopped.
    """
    names = [check_property(name) for name in properties]
    commands: list[Command] = [*enter(path), ("path",)]
    for name in names:
        commands += [("get", name), ("path",)]
    output = cmsh.run(commands)
    return split_values(output, path, names)


def split_values(output: CmshOutput, path: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Take the values apart that `read` had printed; raises Failure with BCM's words where one is missing."""
    lines = output.stdout.splitlines()
    address = next((line for line in lines if line.startswith("home;")), None)
    where = " ".join(path)
    if address is None:
        raise Failure(f"BCM has no {where}: {output.words or 'it said nothing'}", "not_found", bcm=output.words)
    parts: list[list[str]] = [[]]
    for line in lines[lines.index(address) + 1 :]:
        if line == address:
            parts.append([])
        else:
            parts[-1].append(line)
    rest = parts.pop()
    if len(parts) < len(names):
        said = " / ".join(line.strip() for line in [*output.stderr.splitlines(), *rest] if line.strip())
        raise Failure(
            f"BCM does not show {names[len(parts)]} of {where}: {said or 'it said nothing'}", "not_found", bcm=said
        )
    return {name: "\n".join(part) for name, part in zip(names, parts)}


def write(cmsh: Cmsh, path: Sequence[str], changes: Sequence[Difference], text_files: Mapping[str, str]) -> None:
    """Set and commit the changes with one cmsh process, then see in a new one that BCM took them.

    `text_files` names, for each text property, the file that holds its new text. A refused commit needs no undoing:
    `-q` ends cmsh at the error, and what was set but not committed ends with it; that BCM still shows the values from
    before is looked at all the same. Raises Failure and CmshError.
    """
    assignments: list[Command] = [
        ("set", change.name, text_files[change.name])
        if is_text(change.wanted)
        else assignment(change.name, change.wanted)
        for change in changes
    ]
    texts = [change for change in changes if is_text(change.wanted)]
    if texts:
        _rehearse(cmsh, path, assignments, texts)
    output = cmsh.run([*enter(path), *assignments, ("commit",)])
    now = read(cmsh, path, [change.name for change in changes])
    missed = [change.name for change in changes if not same(now[change.name], change.wanted)]
    if not missed and not output.refusals:
        return
    said = output.words or "it said nothing"
    what = f"{', '.join(missed or now)} of {' '.join(path)}"
    moved = [change.name for change in changes if now[change.name] != change.current]
    if moved:
        raise Failure(
            f"BCM did not take {what}, but has a new value for {', '.join(moved)}: {said}",
            "half_written",
            bcm=output.words,
            now=now,
        )
    raise Failure(f"BCM refused to change {what}, and nothing was changed: {said}", "refused", bcm=output.words)


def _rehearse(cmsh: Cmsh, path: Sequence[str], assignments: Sequence[Command], texts: Sequence[Difference]) -> None:
    """Load the texts without committing and see that cmsh read the files.

    That `set` loads a file is documented for one property only; if it took the file's name for the text, an exclude
    list would be gone. What was set ends with the process.
    """
    commands: list[Command] = [*enter(path), ("path",), *assignments, ("path",)]
    for change in texts:
        commands += [("get", change.name), ("path",)]
    what = f"{', '.join(change.name for change in texts)} of {' '.join(path)}"
    output = cmsh.run([*commands, ("refresh",)])
    try:
        loaded = split_values(output, path, ["set", *[change.name for change in texts]])
    except Failure as failure:
        said = failure.details["bcm"]
        raise Failure(
            f"BCM refused {what} from a file, and nothing was changed: {said}", "refused", bcm=said
        ) from failure
    wrong = [change.name for change in texts if not same(loaded[change.name], change.wanted)]
    if wrong:
        raise Failure(
            f"this release's cmsh does not load {', '.join(wrong)} of {' '.join(path)} from a file, and nothing was "
            "changed; enter the text in Base View",
            "text_not_loaded",
            bcm=loaded[wrong[0]][:200],
        )


def names_in_list(text: str) -> list[str]:
    """Return the key column of a `list` with one line per object: what stands below the dashes, up to their end."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.fullmatch(r"-+( -+)*\s*", line):
            width = len(line.split(" ", 1)[0])
            return [row[:width].strip() for row in lines[number + 1 :] if row.strip()]
    return []
