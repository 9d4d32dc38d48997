"""A server in trouble: our codes, in time, without its words; and well again by itself."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bao import Bao

from secrets_svc.core.errors import (
    DeadlineExceeded,
    QuotaExceeded,
    SecretsError,
    Throttled,
    TooLarge,
    Unavailable,
)
from secrets_svc.core.secret import SecretRef

SAID = "sesame-of-the-vendor"


def test_a_mount_that_is_not_there(open_store: Callable[..., Any], ref: SecretRef) -> None:
    store = open_store(mount="nowhere")
    with pytest.raises(Unavailable, match='no engine mounted at "nowhere"'):
        store.create(ref)
    with pytest.raises(Unavailable, match='no engine mounted at "nowhere"'):
        store.reader.resolve([ref])


def test_an_engine_of_version_1_is_recognised(
    bao: Bao, open_store: Callable[..., Any], ref: SecretRef
) -> None:
    bao.call("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
    store = open_store(mount="old")
    for call in (lambda: store.create(ref), lambda: store.reader.resolve([ref])):
        with pytest.raises(Unavailable, match='mount "old" is a KV engine of version 1: this store needs'):
            call()
    assert bao.answer("LIST", "old/")[0] == 404  # nothing was written there


def test_an_engine_of_another_kind_is_recognised(
    bao: Bao, open_store: Callable[..., Any], ref: SecretRef
) -> None:
    bao.call("POST", "sys/mounts/transit", {"type": "transit"})
    with pytest.raises(Unavailable, match='mount "transit" is no KV engine'):
        open_store(mount="transit").create(ref)


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[Bao]:
    with Bao(tmp_path, on_disk=True) as server:
        yield server


def test_sealed_and_unsealed_again(on_disk: Bao, open_store: Callable[..., Any], ref: SecretRef) -> None:
    login = {"method": "token", "token": on_disk.token}
    store = open_store(address=on_disk.address, login=login)
    store.create(ref, b"kept")
    assert store.get(ref) == b"kept"
    on_disk.seal()
    for call in (lambda: store.get(ref), lambda: store.update(ref, b"x")):
        with pytest.raises(Unavailable, match="sealed or not ready"):
            call()
    on_disk.unseal()
    assert store.get(ref) == b"kept"


def test_restarted_with_all_tokens_gone(
    on_disk: Bao,
    open_store: Callable[..., Any],
    ref: SecretRef,
    tmp_path: Path,
) -> None:
    on_disk.policy("all", 'path "*" { capabilities = ["create", "read", "update", "delete", "list"] }')
    login = on_disk.approle("app", "all", folder=tmp_path)
    store = open_store(address=on_disk.address, login=login)
    store.create(ref, b"kept")
    assert store.get(ref) == b"kept"
    on_disk.stop()
    with pytest.raises(Unavailable, match="can't be reached"):
        store.get(ref)
    on_disk.start()
    on_disk.unseal()
    accessors = on_disk.call("LIST", "auth/token/accessors")["data"]["keys"]
    for accessor in accessors:
        on_disk.answer("POST", "auth/token/revoke-accessor", {"accessor": accessor}, token=on_disk.token)
    assert store.get(ref) == b"kept"  # who was let in by a role logs in anew
    store.update(ref, b"new")


class Scripted:
    """Answers every request with the same bytes, after what a session asks first."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.answer = b""
        self.delay = 0.0
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    try:
                        part = connection.recv(65536)
                    except OSError:
                        return
                    if not part:
                        return
                    head += part
                if b"/auth/token/lookup-self" in head:
                    connection.sendall(http(200, {"data": {"ttl": 0}}))
                elif b"/sys/internal/" in head:
                    connection.sendall(http(200, {"data": {"type": "kv", "options": {"version": "2"}}}))
                else:
                    time.sleep(self.delay)
                    try:
                        connection.sendall(self.answer)
                    except OSError:
                        return
                    if b"content-length" not in self.answer:
                        return

    def close(self) -> None:
        self.listener.close()


def http(status: int, body: Any, *headers: str) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} X",
        "content-type: application/json",
        f"content-length: {len(data)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    made = Scripted()
    yield made
    made.close()


