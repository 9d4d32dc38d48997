"""Requests through an ASGI application, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

Message = MutableMapping[str, Any]


@dataclass
class Exchange:
    """One request, what it took of the body, and what it was sent.

    :param parts: the body, in the pieces it arrives in. :param hang: no more comes after them, and no end.
    :param trailers: whether the server can send some, as one for HTTP/2 can.
    """

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=lambda: [b""])
    method: str = "POST"
    path: str = "/v1/secrets"
    hang: bool = False
    trailers: bool = False
    taken: int = 0
    sent: list[Message] = field(default_factory=list)

    async def receive(self) -> Message:
        if self.taken >= len(self.parts):
            if self.hang:
                await asyncio.sleep(3600)
            return {"type": "http.disconnect"}
        self.taken += 1
        more = self.hang or self.taken < len(self.parts)
        return {"type": "http.request", "body": self.parts[self.taken - 1], "more_body": more}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def through(self, app: Callable[..., Awaitable[None]]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer of ``app``."""
        path, _, query = self.path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "2" if self.trailers else "1.1",
            "extensions": {"http.response.trailers": {}} if self.trailers else {},
            "method": self.method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "scheme": "http",
            "headers": self.headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        asyncio.run(self._run(app, scope))
        start = self.sent[0]
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return start["status"], headers, b"".join(each.get("body", b"") for each in self.sent[1:])

    @property
    def sent_trailers(self) -> dict[str, str]:
        """The answer's trailers."""
        ends = [each for each in self.sent if each["type"] == "http.response.trailers"]
        return {name.decode(): value.decode() for each in ends for name, value in each["headers"]}

    async def _run(self, app: Callable[..., Awaitable[None]], scope: dict[str, Any]) -> None:
        await app(scope, self.receive, self.send)
