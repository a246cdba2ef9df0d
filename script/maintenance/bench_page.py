# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/benchmarks.md from the JSON lines of script/bench: a section for each benchmark, with where it was run."""

from __future__ import annotations

import argparse
import ast
import datetime
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = "docs/benchmarks.md"
HEAD = """<!-- SPDX-License-Identifier: GPL-3.0-or-later -->
<!-- Made by `script/bench | script/bench-page`. -->
# Benchmarks

Each measure is taken beside something else in the same run: another way to do the same, or a limit that was set before.
The ratio is the measure divided by that. Repeat them with `script/bench`, or `script/bench NAME`; some boot labs of
their own, and all want a machine that does little else: the load of the quarter of an hour before stands above each."""
NOT_RUN = "Not run yet."
COLUMNS = ("measure", "value", "beside", "its value", "ratio", "goal")

Measure = Mapping[str, Any]


class NoMeasure(ValueError):
    """A line that is none of script/bench's; the text says which and why."""


def measures(lines: Iterable[str]) -> list[Measure]:
    """Raises NoMeasure."""
    found = []
    for line in lines:
        if not line.strip():
            continue
        try:
            one = json.loads(line)
        except ValueError:
            raise NoMeasure(f"{line.strip()[:80]} is no JSON: give what script/bench prints") from None
        missing = {"name", "value", "unit", "peer", "peer_value", "ratio", "goal"} - set(one)
        if missing or None in one.values():
            raise NoMeasure(f"{one.get('name', line[:80])} lacks a value: {', '.join(sorted(missing)) or 'null'}")
        found.append(one)
    return found


def of(benchmark: str, found: Iterable[Measure]) -> list[Measure]:
    """The measures of a benchmark, whose names begin with its own."""
    return [one for one in found if re.match(rf"{benchmark}([._]|$)", one["name"])]


def number(value: float) -> str:
    """Three significant digits, and whole numbers whole."""
    if isinstance(value, int) or value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def section(benchmark: str, about: str, found: list[Measure], where: str) -> str:
    """A benchmark's part of the page; `about` is its first sentence."""
    rows = [
        (
            re.sub(rf"^{benchmark}[._]", "", one["name"]),
            f"{number(one['value'])} {one['unit']}",
            one["peer"],
            number(one["peer_value"]),
            number(one["ratio"]),
            one["goal"] if isinstance(one["goal"], str) else f"ratio <= {number(one['goal'])}",
        )
        for one in found
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in (COLUMNS, ("---",) * len(COLUMNS), *rows))
    return f"## {benchmark}\n\n{about}\n\n{where}\n\n{table}" if rows else f"## {benchmark}\n\n{about}\n\n{NOT_RUN}"


def page(benchmarks: Mapping[str, str], found: list[Measure], before: str, where: str) -> str:
    """The page; `benchmarks` are the names and what they are about. Raises NoMeasure."""
    kept = {part.split("\n", 1)[0]: part for part in re.split(r"^## ", before, flags=re.MULTILINE)[1:]}
    unknown = [one["name"] for one in found if not any(of(name, [one]) for name in benchmarks)]
    if unknown:
        raise NoMeasure(f"{unknown[0]} is a measure of no benchmark: {', '.join(benchmarks)}")
    parts = []
    for name, about in benchmarks.items():
        own = of(name, found)
        earlier = f"## {kept[name].rstrip()}" if name in kept else section(name, about, [], where)
        parts.append(section(name, about, own, where) if own else earlier)
    return "\n\n".join([HEAD, *parts]) + "\n"


def about(path: Path) -> str:
    """The first paragraph of what a benchmark says of itself."""
    return " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0].split())


def machine() -> str:
    """What the measures depend on."""
    memory = int(re.findall(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[0]) / 2**20
    today = datetime.datetime.now(datetime.timezone.utc).date()
    return f"{today}, {os.cpu_count()} cores, {memory:.0f} GiB, load {os.getloadavg()[2]:.1f}."


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """The exit code: 0, or 1 if what was given is not what script/bench prints."""
    parser = argparse.ArgumentParser(prog="script/bench-page", description=f"Writes {PAGE} from script/bench's output.")
    parser.parse_args(arguments)
    path = root / PAGE
    benchmarks = {one.stem: about(one) for one in sorted((root / "benchmarks").glob("*.py"))}
    before = path.read_text() if path.exists() else ""
    try:
        text = page(benchmarks, measures(sys.stdin), before, machine())
    except NoMeasure as error:
        print(f"script/bench-page: {error}.", file=sys.stderr)
        return 1
    path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
