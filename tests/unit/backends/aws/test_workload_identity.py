"""Identities that a platform gives to pods: web identity (IRSA) and pod identity, well and failing."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from aws_front import Front
from aws_store import Store, create, read, some_ref
from moto_server import Moto

from secrets_svc.core.errors import DeadlineExceeded, SecretsError, Unavailable

ROLE = "arn:aws:iam::123456789012:role/secrets-svc"
#: Part of what others say, which is passed on to nobody.
THEIRS = "open sesame"
TIMEOUT = 0.5
#: Seconds, also under load: the library by itself would wait a minute for STS, and more than once.
SOON = 30.0
_KEYS = {"AccessKeyId": "ASIAGIVEN", "SecretAccessKey": "given"}
_STS = "https://sts.amazonaws.com/doc/2011-06-15/"


class Giver:
    """A small server that gives credentials, as STS or as the agent of pod identity would.

    :ivar shown: the tokens that it was shown. :ivar refusal: status and code, instead of credentials.
    :ivar lasts: seconds for which what it gives is good.
    """

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.refusal: tuple[int, str] | None = None
        self.lasts = 3600.0
        giver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = parse_qs(body)
                assert form["Action"] == ["AssumeRoleWithWebIdentity"]
                assert form["RoleArn"] == [ROLE]
                giver.shown += form["WebIdentityToken"]
                self.answer(*giver.as_sts())

            def do_GET(self) -> None:
                assert self.path == "/v1/credentials"
                giver.shown.append(self.headers["Authorization"])
                self.answer(*giver.as_agent())

            def answer(self, status: int, kind: str, body: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _until(self) -> str:
        return (datetime.now(UTC) + timedelta(seconds=self.lasts)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def as_sts(self) -> tuple[int, str, str]:
        if self.refusal is not None:
            status, code = self.refusal
            error = f"<Type>Sender</Type><Code>{code}</Code><Message>{THEIRS}</Message>"
            return status, "text/xml", f'<ErrorResponse xmlns="{_STS}"><Error>{error}</Error></ErrorResponse>'
        given = _KEYS | {"SessionToken": "session", "Expiration": self._until()}
        inner = "".join(f"<{name}>{text}</{name}>" for name, text in given.items())
        verb = "AssumeRoleWithWebIdentity"
        result = f"<{verb}Result><Credentials>{inner}</Credentials></{verb}Result>"
        return 200, "text/xml", f'<{verb}Response xmlns="{_STS}">{result}</{verb}Response>'

    def as_agent(self) -> tuple[int, str, str]:
        if self.refusal is not None:
            return self.refusal[0], "text/plain", THEIRS
        return 200, "application/json", json.dumps(_KEYS | {"Token": "session", "Expiration": self._until()})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.fixture
def giver() -> Iterator[Giver]:
    made = Giver()
    yield made
    made.close()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """The file that Kubernetes keeps the pod's token in."""
    path = tmp_path / "token"
    path.write_text("first")
    return path


@pytest.fixture(autouse=True)
def only_what_the_platform_gives(monkeypatch: pytest.MonkeyPatch, credentials: Path, tmp_path: Path) -> None:
    """Nothing is in files."""
    del credentials
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


Given = Callable[[str], None]


@pytest.fixture
def web_identity(monkeypatch: pytest.MonkeyPatch, token: Path) -> Given:
    """What EKS puts into a pod's environment with IRSA; the argument is where STS is."""

    def give(sts: str) -> None:
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
        monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts)

    return give


@pytest.fixture
def pod_identity(monkeypatch: pytest.MonkeyPatch, token: Path) -> Given:
    """What EKS puts there with pod identity; the argument is where its agent is."""

    def give(agent: str) -> None:
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{agent}/v1/credentials")

    return give


@pytest.fixture(params=["web identity", "pod identity"])
def given(request: pytest.FixtureRequest, web_identity: Given, pod_identity: Given) -> Given:
    return web_identity if request.param == "web identity" else pod_identity


@pytest.fixture
def own(moto: Moto, tmp_path: Path) -> Iterator[Store]:
    """A store that begins with no credentials."""
    made = Store(moto, tmp_path, timeout=TIMEOUT * 10)
    yield made
    made.close()


