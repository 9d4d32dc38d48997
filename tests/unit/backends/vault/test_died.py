"""One intent is done once, wherever its first try died: before or after each of its calls."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from bao import Bao
from vault_front import HANG_UP, HANG_UP_AFTERWARDS, Reply, VaultFront

from secrets_svc.core.errors import NotFound, Unavailable
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

PREFIX = "died"
NEW = SecretValue(b"new")
ACTOR = "ann"
Verb = Callable[[Any, SecretRef, str], SecretMetadata | None]


def _create(writer: Any, ref: SecretRef, intent: str) -> SecretMetadata:
    made: SecretMetadata = writer.create(ref, NEW, SecretType.GENERIC, actor=ACTOR, operation_id=intent)
    return made


def _update(writer: Any, ref: SecretRef, intent: str) -> SecretMetadata:
    made: SecretMetadata = writer.update(ref, NEW, actor=ACTOR, operation_id=intent)
    return made


def _rollback(writer: Any, ref: SecretRef, intent: str) -> SecretMetadata:
    # What was asked for stays the same: the version of the first write there.
    first = next(each.version for each in writer.history(ref) if each.version.startswith("1-"))
    made: SecretMetadata = writer.rollback(ref, to=first, actor=ACTOR, operation_id=intent)
    return made


def _delete(writer: Any, ref: SecretRef, intent: str) -> None:
    writer.delete(ref, actor=ACTOR, operation_id=intent)


def _purge(writer: Any, ref: SecretRef, intent: str) -> None:
    writer.purge(ref, actor=ACTOR, operation_id=intent)


def _nothing(store: Any, ref: SecretRef) -> None:
    pass


def _there(store: Any, ref: SecretRef) -> None:
    store.create(ref, b"old")


def _changed(store: Any, ref: SecretRef) -> None:
    store.create(ref, b"new")
    store.update(ref, b"old")


def _deleted(store: Any, ref: SecretRef) -> None:
    store.create(ref, b"old")
    store.delete(ref)


#: Verb, what is there before, and the calls that it takes in a new process.
CASES: dict[str, tuple[Verb, Callable[[Any, SecretRef], None], int]] = {
    "create": (_create, _nothing, 8),
    "create again": (_create, _deleted, 8),
    "update": (_update, _there, 9),
    "rollback": (_rollback, _changed, 16),
    "delete": (_delete, _there, 11),
    "purge": (_purge, _there, 11),
    "purge of what was deleted": (_purge, _deleted, 10),
}
DEATHS = [
    (case, at, how)
    for case, (_, _, calls) in CASES.items()
    for at in range(calls)
    for how in (HANG_UP, HANG_UP_AFTERWARDS)
]
IDS = [f"{case}-{'after' if how.after else 'before'}-{at}" for case, at, how in DEATHS]


@pytest.fixture(scope="module")
def front(bao: Bao) -> Iterator[VaultFront]:
    made = VaultFront(bao.address)
    yield made
    made.close()


@pytest.fixture
def process(front: VaultFront, bao: Bao, open_store: Callable[..., Any]) -> Callable[..., Any]:
    """A new one each time, behind the front or not; none of them has to make the key first."""
    root = {"method": "token", "token": bao.token}

    def make(address: str = bao.address) -> Any:
        store = open_store(prefix=PREFIX, address=address, login=root, rollback=root)
        store.steady()
        return store

    make().writer._operations._fingerprint_key()
    return make


def some_ref() -> SecretRef:
    return SecretRef(Scope("flyte", "production", f"p-{secrets.token_hex(6)}"), "db-password")


def _dying(front: VaultFront, at: int, how: Reply) -> Any:
    """From that call on, nothing comes through."""
    return front.scripted(lambda number, call: None if number < at else how if number == at else HANG_UP)


def _is(store: Any, ref: SecretRef, case: str) -> None:
    """What was asked for has happened, seen from both sides."""
    if case.startswith(("delete", "purge")):
        assert store.reader.resolve([ref]) == {}
        with pytest.raises(NotFound):
            store.writer.describe(ref)
        assert store.writer.list(ref.scope).items == ()
        return
    assert store.get(ref) == b"new"
    assert store.writer.list(ref.scope).items == (store.writer.describe(ref),)


def _may_be(case: str) -> set[bytes | None]:
    """What a reader may find of an intent that died; never something between two states."""
    before = {"create": None, "create again": None, "purge of what was deleted": None}.get(case, b"old")
    after = None if case.startswith(("delete", "purge")) else b"new"
    return {before, after}


@pytest.mark.parametrize("case", CASES)
def test_so_many_calls_it_takes(front: VaultFront, process: Callable[..., Any], case: str) -> None:
    """So no death is left out."""
    verb, before, calls = CASES[case]
    ref = some_ref()
    before(process(), ref)
    writer = process(front.address).writer
    with front.recording():
        verb(writer, ref, secrets.token_hex(8))
    assert len(front.calls) == calls, front.calls


@pytest.mark.parametrize(("case", "at", "how"), DEATHS, ids=IDS)
def test_died_anywhere_and_tried_again(
    front: VaultFront, process: Callable[..., Any], case: str, at: int, how: Reply
) -> None:
    """The second try ends what the first began, and a third finds that it is done."""
    (verb, before, calls), ref, intent = CASES[case], some_ref(), secrets.token_hex(8)
    store = process()
    before(store, ref)
    with _dying(front, at, how):
        try:
            verb(process(front.address).writer, ref, intent)
        except Unavailable:
            pass
        else:
            assert at == calls - 1  # the note of what came of it: the document says so too
    found = store.get(ref) if store.reader.resolve([ref]) else None
    assert found in _may_be(case)
    answer = verb(process().writer, ref, intent)
    _is(store, ref, case)
    assert verb(process().writer, ref, intent) == answer
    if answer is not None:
        assert store.writer.describe(ref) == answer
        versions = {"create": 1, "create again": 1, "update": 2, "rollback": 3}
        assert len(store.writer.history(ref)) == versions[case]


@pytest.mark.parametrize(("case", "at", "how"), DEATHS, ids=IDS)
def test_died_anywhere_and_then_others_came(
    front: VaultFront, process: Callable[..., Any], case: str, at: int, how: Reply
) -> None:
    """What is half-way there keeps nobody from anything."""
    (verb, before, _), ref = CASES[case], some_ref()
    store = process()
    before(store, ref)
    with _dying(front, at, how), suppress(Unavailable):
        verb(process(front.address).writer, ref, secrets.token_hex(8))
    if store.reader.resolve([ref]):
        store.update(ref, b"others")
    else:
        store.create(ref, b"others")
    assert store.get(ref) == b"others"
    store.delete(ref)
    assert store.reader.resolve([ref]) == {}
    made = store.create(ref, b"since")
    assert store.get(ref) == b"since"
    assert store.writer.describe(ref) == made
