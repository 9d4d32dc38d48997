"""The whole service over stores of other services: what people type, and what a task then gets."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Server
from ready_stores import BACKENDS

WHERE = ("-p", "shop", "-d", "production")
LAST = "import os; os.write(1, os.environb[b'DB'])"


class World:
    def __init__(self, server: Server, settings: Path, environment: dict[str, str]) -> None:
        self.server = server
        self.settings = settings
        self.environment = environment

    def type(self, *words: str, stdin: bytes = b"", code: int = 0) -> Any:
        done = self.server.cli(*words, stdin=stdin, environ=self.environment)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if "json" in words else done

    def got(self, name: str) -> bytes:
        """What a task gets, read as the reader that the settings name."""
        words = ("run", *WHERE, "--settings", str(self.settings), "--env", f"{name}=DB", "--", sys.executable)
        out: bytes = self.type(*words, "-c", LAST).stdout
        return out


@pytest.fixture(params=["vault", "aws"])
def world(request: pytest.FixtureRequest, launch: Callable[..., Server], tmp_path: Path) -> Iterator[World]:
    elsewhere = tmp_path / "store"
    elsewhere.mkdir()
    with BACKENDS[request.param](elsewhere) as store:
        settings = tmp_path / "store.toml"
        settings.write_text(store.settings)
        server = launch(store.settings, **store.environment).start()
        yield World(server, settings, store.environment)
        assert server.stop() == 0


def test_from_create_to_the_task_and_back(world: World) -> None:
    made = world.type("create", "db", *WHERE, "-o", "json", stdin=b"first")
    assert (made["size"], made["created_by"]) == (5, "admin")
    assert world.got("db") == b"first"
    assert world.type("get", "db", *WHERE, "-o", "json") == made
    world.type("create", "db", *WHERE, stdin=b"x", code=4)
    changed = world.type("update", "db", *WHERE, "--if-version", made["version"], "-o", "json", stdin=b"2nd")
    assert world.got("db") == b"2nd"
    world.type("update", "db", *WHERE, "--if-version", made["version"], stdin=b"late", code=4)
    versions = world.type("history", "db", *WHERE, "-o", "json")["items"]
    assert [each["version"] for each in versions] == [changed["version"], made["version"]]
    assert [each["current"] for each in versions] == [True, False]
    world.type("create", "db", "--org-wide", stdin=b"wide")
    world.type("delete", "db", *WHERE, "--yes")
    assert world.got("db") == b"wide"
    world.type("get", "db", *WHERE, code=3)
    world.type("create", "db", *WHERE, stdin=b"again")
    assert world.got("db") == b"again"
    assert len(world.type("history", "db", *WHERE, "-o", "json")["items"]) == 1
    listed = world.type("list", "-o", "json")
    assert len(listed["items"] if isinstance(listed, dict) else listed) == 2


def test_a_purge_leaves_nothing_to_bring_back(world: World) -> None:
    world.type("create", "db", *WHERE, stdin=b"first")
    world.type("update", "db", *WHERE, stdin=b"second")
    world.type("delete", "db", *WHERE, "--yes")
    tried = world.type("delete", "db", *WHERE, "--purge", "--dry-run", code=3)
    assert b"not_found" in tried.stderr
    assert world.type("delete", "db", *WHERE, "--purge", "--yes").stdout.startswith(b"purged db in")
    world.type("delete", "db", *WHERE, "--purge", "--yes", code=3)  # neither there nor to be brought back
    world.type("create", "db", *WHERE, stdin=b"anew")
    world.type("delete", "db", *WHERE, "--purge", "--yes")
    world.type("get", "db", *WHERE, code=3)
    events = [event for event in world.server.audit() if event["action"] == "delete"]
    assert [event.get("purge") for event in events] == [None, True, True, True, True]


def test_rollback_where_nobody_has_to_read_for_it(world: World) -> None:
    first = world.type("create", "db", *WHERE, "-o", "json", stdin=b"first")["version"]
    world.type("update", "db", *WHERE, stdin=b"second")
    if 'backend = "vault"' in world.settings.read_text():
        refused = world.type("rollback", "db", *WHERE, "--to", first, code=2)
        assert b"unsupported" in refused.stderr
        return
    world.type("rollback", "db", *WHERE, "--to", first)
    assert world.got("db") == b"first"
    world.type("rollback", "db", *WHERE, "--to", "0" * 40, code=3)


def test_the_default_store_goes_back_too(launch: Callable[..., Server]) -> None:
    server = launch().start()
    for verb, data in (("create", b"first"), ("update", b"second")):
        assert server.cli(verb, "db", *WHERE, stdin=data).returncode == 0
    told = json.loads(server.cli("history", "db", *WHERE, "-o", "json").stdout)["items"]
    assert [(each["current"], each["size"]) for each in told] == [(True, 6), (False, 5)]
    assert server.cli("rollback", "db", *WHERE, "--to", told[1]["version"]).returncode == 0
    got = server.cli("run", *WHERE, "--env", "db=DB", "--", sys.executable, "-c", LAST)
    assert got.stdout == b"first"
    assert server.cli("rollback", "db", *WHERE, "--to", "0" * 32).returncode == 3


def test_a_store_that_keeps_no_versions_says_so(launch: Callable[..., Server]) -> None:
    server = launch('[stores.main]\nbackend = "memory"\n').start()
    server.cli("create", "db", *WHERE, stdin=b"x")
    for words in (("history", "db"), ("rollback", "db", "--to", "v")):
        done = server.cli(*words, *WHERE)
        assert done.returncode == 2
        assert b"unsupported" in done.stderr
    assert server.call("GET", "/v1/secrets/db/versions", query={"project": "shop"}).status == 501


def test_readiness_tells_of_each_store(world: World) -> None:
    reply = world.server.call("GET", "/readyz", query={"verbose": ""})
    assert (reply.status, reply.body) == (200, b"[+]store main closed\nok\n")
    assert b'secrets_svc_store_writer_state{state="closed",store="main"} 1.0' in (
        world.server.call("GET", "/metrics").body
    )
