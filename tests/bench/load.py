"""A closed-loop load over TLS with keep-alive: a few connections, each with one request under way.

Runs as a process of its own (``python load.py URL CA CONNECTIONS REQUESTS``), reads the request's body from
standard input and prints one line of JSON with latencies in microseconds.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from urllib.parse import urlsplit


async def _connection(
    host: str, port: int, trust: ssl.SSLContext | None, request: bytes, count: int
) -> list[int]:
    reader, writer = await asyncio.open_connection(host, port, ssl=trust)
    latencies: list[int] = []
    for _ in range(count):
        begun = time.perf_counter_ns()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"answered {head[:40]!r}")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        latencies.append((time.perf_counter_ns() - begun) // 1000)
    writer.close()
    return latencies


async def _main(url: str, ca: str, connections: int, requests: int, body: bytes) -> None:
    parts = urlsplit(url)
    trust = ssl.create_default_context(cafile=ca)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    begun = time.perf_counter()
    batches = await asyncio.gather(
        *(
            _connection(
                parts.hostname or "", parts.port or 443, trust, head.encode() + body, requests // connections
            )
            for _ in range(connections)
        )
    )
    took = time.perf_counter() - begun
    latencies = sorted(latency for batch in batches for latency in batch)
    print(
        json.dumps(
            {
                "requests": len(latencies),
                "seconds": took,
                "p50": latencies[len(latencies) // 2],
                "p99": latencies[len(latencies) * 99 // 100],
            }
        )
    )


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.stdin.buffer.read()))