class BlackHole:
    """A server that takes connections and says nothing."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._server.setblocking(False)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def connections(self) -> int:
        """That were made since this was asked last."""
        for number in range(129):
            try:
                self._server.accept()[0].close()
            except BlockingIOError:
                return number
        raise AssertionError("there are more than it has room for")

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def hole() -> Iterator[BlackHole]:
    made = BlackHole()
    yield made
    made.close()


def refused_in_time(store: Store) -> SecretsError:
    """By both sides."""
    calls = (
        lambda: store.reader(timeout=TIMEOUT).resolve([some_ref()]),
        lambda: create(store.writer(timeout=TIMEOUT), some_ref()),
    )
    for call in calls:
        began = time.monotonic()
        with pytest.raises((Unavailable, DeadlineExceeded)) as refused:
            call()
        assert time.monotonic() - began < SOON
        assert THEIRS not in str(refused.value)
        error: SecretsError = refused.value
    return error


def test_one_exchange_serves_all_calls(own: Store, giver: Giver, given: Given) -> None:
    given(giver.url)
    ref = some_ref()
    create(own.writer(), ref)
    assert giver.shown == ["first"]
    for _ in range(3):
        assert read(own.reader(), ref) == b"value"
    assert giver.shown == ["first", "first"]  # one for each side


def test_moto_takes_a_web_identity_too(own: Store, moto: Moto, web_identity: Given) -> None:
    """Its STS, and not only one of our own."""
    front = Front(moto.url)
    web_identity(front.url)
    ref = some_ref()
    create(own.writer(), ref)
    assert read(own.reader(), ref) == b"value"
    assert len(front.calls) == 2
    front.close()


def test_a_profile_may_say_the_web_identity(
    own: Store, giver: Giver, token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that writer and reader are two roles."""
    config = tmp_path / "config"
    config.write_text(f"[profile one]\nrole_arn = {ROLE}\nweb_identity_token_file = {token}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", giver.url)
    create(own.writer(writer_profile="one"), some_ref())
    assert giver.shown == ["first"]


def test_the_token_is_read_again_at_each_exchange(
    own: Store, giver: Giver, given: Given, token: Path
) -> None:
    """Kubernetes replaces it every hour."""
    given(giver.url)
    giver.lasts = 30.0  # so little is left that the library asks for more at each call
    ref = some_ref()
    create(own.writer(), ref)
    token.write_text("second")
    assert read(own.reader(), ref) == b"value"
    assert giver.shown[0] == "first"
    assert giver.shown[-1] == "second"


def test_who_says_nothing_is_asked_once_and_waited_for_as_for_any_answer(
    own: Store, given: Given, hole: BlackHole
) -> None:
    given(hole.url)
    assert refused_in_time(own).retryable
    assert hole.connections() == 2  # one for each side


def test_a_black_hole_of_sts_is_a_deadline(own: Store, web_identity: Given, hole: BlackHole) -> None:
    web_identity(hole.url)
    assert isinstance(refused_in_time(own), DeadlineExceeded)


@pytest.mark.parametrize("way", ["a profile's role", "the setting's role"])
def test_a_black_hole_of_sts_for_a_role(
    own: Store, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hole: BlackHole
) -> None:
    files = tmp_path / "files"
    files.write_text(
        "[base]\naws_access_key_id = AKIATEST\naws_secret_access_key = test\n"
        f"[role]\nrole_arn = {ROLE}\nsource_profile = base\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(files))
    more = {"profile": "role"} if way == "a profile's role" else {"profile": "base", "reader_role_arn": ROLE}
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", hole.url)
    reader = own.reader(timeout=TIMEOUT, **more)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        reader.resolve([some_ref()])
    assert time.monotonic() - began < SOON
    assert hole.connections() == 1


def test_it_goes_on_by_itself(own: Store, giver: Giver, given: Given) -> None:
    giver.refusal = (503, "ServiceUnavailable")
    given(giver.url)
    reader = own.reader()
    with pytest.raises(Unavailable):
        reader.resolve([some_ref()])
    giver.refusal = None
    assert reader.resolve([some_ref()]) == {}


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "ExpiredTokenException"), (400, "InvalidIdentityToken"), (403, "AccessDenied"), (500, "x")],
)
def test_a_refusal_is_coded_and_has_none_of_its_text(
    own: Store, giver: Giver, given: Given, status: int, code: str
) -> None:
    giver.refusal = (status, code)
    given(giver.url)
    assert isinstance(refused_in_time(own), Unavailable)


def test_a_token_that_is_not_there(own: Store, giver: Giver, given: Given, token: Path) -> None:
    """Says what it is about; and goes on as soon as it is."""
    given(giver.url)
    token.unlink()
    reader = own.reader()
    with pytest.raises(Unavailable, match="credentials"):
        reader.resolve([some_ref()])
    token.write_text("late")
    assert reader.resolve([some_ref()]) == {}
    assert giver.shown[-1] == "late"


def test_a_web_identity_without_a_role(
    own: Store, giver: Giver, web_identity: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    web_identity(giver.url)
    monkeypatch.delenv("AWS_ROLE_ARN")
    with pytest.raises(Unavailable, match="credentials"):
        own.reader().resolve([some_ref()])
