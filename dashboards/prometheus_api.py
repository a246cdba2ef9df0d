# SPDX-License-Identifier: GPL-3.0-or-later
"""The few calls of Prometheus' HTTP API that the checks make, over one kept connection."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit


class PrometheusError(RuntimeError):
    """Prometheus could not be asked, or refused the query."""


@dataclass(frozen=True)
class Series:
    """Labels (the name among them as ``__name__``), values as Prometheus writes them, and when they were (seconds)."""

    labels: Mapping[str, str]
    values: tuple[str, ...]
    times: tuple[float, ...] = ()


class Prometheus:
    """A server, by its URL such as ``http://127.0.0.1:9090``."""

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=timeout)
        self._path = parts.path.rstrip("/")

    def instant(self, expr: str, time: float) -> list[Series]:
        """An instant query.  Raises :class:`PrometheusError`."""
        data = self._post("query", [("query", expr), ("time", str(time))])
        if data["resultType"] == "scalar":
            return [Series({}, (data["result"][1],), (time,))]
        return [Series(item["metric"], (item["value"][1],), (time,)) for item in data["result"]]

    def range(self, expr: str, start: float, end: float, step: int) -> list[Series]:
        """A range query.  Raises :class:`PrometheusError`."""
        asked = [("query", expr), ("start", str(start)), ("end", str(end)), ("step", str(step))]
        result = self._post("query_range", asked)["result"]
        return [
            Series(
                item["metric"],
                tuple(value for _, value in item["values"]),
                tuple(float(at) for at, _ in item["values"]),
            )
            for item in result
        ]

    def series(self, selector: str, start: float, end: float) -> list[dict[str, str]]:
        """The label sets of the series that a selector matches.  Raises :class:`PrometheusError`."""
        found: list[dict[str, str]] = self._post(
            "series", [("match[]", selector), ("start", str(start)), ("end", str(end))]
        )
        return found

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _post(self, call: str, fields: Sequence[tuple[str, str]]) -> Any:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            self._connection.request("POST", f"{self._path}/api/v1/{call}", urlencode(fields), headers)
            answer = self._connection.getresponse().read()
            document = json.loads(answer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            raise PrometheusError(f"Prometheus cannot be asked: {error}") from error
        if document.get("status") != "success":
            raise PrometheusError(str(document.get("error")))
        return document["data"]
