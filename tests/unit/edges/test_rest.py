"""The REST edge without a network: codes, messages about bad input, and what comes before the body."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from asgi import Exchange
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from secrets_svc.core.audit import AuditEvent
from secrets_svc.core.errors import Throttled, Unauthenticated, Unavailable, by_code
from secrets_svc.core.value import SecretValue
from secrets_svc.edges.gate.authentication import TokenAuthenticator
from secrets_svc.edges.gate.bodies import MAX_BODY
from secrets_svc.edges.gate.gate import Gate, place_of
from secrets_svc.edges.rest.app import build_app, describe_invalid
from secrets_svc.edges.rest.manners import RestManners
from secrets_svc.edges.rest.problems import STATUS_BY_CODE, problem
from secrets_svc.edges.rest.shapes import CreateIn

MARKER = "s3cr3t-m4rker"
TOKEN = "t" * 32


def test_every_code_has_a_status_and_a_problem() -> None:
    assert set(STATUS_BY_CODE) == set(by_code())
    for code, kind in by_code().items():
        status, headers, body = problem(kind("what happened"), request_id="r1")
        document = json.loads(body)
        assert status == document["status"] == STATUS_BY_CODE[code]
        assert (document["code"], document["retryable"]) == (code, kind.retryable)
        assert (document["detail"], document["request_id"]) == ("what happened", "r1")
        assert headers["content-type"] == "application/problem+json"
        assert 400 <= status < 600
        assert kind.retryable == (status in (429, 500, 503, 504))


def test_a_problem_says_when_to_come_again() -> None:
    _, headers, _ = problem(Throttled("slow down", retry_after=1.2), request_id="r1")
    assert headers["retry-after"] == "2"
    assert "retry-after" not in problem(Throttled("slow down"), request_id="r1")[1]


# What describe_invalid says

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(MARKER) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["text", "base64", MARKER, "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    value=JSON_VALUES,
    others=st.dictionaries(st.sampled_from(["name", "domain", "project", "type"]), JSON_VALUES, max_size=4),
)
def test_no_message_repeats_what_was_sent(value: object, others: dict[str, object]) -> None:
    body = {"name": "a", "project": "p", **others, "value": value}
    text = ""
    try:
        CreateIn.model_validate(body)
    except ValidationError as error:
        text = describe_invalid([{**each, "loc": ("body", *each["loc"])} for each in error.errors()])
    assert MARKER not in text
    assert text.isprintable()


def test_unknown_fields_are_named_and_others_described() -> None:
    def said(body: object) -> str:
        with pytest.raises(ValidationError) as caught:
            CreateIn.model_validate(body)
        return describe_invalid([{**each, "loc": ("body", *each["loc"])} for each in caught.value.errors()])

    good = {"name": "a", "project": "p", "value": {"text": "x"}}
    assert said({**good, "nmae": 1}) == 'unknown field "nmae"'
    assert said({**good, "a\nb\x1b": 1}) == 'unknown field "a\\nb\\x1b"'
    assert said({"project": "p", "value": {"text": "x"}}) == "name is missing"
    assert said({"name": "a"}) == 'value takes exactly one of "text" and "base64", each a string'
    assert "holds half a surrogate pair" in said({**good, "value": {"text": "\ud800"}})
    assert said({**good, "value": {"base64": "?"}}).startswith("value.base64 is not valid base64")


# The gate


@dataclass
class Behind:
    """What stands behind the gate: keeps what it is given."""

    bodies: list[bytes] = field(default_factory=list)
    headers: dict[bytes, bytes] = field(default_factory=dict)
    error: Exception | None = None
    begin: bool = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.headers = dict(scope["headers"])
        self.bodies.append((await receive())["body"])
        if self.begin or self.error is None:
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"x-request-id", b"evil")]}
            )
        if self.error is not None:
            raise self.error
        await send({"type": "http.response.body", "body": b"done"})


AUTHORIZED = [(b"authorization", b"Bearer " + TOKEN.encode()), (b"content-type", b"application/json")]


def gate(app: Any, record: Callable[[AuditEvent], None] = lambda _: None, **more: Any) -> Gate:
    known = TokenAuthenticator({"alice": SecretValue(TOKEN.encode())})
    return Gate(app, manners=RestManners(known), record=record, **more)


def test_nothing_of_a_body_is_taken_before_the_caller_is_known() -> None:
    events: list[AuditEvent] = []
    exchange = Exchange([(b"x-request-id", b"r1")], [b"x"])
    status, headers, _ = exchange.through(gate(Behind(), events.append))
    assert (status, headers["connection"], exchange.taken) == (401, "close", 0)
    [event] = events
    assert (event.request_id, event.actor, event.outcome) == ("r1", "anonymous", "unauthenticated")


def test_a_caller_whose_refusal_cannot_be_recorded_hears_that() -> None:
    def record(event: AuditEvent) -> None:
        raise Unavailable("the audit record can't be written")

    for headers in ([], AUTHORIZED, [*AUTHORIZED, (b"content-encoding", b"br")]):
        exchange = Exchange(headers)
        status, _, body = exchange.through(gate(Behind(), record))
        assert (status, json.loads(body)["code"]) == (503, "unavailable")
        assert len(exchange.sent) == 2


def test_a_body_arrives_in_one_piece_with_its_length() -> None:
    behind = Behind()
    exchange = Exchange([*AUTHORIZED, (b"transfer-encoding", b"chunked")], [b"ab", b"", b"c"])
    assert exchange.through(gate(behind))[0] == 200
    assert behind.bodies == [b"abc"]
    assert behind.headers[b"content-length"] == b"3"
    assert b"transfer-encoding" not in behind.headers


def test_a_packed_body_arrives_unpacked() -> None:
    behind = Behind()
    exchange = Exchange([*AUTHORIZED, (b"content-encoding", b"GZIP")], [gzip.compress(b"abc", mtime=0)])
    assert exchange.through(gate(behind))[0] == 200
    assert behind.bodies == [b"abc"]
    assert b"content-encoding" not in behind.headers


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY, 200), (MAX_BODY + 1, 413)])
@pytest.mark.parametrize("packed", [False, True])
def test_the_limit_holds_before_and_after_unpacking(size: int, status: int, packed: bool) -> None:
    body = b" " * size
    parts = [gzip.compress(body, mtime=0)] if packed else [body[:-1], body[-1:]]
    headers = [*AUTHORIZED, (b"content-encoding", b"gzip" if packed else b"identity")]
    assert Exchange(headers, parts).through(gate(Behind()))[0] == status


def test_no_more_is_taken_than_the_limit() -> None:
    exchange = Exchange(AUTHORIZED, [b"x" * 65536] * 1000)
    assert exchange.through(gate(Behind()))[0] == 413
    assert exchange.taken == MAX_BODY // 65536 + 1


@pytest.mark.parametrize("parts", [[], [b"{"]])
def test_a_body_that_does_not_come_is_given_up(parts: list[bytes]) -> None:
    status, _, body = Exchange(AUTHORIZED, parts, hang=True).through(gate(Behind(), body_deadline=0.05))
    assert (status, json.loads(body)["code"]) == (504, "deadline_exceeded")


def test_the_request_id_is_the_gates() -> None:
    status, headers, body = Exchange([*AUTHORIZED, (b"x-request-id", b"r1")]).through(gate(Behind()))
    assert (status, headers["x-request-id"], body) == (200, "r1", b"done")
    assert headers["cache-control"] == "no-store"


def test_an_unforeseen_error_shows_neither_its_text_nor_a_half_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    status, _, body = Exchange(AUTHORIZED).through(gate(Behind(error=RuntimeError(MARKER))))
    assert (status, json.loads(body)["code"]) == (500, "internal")
    exchange = Exchange(AUTHORIZED)
    exchange.through(gate(Behind(error=RuntimeError(MARKER), begin=True)))
    assert [message["type"] for message in exchange.sent] == ["http.response.start"]
    assert MARKER not in body.decode() + caplog.text
    assert json.loads(body)["request_id"] in caplog.text
    assert "unforeseen RuntimeError at test_rest.py:" in caplog.text


def test_an_unforeseen_error_inside_the_api_is_a_problem_document_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def ready() -> bool:
        raise RuntimeError(MARKER)

    app = build_app(
        control=None,  # type: ignore[arg-type]  # not reached
        organization="flyte",
        authenticator=TokenAuthenticator({}),
        record=lambda _: None,
        ready=ready,
        metrics=lambda: b"",
    )
    status, headers, body = Exchange(method="GET", path="/readyz").through(app)
    assert (status, headers["content-type"]) == (500, "application/problem+json")
    assert json.loads(body)["request_id"] == headers["x-request-id"]
    assert headers["x-request-id"] in caplog.text
    assert MARKER not in body.decode() + caplog.text


def test_a_store_that_does_not_answer_makes_us_not_ready() -> None:
    app = build_app(
        control=None,  # type: ignore[arg-type]  # not reached
        organization="flyte",
        authenticator=TokenAuthenticator({}),
        record=lambda _: None,
        ready=lambda: False,
        metrics=lambda: b"",
    )
    status, _, body = Exchange(method="GET", path="/readyz").through(app)
    assert (status, json.loads(body)["code"]) == (503, "unavailable")


def test_where_an_error_came_from_is_a_place_and_no_text() -> None:
    with pytest.raises(ValueError, match=MARKER) as caught:
        raise ValueError(MARKER)
    assert place_of(caught.value).startswith("test_rest.py:")
    assert place_of(ValueError(MARKER)) == "unknown"


# Who calls


@pytest.mark.parametrize(
    "given",
    [None, b"", b"Bearer", b"Bearer ", b"Bearer x", b"Basic " + TOKEN.encode(), TOKEN.encode(), b"\xff\xff"],
)
def test_strangers_are_not_known(given: bytes | None) -> None:
    known = TokenAuthenticator({"alice": SecretValue(TOKEN.encode())})
    with pytest.raises(Unauthenticated) as caught:
        known.authenticate(given)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("given", ["Bearer {}", "bearer {}", "BEARER  {} "])
def test_a_token_makes_known(given: str) -> None:
    known = TokenAuthenticator({"alice": SecretValue(TOKEN.encode()), "bob": SecretValue(b"b" * 32)})
    assert known.authenticate(given.format(TOKEN).encode()).name == "alice"
    assert TOKEN not in repr(vars(known))
