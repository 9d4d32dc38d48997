"""Servers whose clocks are off, and what two of them do in turn."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from harness import Server

#: Seconds.
OFF = 600
QUERY = {"project": "shop", "domain": "production"}
_SHIM = str(Path(__file__).parent / "clock")


def clock(off: int) -> dict[str, str]:
    """Variables of a process whose clock is off by so much."""
    return {"PYTHONPATH": _SHIM, "CLOCK_OFF": str(off)}


def write(server: Server, method: str, text: str, key: str) -> Any:
    """A create or an update of the secret ``db``, by its answer."""
    body: dict[str, object] = {"value": {"text": text}}
    if method == "POST":
        reply = server.call(
            method, "/v1/secrets", body | {"name": "db", **QUERY}, headers={"idempotency-key": key}
        )
    else:
        reply = server.call(method, "/v1/secrets/db", body, query=QUERY, headers={"idempotency-key": key})
    assert reply.status in (200, 201), reply.body
    return reply.json()


def assert_nothing_is_done_twice(one: Server, other: Server, *, kept: int = 2) -> None:
    """What the one did is repeated at the other. :param kept: versions that the store keeps of two."""
    create, update = secrets.token_hex(8), secrets.token_hex(8)
    made = write(one, "POST", "first", create)
    assert write(other, "POST", "first", create)["version"] == made["version"]
    changed = write(other, "PUT", "second", update)
    assert write(one, "PUT", "second", update)["version"] == changed["version"]
    reply = one.call("GET", "/v1/secrets/db/versions", query=QUERY)
    assert reply.status == 200, reply.body
    versions = reply.json()["items"]
    both = [changed["version"], made["version"]]
    assert [each["version"] for each in versions] == both[:kept]
