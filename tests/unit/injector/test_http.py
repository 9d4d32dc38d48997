"""The webhook's HTTP over real sockets on loopback: what it answers, what it refuses, when it hangs up."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from admissions import Kit

from injector.http import (
    MAX_TURN,
    MAX_TURN_BYTES,
    TEXT,
    Answer,
    Connections,
    HttpProtocol,
    Limits,
    Request,
    Response,
    Turns,
)
from injector.server import InjectorRoutes

LIMITS = Limits(body=1000, arrival=0.4, first=0.6, idle=0.8)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """Answers with what it got; a path that begins with /slow takes a moment."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.turns: list[int] = []
        self.cancelled = 0
        self.size = 0
        self.costs = 0.0

    def __call__(self, requests: Sequence[Request]) -> list[Answer]:
        self.turns.append(len(requests))
        return [self._answer(each) for each in requests]

    def _answer(self, request: Request) -> Answer:
        path = request.path
        self.seen.append(path)
        time.sleep(self.costs)
        if path == b"/bug":
            raise KeyError("unforeseen")
        text = b"%b %b %d" % (request.method, path, len(request.body))
        response = Response(200, TEXT, text + b"x" * self.size)
        return self._later(response) if path.startswith(b"/slow") else response

    async def _later(self, response: Response) -> Response:
        try:
            await asyncio.sleep(0.3)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return response


