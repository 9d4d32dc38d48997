"""What every error answer of the REST API must look like (RFC 9457, DESIGN.md §9)."""

from __future__ import annotations

from harness import Reply

from secrets_svc.core.errors import by_code

_FIELDS = {"type", "title", "status", "detail", "code", "retryable", "request_id"}


def assert_problem(reply: Reply, status: int, code: str) -> str:
    """``reply`` is a whole problem document with this status and code; returns its detail."""
    assert (reply.status, reply.headers["content-type"]) == (status, "application/problem+json"), reply
    document = reply.json()
    assert set(document) == _FIELDS
    assert (document["status"], document["code"]) == (status, code), document
    assert document["type"] == f"urn:secrets-svc:problem:{code}"
    assert document["title"] == code.replace("_", " ")
    assert document["retryable"] is by_code()[code].retryable
    assert document["request_id"] == reply.headers["x-request-id"]
    assert document["detail"].isprintable()
    assert reply.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in reply.headers) == (status == 401)
    return str(document["detail"])
