# Copyright (c) 2026, The superpod.monitoring developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus' times."""

from __future__ import annotations

import calendar
import re

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(?:Z|([+-])(\d\d):(\d\d))")


def seconds_since_1970(text: str) -> float | None:
    """RFC 3339 as Go writes it; None for the year 1, which stands for never, and for what is no time."""
    match = _TIME.fullmatch(text)
    if match is None or match[1] == "0001":
        return None
    whole = calendar.timegm((*(int(match[number]) for number in range(1, 7)), 0, 0, 0))
    shift = (int(match[9]) * 3600 + int(match[10]) * 60) * (-1 if match[8] == "-" else 1) if match[8] else 0
    return whole + float(match[7] or 0) - shift
