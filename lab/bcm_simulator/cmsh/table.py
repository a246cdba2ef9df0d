# SPDX-License-Identifier: GPL-3.0-or-later
"""cmsh's tables: a header, dashes, rows; cells padded and cut to the column's width."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import CmshError

_SPEC = re.compile(r"(?P<name>[a-z0-9]+)(?::(?P<width>\d+)|:\[(?P<min>\d+)-(?P<max>\d+)\])?")
# The width of a column that -f names without one.  The manual's sample shows 19 for ip; 20 is assumed for the others.
_WIDTH_WITHOUT_SPEC = {"ip": 19}
_DEFAULT_WIDTH = 20
# "As wide as it takes".
FIT = 10**6


@dataclass(frozen=True)
class Column:
    """A column between `least` and `most` characters; `cut`: whether longer cells lose their end."""

    header: str
    least: int
    most: int
    cut: bool = True

    def width(self, cells: Sequence[str]) -> int:
        """The smallest width that fits, within the limits."""
        longest = max((len(cell) for cell in (self.header, *cells)), default=0)
        return max(self.least, min(longest, self.most))


def render(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], delimiter: str = " ", *, trailing: bool = False
) -> list[str]:
    """The lines of a table.  `trailing`: the last column is padded too; the manual's samples show nothing there."""
    widths = [column.width([row[number] for row in rows]) for number, column in enumerate(columns)]

    def line(cells: Sequence[str]) -> str:
        padded = [
            (cell[:width] if column.cut else cell).ljust(width) for cell, width, column in zip(cells, widths, columns)
        ]
        text = delimiter.join(padded)
        return text if trailing else text.rstrip()

    header = line([column.header for column in columns])
    return [header, delimiter.join("-" * width for width in widths), *(line(row) for row in rows)]


@dataclass(frozen=True)
class Field:
    """One field of `list -f`."""

    name: str
    least: int
    most: int


def parse_format(text: str) -> list[Field]:
    """The fields of a format: name, name:width, name:0 (as wide as it takes), name:[min-max]."""
    fields = []
    for part in _split(text):
        match = _SPEC.fullmatch(part.strip())
        if match is None:
            raise CmshError(f"{part!r} is not a field of a format")
        name = match["name"]
        if match["min"] is not None:
            least, most = int(match["min"]), int(match["max"])
            if most < least:
                raise CmshError(f"{part!r}: the smallest width is more than the largest")
        elif match["width"] is not None:
            least, most = (int(match["width"]),) * 2 if int(match["width"]) else (0, FIT)
        else:
            least = most = _WIDTH_WITHOUT_SPEC.get(name, _DEFAULT_WIDTH)
        fields.append(Field(name, least, most))
    return fields


def _split(text: str) -> list[str]:
    return re.split(r",(?![^\[]*\])", text)
