"""Absent is not failed (I4): what AWS and its surroundings can answer, told apart, without their words."""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aws_front import HANG_UP, Answer, Front, error
from aws_store import ACTOR, Store, create, delete, intent, read, some_ref, update
from moto_server import Moto

from secrets_svc.core import errors
from secrets_svc.core.errors import NotFound, SecretsError, Unavailable
from secrets_svc.core.secret import SecretRef

Call = Callable[[Store, SecretRef], object]
#: Every call of both ports and of the abilities.
CALLS: dict[str, Call] = {
    "create": lambda store, ref: create(store.writer(), SecretRef(ref.scope, f"new-{intent()}")),
    "update": lambda store, ref: update(store.writer(), ref, b"x"),
    "delete": lambda store, ref: delete(store.writer(), ref),
    "purge": lambda store, ref: store.writer().purge(ref, actor=ACTOR, operation_id=intent()),
    "describe": lambda store, ref: store.writer().describe(ref),
    "list": lambda store, ref: store.writer().list(ref.scope),
    "history": lambda store, ref: store.writer().history(ref),
    "resolve": lambda store, ref: store.reader().resolve([ref]),
    "resolve two": lambda store, ref: store.reader().resolve([ref, some_ref()]),
    "read": lambda store, ref: store.reader().read(ref, "token"),
}
HTML = {"Content-Type": "text/html"}

#: What is answered: the code, and a part of the message.
FAULTS: dict[str, tuple[Answer, str, str]] = {
    "no answer": (HANG_UP, "unavailable", "hung up"),
    "too late": (Answer(delay=1.2, status=500), "deadline_exceeded", "no answer in time"),
    "throttled": (error("ThrottlingException", retry_after="7"), "throttled", "slow down"),
    "throttled, by status": (Answer(429, b"open sesame"), "throttled", "slow down"),
    "no right": (error("AccessDeniedException"), "unavailable", "identity may not"),
    "expired": (error("ExpiredTokenException"), "unavailable", "credentials"),
    "unknown": (error("UnrecognizedClientException"), "unavailable", "credentials"),
    "bad token": (error("InvalidClientTokenId", 403), "unavailable", "credentials"),
    "clock": (error("InvalidSignatureException"), "unavailable", "clock"),
    "clock, as others say it": (error("SignatureDoesNotMatch", 403), "unavailable", "clock"),
    "clock, expired": (error("RequestExpired"), "unavailable", "clock"),
    "KMS": (error("DecryptionFailure"), "unavailable", "KMS key"),
    "KMS, writing": (error("EncryptionFailure"), "unavailable", "KMS key"),
    "quota": (error("LimitExceededException"), "quota_exceeded", "quota of AWS"),
    "500": (error("InternalServiceError", 500), "unavailable", "fails with 500"),
    "503 without a word": (Answer(503), "unavailable", "fails with 503"),
    "504": (Answer(504, b"<html>open sesame</html>", HTML), "deadline_exceeded", "in time"),
    "500 in HTML": (Answer(500, b"<html>open sesame</html>", HTML), "unavailable", "fails with 500"),
    "no right, in XML": (
        Answer(403, b"<Error><Code>AccessDenied</Code><Message>open sesame</Message></Error>"),
        "unavailable",
        "identity may not",
    ),
    "expired, in XML": (
        Answer(403, b"<R><Error><Code>ExpiredToken</Code><Message>open sesame</Message></Error></R>"),
        "unavailable",
        "credentials",
    ),
    "403 of a proxy": (Answer(403, b"<html>open sesame</html>", HTML), "unavailable", "answers 403"),
    "404 of a proxy": (Answer(404, b"<html>open sesame</html>", HTML), "unavailable", "refuses with 404"),
    "a code nobody knows": (error("OpenSesame"), "unavailable", "refuses with 400"),
    "200 and HTML": (Answer(200, b"<html>open sesame</html>", HTML), "unavailable", ""),
    "200 and nothing": (Answer(200), "unavailable", ""),
    "200 and a list": (Answer(200, b'["open sesame"]'), "unavailable", ""),
    "200 and an empty object": (Answer(200, b"{}"), "unavailable", ""),
    "200 and another secret": (
        Answer(200, b'{"Name": "open sesame", "ARN": "open sesame", "SecretList": 1}'),
        "unavailable",
        "",
    ),
    "cut off": (Answer(200, b'{"Name": "open sesame', cut=50), "unavailable", ""),
    "not JSON": (Answer(200, b'{"Name": "open sesame'), "unavailable", ""),
    "bytes": (Answer(200, bytes(range(256))), "unavailable", ""),
}


