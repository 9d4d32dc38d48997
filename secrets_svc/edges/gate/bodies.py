"""Bodies of requests, never taken beyond their limit: before and after decompression, and in time."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from secrets_svc.core.errors import DeadlineExceeded, InvalidArgument, TooLarge

Message = MutableMapping[str, Any]
Headers = Iterable[tuple[bytes, bytes]]
Receive = Callable[[], Awaitable[Message]]

#: Bytes of a request body, compressed or not: room for a value of 1 MiB in base64 and its frame.
MAX_BODY = 2 * 1024 * 1024
#: Bytes of the body of somebody who isn't known: such calls have next to nothing to say.
MAX_STRANGERS_BODY = 1024
#: Seconds within which a whole body must have arrived.
BODY_DEADLINE = 10.0


def header(headers: Headers, name: bytes) -> bytes | None:
    """The first header of that name, in lower case."""
    return next((value for key, value in headers if key == name), None)


def media_type(headers: Headers) -> bytes:
    """The content type without its parameters, in lower case; empty where none is given."""
    return (header(headers, b"content-type") or b"").partition(b";")[0].strip().lower()


async def read_body(headers: Headers, receive: Receive, *, deadline: float, limit: int = MAX_BODY) -> bytes:
    """The whole body, decompressed as ``content-encoding`` says.

    :param deadline: seconds in which it must have arrived. :param limit: bytes.
    :raises TooLarge: over ``limit``, packed or not. :raises DeadlineExceeded: not there in time.
    :raises InvalidArgument: it breaks off, or isn't packed as it says.
    """
    encoding = (header(headers, b"content-encoding") or b"identity").strip().lower()
    if encoding not in (b"identity", b"gzip"):
        raise InvalidArgument("the only content-encoding taken is gzip")
    declared = header(headers, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(deadline):
            raw = await _read_all(receive, limit)
    except TimeoutError:
        raise DeadlineExceeded(f"the body did not arrive within {deadline:g} s") from None
    return gunzip(raw, limit) if encoding == b"gzip" else raw


async def _read_all(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidArgument("the connection ended before the body did")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return b"".join(parts)


def gunzip(data: bytes, limit: int = MAX_BODY) -> bytes:
    """``data`` unpacked, which may be ``limit`` bytes at most: no more is ever unpacked.

    :raises TooLarge: it would be more. :raises InvalidArgument: it isn't one complete gzip stream.
    """
    decompressor = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        inflated = decompressor.decompress(data, limit + 1)
    except zlib.error:
        raise InvalidArgument("the body is not valid gzip") from None
    if len(inflated) > limit:
        raise _too_large(limit)
    if not decompressor.eof or decompressor.unused_data:
        raise InvalidArgument("the body is not one complete gzip stream")
    return inflated


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is over the limit of {limit} bytes")


def without_encoding(headers: Headers, length: int) -> list[tuple[bytes, bytes]]:
    """``headers`` for a body that was unpacked, and has ``length`` bytes now."""
    dropped = (b"content-encoding", b"content-length", b"transfer-encoding")
    kept = [pair for pair in headers if pair[0] not in dropped]
    return [*kept, (b"content-length", str(length).encode())]


def replay(body: bytes, receive: Receive) -> Receive:
    """``receive`` as it was before ``body`` was taken from it."""
    pending = [body]

    async def replayed() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return replayed
