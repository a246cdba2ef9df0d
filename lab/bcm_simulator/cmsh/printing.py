# SPDX-License-Identifier: GPL-3.0-or-later
"""Values and tables as cmsh prints them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .schema import Property
from .shell import Shell
from .table import Column, render
from .values import as_words


def cell(item: Property, value: Any) -> str:
    """A value in a table."""
    if item.kind == "long":
        return f"<{len(str(value or '').encode())}B>"
    return ",".join(as_words(item, value))


def print_table(shell: Shell, columns: Sequence[Column], rows: Sequence[Sequence[str]], delimiter: str = " ") -> None:
    """Print a table."""
    trailing = shell.state["switches"]["cmsh_trailing_spaces"]
    for line in render(columns, rows, delimiter, trailing=trailing):
        shell.output(line)


def print_refusal(output: Callable[[str], None], rows: Sequence[tuple[str, str]]) -> None:
    """BCM's table for a commit that it refuses."""
    columns = [Column("Code", 5, 5), Column("Field", 24, 24), Column("Message", 26, 26, cut=False)]
    for line in render(columns, [(str(number), *row) for number, row in enumerate(rows, 1)]):
        output(line)