@pytest.fixture(scope="module")
def impatient(moto: Moto, front: Front, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """For what comes too late; a busy machine makes it late with anything."""
    made = Store(moto, tmp_path_factory.mktemp("impatient"), front.url, timeout=0.6)
    yield made
    made.close()


@pytest.fixture
def asked(request: pytest.FixtureRequest, fault: str) -> Store:
    """Whose calls fail."""
    store: Store = request.getfixturevalue("impatient" if FAULTS[fault][0].delay else "troubled")
    return store


@pytest.fixture(scope="module")
def there(moto: Any, tmp_path_factory: pytest.TempPathFactory) -> SecretRef:
    return some_ref("there")


@pytest.fixture
def present(store: Store, there: SecretRef) -> SecretRef:
    if not store.reader().resolve([there]):
        create(store.writer(), there)
    return there


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("verb", CALLS)
def test_a_failure_is_never_absence(
    asked: Store, front: Front, present: SecretRef, verb: str, fault: str
) -> None:
    answer, code, said = FAULTS[fault]
    with front.failing("*", answer), pytest.raises(SecretsError) as refused:
        CALLS[verb](asked, present)
    assert refused.value.code == code
    assert said in str(refused.value)
    assert not isinstance(refused.value, NotFound)
    whole = "".join(traceback.format_exception(refused.value)) + repr(refused.value)
    assert "sesame" not in whole
    assert refused.value.retry_after == (7.0 if fault == "throttled" else None)


#: Where a write fails after it has begun: what else it calls.
LATER = {
    "create": ("CreateSecret",),
    "update": ("PutSecretValue", "UpdateSecretVersionStage"),
    "delete": ("PutSecretValue", "UpdateSecretVersionStage", "DeleteSecret"),
    "purge": ("DeleteSecret",),
    "history": ("ListSecretVersionIds",),
    "read": ("GetSecretValue",),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("verb", "operation"), [(verb, each) for verb, operations in LATER.items() for each in operations]
)
def test_in_each_of_its_calls(
    store: Store, asked: Store, front: Front, verb: str, operation: str, fault: str
) -> None:
    answer, code, said = FAULTS[fault]
    ref = some_ref()
    made = create(store.writer(), ref)
    call = CALLS[verb] if verb != "read" else lambda store, ref: store.reader().read(ref, made.version)
    with front.failing(operation, answer), pytest.raises(SecretsError) as refused:
        call(asked, ref)
    assert refused.value.code == code
    assert said in str(refused.value)
    assert "sesame" not in "".join(traceback.format_exception(refused.value))


def test_one_failing_look_up_fails_all(store: Store, troubled: Store, front: Front) -> None:
    refs = [some_ref() for _ in range(40)]
    for ref in refs[::2]:
        create(store.writer(), ref)
    bad = store.name(refs[20])

    def script(number: int, operation: str, params: dict[str, Any]) -> Answer | None:
        return error("InternalServiceError", 500) if params.get("SecretId") == bad else None

    reader = troubled.reader(timeout=20.0)
    with front.scripted(script), pytest.raises(Unavailable, match="fails with 500"):
        reader.resolve(refs)
    assert set(reader.resolve(refs)) == set(refs[::2])


def test_many_are_looked_up_at_once_and_no_more_than_allowed(troubled: Store, front: Front) -> None:
    lock, under_way, most = threading.Lock(), 0, 0

    def script(number: int, operation: str, params: dict[str, Any]) -> Answer | None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.05)
        with lock:
            under_way -= 1
        return None

    reader = troubled.reader(lookups=4, timeout=10.0)
    with front.scripted(script):
        assert reader.resolve([some_ref() for _ in range(24)]) == {}
    assert most == 4


