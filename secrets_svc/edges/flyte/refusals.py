"""Errors as Connect's JSON and gRPC's trailers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from urllib.parse import quote

from secrets_svc.core.errors import SecretsError
from secrets_svc.edges.flyte.protocols import Protocol, protocol_of
from secrets_svc.edges.gate.bodies import Message
from secrets_svc.edges.gate.gate import Scope

#: Connect's code by ours (DESIGN.md §9).
CODE_BY_CODE = {
    "invalid_argument": "invalid_argument",
    "too_large": "invalid_argument",
    "unsupported": "unimplemented",
    "unauthenticated": "unauthenticated",
    "permission_denied": "permission_denied",
    "not_found": "not_found",
    "already_exists": "already_exists",
    "conflict": "aborted",
    "throttled": "resource_exhausted",
    "quota_exceeded": "resource_exhausted",
    "unavailable": "unavailable",
    "deadline_exceeded": "unavailable",
    "internal": "internal",
}

#: HTTP status (Connect protocol, "Error codes") and gRPC's number by Connect's code.
_NUMBERS = {
    "invalid_argument": (400, 3),
    "unimplemented": (501, 12),
    "unauthenticated": (401, 16),
    "permission_denied": (403, 7),
    "not_found": (404, 5),
    "already_exists": (409, 6),
    "aborted": (409, 10),
    "resource_exhausted": (429, 8),
    "unavailable": (503, 14),
    "internal": (500, 13),
}

#: Clients log in anew on any error whose text has one of these words, whatever its code: also in a name.
_LOGIN_WORDS = re.compile(r"(?i)un(?=authori[sz]ed|authenticated)")
#: What a gRPC message may have as it is (gRPC over HTTP/2, "Percent-Byte").
_AS_IT_IS = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def refusal(error: SecretsError, *, request_id: str, scope: Scope) -> Sequence[Message]:
    """The answer that says ``error`` in the request's protocol."""
    headers = [(b"x-request-id", request_id.encode()), (b"cache-control", b"no-store")]
    if error.retry_after is not None:
        headers.append((b"retry-after", str(math.ceil(error.retry_after)).encode()))
    code = CODE_BY_CODE[error.code]
    message = error.message if code == "unauthenticated" else _LOGIN_WORDS.sub("un-", error.message)
    protocol = protocol_of(scope)
    if protocol is Protocol.GRPC:
        return _trailers(headers, _NUMBERS[code][1], message)
    status = _NUMBERS[code][0]
    if error.code == "too_large":
        status = 413
    elif protocol is None and code == "invalid_argument":
        status = 415  # both protocols say so of a content type that is neither's
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="secrets-svc"'))
    if not scope.get("http_version", "1.1").startswith("2"):
        headers.append((b"connection", b"close"))  # the body may not have been read
    return _json(headers, status, code, message)


def _json(headers: list[tuple[bytes, bytes]], status: int, code: str, message: str) -> Sequence[Message]:
    body = json.dumps({"code": code, "message": message}).encode()
    headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    return (
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body},
    )


def _trailers(headers: list[tuple[bytes, bytes]], number: int, message: str) -> Sequence[Message]:
    trailers = [
        (b"grpc-status", str(number).encode()),
        (b"grpc-message", quote(message, safe=_AS_IT_IS).encode()),
    ]
    headers.append((b"content-type", b"application/grpc"))
    return (
        {"type": "http.response.start", "status": 200, "headers": headers, "trailers": True},
        {"type": "http.response.body", "body": b""},
        {"type": "http.response.trailers", "headers": trailers, "more_trailers": False},
    )
