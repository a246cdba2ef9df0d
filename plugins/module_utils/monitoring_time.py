# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus' times and durations."""

from __future__ import annotations

import calendar
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(?:Z|([+-])(\d\d):(\d\d))")


def seconds_since_1970(text: str) -> float | None:
    """RFC 3339 as Go writes it; None for the year 1, which stands for never, and for what is no time."""
    match = _TIME.fullmatch(text)
    if match is None or match[1] == "0001":
        return None
    whole = calendar.timegm((*(int(match[number]) for number in range(1, 7)), 0, 0, 0))
    shift = (int(match[9]) * 3600 + int(match[10]) * 60) * (-1 if match[8] == "-" else 1) if match[8] else 0
    return whole + float(match[7] or 0) - shift


def seconds_of(duration: object, default: float) -> float:
    """A duration as Prometheus writes it, ``1m30s``; the default for what is none."""
    text = str(duration)
    parts = re.findall(r"(\d+)(ms|[smhdwy])", text)
    return (
        sum(int(count) * _UNITS[unit] for count, unit in parts)
        if re.fullmatch(r"(\d+(ms|[smhdwy]))+", text)
        else default
    )
