"""A closed-loop load over TLS with keep-alive: some connections, each with one request under way.

Runs as a process of its own (``python load.py URL CA CONNECTIONS REQUESTS``), reads the request's body from
standard input and prints one line of JSON with latencies in microseconds. Plain sockets and one selector: a
load that costs more than the server would measure a server that sleeps between requests.
"""

from __future__ import annotations

import json
import selectors
import socket
import ssl
import sys
import time
from urllib.parse import urlsplit


class Connection:
    """One connection and what it waits for."""

    def __init__(self, host: str, port: int, trust: ssl.SSLContext, request: bytes) -> None:
        self.socket = trust.wrap_socket(socket.create_connection((host, port)), server_hostname=host)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._begun = 0
        self._buffer = b""
        self._expected = 0

    def send(self) -> None:
        """The next request."""
        self._begun = time.perf_counter_ns()
        self._buffer, self._expected = b"", 0
        self.socket.sendall(self._request)

    def receive(self) -> int | None:
        """Microseconds since the request, once its answer is whole."""
        self._buffer += self.socket.recv(65536)
        while self.socket.pending():
            self._buffer += self.socket.recv(65536)
        if not self._expected:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return None
            head = self._buffer[:end].lower()
            if not head.startswith(b"http/1.1 200"):
                raise SystemExit(f"answered {head[:60]!r}")
            length = head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
            self._expected = end + 4 + int(length)
        if len(self._buffer) < self._expected:
            return None
        return (time.perf_counter_ns() - self._begun) // 1000


def main(url: str, ca: str, connections: int, requests: int, body: bytes) -> None:
    """Send ``requests`` in all."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    trust = ssl.create_default_context(cafile=ca)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        connection = Connection(host, port, trust, head.encode() + body)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send()
    left = requests - connections
    latencies: list[int] = []
    begun = time.perf_counter()
    while len(latencies) < requests:
        for key, _ in selector.select(30):
            latency = key.data.receive()
            if latency is None:
                continue
            latencies.append(latency)
            if left > 0:
                left -= 1
                key.data.send()
    took = time.perf_counter() - begun
    latencies.sort()
    figures = {
        "requests": len(latencies),
        "seconds": took,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.stdin.buffer.read())