class Site:
    """A server and the way to it."""

    def __init__(self, echo: Echo, connections: Connections, port: int) -> None:
        self.echo = echo
        self.connections = connections
        self.port = port

    async def connect(self) -> Streams:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def exchange(self, data: bytes) -> bytes:
        """All that comes back until the server hangs up."""
        reader, writer = await self.connect()
        writer.write(data)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    echo, connections = Echo(), Connections()
    loop = asyncio.get_running_loop()
    turns = Turns(echo)
    server = await loop.create_server(lambda: HttpProtocol(turns, LIMITS, connections), "127.0.0.1", 0)
    try:
        yield Site(echo, connections, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await connections.drain(2)


def run(test: Callable[[Site], Awaitable[None]]) -> None:
    async def main() -> None:
        async with site() as made:
            await test(made)

    asyncio.run(main())


def post(path: str = "/mutate", body: bytes = b"x", *more: str) -> bytes:
    fields = ["host: x", f"content-length: {len(body)}", *more]
    return (
        f"POST {path} HTTP/1.1\r\n".encode() + "".join(f"{f}\r\n" for f in fields).encode() + b"\r\n" + body
    )


CLOSE = "connection: close"


def test_requests_on_one_connection_are_answered_in_their_order() -> None:
    async def test(made: Site) -> None:
        data = post("/slow/1") + post("/2") + post("/slow/3", b"", CLOSE)
        answer = await made.exchange(data)
        bodies = [part.rsplit(b"\r\n\r\n", 1)[-1] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
        assert [body.split()[1] for body in bodies] == [b"/slow/1", b"/2", b"/slow/3"]

    run(test)


def test_a_body_may_come_in_chunks_and_piecemeal() -> None:
    async def test(made: Site) -> None:
        reader, writer = await made.connect()
        head = b"POST /mutate?timeout=10s HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        for piece in (head[:20], head[20:], b"3\r\nab", b"c\r\n2\r\n", b"de\r\n0\r\n\r\n"):
            writer.write(piece)
            await asyncio.sleep(0.02)
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(14) == b"POST /mutate 5"
        writer.close()

    run(test)


def test_who_waits_to_be_asked_for_the_body_is_asked() -> None:
    async def test(made: Site) -> None:
        reader, writer = await made.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        writer.close()

    run(test)


REFUSED = {
    "garbage": (b"\x16\x03\x01 not http\r\n\r\n", b"400"),
    "two lengths": (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", b"400"),
    "length and chunks": (
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"400",
    ),
    "an upgrade": (b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", b"400"),
    "a long target": (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", b"431"),
    "a long field": (b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"b" * 70_000 + b"\r\n\r\n", b"431"),
    "many fields": (b"GET / HTTP/1.1\r\n" + b"a: bbbbbbbb\r\n" * 9_000 + b"\r\n", b"431"),
    "a length over the limit": (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n", b"413"),
    "chunks over the limit": (
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        + b"1f4\r\n%b\r\n1f5\r\n%b\r\n0\r\n\r\n" % (b"x" * 500, b"x" * 501),
        b"413",
    ),
}


@pytest.mark.parametrize(("data", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_wrong_or_too_much_is_refused_once_and_hung_up_on(data: bytes, status: bytes) -> None:
    async def test(made: Site) -> None:
        answer = await made.exchange(data)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert answer.count(b"HTTP/1.1 ") == 1, answer
        assert b"connection: close\r\n" in answer
        assert made.echo.seen == []
        assert (await made.exchange(post("/after", b"", CLOSE))).endswith(b"POST /after 0")

    run(test)


def test_the_largest_body_passes() -> None:
    async def test(made: Site) -> None:
        assert (await made.exchange(post("/", b"x" * 1000, CLOSE))).endswith(b"POST / 1000")

    run(test)


@pytest.mark.parametrize(
    ("begun", "answer"),
    [
        (b"", b""),
        (post()[:30], b"HTTP/1.1 408"),
        (post(body=b"x" * 10)[:-5], b"HTTP/1.1 408"),
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_who_keeps_us_waiting_is_hung_up_on(begun: bytes, answer: bytes) -> None:
    async def test(made: Site) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        assert (await made.exchange(begun)).startswith(answer)
        assert loop.time() - start < 2

    run(test)


def test_a_request_that_drips_in_is_hung_up_on() -> None:
    async def test(made: Site) -> None:
        reader, writer = await made.connect()

        async def answered() -> bytes:
            try:
                return await reader.read()
            except ConnectionResetError:  # a byte that came behind the answer took it away
                return b""

        hung_up = asyncio.create_task(answered())
        for byte in post()[:40]:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
            if hung_up.done():
                break
        assert hung_up.done()
        assert (await hung_up)[:12] in (b"HTTP/1.1 408", b"")
        writer.close()

    run(test)


def test_an_idle_connection_is_closed_and_a_slow_answer_is_not() -> None:
    async def test(made: Site) -> None:
        reader, writer = await made.connect()
        writer.write(post("/slow"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        await reader.readexactly(len(b"POST /slow 1"))
        loop = asyncio.get_running_loop()
        start = loop.time()
        assert await reader.read() == b""
        assert 0.5 < loop.time() - start < 2
        writer.close()

    run(test)


def test_work_for_somebody_who_left_is_given_up() -> None:
    async def test(made: Site) -> None:
        _, writer = await made.connect()
        writer.write(post("/slow"))
        await asyncio.sleep(0.1)
        writer.transport.abort()
        await asyncio.sleep(0.1)
        assert made.echo.cancelled == 1

    run(test)


def test_many_pipelined_requests_are_all_answered() -> None:
    async def test(made: Site) -> None:
        data = post("/slow") + b"".join(post(f"/{index}") for index in range(200)) + post("/end", b"", CLOSE)
        answer = await made.exchange(data)
        assert answer.count(b"HTTP/1.1 200 OK") == 202
        assert answer.endswith(b"POST /end 0")

    run(test)


def test_stopping_lets_what_is_under_way_finish() -> None:
    async def test(made: Site) -> None:
        reader, writer = await made.connect()
        idle_reader, idle_writer = await made.connect()
        writer.write(post("/slow"))
        await asyncio.sleep(0.1)
        await made.connections.drain(2)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close\r\n" in answer
        assert await idle_reader.read() == b""
        writer.close()
        idle_writer.close()

    run(test)


def test_who_does_not_read_his_answers_gets_no_more_of_them() -> None:
    async def test(made: Site) -> None:
        made.echo.size = 5_000_000
        _, writer = await made.connect()
        writer.write(post("/slow") + post("/slow") * 50)
        await asyncio.sleep(1.5)
        seen = len(made.echo.seen)
        await asyncio.sleep(0.7)
        assert seen == len(made.echo.seen) < 20
        writer.transport.abort()

    run(test)


def test_one_connection_does_not_keep_another_waiting() -> None:
    async def test(made: Site) -> None:
        made.echo.costs = 0.002
        reader, writer = await made.connect()
        writer.write(post() * 400)
        await asyncio.sleep(0.05)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await made.exchange(post("/other", b"", CLOSE))
        assert loop.time() - begun < 0.3
        assert len(made.echo.seen) < 400
        while len(made.echo.seen) < 401:
            assert await asyncio.wait_for(reader.read(100_000), 5)
        writer.close()

    run(test)


def test_what_arrives_together_is_answered_together() -> None:
    async def test(made: Site) -> None:
        connected = [await made.connect() for _ in range(8)]
        made.echo.costs = 0.05  # while the first is answered the others arrive
        for _, writer in connected:
            writer.write(post("/together", b"", CLOSE))
        answers = [await asyncio.wait_for(reader.read(), 5) for reader, _ in connected]
        assert all(answer.endswith(b"POST /together 0") for answer in answers)
        assert len(made.echo.turns) <= 3
        for _, writer in connected:
            writer.close()

    run(test)


class Connected:
    """Takes answers; ``gone`` when nobody is there any more."""

    def __init__(self, *, gone: bool = False) -> None:
        self.is_open = not gone
        self.answers = 0

    def answer(self, request: Request, answer: Answer) -> None:
        self.answers += 1


@pytest.mark.parametrize(
    ("bodies", "turns"),
    [
        ([b""] * (MAX_TURN + 1), [MAX_TURN, 1]),
        ([b"x" * (MAX_TURN_BYTES // 2)] * 5, [2, 2, 1]),
        ([b"x" * (MAX_TURN_BYTES * 2)] * 2, [1, 1]),
    ],
    ids=["many", "large", "one too large for any"],
)
def test_a_turn_is_bounded_so_that_probes_are_not_kept_waiting(bodies: list[bytes], turns: list[int]) -> None:
    async def test() -> None:
        echo = Echo()
        gathering = Turns(echo)
        connections = [Connected() for _ in bodies]
        for connection, body in zip(connections, bodies, strict=True):
            gathering.add(connection, Request(b"POST", b"/", body, True))  # type: ignore[arg-type]
        for _ in range(5):
            await asyncio.sleep(0)
        assert echo.turns == turns
        assert all(connection.answers == 1 for connection in connections)

    asyncio.run(test())


def test_for_who_left_nothing_is_decided() -> None:
    async def test() -> None:
        echo = Echo()
        gathering = Turns(echo)
        for gone in (True, False, True):
            gathering.add(Connected(gone=gone), Request(b"POST", b"/", b"", True))  # type: ignore[arg-type]
        await asyncio.sleep(0.01)
        assert echo.seen == [b"/"]

    asyncio.run(test())


def test_garbage_after_a_request_is_refused_after_its_answer() -> None:
    async def test(made: Site) -> None:
        answer = await made.exchange(post("/slow") + b"\x16\x03\x01\r\n\r\n" + post("/never"))
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.count(b"HTTP/1.1 ") == 2
        assert b"HTTP/1.1 400 " in answer
        assert made.echo.seen == [b"/slow"]

    run(test)


def test_a_bug_costs_its_turn_an_error_and_nobody_his_connection() -> None:
    async def test(made: Site) -> None:
        answer = await made.exchange(post("/bug") + post("/after", b"", CLOSE))
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert answer.endswith(b"POST /after 0")

    run(test)


def metrics_answer(routes: InjectorRoutes) -> bytes:
    [answer] = routes([Request(b"GET", b"/metrics", b"", True)])
    assert isinstance(answer, Response)
    return answer.body


def test_metrics_are_made_at_most_once_a_second_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("injector.server.time", SimpleNamespace(monotonic=lambda: clock.now))
    made = itertools.count(1)
    routes = InjectorRoutes(
        handler=Kit().handler, ready=lambda: True, metrics=lambda: b"made %d times" % next(made)
    )
    for clock.now in (100.0, 100.5, 100.99):
        assert metrics_answer(routes) == b"made 1 times"
    clock.now = 101.0
    assert {metrics_answer(routes) for _ in range(1000)} == {b"made 2 times"}
