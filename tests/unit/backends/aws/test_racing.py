"""Several at once on one secret: nothing acknowledged is lost, and nobody sees what was never written."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aws_front import Answer, Front, Script, error
from aws_store import ACTOR, Store, create, delete, intent, read, some_ref, update

from secrets_svc.core.errors import AlreadyExists, Changed, Conflict, NotFound
from secrets_svc.core.secret import SecretRef

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
