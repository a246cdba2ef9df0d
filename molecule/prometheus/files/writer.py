# SPDX-License-Identifier: GPL-3.0-or-later
"""writer.py URL SECONDS: writes samples to a Prometheus over and over, and counts those that it acknowledged.

Remote write 1.0: a protobuf message, compressed as Snappy. Each request has one sample for each of 200 series, all of
one time. Refused and unanswered requests are not repeated. In the end it asks for all samples, and prints as JSON how
many requests were acknowledged and unanswered, and how many acknowledged samples are missing.
"""

from __future__ import annotations

import http.client
import json
import struct
import sys
import time
from urllib.parse import urlsplit

SERIES = 200


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def message(tag: int, content: bytes) -> bytes:
    return varint(tag << 3 | 2) + varint(len(content)) + content


def request(milliseconds: int) -> bytes:
    sample = b"\x09" + struct.pack("<d", 1.0) + b"\x10" + varint(milliseconds)
    series = b""
    for number in range(SERIES):
        labels = {"__name__": "acknowledged", "series": f"{number:03d}"}
        pairs = b"".join(message(1, message(1, k.encode()) + message(2, v.encode())) for k, v in labels.items())
        series += message(1, pairs + message(2, sample))
    return series


def snappy(content: bytes) -> bytes:
    """Snappy's format with nothing compressed: literals of at most 64 KiB."""
    out = varint(len(content))
    for start in range(0, len(content), 65536):
        piece = content[start : start + 65536]
        out += b"\xf4" + struct.pack("<H", len(piece) - 1) + piece
    return out


def missing(address: str, times: list[int]) -> int:
    """How many of the samples of these times (in milliseconds) the Prometheus does not have."""
    while True:
        try:
            connection = http.client.HTTPConnection(address, timeout=30)
            connection.request("GET", "/api/v1/query?query=acknowledged%5B5m%5D")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 200:
                break
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.5)
    found = [{round(at * 1000) for at, _ in one["values"]} for one in json.loads(body)["data"]["result"]]
    return sum(len(set(times) - one) for one in found) + len(times) * (SERIES - len(found))


def main() -> None:
    url, end = urlsplit(sys.argv[1]), time.time() + float(sys.argv[2])
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    headers["X-Prometheus-Remote-Write-Version"] = "0.1.0"
    acknowledged: list[int] = []
    unanswered = 0
    connection = None
    while time.time() < end:
        now = int(time.time() * 1000)
        try:
            if connection is None:
                connection = http.client.HTTPConnection(url.netloc, timeout=5)
            connection.request("POST", "/api/v1/write", snappy(request(now)), headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status // 100 == 2:
                acknowledged.append(now)
            else:
                unanswered += 1
        except (OSError, http.client.HTTPException):
            connection = None
            unanswered += 1
        time.sleep(0.02)
    report = {"acknowledged": len(acknowledged), "unanswered": unanswered, "missing": missing(url.netloc, acknowledged)}
    sys.stdout.write(json.dumps(report))


main()
