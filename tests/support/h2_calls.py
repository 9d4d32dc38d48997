"""gRPC for tests that need each frame in hand, also those that no client would send."""

from __future__ import annotations

import socket
import ssl

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived


def frame(message: bytes, *, packed: bool = False) -> bytes:
    """A message in its frame."""
    return bytes([packed]) + len(message).to_bytes(4, "big") + message


class Grpc:
    """A connection for gRPC, frame by frame.

    :param address: ``HOST:PORT``. :param timeout: seconds for anything. :param tls: in clear without.
    """

    def __init__(self, address: str, timeout: float = 20.0, *, tls: ssl.SSLContext | None = None) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=host)
        self.h2 = H2Connection(H2Configuration(client_side=True))
        self._events: list[object] = []
        self.h2.initiate_connection()
        self.flush()

    def __enter__(self) -> Grpc:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def begin(self, path: str, token: str | None, **headers: str) -> int:
        """The head of a call; the number of its stream."""
        stream = self.h2.get_next_available_stream_id()
        sent = {
            ":method": "POST",
            ":path": path,
            ":scheme": "http",
            ":authority": "localhost",
            "content-type": "application/grpc",
            "te": "trailers",
            **({} if token is None else {"authorization": f"Bearer {token}"}),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        self.h2.send_headers(stream, list(sent.items()))
        self.flush()
        return stream

    def send(self, stream: int, data: bytes) -> None:
        """A body and its end, as fast as the server lets it."""
        while data:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room == 0:
                self.receive()
                continue
            self.h2.send_data(stream, data[:room])
            data = data[room:]
            self.flush()
        self.h2.end_stream(stream)
        self.flush()

    def receive(self) -> None:
        """Take what comes next."""
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the connection ended")
        events = self.h2.receive_data(data)
        for event in events:
            if isinstance(event, DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.flush()
        self._events += events

    def answer(self) -> dict[str, str]:
        """Headers and trailers of the one call."""
        found: dict[str, str] = {}
        while True:
            while self._events:
                event = self._events.pop(0)
                if isinstance(event, ResponseReceived | TrailersReceived):
                    found.update({name.decode(): value.decode() for name, value in event.headers})
                if isinstance(event, StreamEnded | StreamReset):
                    return found
            self.receive()

    def call(self, path: str, token: str | None, body: bytes, **headers: str) -> dict[str, str]:
        """A whole call."""
        self.send(self.begin(path, token, **headers), body)
        return self.answer()
