"""People and pods that never stop, while the stores behind a server fail in turns."""

from __future__ import annotations

import json
import random
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from admissions import STATUS, patch_of, pod, review
from bao import Bao
from fault_proxy import FaultProxy
from fault_table import CAUSES, OF_STORES
from harness import Reply, Server, value_in
from moto_server import REGION, running

#: By project, the store that its secrets are in; the last has no network that could fail.
PROJECTS = {"shop": "vault", "bank": "aws", "home": "local"}
SPARED = "home"
#: All that a proxy can do, in front of any store.
FAULTS = tuple(cause for cause in CAUSES if cause != "DNS gone" and cause not in OF_STORES)
#: What may be told while a store fails: a repeat helps.
PASSING = {"unavailable", "throttled", "deadline_exceeded"}
WORKERS_EACH = 2
#: Seconds between two calls of a worker.
PACE = 0.04
#: Updates among the calls, and a third as many deletes and creates; few of them where nothing fails. Each
#: version takes some kilobytes of caches, which are bounded, but by more than a soak can fill.
WRITES = {"shop": 0.02, "bank": 0.02, SPARED: 0.002}

_SETTINGS = """
[stores.vault]
backend = "vault"
address = "https://localhost:{vault_port}"
ca_file = "{vault_ca}"
login = {{method = "token", token = "{token}"}}
[stores.aws]
backend = "aws"
region = "{region}"
endpoint_url = "https://localhost:{aws_port}"
[stores.local]
backend = "local"
[[routes]]
store = "vault"
project = "shop"
[[routes]]
store = "aws"
project = "bank"
[[routes]]
store = "local"
[injector.namespaces]
"shop-production" = {{project = "shop", domain = "production"}}
"bank-production" = {{project = "bank", domain = "production"}}
"home-production" = {{project = "home", domain = "production"}}
"""


