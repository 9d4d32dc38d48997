"""Putting load on a server and reading off what it cost."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Any

from servers import HERE, Measured

REQUESTS = 4000
CONNECTIONS = 16


def latencies(
    server: Measured, body: bytes, *, requests: int = REQUESTS, connections: int = CONNECTIONS
) -> dict[str, Any]:
    """What ``load.py`` tells of that many requests."""
    command = [
        *(sys.executable, str(HERE / "load.py"), server.url, str(server.ca)),
        *(str(connections), str(requests)),
    ]
    done = subprocess.run(command, input=body, capture_output=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def load(server: Measured, body: bytes, *, requests: int = REQUESTS) -> tuple[float, float]:
    """CPU µs per request, and p99 µs."""
    before = server.cpu_seconds()
    figures = latencies(server, body, requests=requests)
    return (server.cpu_seconds() - before) / figures["requests"] * 1e6, figures["p99"]


def median(figures: object) -> float:
    """Of any iterable of numbers."""
    return statistics.median(figures)  # type: ignore[call-overload,no-any-return]
