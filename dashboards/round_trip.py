# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboards through the SDK's typed models and back: what does not come back is no field that Grafana knows."""

from __future__ import annotations

import json
from collections.abc import Iterator

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as model


def lost(text: str) -> list[str]:
    """What the typed models drop or change of a dashboard, as paths such as ``panels[2].fieldConfig.defaults.unti``.

    Raises KeyError, TypeError, ValueError where a value does not fit the models at all.
    """
    register_default_plugins()
    original = json.loads(text)
    typed = JSONEncoder().encode(model.Dashboard.from_json(json.loads(text)))
    return list(_differences(original, json.loads(typed), ""))


def _differences(original: object, typed: object, path: str) -> Iterator[str]:
    if isinstance(original, dict) and isinstance(typed, dict):
        for key, value in original.items():
            where = f"{path}.{key}" if path else key
            if key not in typed:
                yield where
            else:
                yield from _differences(value, typed[key], where)
    elif isinstance(original, list) and isinstance(typed, list) and len(original) == len(typed):
        for index, (one, other) in enumerate(zip(original, typed)):
            yield from _differences(one, other, f"{path}[{index}]")
    elif original != typed:
        yield path