@contextmanager
def failing_stores(folder: Path) -> Iterator[tuple[list[FaultProxy], str, dict[str, str]]]:
    """Proxies in front of OpenBao and moto; settings and environment of a server for them and ``local``."""
    with ExitStack() as undo:
        bao = undo.enter_context(Bao(folder))
        moto = undo.enter_context(running(folder))
        upstreams = {"vault": bao.port, "aws": urlsplit(moto.url).port or 0}
        proxies = {name: FaultProxy(folder / name, ("127.0.0.1", port)) for name, port in upstreams.items()}
        for proxy in proxies.values():
            undo.callback(proxy.close)
        settings = _SETTINGS.format(
            vault_port=proxies["vault"].port,
            vault_ca=proxies["vault"].ca,
            token=bao.token,
            region=REGION,
            aws_port=proxies["aws"].port,
        )
        environment = {
            "AWS_CA_BUNDLE": str(proxies["aws"].ca),
            "AWS_ACCESS_KEY_ID": "AKIAADMIN",
            "AWS_SECRET_ACCESS_KEY": "admin",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        yield list(proxies.values()), settings, environment


@dataclass
class Came:
    """What came of one project's calls, by code."""

    codes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


class Worker(threading.Thread):
    """Writes one secret that nobody else writes, and lets pods ask for it.

    A call that fails for a reason that may pass is made again, under the same key, until it is done.

    :param going: while it is set. :ivar succeeded: when a call was last answered well.
    """

    def __init__(
        self, server: Server, project: str, index: int, *, going: threading.Event, came: Came
    ) -> None:
        super().__init__(name=f"{project}-{index}")
        self._server = server
        self._project = project
        self._secret = f"s-{index}"
        self._going = going
        self._came = came
        self._chance = random.Random(self.name)
        self._calls = 0
        self._version = ""
        self._connection: HTTPSConnection | None = None
        self.over = False
        self.idle = threading.Event()
        self.succeeded = 0.0
        self.problem: BaseException | None = None

    def run(self) -> None:
        """Until it is over."""
        try:
            self._create()
            while not self.over:
                self._turn()
                time.sleep(PACE)
                if not self._going.is_set():
                    self.idle.set()
                    self._going.wait()
                    self.idle.clear()
        except BaseException as error:
            self.problem = error
        finally:
            self.idle.set()
            if self._connection is not None:
                self._connection.close()

    def _turn(self) -> None:
        what, writes = self._chance.random(), WRITES[self._project]
        if what < writes:
            self._version = str(self._api("PUT", f"/{self._secret}", value=True)["version"])
        elif what < 1.3 * writes:
            self._api("DELETE", f"/{self._secret}")
            self._create()
        elif what < 0.30:
            assert self._api("GET", f"/{self._secret}")["version"] == self._version
        else:
            self._admit()

    def _create(self) -> None:
        self._version = str(self._api("POST", "", value=True)["version"])

    def _api(self, method: str, path: str, *, value: bool = False) -> dict[str, Any]:
        """A call of the API, until it succeeds."""
        self._calls += 1
        where = {"project": self._project, "domain": "production"}
        headers = {} if method == "GET" else {"idempotency-key": f"{self.name}-{self._calls}"}
        body: dict[str, object] = {"value": value_in(f"value {self._calls} " + "x" * (self._calls % 900))}
        if method == "POST":
            body |= {"name": self._secret, **where}
        query = None if method == "POST" else where

        def call() -> tuple[str, Reply]:
            given = body if value else None
            reply = self._server.call(method, f"/v1/secrets{path}", given, query=query, headers=headers)
            return ("ok" if reply.status < 300 else str(reply.json()["code"])), reply

        reply: Reply = self._insist(call)
        return dict(reply.json()) if reply.body else {}

    def _admit(self) -> None:
        """A pod is told of the version that was acknowledged last."""
        body = review(pod([{"name": self._secret}]), namespace=f"{self._project}-production")

        def call() -> tuple[str, dict[str, Any]]:
            response = self._ask(body)
            return ("ok" if response["allowed"] else str(response["status"]["reason"])), response

        response = self._insist(call)
        path = "/metadata/annotations/" + STATUS.replace("/", "~1")
        [status] = [each["value"] for each in patch_of(response) if each["path"] == path]
        assert [each["version"] for each in json.loads(status)] == [self._version]

    def _ask(self, body: bytes) -> dict[str, Any]:
        if self._connection is None:
            parts = urlsplit(self._server.webhook)
            trust = ssl.create_default_context(cafile=str(self._server.ca_file))
            self._connection = HTTPSConnection(parts.hostname or "", parts.port, context=trust, timeout=20)
        self._connection.request("POST", "/mutate", body, {"content-type": "application/json"})
        response: dict[str, Any] = json.loads(self._connection.getresponse().read())["response"]
        return response

    def _insist(self, call: Callable[[], tuple[str, Any]]) -> Any:
        while True:
            began = time.monotonic()
            code, answer = call()
            self._came.codes[code] += 1
            if code == "ok":
                self.succeeded = time.monotonic()
                self._came.seconds.append(self.succeeded - began)
                return answer
            assert self._project != SPARED, f"{code}, though its store is well"
            assert code in PASSING, f"{code} isn't what a failing store comes to"
            assert not self.over, "it was to be well again by now"
            time.sleep(0.2)


class Cost(NamedTuple):
    """What the server holds while nobody asks it anything."""

    mib: float
    files: int


class Soak:
    """All workers, the faults, and what the server holds.

    :ivar faults: how often each was on. :ivar memory: MiB after each minute of faults, while they are asked.
    """

    def __init__(self, server: Server, proxies: list[FaultProxy], chance: random.Random) -> None:
        self._server = server
        self._failing = 0.0
        self.memory: list[float] = []
        self._proxies = proxies
        self._chance = chance
        self._going = threading.Event()
        self._going.set()
        self.came = {project: Came() for project in PROJECTS}
        self.faults: Counter[str] = Counter()
        self._workers = [
            Worker(server, project, index, going=self._going, came=came)
            for project, came in self.came.items()
            for index in range(WORKERS_EACH)
        ]
        for worker in self._workers:
            worker.start()

    def fail_for(self, seconds: float) -> None:
        """Faults for so long, one or two at a time, each for some seconds, with pauses."""
        end = time.monotonic() + seconds
        while (began := time.monotonic()) < end:
            with ExitStack() as undo:
                for proxy in self._chance.sample(self._proxies, self._chance.choice((1, 1, 2))):
                    fault = self._chance.choice(FAULTS)
                    self.faults[fault] += 1
                    undo.enter_context(proxy.failing(fault))
                time.sleep(self._chance.uniform(1, 4))
            time.sleep(self._chance.uniform(0.5, 3))
            self.check()
            self._failing += time.monotonic() - began
            if self._failing >= 60 * (len(self.memory) + 1):
                self.memory.append(self._server.resident_mib())

    def until_well(self, within: float) -> float:
        """Seconds until each worker's calls succeed again. Fails if that takes longer than ``within``."""
        since = time.monotonic()
        while min(worker.succeeded for worker in self._workers) < since:
            self.check()
            assert time.monotonic() - since < within, [
                worker.name for worker in self._workers if worker.succeeded < since
            ]
            time.sleep(0.05)
        return time.monotonic() - since

    def cost(self) -> Cost:
        """With all workers at rest for a moment."""
        self._going.clear()
        for worker in self._workers:
            assert worker.idle.wait(30), f"{worker.name} doesn't come to rest"
        time.sleep(2)
        cost = Cost(self._server.resident_mib(), self._server.open_files())
        self._going.set()
        return cost

    def check(self) -> None:
        """Nobody has had a problem."""
        problems = [(worker.name, worker.problem) for worker in self._workers if worker.problem]
        assert not problems, problems

    def end(self) -> None:
        """All workers go home."""
        for worker in self._workers:
            worker.over = True
        self._going.set()
        for worker in self._workers:
            worker.join(40)
