# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-ins are programs without a suffix."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

STAND_INS = Path(__file__).parents[4] / "lab" / "stand_ins"
CAPTURES = Path(__file__).parent / "captures"


def load(name: str, version: str | None = None) -> ModuleType:
    """A stand-in as a module, as the version that it is or as another."""
    from superpod_lab import stock  # noqa: PLC0415

    loader = importlib.machinery.SourceFileLoader(f"stand_in_{name}_{version}", str(STAND_INS / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = module
    source = (STAND_INS / name).read_text()
    if version is not None:
        source = stock.VERSION_LINE.sub(f'VERSION = "{version}"', source)
    exec(compile(source, str(STAND_INS / name), "exec"), module.__dict__)
    return module
