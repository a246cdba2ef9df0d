# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain client, as one writes it first: two full device lists in each cycle, a new connection each, with requests.

plain_client.py URL HOST CA CERTIFICATE KEY CYCLES: prints "START", does the cycles, prints "END RSS-IN-KB", and waits.
"""

from __future__ import annotations

import sys

import requests


def has_role(url: str, host: str, options: dict[str, object]) -> bool | None:
    if requests.get(f"{url}/rest/v1/device", timeout=10, **options).status_code != 200:  # type: ignore[arg-type]
        return None
    for device in requests.get(f"{url}/rest/v1/device", timeout=15, **options).json():  # type: ignore[arg-type]
        if device["hostname"] == host:
            return "slurmclient" in [role.lower() for role in device.get("roles", [])]
    return None


def resident() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def main() -> None:
    url, host, authority, certificate, key, cycles = sys.argv[1:]
    options = {"verify": authority, "cert": (certificate, key)}
    has_role(url, host, options)
    print("START", flush=True)
    for _cycle in range(int(cycles)):
        if has_role(url, host, options) is not True:
            sys.exit("the plain client did not find its role")
    print(f"END {resident()}", flush=True)
    sys.stdin.readline()


main()
