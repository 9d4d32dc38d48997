"""gRPC's frames (gRPC over HTTP/2, "Length-Prefixed-Message"), one in a body."""

from __future__ import annotations

from secrets_svc.core.errors import InvalidArgument, Unsupported
from secrets_svc.edges.gate.bodies import gunzip, header

_PREFIX = 5


def unframed(body: bytes, headers: list[tuple[bytes, bytes]]) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """``body`` with its one message unpacked, and ``headers`` that say so.

    :raises InvalidArgument: it isn't exactly one frame, or not packed as it says.
    :raises Unsupported: it is packed otherwise than by gzip. :raises TooLarge: see :func:`gunzip`.
    """
    encoding = (header(headers, b"grpc-encoding") or b"identity").strip().lower()
    if encoding not in (b"identity", b"gzip"):
        raise Unsupported("the only grpc-encoding taken is gzip")
    if len(body) < _PREFIX or int.from_bytes(body[1:_PREFIX], "big") != len(body) - _PREFIX:
        raise InvalidArgument("the body is not one message in one frame")
    message, is_packed = body[_PREFIX:], body[0]
    if is_packed not in (0, 1) or (is_packed and encoding == b"identity"):
        raise InvalidArgument("the frame is packed otherwise than grpc-encoding says")
    if is_packed:
        message = gunzip(message)
    kept = [pair for pair in headers if pair[0] != b"grpc-encoding"]
    return b"\0" + len(message).to_bytes(4, "big") + message, kept
