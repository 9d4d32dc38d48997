"""Forwards TCP: the address of the Service ``kubernetes`` to the API server on 127.0.0.1.

Stands alone: ``python forwarder.py ADDRESS PORT TO_PORT``.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


async def serve(address: str, port: int, to_port: int) -> None:
    """Forward until the process ends."""

    async def connected(source: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            answers, onward = await asyncio.open_connection("127.0.0.1", to_port)
        except OSError:
            back.close()
            return
        await asyncio.gather(_copy(source, onward), _copy(answers, back))

    async with await asyncio.start_server(connected, address, port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
