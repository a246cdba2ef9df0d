# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of the mutants, and whether those that no test noticed are the ones of survivors.txt.

Given survivors.txt and the names, without suffix, of what `cosmic-ray dump` has printed.
"""

from __future__ import annotations

import json
import sys
import typing as t
from collections import Counter
from pathlib import Path


def changed(diff: str) -> str:
    """A mutant by the lines it takes away and puts in their place, as survivors.txt has it."""
    lines = [line for line in diff.splitlines() if line[:1] in "-+" and line[:3] not in ("---", "+++")]
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines)


def mutants(dump: Path) -> t.Iterator[tuple[str, str]]:
    """Outcome (killed, survived, skipped, incompetent, none) and change of each."""
    for line in dump.read_text(encoding="utf-8").splitlines():
        _item, result = json.loads(line)
        if result is None:
            yield "none", ""
        elif result["worker_outcome"] == "skipped":
            yield "skipped", ""
        else:
            yield result["test_outcome"] or "none", changed(result["diff"] or "")


def explained(path: Path) -> Counter[str]:
    """The survivors that are known: blocks of changed lines below the comments that explain them."""
    blocks = path.read_text(encoding="utf-8").split("\n\n")
    wanted = ("\n".join(line for line in block.splitlines() if line[:2] in ("- ", "+ ")) for block in blocks)
    return Counter(block for block in wanted if block)


def main(survivors: str, *dumps: str) -> int:
    known, found = explained(Path(survivors)), Counter[str]()
    unfinished = 0
    for dump in dumps:
        outcomes = list(mutants(Path(f"{dump}.jsonl")))
        numbers = Counter(outcome for outcome, _change in outcomes)
        tried = sum(numbers.values()) - numbers["skipped"]
        unfinished += numbers["none"]
        sys.stdout.write(f"{Path(dump).name}: {tried} mutants, {tried - numbers['survived']} noticed, ")
        sys.stdout.write(f"{numbers['survived']} survived ({dict(numbers)})\n")
        found += Counter(change for outcome, change in outcomes if outcome == "survived")
    unknown = found - known
    for change in unknown:
        sys.stdout.write(f"\nsurvived, and survivors.txt does not say why:\n{change}\n")
    return 1 if unknown or unfinished else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
