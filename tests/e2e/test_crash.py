"""``kill -9`` at random moments while people write: what was acknowledged is there, nothing is half there."""

from __future__ import annotations

import itertools
import json
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException

import pytest
from harness import Reply, Server, value_in
from whole_values import number_in, value_of

Launch = Callable[..., Server]

WRITES = 1000
WRITERS = 4
NAMES_EACH = 6
KILLS = 9
#: Seconds for all of it, so that a server that stays away ends the test.
PATIENCE = 90.0


@dataclass
class Writer:
    """Writes its own names, and remembers what was acknowledged.

    :param acknowledged: by name, the number of the last write that was, and its version.
    """

    server: Server
    index: int
    chance: random.Random
    budget: itertools.count[int]
    end: float
    acknowledged: dict[str, tuple[int, str]] = field(default_factory=dict)
    every: list[tuple[str, str, str]] = field(default_factory=list)
    attempted: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    problem: BaseException | None = None

    def run(self) -> None:
        try:
            while next(self.budget) < WRITES:
                self._write(f"w{self.index}-{self.chance.randrange(NAMES_EACH)}")
        except BaseException as error:
            self.problem = error

    def _write(self, name: str) -> None:
        number = self.attempted[name] = self.attempted.get(name, 0) + 1
        key = f"{name}-{number}"
        again = self.chance.random() < 0.5
        while True:
            assert time.monotonic() < self.end, "the server stays away"
            try:
                reply = self._send(name, number, key)
            except (OSError, HTTPException):
                self.lost += 1
                time.sleep(0.05)
                if again:  # the answer was lost: the same call once more, under the same key
                    continue
                return
            if reply.status == 404 and name not in self.acknowledged:
                return  # an earlier create was lost, and not repeated
            if reply.status == 409 and name not in self.acknowledged:
                self.acknowledged[name] = (0, "")  # … and was done all the same: update from now on
                return
            assert reply.status in (200, 201), reply
            self.acknowledged[name] = (number, reply.json()["version"])
            self.every.append(("create" if reply.status == 201 else "update", name, reply.json()["version"]))
            return

    def _send(self, name: str, number: int, key: str) -> Reply:
        value = value_in(value_of(name, number))
        headers = {"idempotency-key": key}
        if name in self.acknowledged:
            query = {"project": "shop"}
            body: dict[str, object] = {"value": value}
            return self.server.call(
                "PUT", f"/v1/secrets/{name}", body, query=query, headers=headers, timeout=10
            )
        body = {"name": name, "project": "shop", "value": value}
        return self.server.call("POST", "/v1/secrets", body, headers=headers, timeout=10)


def kill_and_restart(server: Server, chance: random.Random, writers: list[Writer], end: float) -> None:
    """Kill the server at random moments, spread over the writers' work."""
    share = WRITES / (KILLS + 1)
    for kill in range(KILLS):
        target = share * (kill + chance.random())
        while sum(len(writer.every) for writer in writers) < target:
            assert time.monotonic() < end, [writer.problem for writer in writers]
            time.sleep(0.005)
        time.sleep(chance.random() * 0.02)
        server.kill9()
        server.start()


@pytest.mark.slow
def test_acknowledged_writes_survive_kill_9(launch: Launch) -> None:
    seed = int(os.environ.get("CRASH_SEED", random.SystemRandom().randrange(2**32)))
    print(f"CRASH_SEED={seed} repeats this run's choices")
    chance = random.Random(seed)
    server = launch().start()
    end = time.monotonic() + PATIENCE
    budget = itertools.count()
    writers = [Writer(server, index, random.Random(seed + index), budget, end) for index in range(WRITERS)]
    threads = [threading.Thread(target=writer.run) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        kill_and_restart(server, chance, writers, end)
    finally:
        for thread in threads:
            thread.join(PATIENCE)
    assert [writer.problem for writer in writers if writer.problem] == []
    acknowledged = {name: last for writer in writers for name, last in writer.acknowledged.items()}
    attempted = {name: number for writer in writers for name, number in writer.attempted.items()}
    done = sum(len(writer.every) for writer in writers)
    print(f"{done} writes acknowledged, {sum(writer.lost for writer in writers)} answers lost, {KILLS} kills")
    assert done > WRITES * 0.8
    assert sum(writer.lost for writer in writers) >= KILLS  # the kills met somebody

    assert_what_is_there(server, acknowledged, attempted)
    assert_audit(server, writers)
    assert server.stop() == 0
    with sqlite3.connect(server.state / "secrets.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def assert_what_is_there(
    server: Server, acknowledged: dict[str, tuple[int, str]], attempted: dict[str, int]
) -> None:
    """Every name at the acknowledged write or a later one of ours, and readable by a task."""
    items = server.call("GET", "/v1/secrets", query={"limit": 1000}).json()["items"]
    versions = {item["name"]: item["version"] for item in items}
    assert set(acknowledged) <= set(versions) <= set(attempted)
    for name, value in values_of(server, sorted(versions)).items():
        number = number_in(name, value)
        last, version = acknowledged.get(name, (0, ""))
        assert last <= number <= attempted[name], name
        if number == last:
            assert versions[name] == version, name


def values_of(server: Server, names: list[str]) -> dict[str, bytes]:
    """What a task gets."""
    target = server.folder / "got"
    target.mkdir()
    files = [option for name in names for option in ("--file", name)]
    done = server.cli("run", "-p", "shop", *files, "--", "sh", "-c", f'cp "$SECRET_FILES"/* {target}/')
    assert done.returncode == 0, done.stderr
    return {name: (target / name).read_bytes() for name in names}


def assert_audit(server: Server, writers: list[Writer]) -> None:
    """A whole line for every acknowledged write."""
    lines = server.audit_file.read_bytes().split(b"\n")
    assert lines.pop() == b""
    entries = [json.loads(line) for line in lines]
    recorded = {
        (entry["action"], secret["name"], secret.get("version"))
        for entry in entries
        if entry["outcome"] == "ok"
        for secret in entry.get("secrets", ())
    }
    missing = {each for writer in writers for each in writer.every} - recorded
    assert not missing
