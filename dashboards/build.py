# SPDX-License-Identifier: GPL-3.0-or-later
"""All dashboards as the JSON files in files/dashboards."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from dashboards import fleet, gpu, health, job, node

DIRECTORY = Path(__file__).parents[1] / "files" / "dashboards"


def encoded(dashboard: model.Dashboard) -> str:
    """The dashboard as the text of its file."""
    return JSONEncoder(sort_keys=True, indent=2).encode(dashboard) + "\n"


def files() -> dict[str, str]:
    """File name -> text, for every dashboard."""
    return {f"{module.UID}.json": encoded(module.dashboard()) for module in (job, node, gpu, fleet, health)}


def write(directory: Path = DIRECTORY) -> None:
    """Write the files and remove those that no dashboard makes any more."""
    directory.mkdir(parents=True, exist_ok=True)
    made = files()
    for name, text in made.items():
        (directory / name).write_text(text)
    for stray in directory.glob("*.json"):
        if stray.name not in made:
            stray.unlink()