@pytest.mark.parametrize("fault", ["no answer", "500", "throttled", "too late", "no right"])
def test_the_client_doesn_t_repeat_by_itself(
    asked: Store, front: Front, present: SecretRef, fault: str
) -> None:
    with front.failing("*", FAULTS[fault][0]), pytest.raises(SecretsError):
        asked.reader().resolve([present])
    assert front.operations == ["DescribeSecret"]


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException"])
def test_credentials_are_looked_for_anew_once(
    moto: Any, front: Front, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, present: SecretRef, code: str
) -> None:
    """And not for each of many calls that fail alike."""
    monkeypatch.setattr("secrets_svc.backends.aws.api._BETWEEN_REFRESHES", 0.3)
    opened = Store(moto, tmp_path, front.url)
    reader = opened.reader(timeout=20.0)
    assert set(reader.resolve([present])) == {present}
    time.sleep(0.3)
    with front.scripted(lambda number, operation, params: error(code) if number == 0 else None):
        assert set(reader.resolve([present])) == {present}
    assert front.operations == ["DescribeSecret"] * 2
    time.sleep(0.3)
    with front.failing("*", error(code)):
        for _ in range(5):
            with pytest.raises(Unavailable, match="credentials"):
                reader.resolve([present])
        assert len(front.calls) <= 7
    opened.close()


def test_it_recovers_by_itself(troubled: Store, front: Front, present: SecretRef) -> None:
    for answer, _, _ in FAULTS.values():
        if answer.delay:
            continue
        with front.failing("*", answer), pytest.raises(SecretsError):
            troubled.reader().resolve([present])
        assert set(troubled.reader().resolve([present])) == {present}


def _refusing_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_nobody_listens(moto: Any, tmp_path: Any) -> None:
    store = Store(moto, tmp_path, f"http://127.0.0.1:{_refusing_port()}")
    for call in CALLS.values():
        with pytest.raises(Unavailable, match="can't be reached"):
            call(store, some_ref())
    store.close()


def test_no_such_name(moto: Any, tmp_path: Any) -> None:
    store = Store(moto, tmp_path, "https://nowhere.invalid")
    with pytest.raises(Unavailable, match="can't be reached"):
        store.reader().resolve([some_ref()])
    store.close()


def test_a_black_hole_takes_the_timeout(moto: Any, tmp_path: Any) -> None:
    """A socket that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as hole:
        store = Store(moto, tmp_path, f"http://127.0.0.1:{hole.getsockname()[1]}", timeout=0.4)
        began = time.monotonic()
        with pytest.raises(errors.DeadlineExceeded):
            store.reader().resolve([some_ref()])
        assert time.monotonic() - began < 5
        store.close()


def test_no_credentials(moto: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    store = Store(moto, tmp_path)
    for call in CALLS.values():
        with pytest.raises(Unavailable, match="or there are none"):
            call(store, some_ref())
    store.close()


def test_a_closed_store(moto: Any, tmp_path: Any) -> None:
    store = Store(moto, tmp_path)
    ref = some_ref()
    create(store.writer(), ref)
    assert read(store.reader(), ref) == b"value"
    store.writer().close()
    store.reader().close()
    for call in CALLS.values():
        with pytest.raises(Unavailable, match="the store is closed"):
            call(store, ref)
    store.close()


def test_all_codes_are_ours() -> None:
    assert {code for _, code, _ in FAULTS.values()} <= set(errors.by_code())
