"""Errors as RFC 9457 problem documents."""

from __future__ import annotations

import json
import math

from secrets_svc.core.errors import SecretsError

#: HTTP status by code (DESIGN.md §9).
STATUS_BY_CODE = {
    "invalid_argument": 400,
    "too_large": 413,
    "unsupported": 501,
    "unauthenticated": 401,
    "permission_denied": 403,
    "not_found": 404,
    "already_exists": 409,
    "conflict": 409,
    "throttled": 429,
    "quota_exceeded": 429,
    "unavailable": 503,
    "deadline_exceeded": 504,
    "internal": 500,
}

MEDIA_TYPE = "application/problem+json"

Answer = tuple[int, dict[str, str], bytes]


def problem(error: SecretsError, *, request_id: str, status: int | None = None) -> Answer:
    """Status, headers and body for ``error``.

    :param status: instead of the code's own, e.g. 412 for a ``conflict`` with ``If-Match``.
    """
    status = status or STATUS_BY_CODE[error.code]
    headers = {"content-type": MEDIA_TYPE, "x-request-id": request_id, "cache-control": "no-store"}
    if error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after))
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="secrets-svc"'
    body = {
        "type": f"urn:secrets-svc:problem:{error.code}",
        "title": error.code.replace("_", " "),
        "status": status,
        "detail": error.message,
        "code": error.code,
        "retryable": error.retryable,
        "request_id": request_id,
    }
    return status, headers, json.dumps(body).encode()
