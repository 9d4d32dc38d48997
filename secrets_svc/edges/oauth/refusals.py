"""Errors as RFC 6749 section 5.2 has them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from secrets_svc.core.errors import SecretsError
from secrets_svc.edges.gate.bodies import Message

#: Status and ``error`` by our code. The RFC's own words end with ``unsupported_grant_type``; the others are
#: those it has for the authorization endpoint, which clients know too.
ANSWER_BY_CODE = {
    "invalid_argument": (400, "invalid_request"),
    "too_large": (413, "invalid_request"),
    "unsupported": (400, "unsupported_grant_type"),
    "unauthenticated": (401, "invalid_client"),
    "permission_denied": (400, "unauthorized_client"),
    "not_found": (400, "invalid_request"),
    "already_exists": (400, "invalid_request"),
    "conflict": (400, "invalid_request"),
    "throttled": (429, "temporarily_unavailable"),
    "quota_exceeded": (429, "temporarily_unavailable"),
    "unavailable": (503, "temporarily_unavailable"),
    "deadline_exceeded": (504, "temporarily_unavailable"),
    "internal": (500, "server_error"),
}


def refusal(error: SecretsError, *, request_id: str) -> Sequence[Message]:
    """The answer that says ``error``."""
    status, word = ANSWER_BY_CODE[error.code]
    # The RFC allows no quotes and no backslashes there.
    text = error.message.replace('"', "'").replace("\\", "/")
    body = json.dumps({"error": word, "error_description": text}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"pragma", b"no-cache"),
        (b"x-request-id", request_id.encode()),
        (b"connection", b"close"),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="secrets-svc", charset="UTF-8"'))
    if error.retry_after is not None:
        headers.append((b"retry-after", str(math.ceil(error.retry_after)).encode()))
    return (
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body},
    )
