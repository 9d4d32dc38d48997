"""A token's life, second by second, against a server that says what a test wants."""

from __future__ import annotations

from typing import Any

import pytest

from secrets_svc.backends.vault.server import Answer
from secrets_svc.backends.vault.sessions import BETWEEN_LOGINS, Session
from secrets_svc.backends.vault.settings import VaultSettings
from secrets_svc.core.errors import Unavailable


class Server:
    """Hands out tokens of 90 seconds, takes those in ``good``; ``down`` keeps it from both."""

    def __init__(self) -> None:
        self.now = 0.0
        self.down = False
        self.renewals = True
        self.good: set[str] = set()
        self.made = 0

    def send(
        self, method: str, path: str, *, token: str | None, body: Any = None, query: Any = None
    ) -> Answer:
        del method, body, query
        about_tokens = path.endswith(("/login", "/renew-self"))
        if about_tokens and self.down:
            raise Unavailable("the vault server can't be reached, or hung up")
        if path.endswith("/login"):
            self.made += 1
            self.good.add(f"t-{self.made}")
            return _auth(f"t-{self.made}")
        if token not in self.good:
            return Answer(403, {"errors": ["permission denied"]})
        if path.endswith("/renew-self"):
            return _auth(str(token)) if self.renewals else Answer(400, {"errors": ["no"]})
        if "/sys/internal/" in path:
            return Answer(200, {"data": {"type": "kv", "options": {"version": "2"}}})
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


def test_one_that_is_not_taken_any_more_gives_way_but_not_a_new_one(server: Server, session: Session) -> None:
    assert used(session) == "t-1"
    server.good.clear()
    server.now = BETWEEN_LOGINS - 0.1
    assert session.call("get", "secret/subkeys/x").status == 403
    server.now = BETWEEN_LOGINS + 0.1
    assert used(session) == "t-2"


def test_the_first_call_of_all_may_meet_a_token_that_is_not_taken(server: Server, session: Session) -> None:
    session._good_token(None)
    server.good.clear()
    server.now = BETWEEN_LOGINS + 0.1
    assert used(session) == "t-2"
