"""A server whose clock is ten minutes off: everything works, and times are what its clock says.

What signs by the clock is AWS alone, which then refuses: a row of ``fault_table.py``. Whether a token of JWT
or Kubernetes is valid is for the store's server to say, by its own clock.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from harness import Server
from ready_stores import BACKENDS, Store

OFF = 600
CLOCK = str(Path(__file__).parents[1] / "support" / "clock")
QUERY = {"project": "shop", "domain": "production"}
WHERE = ("-p", "shop", "-d", "production")
LAST = "import os; os.write(1, os.environb[b'DB'])"


def clock(off: int) -> dict[str, str]:
    """Variables of a process whose clock is off by so much."""
    return {"PYTHONPATH": CLOCK, "CLOCK_OFF": str(off)}


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    folder = tmp_path / "store"
    folder.mkdir()
    with BACKENDS[request.param](folder) as made:
        yield made


def write(server: Server, method: str, text: str, key: str) -> Any:
    """A create or an update, by its answer."""
    body: dict[str, object] = {"value": {"text": text}}
    if method == "POST":
        reply = server.call(
            method, "/v1/secrets", body | {"name": "db", **QUERY}, headers={"idempotency-key": key}
        )
    else:
        reply = server.call(method, "/v1/secrets/db", body, query=QUERY, headers={"idempotency-key": key})
    assert reply.status in (200, 201), reply.body
    return reply.json()


@pytest.mark.parametrize("off", [OFF, -OFF], ids=["fast", "slow"])
def test_all_works_as_ever(launch: Callable[..., Server], store: Store, off: int, tmp_path: Path) -> None:
    server = launch(store.settings, **store.environment, **clock(off)).start()
    made = write(server, "POST", "first", "a")
    said_at = datetime.fromisoformat(server.audit()[-1]["at"])
    assert abs((said_at - datetime.now(UTC)).total_seconds() - off) < 60, "its clock is what it should be"
    assert write(server, "POST", "first", "a")["version"] == made["version"]  # said again, done once
    changed = write(server, "PUT", "second", "b")
    assert write(server, "PUT", "second", "b")["version"] == changed["version"]
    told = json.loads(server.cli("history", "db", *WHERE, "-o", "json").stdout)["items"]
    assert [each["version"] for each in told] == [changed["version"], made["version"]]
    settings = tmp_path / "store.toml"
    settings.write_text(store.settings)
    options = ("--settings", str(settings)) if store.settings else ()
    got = server.cli("run", *WHERE, *options, "--env", "db=DB", "--", sys.executable, "-c", LAST)
    assert got.stdout == b"second", got.stderr
    assert server.cli("delete", "db", *WHERE, "--yes").returncode == 0
    again = write(server, "POST", "third", "c")
    assert again["version"] not in {made["version"], changed["version"]}
    assert server.stop() == 0


def test_replicas_whose_clocks_are_far_apart_do_nothing_twice(
    launch: Callable[..., Server], tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    for name in ("vault", "aws"):
        (folder / name).mkdir()
        with BACKENDS[name](folder / name) as store:
            fast = launch(store.settings, folder=f"{name}-fast", **store.environment, **clock(OFF)).start()
            slow = launch(store.settings, folder=f"{name}-slow", **store.environment, **clock(-OFF)).start()
            made = write(fast, "POST", "first", "a")
            assert write(slow, "POST", "first", "a")["version"] == made["version"]
            changed = write(slow, "PUT", "second", "b")
            assert write(fast, "PUT", "second", "b")["version"] == changed["version"]
            versions = fast.call("GET", "/v1/secrets/db/versions", query=QUERY).json()["items"]
            assert {each["version"] for each in versions} == {made["version"], changed["version"]}
            assert (fast.stop(), slow.stop()) == (0, 0)
