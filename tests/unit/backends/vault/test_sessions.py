"""A token's life, second by second, against a server that says what a test wants."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from secrets_svc.backends.vault.server import Answer
from secrets_svc.backends.vault.sessions import NO_USE, NO_USE_AT_MOST, Session
from secrets_svc.backends.vault.settings import VaultSettings
from secrets_svc.core.errors import Unavailable

FORBIDDEN = Answer(403, {"errors": ["permission denied"]})


class Server:
    """Hands out tokens of 90 seconds, takes those in ``good``; ``down`` keeps it from both.

    :ivar looks: what tells whether a token is taken: ``lookup-self``, where the role has the policy
        ``default``, and ``mount``, where its policies allow anything there.
    :ivar looked: how often the first was asked.
    :ivar mended: whether a login's token is allowed what was forbidden before; ``able`` are those tokens.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.down = False
        self.renewals = True
        self.good: set[str] = set()
        self.made = 0
        self.looks = {"lookup-self", "mount"}
        self.looked = 0
        self.mended = False
        self.able: set[str] = set()
        self._lock = threading.Lock()

    def send(
        self, method: str, path: str, *, token: str | None, body: Any = None, query: Any = None
    ) -> Answer:
        del method, body, query
        with self._lock:
            return self._answer(path, token)

    def _answer(self, path: str, token: str | None) -> Answer:
        about_tokens = path.endswith(("/login", "/renew-self"))
        if about_tokens and self.down:
            raise Unavailable("the vault server can't be reached, or hung up")
        if path.endswith("/login"):
            self.made += 1
            self.good.add(f"t-{self.made}")
            self.able.update({f"t-{self.made}"} if self.mended else ())
            return _auth(f"t-{self.made}")
        if token not in self.good:
            return FORBIDDEN
        if path.endswith("/renew-self"):
            return _auth(str(token)) if self.renewals else Answer(400, {"errors": ["no"]})
        if path.endswith("/lookup-self"):
            self.looked += 1
            return Answer(200, {"data": {}}) if "lookup-self" in self.looks else FORBIDDEN
        if "/sys/internal/" in path:
            mount = {"type": "kv", "options": {"version": "2"}}
            return Answer(200, {"data": mount}) if "mount" in self.looks else FORBIDDEN
        if path.endswith("/forbidden") and token not in self.able:
            return FORBIDDEN
        return Answer(200, {"data": {"token": token}})


def _auth(token: str) -> Answer:
    return Answer(200, {"auth": {"client_token": token, "lease_duration": 90, "renewable": True}})


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def session(server: Server, tmp_path: Any) -> Session:
    secret = tmp_path / "secret-id"
    secret.write_text("x")
    login = {"method": "approle", "role_id": "r", "secret_id_file": str(secret)}
    settings = VaultSettings.model_validate({"address": "http://localhost:1", "login": login})
    return Session(settings, settings.writer_identity(), server, clock=lambda: server.now)


def used(session: Session) -> str:
    """The token that a call went out with."""
    return str(session.call("get", "secret/subkeys/x").data["token"])


def test_a_token_is_renewed_after_two_thirds_of_its_life(server: Server, session: Session) -> None:
    assert used(session) == "t-1"
    server.now = 61.0
    assert used(session) == "t-1"
    server.now = 120.0
    assert used(session) == "t-1"
    assert server.made == 1


def test_one_that_cannot_be_renewed_gives_way_to_a_fresh_one(server: Server, session: Session) -> None:
    assert used(session) == "t-1"
    server.renewals = False
    server.now = 61.0
    assert used(session) == "t-2"


def test_while_there_is_no_other_to_be_had_a_good_one_is_used(server: Server, session: Session) -> None:
    assert used(session) == "t-1"
    server.down = True
    for server.now in (61.0, 75.0, 89.0):
        assert used(session) == "t-1"
    server.now = 91.0
    with pytest.raises(Unavailable):
        used(session)
    server.down, server.now = False, 93.0
    assert used(session) == "t-2"


@pytest.mark.parametrize("looks", [{"lookup-self", "mount"}, {"mount"}, {"lookup-self"}])
def test_one_that_is_not_taken_any_more_gives_way_at_once(
    server: Server, session: Session, looks: set[str]
) -> None:
    assert used(session) == "t-1"
    server.looks = looks
    for number in (2, 3):
        server.good.clear()
        assert used(session) == f"t-{number}"
    assert session.logins == 3


