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

import pytest
from clocks import OFF, assert_nothing_is_done_twice, clock, write
from harness import Server
from ready_stores import BACKENDS, Store

WHERE = ("-p", "shop", "-d", "production")
LAST = "import os; os.write(1, os.environb[b'DB'])"


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    folder = tmp_path / "store"
    folder.mkdir()
    with BACKENDS[request.param](folder) as made:
        yield made


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
            assert_nothing_is_done_twice(fast, slow)
            assert (fast.stop(), slow.stop()) == (0, 0)
