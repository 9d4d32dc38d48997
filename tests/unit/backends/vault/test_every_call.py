"""Every verb, in each of its calls: what is answered has its code and is no absence; and no value moves."""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bao import Bao
from canary import Canary
from vault_front import HANG_UP, Reply, VaultFront, saying
from vault_store import Store

from secrets_svc.backends.vault.documents import Held, document, new_meta, next_meta
from secrets_svc.core.errors import NotFound, SecretsError
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue

SAID = "sesame-of-the-vendor"


class Life:
    """A store behind the front, and a secret of two versions in a project of its own.

    They are written in two calls where the writer takes thirteen, which would be most of the time here.

    :param store: as ``open_store`` makes it. :param direct: the same, not behind the front.
    :ivar first: token of the first version.
    """

    def __init__(self, store: Any, direct: Any, value: bytes = b"second") -> None:
        self.store = store
        self.ref = SecretRef(Scope("flyte", "production", f"p-{secrets.token_hex(6)}"), "there")
        kv, content = direct.writer._kv, SecretValue(value)
        path, done = kv.paths.secret(self.ref), kv.paths.operation(1, "done long ago")
        by = {"size": len(value), "actor": "ann", "operation": done}
        meta = {**new_meta(type=SecretType.GENERIC, **by), "first": "1"}
        first = kv.write(path, document(meta, content), cas=0)
        kv.write(path, document(next_meta(Held(first, meta), at=first.at, **by), content), cas=1)
        self.first = first.token

    @property
    def intent(self) -> dict[str, str]:
        return {"actor": "ann", "operation_id": secrets.token_hex(8)}

    def other(self) -> SecretRef:
        """One that isn't there."""
        return SecretRef(self.ref.scope, f"new-{secrets.token_hex(6)}")


Verb = Callable[[Life], object]
#: Every verb of both ports and of the abilities, and how many calls it takes.
VERBS: dict[str, tuple[Verb, int]] = {
    "create": (lambda life: life.store.create(life.other()), 6),
    "update": (lambda life: life.store.update(life.ref, b"third"), 7),
    "delete": (lambda life: life.store.delete(life.ref), 9),
    "purge": (lambda life: life.store.writer.purge(life.ref, **life.intent), 9),
    "rollback": (lambda life: life.store.writer.rollback(life.ref, to=life.first, **life.intent), 10),
    "describe": (lambda life: life.store.writer.describe(life.ref), 1),
    "list": (lambda life: life.store.writer.list(life.ref.scope), 2),
    "list of a project": (
        lambda life: life.store.writer.list(Scope("flyte", None, life.ref.scope.project)),
        4,
    ),
    "history": (lambda life: life.store.writer.history(life.ref), 4),
    "resolve": (lambda life: life.store.reader.resolve([life.ref]), 1),
    "resolve two": (lambda life: life.store.reader.resolve([life.ref, life.other()]), 2),
    "read": (lambda life: life.store.get(life.ref), 2),
    "read of a version": (lambda life: life.store.reader.read_version(life.ref, life.first), 3),
}
#: Verbs that may move a value out of the server, each in its last call but for the rollback.
READ = {"read", "read of a version", "rollback"}
#: Verbs that make their calls at once: some may still be under way when the first has failed.
AT_ONCE = {"resolve two"}
#: After these the secret is another.
CHANGES = {"update", "delete", "purge", "rollback"}
#: Writes whose last call but notes for repeats that they were done: then they were, whatever becomes of it.
NOTED = {"create", "update", "rollback"}

ERROR = {"errors": [SAID]}
PAGE = f"<html>{SAID}".encode()
VERSION = {"version": 1, "created_time": SAID, "deletion_time": "", "destroyed": False}
#: What is answered, and its code.
FAULTS: dict[str, tuple[Reply, str]] = {
    "no answer": (HANG_UP, "unavailable"),
    "too late": (Reply(delay=0.5, status=500), "deadline_exceeded"),
    "500": (saying(500, ERROR), "unavailable"),
    "502 in HTML": (Reply(502, PAGE), "unavailable"),
    "sealed": (saying(503, ERROR), "unavailable"),
    "a standby": (saying(472, ERROR), "unavailable"),
    "redirected": (Reply(307, headers={"Location": "http://127.0.0.1:1/"}), "unavailable"),
    "429": (saying(429, ERROR), "throttled"),
    "429 and when": (saying(429, ERROR, retry_after="7"), "throttled"),
    "a quota": (saying(429, {"errors": [f"quota {SAID}"]}), "quota_exceeded"),
    "too large": (saying(413, ERROR), "too_large"),
    "401": (saying(401, ERROR), "unavailable"),
    "403": (saying(403, ERROR), "unavailable"),
    "407": (Reply(407, PAGE), "unavailable"),
    "412": (saying(412, ERROR), "unavailable"),
    "404 of a proxy": (Reply(404, PAGE), "unavailable"),
    "404 of a gateway": (saying(404, {"message": SAID}), "unavailable"),
    "404 of nobody": (saying(404, {}), "unavailable"),
    "404 of an old engine": (saying(404, {"errors": [f"unsupported path {SAID}"]}), "unavailable"),
    "404 of no engine": (saying(404, {"errors": [f"no handler for route {SAID}"]}), "unavailable"),
    "200 and HTML": (Reply(200, PAGE), "unavailable"),
    "200 and nothing": (Reply(200), "unavailable"),
    "200 and a list": (saying(200, [SAID]), "unavailable"),
    "200 and an empty object": (saying(200, {}), "unavailable"),
    "200 and another thing": (saying(200, {"data": {"metadata": VERSION, "subkeys": 7}}), "unavailable"),
    "200 and a number": (saying(200, {"data": 7}), "unavailable"),
    "cut off": (Reply(200, b'{"data": {"metadata": {"ver', cut=50), "unavailable"),
    "bytes": (Reply(200, bytes(range(256))), "unavailable"),
}
#: Objects, whatever is in them, are as good as no answer where the server has nothing to tell.
OBJECTS = {"200 and an empty object", "200 and another thing", "200 and a number"}


