"""Secrets that move from one store to another, as an operator types it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bao import Bao
from harness import Server
from ready_stores import aws

WHERE = ("-p", "shop", "-d", "production")


class World:
    """A server whose store is ``here``, and a settings file that knows more stores."""

    def __init__(self, server: Server, bao: Bao, settings: Path) -> None:
        self.server = server
        self.bao = bao
        self.settings = settings

    def type(self, *words: str, stdin: bytes = b"", code: int = 0) -> Any:
        done = self.server.cli(*words, stdin=stdin)
        assert done.returncode == code, (done.stdout, done.stderr)
        return json.loads(done.stdout) if "json" in words else done

    def copy(self, *words: str, source: str = "here", target: str = "there", code: int = 0) -> Any:
        known = ("--from", source, "--to", target, "--settings", str(self.settings), "-o", "json")
        return self.type("backend", "copy", *known, "--state", str(self.server.state), *words, code=code)

    def there(self, name: str, scope: str = "production/shop") -> Any:
        return self.bao.answer("GET", f"secret/data/secrets-svc/flyte/{scope}/{name}")[1].get("data")


@pytest.fixture
def world(launch: Callable[..., Server], tmp_path: Path) -> Iterator[World]:
    folder = tmp_path / "bao"
    folder.mkdir()
    here = '[stores.here]\nbackend = "local"\n'
    with Bao(folder) as bao:
        login = f'login = {{ method = "token", token = "{bao.token}" }}\n'
        vault = f'backend = "vault"\naddress = "{bao.address}"\n{login}'
        settings = tmp_path / "both.toml"
        old = 'existing = "old/{project}/{name}#password"\n'
        settings.write_text(f"{here}[stores.there]\n{vault}[stores.old]\n{vault}{old}")
        server = launch(here).start()
        yield World(server, bao, settings)
        assert server.stop() == 0


def test_all_is_copied_once_and_read_back(world: World) -> None:
    for name in ("a", "b"):
        world.type("create", name, *WHERE, stdin=name.encode())
    world.type("create", "wide", "--org-wide", stdin=b"\xff\x00")
    tried = world.copy("--dry-run")
    assert (tried["would_be_copied"], tried["copied"], tried["dry_run"]) == (3, 0, True)
    assert world.there("a") is None
    done = world.copy()
    assert (done["copied"], done["same"], done["left"]) == (3, 0, 0)
    assert world.there("a")["data"]["value"] == "a"
    again = world.copy()
    assert (again["copied"], again["same"]) == (0, 3)
    assert {item["outcome"] for item in again["items"]} == {"same"}
    events = [event for event in world.server.audit() if event["action"] == "copy"]
    assert [event["outcome_of_copy"] for event in events] == [
        *["would_be_copied"] * 3,
        *["copied"] * 3,
        *["same"] * 3,
    ]
    assert [event.get("dry_run") for event in events] == [True] * 3 + [None] * 6
    assert {(event["from"], event["secrets"][0]["store"]) for event in events} == {("here", "there")}


def test_what_differs_stays_unless_it_is_to_be_replaced(world: World) -> None:
    world.type("create", "a", *WHERE, stdin=b"first")
    world.copy()
    world.type("update", "a", *WHERE, stdin=b"second")
    world.type("create", "b", *WHERE, stdin=b"b")
    kept = world.copy(code=4)
    assert (kept["copied"], kept["different"]) == (1, 1)
    assert world.there("a")["data"]["value"] == "first"
    replaced = world.copy("--overwrite")
    assert (replaced["replaced"], replaced["same"]) == (1, 1)
    assert world.there("a")["data"]["value"] == "second"
    assert world.type("get", "a", *WHERE, "-o", "json")["name"] == "a"  # the source is as it was


def test_a_scope_limits_what_is_copied(world: World) -> None:
    world.type("create", "a", *WHERE, stdin=b"a")
    world.type("create", "a", "-p", "bank", stdin=b"a")
    world.type("create", "wide", "--org-wide", stdin=b"w")
    assert [item["project"] for item in world.copy("-p", "bank")["items"]] == ["bank"]
    assert [item["name"] for item in world.copy("--org-wide")["items"]] == ["wide"]
    assert world.there("a") is None
    names = ("--from", "here", "--to", "there", "--settings", str(world.settings))
    mistyped = world.type("backend", "copy", *names, "--state", str(world.server.state), "-p", "bamk")
    assert mistyped.stderr == b'there is nothing of project bamk in store "here"\n'


def test_what_the_target_can_not_hold_is_told_and_the_rest_copied(world: World) -> None:
    world.type("create", "large", *WHERE, stdin=b"x" * 600_000)
    world.type("create", "small", *WHERE, stdin=b"x")
    done = world.copy(code=2)
    [failed] = [item for item in done["items"] if item["outcome"] == "failed"]
    assert (failed["name"], failed["code"], done["copied"]) == ("large", "too_large", 1)


def test_existing_secrets_can_be_taken_over_and_are_no_target(world: World) -> None:
    world.bao.call("POST", "secret/data/old/shop/db", {"data": {"user": "u", "password": "p"}})
    done = world.copy(source="old")
    assert done["copied"] == 1
    assert world.there("db", "_/shop")["data"]["value"] == "p"
    words = ("--from", "here", "--to", "old", "--settings", str(world.settings))
    assert b"nothing can be written there" in world.type("backend", "copy", *words, code=2).stderr
    words = ("--from", "here", "--to", "nowhere", "--settings", str(world.settings))
    assert (
        b'the settings have no store "nowhere"; known: here, there, old'
        in world.type("backend", "copy", *words, code=2).stderr
    )
    words = ("--from", "here", "--to", "here", "--settings", str(world.settings))
    assert b"the same store" in world.type("backend", "copy", *words, code=2).stderr


def test_an_interruption_loses_nothing_and_the_next_call_goes_on(world: World) -> None:
    total = 60
    for number in range(total):
        world.server.create(f"s{number}", f"value {number}", project="shop")
    words = ["--from", "here", "--to", "there", "--settings", str(world.settings), "--at-once", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "backend", "copy", *words, "--state", str(world.server.state)],
        env=world.server.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while world.there("s1", "_/shop") is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert b"left: the same command goes on with them" in err, (out, err)
    rest = world.copy()
    assert 0 < rest["same"] < total
    assert rest["same"] + rest["copied"] == total
    assert all(
        world.there(f"s{number}", "_/shop")["data"]["value"] == f"value {number}" for number in range(total)
    )


def test_whoever_watches_sees_how_far_it_is(world: World) -> None:
    for name in ("a", "b", "c"):
        world.server.create(name, "v", project="shop")
    words = ["--from", "here", "--to", "there", "--settings", str(world.settings)]
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", "backend", "copy", *words, "--state", str(world.server.state)],
            env={**world.server.environment, "TERM": "xterm", "COLUMNS": "100"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs,
            timeout=60,
            check=False,
        )
        os.close(theirs)
        shown = _until_closed(ours).decode()
    finally:
        os.close(ours)
    assert done.returncode == 0, shown
    assert "copying" in shown
    assert [f"{number}/3" in shown for number in (1, 2, 3)] == [True] * 3, shown
    assert shown.endswith("\n")
    assert done.stdout == b"3 secrets copied and read back, 0 the same already (here -> there)\n"


def _until_closed(terminal: int) -> bytes:
    parts = []
    try:
        while part := os.read(terminal, 65536):
            parts.append(part)
    except OSError:  # nobody has the other end open any more
        pass
    return b"".join(parts)


def test_aws_is_a_target_too(launch: Callable[..., Server], tmp_path: Path) -> None:
    """By identities that may do what the printed policies say."""
    here, folder = '[stores.here]\nbackend = "local"\n', tmp_path / "aws"
    folder.mkdir()
    with aws(folder) as there:
        settings = tmp_path / "both.toml"
        settings.write_text(here + there.settings)
        server = launch(here).start()
        values = {"text": b"zaz\xc3\xb3\xc5\x82\xc4\x87", "binary": bytes(range(256))}
        for name, value in values.items():
            assert server.cli("create", name, *WHERE, stdin=value).returncode == 0
        assert server.cli("create", "empty", *WHERE, "-f", "/dev/null").returncode == 0

        def copy(code: int) -> Any:
            words = ("--from", "here", "--to", "main", "--settings", str(settings), "-o", "json")
            done = server.cli(
                *("backend", "copy", *words, "--state", str(server.state)), environ=there.environment
            )
            assert done.returncode == code, done.stderr
            return json.loads(done.stdout)

        came = copy(2)
        assert (came["copied"], came["failed"], came["left"], came["listed_to_the_end"]) == (2, 1, 0, True)
        [failed] = [item for item in came["items"] if item["outcome"] == "failed"]
        assert failed["name"] == "empty"
        assert failed["code"] in {"unsupported", "invalid_argument"}
        assert (copy(2)["same"], server.stop()) == (2, 0)


def test_a_target_that_is_away_stops_it(world: World) -> None:
    for number in range(6):
        world.server.create(f"s{number}", "v", project="shop")
    world.bao.stop()
    done = world.copy("--at-once", "1", code=6)
    assert (done["failed"], done["left"]) == (1, 5)
    assert done["items"][0]["code"] == "unavailable"
