"""Ports for programs that must keep theirs over a restart."""

from __future__ import annotations

import random
import socket

#: Below the kernel's own choices (ip_local_port_range) and node ports: nobody gets one of these by chance.
_RANGE = range(20000, 30000)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    while True:
        port = random.choice(_RANGE)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
