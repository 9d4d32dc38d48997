"""Several at once on one secret: nothing acknowledged is lost, and nobody sees what was never written."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_front import Answer, Front, Script, error
from aws_store import ACTOR, Store, create, delete, intent, read, some_ref, update

from secrets_svc.backends.aws.notes import Note
from secrets_svc.backends.aws.versions import UPDATE, Operation
from secrets_svc.core.errors import AlreadyExists, Changed, Conflict, NotFound
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue

ROUNDS = 20
WRITES = ("CreateSecret", "PutSecretValue", "UpdateSecretVersionStage", "DeleteSecret")


def test_two_writers_update_one_secret(store: Store) -> None:
    """Every update that was acknowledged is in the history; every other one was a conflict."""
    ref = some_ref()
    first = create(store.writer(), ref).version

    def work(number: int) -> tuple[list[str], int]:
        writer, acknowledged, lost = store.new_process(), [], 0
        for turn in range(ROUNDS):
            expected = writer.describe(ref).version if turn % 2 else None
            try:
                acknowledged.append(update(writer, ref, b"%d %d" % (number, turn), expected).version)
            except Conflict:
                lost += 1
        return acknowledged, lost

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(work, range(2)))
    acknowledged = {version for each, _ in done for version in each}
    assert sum(lost for _, lost in done) + len(acknowledged) == 2 * ROUNDS
    known = {each.version for each in store.writer().history(ref)}
    assert {first, *acknowledged} <= known
    assert store.writer().describe(ref).version in acknowledged
    assert len(store.labels(ref)) <= 20


def as_aws(store: Store) -> Script:
    """AWS refuses what moto does: to write what is being deleted, to create it, to restore what isn't."""

    def script(number: int, operation: str, params: dict[str, Any]) -> Answer | None:
        if operation not in (*WRITES, "RestoreSecret"):
            return None
        try:
            found = store.admin.describe_secret(SecretId=params.get("SecretId", params.get("Name")))
        except store.admin.exceptions.ResourceNotFoundException:
            return None
        refused = ("DeletedDate" in found) == (operation in WRITES)
        return error("InvalidRequestException") if refused else None

    return script


def test_as_aws_does_it(store: Store, troubled: Store, front: Front) -> None:
    """The same with what AWS refuses and moto doesn't."""
    with front.scripted(as_aws(store)):
        _many(troubled)
    assert "RestoreSecret" in front.operations


def test_created_updated_deleted_and_rolled_back_by_many(store: Store) -> None:
    """A reader beside them sees whole values that somebody wrote, or nothing."""
    _many(store)


def _many(store: Store) -> None:
    ref, over = some_ref(), threading.Event()
    seen: set[bytes] = set()

    def work(number: int) -> None:
        writer, chance = store.new_process(), random.Random(number)
        for turn in range(ROUNDS):
            data = b"written %d %d" % (number, turn)
            try:
                match chance.randrange(4):
                    case 0:
                        create(writer, ref, data)
                    case 1:
                        update(writer, ref, data)
                    case 2:
                        delete(writer, ref)
                    case _:
                        to = chance.choice(writer.history(ref)).version
                        writer.rollback(ref, to=to, actor=ACTOR, operation_id=intent())
            except (AlreadyExists, NotFound, Conflict):
                pass

    def look() -> None:
        while not over.is_set():
            seen.update(_read(store, ref))
            for item in store.writer().list(ref.scope).items:
                assert item.ref == ref

    with ThreadPoolExecutor(4) as pool:
        looking = pool.submit(look)
        for each in [pool.submit(work, number) for number in range(3)]:
            each.result(100)
        over.set()
        looking.result(30)
    assert seen
    assert all(data.startswith(b"written ") for data in seen)
    if not store.reader().resolve([ref]):
        create(store.writer(), ref, b"written last")
    assert read(store.reader(), ref).startswith(b"written ")
    assert store.writer().list(ref.scope).items == (store.writer().describe(ref),)


def _read(store: Store, ref: SecretRef) -> set[bytes]:
    try:
        return {read(store.reader(), ref)}
    except (KeyError, NotFound, Changed):
        return set()


def test_what_was_refused_never_counts_however_often(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It isn't in the history, can't be gone back to, and repeating it is refused again."""
    ref, writer, other = some_ref(), store.writer(), store.new_process()
    create(writer, ref, b"good 0")
    put, number, refused = type(writer._calls).put, 0, []

    def beaten(calls: Any, *arguments: Any) -> Any:
        done = put(calls, *arguments)
        monkeypatch.undo()
        update(other, ref, b"good %d" % number)
        return done

    for number in range(1, 40):  # noqa: B007  # beaten takes it
        operation, expected = intent(), writer.describe(ref).version
        monkeypatch.setattr(type(writer._calls), "put", beaten)
        with pytest.raises(Conflict):
            writer.update(ref, SecretValue(b"bad"), actor=ACTOR, operation_id=operation, expected=expected)
        refused.append((operation, expected))
    assert len(store.labels(ref)) <= 20
    history = writer.history(ref, limit=100)
    values = {store.reader().read_version(ref, each.version).value.reveal_bytes() for each in history[:40]}
    assert b"bad" not in values
    assert len(history) == 40
    for operation, expected in refused[-20:]:
        with pytest.raises(Conflict):
            writer.update(ref, SecretValue(b"bad"), actor=ACTOR, operation_id=operation, expected=expected)
    assert read(store.reader(), ref) == b"good 39"


def test_what_was_refused_may_be_tried_again_when_its_time_has_come(store: Store) -> None:
    """Once the version that it expects is current again."""
    ref, writer = some_ref(), store.writer()
    first = create(writer, ref, b"first").version
    operation, held = Operation.of("again", UPDATE, expected=first), writer._existing_or_deleted(ref)
    update(writer, ref, b"second")
    note = Note.now(operation, ACTOR, at=datetime.now(UTC), type=SecretType.GENERIC, size=5)
    version = operation.version(held.born)
    assert writer._changes.replace(held, SecretValue(b"third"), version, note) is None
    writer._changes.refuse(ref, version, note)
    assert len(writer.history(ref)) == 2
    writer.rollback(ref, to=first, actor=ACTOR, operation_id=intent())
    third = SecretValue(b"third")
    done = writer.update(ref, third, actor=ACTOR, operation_id="again", expected=first)
    update(writer, ref, b"fourth")
    assert done.version in {each.version for each in writer.history(ref)}
    assert store.reader().read_version(ref, done.version).value == third
