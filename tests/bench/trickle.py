"""Pods that come at a steady pace, whether those before them are answered or not.

Runs as a process of its own (``python trickle.py URL CA PER_SECOND BODY``, the last a file) until its
standard input ends. Prints a line of JSON for each second: how many were allowed, refused, and still wait.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Trickle:
    """Connections that are free, and what came of the pods."""

    def __init__(self, url: str, ca: str, body: bytes) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._trust = ssl.create_default_context(cafile=ca)
        head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-length: {len(body)}\r\n\r\n"
        self._request = head.encode() + body
        self._free: list[Opened] = []
        self.waiting = 0
        self.came: Counter[str] = Counter()

    async def send(self) -> None:
        """One pod."""
        self.waiting += 1
        reader, writer = opened = await self._connection()
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        response = json.loads(await reader.readexactly(length))["response"]
        self.came["allowed" if response["allowed"] else "refused"] += 1
        self._free.append(opened)
        self.waiting -= 1

    async def _connection(self) -> Opened:
        while self._free:
            opened = self._free.pop()
            if not opened[0].at_eof():  # it was idle for so long that the server ended it
                return opened
            opened[1].close()
        return await asyncio.open_connection(self._host, self._port, ssl=self._trust)


async def main(url: str, ca: str, per_second: int, body: bytes) -> None:
    """Until standard input ends."""
    trickle = Trickle(url, ca, body)
    over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    began, sent = loop.time(), 0
    while not over.done():
        task = asyncio.create_task(trickle.send())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        sent += 1
        if sent % per_second == 0:
            print(json.dumps({**trickle.came, "waiting": trickle.waiting}), flush=True)
            trickle.came.clear()
        await asyncio.sleep(began + sent / per_second - loop.time())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]).read_bytes()))
