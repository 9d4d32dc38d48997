"""Access tokens: whom they are given, in which words they are refused, and when they are good no more."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from urllib.parse import quote_plus, urlencode

import pytest
from admissions import AuditList
from asgi import Exchange
from hypothesis import given
from hypothesis import strategies as st

from secrets_svc.core.errors import SecretsError, Unauthenticated, Unavailable, by_code
from secrets_svc.core.policy import Principal
from secrets_svc.core.value import SecretValue
from secrets_svc.edges.gate.access_tokens import PREFIX, AccessTokens, derived_key
from secrets_svc.edges.gate.authentication import TokenAuthenticator
from secrets_svc.edges.oauth.app import TOKEN_PATH, build_token_app
from secrets_svc.edges.oauth.refusals import refusal

TOKEN = "a+b/c%41=" + "t" * 32
FORM = b"application/x-www-form-urlencoded"
ASKED = {"grant_type": "client_credentials", "scope": "all", "audience": "https://x"}


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class World:
    def __init__(self, tokens: dict[str, str] | None = None) -> None:
        self.clock = Clock()
        self.trail = AuditList()
        known = tokens or {"alice b+c": TOKEN, "bob": "b" * 32}
        self.authenticator = TokenAuthenticator(
            {name: SecretValue(token.encode()) for name, token in known.items()}, clock=self.clock
        )
        self.app = build_token_app(
            authenticator=self.authenticator, lifetime=60, record=self.trail.record, body_deadline=5
        )

    def ask(
        self,
        authorization: bytes | None,
        body: bytes | None = None,
        content_type: bytes = FORM,
        method: str = "POST",
    ) -> tuple[int, dict[str, str], dict[str, object], Exchange]:
        given = [(b"authorization", authorization)] if authorization is not None else []
        sent = urlencode(ASKED).encode() if body is None else body
        exchange = Exchange([*given, (b"content-type", content_type)], [sent], method, TOKEN_PATH)
        status, headers, answer = exchange.through(self.app)
        return status, headers, json.loads(answer), exchange


def basic(name: str, secret: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{name}:{secret}".encode())


@pytest.mark.parametrize(
    "authorization",
    [
        basic(quote_plus("alice b+c"), quote_plus(TOKEN)),  # as the RFC wants it
        basic("alice b+c", quote_plus(TOKEN)),  # as Flyte's client does it
        basic("alice b+c", TOKEN),  # as curl -u does it
        basic("alice b+c", TOKEN).replace(b"Basic", b"basic"),
    ],
)
def test_a_client_gets_a_token_that_is_good_everywhere(authorization: bytes) -> None:
    world = World()
    status, headers, answer, _ = world.ask(authorization)
    assert status == 200
    assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("Bearer", 60, "all")
    assert (headers["cache-control"], headers["pragma"]) == ("no-store", "no-cache")
    bearer = f"Bearer {answer['access_token']}".encode()
    assert world.authenticator.authenticate(bearer) == Principal("alice b+c")
    [event] = world.trail
    assert (event.surface, event.action, event.actor, event.outcome) == ("api", "token", "alice b+c", "ok")
    assert event.detail == {"edge": "oauth"}
    assert str(answer["access_token"]) not in event.to_json().decode()


def test_an_access_token_ends() -> None:
    world = World()
    bearer = f"Bearer {world.ask(basic('bob', 'b' * 32))[2]['access_token']}".encode()
    world.clock.now += 59
    assert world.authenticator.authenticate(bearer).name == "bob"
    world.clock.now += 1
    with pytest.raises(Unauthenticated, match="has run out"):
        world.authenticator.authenticate(bearer)


def test_an_access_token_dies_with_its_principals_token_and_lives_on_every_replica() -> None:
    bearer = f"Bearer {World().ask(basic('bob', 'b' * 32))[2]['access_token']}".encode()
    assert World().authenticator.authenticate(bearer).name == "bob"
    for others in ({"bob": "c" * 32}, {"carol": "b" * 32}):
        with pytest.raises(Unauthenticated):
            World(others).authenticator.authenticate(bearer)


def test_an_access_token_gets_no_other() -> None:
    world = World()
    token = str(world.ask(basic("bob", "b" * 32))[2]["access_token"])
    assert world.ask(basic("bob", token))[0] == 401


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        b"",
        b"Basic",
        b"Basic ?",
        b"Basic /w==",
        b"Basic " + base64.b64encode(b"bob"),
        basic("bob", ""),
        basic("bob", "b" * 31),
        basic("alice b+c", "b" * 32),
        basic("", "b" * 32),
        b"Bearer " + b"b" * 32,
    ],
)
def test_strangers_get_none_and_are_not_read(authorization: bytes | None) -> None:
    world = World()
    status, headers, answer, exchange = world.ask(authorization)
    assert (status, answer["error"], exchange.taken) == (401, "invalid_client", 0)
    assert headers["www-authenticate"].startswith("Basic ")
    [event] = world.trail
    assert (event.action, event.outcome, event.actor) == ("authenticate", "unauthenticated", "anonymous")


@pytest.mark.parametrize(
    ("body", "content_type", "error"),
    [
        (b"", FORM, "invalid_request"),
        (b"scope=all", FORM, "invalid_request"),
        (b"grant_type=client_credentials&grant_type=client_credentials", FORM, "invalid_request"),
        (b"grant_type=client_credentials&scope=a&scope=b", FORM, "invalid_request"),
        (b"grant_type=password", FORM, "unsupported_grant_type"),
        (b"grant_type=", FORM, "unsupported_grant_type"),
        (b"\xff=1", FORM, "invalid_request"),
        (b"grant_type=%ff", FORM, "invalid_request"),
        (b"&".join(b"f%d=1" % number for number in range(100)), FORM, "invalid_request"),
        (b"grant_type=client_credentials", b"application/json", "invalid_request"),
        (b"x" * 3_000_000, FORM, "invalid_request"),
    ],
    ids=lambda each: repr(each)[:30],
)
def test_what_is_asked_wrongly_is_refused_in_the_rfcs_words(
    body: bytes, content_type: bytes, error: str
) -> None:
    world = World()
    status, headers, answer, _ = world.ask(basic("bob", "b" * 32), body, content_type)
    assert 400 <= status < 500
    assert answer["error"] == error
    assert headers["cache-control"] == "no-store"
    assert [(event.action, event.actor) for event in world.trail] == [("request", "bob")]


def test_tokens_are_asked_for_by_post() -> None:
    assert World().ask(basic("bob", "b" * 32), method="GET")[0] == 400


def test_a_token_without_an_event_is_not_given() -> None:
    world = World()
    world.trail.failing = Unavailable("the audit record can't be written")
    status, _, answer, _ = world.ask(basic("bob", "b" * 32))
    assert (status, answer["error"]) == (503, "temporarily_unavailable")


def test_every_code_has_its_words() -> None:
    for kind in by_code().values():
        error: SecretsError = kind('it "said" \\ so')
        start, body = refusal(error, request_id="r1")
        said = json.loads(body["body"])
        assert 400 <= start["status"] < 600
        assert '"' not in said["error_description"]
        assert "\\" not in said["error_description"]


# Forgeries

TOKENS = AccessTokens({"bob": derived_key(b"b" * 32)}, clock=lambda: 0.0)
ISSUED = TOKENS.issue(Principal("bob"), 60).encode()


def signed(claims: object) -> bytes:
    """What somebody makes who knows the form, and another key."""
    other = AccessTokens({"bob": derived_key(b"x" * 32)}, clock=lambda: 0.0)
    text = PREFIX + base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return text + b"." + base64.urlsafe_b64encode(other._mac("bob", text)).rstrip(b"=")


@pytest.mark.parametrize(
    "token",
    [
        PREFIX,
        PREFIX + b".",
        PREFIX + b"e30." + b"A" * 43,
        PREFIX + b"?.?",
        ISSUED[:-1],
        ISSUED + b"A",
        ISSUED.replace(b".", b"..", 1),
        PREFIX + b"W1tbW1s." + b"A" * 43,
        signed({"principal": "bob", "until": 10**12}),
        signed({"principal": "nobody", "until": 10**12}),
        signed({"principal": ["bob"], "until": 1}),
        signed({"principal": "bob", "until": None}),
        signed({"principal": "bob", "until": float("inf")}),
        signed({"principal": "bob", "until": 1e300}),
        signed({"principal": "bob", "until": True}),
        PREFIX + base64.urlsafe_b64encode(b'{"principal":"bob","until":1e999}') + b"." + b"A" * 43,
        signed([]),
        signed(None),
        PREFIX + b"A" * 5000 + b"." + b"A" * 43,
    ],
    ids=lambda token: repr(token)[:40],
)
def test_forgeries_are_not_known(token: bytes) -> None:
    with pytest.raises(Unauthenticated, match="not known here"):
        TOKENS.principal_of(token)


@given(at=st.integers(0, len(ISSUED) - 1), byte=st.integers(0, 255))
def test_no_byte_of_a_token_may_be_another(at: int, byte: int) -> None:
    changed = ISSUED[:at] + bytes([byte]) + ISSUED[at + 1 :]
    if changed == ISSUED:
        return
    # The last character of base64 has bits that mean nothing, and changing these changes nothing.
    if at == len(ISSUED) - 1:
        return
    with pytest.raises(Unauthenticated):
        TOKENS.principal_of(changed)


@given(name=st.text(min_size=1, max_size=128).filter(str.isprintable))
def test_any_principal_can_have_one(name: str) -> None:
    tokens = AccessTokens({name: b"k" * 32}, clock=lambda: 0.0)
    assert tokens.principal_of(tokens.issue(Principal(name), 60).encode()) == Principal(name)
