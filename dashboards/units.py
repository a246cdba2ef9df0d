# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as Grafana's units show them, and round numbers for axes."""

from __future__ import annotations

import math
import time

_SCALES = {
    "short": (1000.0, ("", " K", " Mil", " Bil")),
    "bytes": (1024.0, (" B", " KiB", " MiB", " GiB", " TiB", " PiB")),
    "Bps": (1000.0, (" B/s", " kB/s", " MB/s", " GB/s", " TB/s")),
    "hertz": (1000.0, (" Hz", " kHz", " MHz", " GHz")),
    "watt": (1000.0, (" W", " kW", " MW")),
}
_TIME = ((86400.0, " days"), (3600.0, " hours"), (60.0, " mins"), (1.0, " s"), (1e-3, " ms"), (1e-6, " µs"))


def text(value: float, unit: str, decimals: int | None = None) -> str:
    """The value with its unit, such as ``1.5 GiB``."""
    if unit == "percentunit":
        return f"{_number(100 * value, decimals)}%"
    if unit == "celsius":
        return f"{_number(value, decimals)} °C"
    if unit in ("s", "h"):
        seconds = value * (3600 if unit == "h" else 1)
        size, name = next(((size, name) for size, name in _TIME if abs(seconds) >= size), (1.0, " s"))
        return f"{_number(seconds / size, decimals)}{name}"
    base, names = _SCALES[unit]
    power = 0
    while abs(value) >= base and power < len(names) - 1:
        value, power = value / base, power + 1
    return f"{_number(value, decimals)}{names[power]}"


def _number(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if abs(value) < 1000 else 0
    return f"{value:.{min(digits, 4)}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"


def ticks(highest: float, unit: str) -> list[float]:
    """From 0 to the highest value or just above it, in round steps of the unit."""
    base = {"bytes": 1024.0, "s": 60.0}.get(unit, 1000.0)
    scale = base ** math.floor(math.log(highest, base)) if highest >= base else 1.0
    rough = highest / scale / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999) * scale
    count = math.ceil(highest / step * 0.999)
    return [step * number for number in range(count + 1)]


def times(start: float, end: float, about: int) -> list[float]:
    """Round times of the day between the two, about so many."""
    steps = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
    step = next((step for step in steps if (end - start) / step <= about), steps[-1])
    first = math.ceil(start / step) * step
    return [first + step * number for number in range(int((end - first) / step) + 1)]


def clock(at: float) -> str:
    """Hours and minutes."""
    return time.strftime("%H:%M", time.gmtime(at))