ERROR = {"errors": [SAID]}
VERSION = {"version": 1, "created_time": "2026-01-01T00:00:00Z", "deletion_time": "", "destroyed": False}
ANSWERS: dict[str, tuple[bytes, type[SecretsError]]] = {
    "hangs up": (b"", Unavailable),
    "500": (http(500, ERROR), Unavailable),
    "503": (http(503, ERROR), Unavailable),
    "a page": (http(200, b"<html>" + SAID.encode()), Unavailable),
    "a page with an error": (http(502, b"<html>" + SAID.encode()), Unavailable),
    "no end": (http(200, {"data": {}})[:-5].replace(b": 12", b": 99"), DeadlineExceeded),
    "half a head": (b"HTTP/1.1 200 OK\r\ncontent-", Unavailable),
    "no HTTP": (SAID.encode(), Unavailable),
    "no object": (http(200, [1]), Unavailable),
    "no data": (http(200, {"data": 7}), Unavailable),
    "no version": (http(200, {"data": {"metadata": {"version": "x"}, "subkeys": {}}}), Unavailable),
    "no time": (http(200, {"data": {"metadata": {**VERSION, "created_time": SAID}}}), Unavailable),
    "a negative version": (http(200, {"data": {"metadata": {**VERSION, "version": -1}}}), Unavailable),
    "too much": (http(200, b'"' + b"x" * 5_000_000 + b'"'), Unavailable),
    "deep": (http(200, b"[" * 100_000), Unavailable),
    "redirected": (http(307, b"", "location: http://127.0.0.1:1/"), Unavailable),
    "429": (http(429, ERROR), Throttled),
    "429 and when": (http(429, ERROR, "retry-after: 7"), Throttled),
    "a quota": (http(429, {"errors": [f"quota {SAID}"]}), QuotaExceeded),
    "too large": (http(413, ERROR), TooLarge),
    "403": (http(403, ERROR), Unavailable),
    "404 of a proxy": (http(404, b"<html>" + SAID.encode()), Unavailable),
    "404 of a gateway": (http(404, {"message": "no Route matched"}), Unavailable),
    "404 of nobody": (http(404, {}), Unavailable),
    "401": (http(401, ERROR), Unavailable),
    "407": (http(407, ERROR), Unavailable),
    "412": (http(412, ERROR), Unavailable),
    "404 of an old engine": (http(404, {"errors": [f"unsupported path {SAID}"]}), Unavailable),
    "404 with a reason": (http(404, {"errors": ["no handler for route x"]}), Unavailable),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_each_answer_has_its_code_and_no_word_of_theirs(
    scripted: Scripted,
    open_store: Callable[..., Any],
    ref: SecretRef,
    what: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    scripted.answer, kind = ANSWERS[what]
    store = open_store(address=scripted.address, timeout=2)
    with pytest.raises(SecretsError) as told:
        store.reader.resolve([ref])
    assert type(told.value).code == kind.code
    assert SAID not in told.value.message + caplog.text
    if what == "429 and when":
        assert told.value.retry_after == 7
    scripted.answer = http(404, {"errors": []})
    assert store.reader.resolve([ref]) == {}


@pytest.mark.parametrize("delay", [0, 0.4])
def test_a_slow_server_is_given_up_in_time(
    scripted: Scripted, open_store: Callable[..., Any], ref: SecretRef, delay: float
) -> None:
    """One that drips, and one that says nothing."""
    store = open_store(address=scripted.address, timeout=0.3)
    assert store.reader.resolve([]) == {}
    scripted.answer = http(404, {"errors": []})
    store.reader.resolve([ref])
    scripted.delay = delay
    scripted.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{" if not delay else b""
    began = time.monotonic()
    with pytest.raises((DeadlineExceeded, Unavailable)):
        store.reader.resolve([ref])
    assert time.monotonic() - began < 1.5


def test_nothing_listens(open_store: Callable[..., Any], ref: SecretRef) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unavailable, match="can't be reached"):
        open_store(address=f"http://127.0.0.1:{port}").create(ref)


def test_no_log_and_no_error_holds_a_value(
    scripted: Scripted, open_store: Callable[..., Any], ref: SecretRef, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    scripted.answer = http(500, ERROR)
    store = open_store(address=scripted.address)
    with pytest.raises(Unavailable) as told:
        store.create(ref, b"canary-of-the-value")
    chain: list[BaseException | None] = [told.value, told.value.__cause__, told.value.__context__]
    assert "canary" not in caplog.text + "".join(repr(vars(each)) for each in chain if each is not None)
    assert ref.name not in caplog.text
