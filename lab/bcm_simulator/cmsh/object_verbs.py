# SPDX-License-Identifier: GPL-3.0-or-later
"""use, add, remove, and what happens to changes: commit, refresh, modified, validate."""

from __future__ import annotations

from .arguments import mode_schema, refuse_more, split_options, texts_of
from .errors import CmshError, NotSimulatedError
from .printing import print_refusal, print_table
from .shell import Shell
from .table import FIT, Column
from .words import Statement


def use(shell: Shell, arguments: Statement) -> None:
    """Go to an object."""
    texts = texts_of(arguments)
    if len(texts) != 1:
        raise CmshError("use: name one object")
    shell.places = [shell.places[0], shell.object_place(texts[0])]


def add(shell: Shell, arguments: Statement) -> None:
    """Make an object and go to it."""
    schema = mode_schema(shell)
    if not schema.may_add:
        raise NotSimulatedError(f"command 'add' in mode {schema.mode}")
    texts = texts_of(arguments)
    if len(texts) != 1:
        raise CmshError("add: name one object")
    shell.workspace.require_read(schema)
    shell.workspace.add_profile(texts[0])
    shell.places = [shell.places[0], shell.object_place(texts[0])]


def remove(shell: Shell, arguments: Statement) -> None:
    """Mark an object for removal."""
    schema = mode_schema(shell)
    if not schema.may_add:
        raise NotSimulatedError(f"command 'remove' in mode {schema.mode}")
    texts = texts_of(arguments)
    if len(texts) != 1:
        raise CmshError("remove: name one object")
    shell.workspace.remove(schema, shell.object_place(texts[0]).name)


def commit(shell: Shell, arguments: Statement) -> None:
    """Store the mode's changes."""
    options, others = split_options("commit", texts_of(arguments), {"-w": "wait", "--wait": "wait"})
    del options  # everything is done at once here
    refuse_more("commit", others)
    schema = mode_schema(shell)
    removed, committed = shell.workspace.commit(schema)
    if removed:
        shell.output(f"Successfully removed {removed} {schema.plural}")
        shell.output(f"Successfully committed {committed} {schema.plural}")


def refresh(shell: Shell, arguments: Statement) -> None:
    """Drop the mode's changes."""
    refuse_more("refresh", texts_of(arguments))
    shell.workspace.refresh(mode_schema(shell))


def modified(shell: Shell, arguments: Statement) -> None:
    """Print which objects have changes."""
    refuse_more("modified", texts_of(arguments))
    schema = mode_schema(shell)
    rows = [(mark, schema.type_name, name) for mark, name in shell.workspace.modified(schema)]
    if not rows:
        shell.output(f"No modified objects of type {schema.type_name}")
        return
    print_table(shell, [Column("State", 6, 6), Column("Type", 24, 24), Column("Name", 35, FIT)], rows)


def validate(shell: Shell, arguments: Statement) -> None:
    """Print what speaks against a commit."""
    refuse_more("validate", texts_of(arguments))
    rows = shell.workspace.validate(mode_schema(shell))
    if rows:
        print_refusal(shell.output, rows)
    else:
        shell.output("All good")