@pytest.fixture(scope="module")
def front(bao: Bao) -> Iterator[VaultFront]:
    made = VaultFront(bao.address)
    yield made
    made.close()


@pytest.fixture
def behind(front: VaultFront, bao: Bao, open_store: Callable[..., Any]) -> Callable[..., Any]:
    """Makes stores behind the front."""

    def make(**more: Any) -> Any:
        root = {"method": "token", "token": bao.token}
        return open_store(address=front.address, **{"rollback": root, **more})

    return make


PREFIX = "every-call"


@pytest.fixture(scope="module")
def direct(bao: Bao) -> Iterator[Store]:
    """Not behind the front."""
    root = {"method": "token", "token": bao.token}
    made = Store({"address": bao.address, "prefix": PREFIX, "login": root})
    yield made
    made.close()


@pytest.fixture
def live(behind: Callable[..., Any], direct: Store) -> Callable[..., Life]:
    """Makes lives of one store, whose sessions and keys are there already."""
    stores: dict[str, Any] = {}

    def make(value: bytes = b"second", **more: Any) -> Life:
        key = repr(more)
        if key not in stores:
            stores[key] = behind(prefix=PREFIX, **more)
            stores[key].steady()
            stores[key].create(SecretRef(Scope("flyte"), f"first-{secrets.token_hex(6)}"))
        return Life(stores[key], direct, value)

    return make


@pytest.mark.parametrize("verb", VERBS)
def test_so_many_calls_it_takes(front: VaultFront, live: Callable[..., Life], verb: str) -> None:
    call, count = VERBS[verb]
    life = live()
    with front.recording():
        call(life)
    assert len(front.calls) == count, front.calls


def came(call: Verb, life: Life) -> SecretsError | None:
    try:
        call(life)
    except SecretsError as error:
        return error
    return None


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("verb", VERBS)
def test_a_failure_has_its_code_in_each_call_and_is_never_absence(
    front: VaultFront,
    live: Callable[..., Life],
    verb: str,
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    (call, count), (reply, code) = VERBS[verb], FAULTS[fault]
    for at in range(count):
        if at == 0 or verb in CHANGES:
            life = live(timeout=0.3 if reply.delay else 10.0)
        with front.failing(reply, at=at):
            error = came(call, life)
            if verb in AT_ONCE:
                front.wait_for(count)
        assert len(front.calls) > at
        if error is None:
            is_told_nothing = fault in OBJECTS and front.calls[at].split("/")[3] in {"delete", "destroy"}
            assert is_told_nothing or (verb in NOTED and at == count - 1), front.calls[at]
            continue
        assert (error.code, type(error) is NotFound) == (code, False), (at, front.calls[at])
        assert error.retry_after == (7.0 if fault == "429 and when" else None)
        assert SAID not in "".join(traceback.format_exception(error)) + repr(error) + caplog.text


@pytest.mark.parametrize("make", [Canary.text, Canary.binary], ids=["text", "binary"])
@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_but_a_read_moves_a_value_out_of_the_server(
    front: VaultFront, live: Callable[..., Life], verb: str, make: Callable[[], Canary]
) -> None:
    """Metadata are asked for in a way that shows none: neither side's look-up brings one over the wire."""
    canary = make()
    life = live(canary.data)
    with front.recording():
        VERBS[verb][0](life)
    assert front.answers
    shown = [
        call
        for call, answer in zip(front.calls, front.answers, strict=True)
        if any(form in answer for form in canary.forms().values())
    ]
    assert bool(shown) == (verb in READ)
    assert all(call.startswith("GET /v1/secret/data/") for call in shown)
    assert len(shown) <= 1


EXISTING = "{project}/{name}#password"


@pytest.mark.parametrize(
    "look",
    [
        lambda store, ref: store.reader.resolve([ref]),
        lambda store, ref: store.writer.describe(ref),
        lambda store, ref: store.writer.list(ref.scope),
    ],
    ids=["resolve", "describe", "list"],
)
def test_nor_does_a_look_at_existing_secrets(
    bao: Bao, front: VaultFront, behind: Callable[..., Any], look: Callable[[Any, SecretRef], object]
) -> None:
    canary = Canary.text()
    ref = SecretRef(Scope("flyte", None, "canaries"), "db")
    bao.call("POST", "secret/data/canaries/db", {"data": {"password": canary.data.decode()}})
    store = behind(existing=EXISTING, rollback=None)
    with front.recording():
        assert look(store, ref)
    assert front.answers
    assert not any(form in answer for form in canary.forms().values() for answer in front.answers)