def test_the_first_call_of_all_may_meet_a_token_that_is_not_taken(server: Server, session: Session) -> None:
    session._good_token()
    server.good.clear()
    assert used(session) == "t-2"


@pytest.mark.parametrize("looks", [{"lookup-self", "mount"}, {"mount"}, {"lookup-self"}])
@pytest.mark.parametrize("seconds", [0.1, 7.0])
def test_where_a_call_is_not_allowed_logins_become_rare(
    server: Server, session: Session, looks: set[str], seconds: float
) -> None:
    """Each leaves a lease in the server, however often or rarely the call is made."""
    assert used(session) == "t-1"
    server.looks = looks
    begun = server.now
    while server.now < begun + 3600:
        server.now += seconds
        assert session.call("get", "secret/subkeys/forbidden").status == 403
    assert 2 <= server.made <= 1 + 8 + 3600 / NO_USE_AT_MOST


def test_a_role_that_gets_more_policies_is_noticed(server: Server, session: Session) -> None:
    """Long before its token is over, and at once where that token wasn't refused before."""
    assert used(session) == "t-1"
    server.mended = True
    assert session.call("get", "secret/subkeys/forbidden").data["token"] == "t-2"
    assert used(session) == "t-2"
    server.mended = False
    server.able.clear()
    for _ in range(20):
        server.now += 1.0
        assert session.call("get", "secret/subkeys/forbidden").status == 403
    server.mended = True
    server.now += 20.0
    assert session.call("get", "secret/subkeys/forbidden").status == 200


def test_one_that_is_not_taken_gives_way_at_once_in_the_pause_too(server: Server, session: Session) -> None:
    assert session.call("get", "secret/subkeys/forbidden").status == 403
    made = server.made
    server.now += 1.0
    server.good.clear()
    assert used(session) == f"t-{made + 1}"


def test_a_login_that_fails_leaves_what_is_good(server: Server, session: Session) -> None:
    assert used(session) == "t-1"
    server.down = True
    assert session.call("get", "secret/subkeys/forbidden").status == 403
    assert used(session) == "t-1"


def test_where_nothing_is_allowed_logins_become_rare(server: Server, session: Session) -> None:
    """Then nothing tells a token that isn't taken from one that is good."""
    assert used(session) == "t-1"
    server.looks = set()
    begun = server.now
    while server.now < begun + 3600:
        server.now += 7.0
        session.call("get", "secret/subkeys/forbidden")
    assert server.made <= 8 + 3600 / NO_USE_AT_MOST
    server.looks = {"mount"}
    server.good.clear()
    server.now += NO_USE_AT_MOST
    made = server.made
    assert used(session) == f"t-{made + 1}"
    server.good.clear()
    server.now += NO_USE
    assert used(session) == f"t-{made + 2}"


def many(session: Session, path: str) -> list[int]:
    """Statuses of 50 calls at once."""
    together = threading.Barrier(50)

    def call(_: int) -> int:
        together.wait(10)
        return session.call("get", path).status

    with ThreadPoolExecutor(50) as pool:
        return list(pool.map(call, range(50)))


def test_fifty_threads_log_in_once(server: Server, session: Session) -> None:
    assert many(session, "secret/subkeys/x") == [200] * 50
    assert server.made == 1
    server.good.clear()
    server.now += 1.0
    assert many(session, "secret/subkeys/x") == [200] * 50
    assert server.made == 2


def test_fifty_threads_that_are_refused_ask_about_their_token_once(server: Server, session: Session) -> None:
    assert used(session) == "t-1"
    assert many(session, "secret/subkeys/forbidden") == [403] * 50
    assert (server.made, server.looked) == (2, 1)


def test_a_server_that_fails_when_it_is_asked_about_a_token_is_no_reason_to_log_in(
    server: Server, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert used(session) == "t-1"
    sealed = Answer(503, {"errors": ["sealed"]})
    send = server.send
    monkeypatch.setattr(
        server, "send", lambda m, path, **more: sealed if "lookup" in path else send(m, path, **more)
    )
    with pytest.raises(Unavailable, match="sealed"):
        session.call("get", "secret/subkeys/forbidden")
    assert server.made == 1
