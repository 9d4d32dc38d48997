"""A store that hangs keeps nothing from the others: neither answers, nor threads, nor writes."""

from __future__ import annotations

import json
import os
import re
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from admissions import pod, review
from fault_proxy import FaultProxy
from harness import Reply, Server
from two_stores import SPARED, STRICKEN, two_stores

from secrets_svc.data.store_reading import ReadingOptions

#: Pods and writes that need the store that hangs, all at once: more than any pool of threads has.
CROWD = 60
#: Whose metrics and probes tell of stores.
SIDES = ("reader", "writer")
#: What those are told at once who need a store that is away.
LEFT_ALONE = r'store "sick" has failed [0-9]+ times in a row and is left alone; tried again in [0-9.]+ s'
WELL = "[+]store well closed\n[+]store sick closed\nok\n"
#: Seconds within which whoever doesn't need it is answered.
PROMPT = 1.0


class World:
    """A server with a store that is well and one that may be sick."""

    def __init__(self, proxy: FaultProxy, server: Server) -> None:
        self.proxy = proxy
        self.server = server
        self.trust = ssl.create_default_context(cafile=str(server.ca_file))

    def admit(self, project: str) -> dict[str, Any]:
        """What a new pod of that project is told, on a connection of its own."""
        parts = urlsplit(self.server.webhook)
        opened = HTTPSConnection(parts.hostname or "", parts.port, context=self.trust, timeout=20)
        try:
            opened.request(
                "POST", "/mutate", review(pod([{"name": "db"}]), namespace=f"{project}-production")
            )
            response: dict[str, Any] = json.loads(opened.getresponse().read())["response"]
            return response
        finally:
            opened.close()

    def code(self, project: str) -> str:
        """``ok``, or why not."""
        response = self.admit(project)
        return "ok" if response["allowed"] else str(response["status"]["reason"])

    def write(self, project: str) -> Reply:
        """What an update is told."""
        query = {"project": project, "domain": "production"}
        return self.server.call("PUT", "/v1/secrets/db", {"value": {"text": "new"}}, query=query)

    def refusal(self, side: str) -> str:
        """What somebody is told who needs the store that is away."""
        if side == "reader":
            return str(self.admit(STRICKEN)["status"]["message"])
        return str(json.loads(self.write(STRICKEN).body)["detail"])

    def ask(self, side: str, path: str) -> tuple[int, str]:
        """A probe of the webhook, whose stores are read, or of the API."""
        if side == "writer":
            reply = self.server.call("GET", path, token=None)
            return reply.status, reply.body.decode()
        parts = urlsplit(self.server.webhook)
        opened = HTTPSConnection(parts.hostname or "", parts.port, context=self.trust, timeout=20)
        try:
            opened.request("GET", path)
            answer = opened.getresponse()
            return answer.status, answer.read().decode()
        finally:
            opened.close()

    def state_in_metrics(self, side: str, store: str) -> str | None:
        """Of that store."""
        _, text = self.ask(side, "/metrics")
        found = re.search(
            rf'^secrets_svc_store_{side}_state{{state="([-a-z]+)",store="{store}"}} 1\.0$', text, re.MULTILINE
        )
        return found[1] if found else None

    def until_left_alone(self, side: str) -> None:
        """Seen in all three places: a break may end between two looks."""
        end = time.monotonic() + 20
        while True:
            status, text = self.ask(side, "/readyz?verbose")
            state = self.state_in_metrics(side, "sick")
            assert status == 200, "the other store can be used"
            refusal = self.refusal(side)
            if "[-]store sick open\n" in text and state == "open" and re.search(LEFT_ALONE, refusal):
                assert "[+]store well closed\n" in text
                assert self.state_in_metrics(side, "well") == "closed"
                return
            assert time.monotonic() < end, (text, state, refusal)

    def threads(self) -> int:
        """Those of the server."""
        return len(os.listdir(f"/proc/{self.server.pid}/task"))


@pytest.fixture
def world(launch: Callable[..., Server], tmp_path: Path) -> Iterator[World]:
    elsewhere = tmp_path / "stores"
    elsewhere.mkdir()
    with two_stores(elsewhere) as (proxy, settings):
        server = launch(settings).start()
        for project in (SPARED, STRICKEN):
            assert server.create("db", "value", project=project, domain="production").status == 201
        made = World(proxy, server)
        with ThreadPoolExecutor(CROWD) as pool:  # all threads that health takes are there
            for project in (SPARED, STRICKEN):
                assert set(pool.map(made.code, [project] * CROWD)) == {"ok"}
        yield made
        assert server.stop() == 0


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What came, and after how many seconds."""
    began = time.monotonic()
    return call(), time.monotonic() - began


def test_who_needs_another_store_is_answered_meanwhile(world: World) -> None:
    before = world.threads()
    with world.proxy.failing("black hole"), ThreadPoolExecutor(CROWD) as pool:
        hanging = [pool.submit(world.code, STRICKEN) for _ in range(CROWD)]
        time.sleep(0.3)
        answers, most = [], 0
        while not all(each.done() for each in hanging):
            answers.append(timed(lambda: world.code(SPARED)))
            most = max(most, world.threads())
            time.sleep(0.02)
        told = {each.result() for each in hanging}
    assert len(answers) > 20, "the others didn't hang long enough to show anything"
    assert {code for code, _ in answers} == {"ok"}
    assert max(took for _, took in answers) < PROMPT
    assert told <= {"deadline_exceeded", "unavailable"}
    assert most - before <= ReadingOptions().threads
    well_again(world)


def test_writes_to_another_store_are_taken_meanwhile(world: World) -> None:
    """The crowd gets codes: some hang to their end, and more than the store's share are refused at once."""

    def write(project: str) -> int:
        return world.write(project).status

    with world.proxy.failing("black hole"), ThreadPoolExecutor(CROWD) as pool:
        hanging = [pool.submit(write, STRICKEN) for _ in range(CROWD)]
        time.sleep(0.3)
        answers = []
        while not all(each.done() for each in hanging):
            answers.append(timed(lambda: write(SPARED)))
        told = {each.result() for each in hanging}
    assert len(answers) > 20
    assert {status for status, _ in answers} == {200}
    assert max(took for _, took in answers) < PROMPT
    assert told <= {503, 504}
    well_again(world)


def test_a_store_that_is_left_alone_shows_in_probes_metrics_and_refusals(world: World) -> None:
    with world.proxy.failing("refused connection"):
        for project in (STRICKEN, SPARED, STRICKEN):  # the longer it is away, the longer it is left alone
            for _ in range(5):
                world.admit(project)
                world.write(project)
        for side in SIDES:
            world.until_left_alone(side)
    well_again(world)
    time.sleep(1.1)  # for which a page of metrics is shown again
    for side in SIDES:
        assert world.ask(side, "/readyz?verbose") == (200, WELL)
        assert world.state_in_metrics(side, "sick") == "closed"


def well_again(world: World) -> None:
    """By itself, within ten seconds."""
    end = time.monotonic() + 10
    while world.code(STRICKEN) != "ok" or world.write(STRICKEN).status != 200:
        assert time.monotonic() < end, world.server.log
        time.sleep(0.1)
