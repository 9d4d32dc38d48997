"""One intent is done once: wherever its first try died, and whatever others did in between."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from aws_front import HANG_UP, HANG_UP_AFTERWARDS, Answer, Front
from aws_store import ACTOR, Store, create, delete, intent, read, some_ref, update

from secrets_svc.backends.aws.operations import KEPT, Register
from secrets_svc.backends.aws.versions import UPDATE, Operation
from secrets_svc.backends.aws.writer import AwsWriter
from secrets_svc.core.errors import Conflict, InvalidArgument, NotFound, Unavailable
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

NEW = SecretValue(b"new")
Verb = Callable[[AwsWriter, SecretRef, str], SecretMetadata | None]


def _create(writer: AwsWriter, ref: SecretRef, operation: str) -> SecretMetadata:
    return writer.create(ref, NEW, SecretType.GENERIC, actor=ACTOR, operation_id=operation)


def _update(writer: AwsWriter, ref: SecretRef, operation: str) -> SecretMetadata:
    return writer.update(ref, NEW, actor=ACTOR, operation_id=operation)


def _delete(writer: AwsWriter, ref: SecretRef, operation: str) -> None:
    writer.delete(ref, actor=ACTOR, operation_id=operation)


def _nothing(store: Store, ref: SecretRef) -> None:
    pass


def _there(store: Store, ref: SecretRef) -> None:
    create(store.writer(), ref, b"old")


def _deleted(store: Store, ref: SecretRef) -> None:
    create(store.writer(), ref, b"old")
    delete(store.writer(), ref)


#: Verb, and what is there before.
CASES: dict[str, tuple[Verb, Callable[[Store, SecretRef], None]]] = {
    "create": (_create, _nothing),
    "create again": (_create, _deleted),
    "update": (_update, _there),
    "delete": (_delete, _there),
}
#: Where each can die: before or after each of its calls.
DEATHS = [
    (case, at, how)
    for case, calls in {"create": 3, "create again": 6, "update": 4, "delete": 6}.items()
    for at in range(calls)
    for how in (HANG_UP, HANG_UP_AFTERWARDS)
]
_IDS = [f"{case}-{'after' if how.after else 'before'}-{at}" for case, at, how in DEATHS]


def _dies(front: Front, at: int, how: Answer) -> object:
    """From that call on, nothing comes through."""

    def script(number: int, operation: str, params: object) -> Answer | None:
        return None if number < at else how if number == at else HANG_UP

    return front.scripted(script)


def _is(store: Store, ref: SecretRef, case: str) -> None:
    """What was asked for has happened, seen from both sides."""
    if case == "delete":
        assert store.reader().resolve([ref]) == {}
        with pytest.raises(NotFound):
            store.writer().describe(ref)
        assert store.writer().list(ref.scope).items == ()
        assert "DeletedDate" in store.described(ref)
        return
    assert read(store.reader(), ref) == b"new"
    assert store.writer().list(ref.scope).items == (store.writer().describe(ref),)


@pytest.mark.parametrize(("case", "at", "how"), DEATHS, ids=_IDS)
def test_died_anywhere_and_tried_again(
    store: Store, troubled: Store, front: Front, case: str, at: int, how: Answer
) -> None:
    """The old value is never current under the new state, and the second try ends what the first began."""
    verb, before = CASES[case]
    ref, operation = some_ref(), intent()
    before(store, ref)
    with _dies(front, at, how), pytest.raises(Unavailable):
        verb(troubled.new_process(), ref, operation)
    if store.reader().resolve([ref]):
        possible = {"update": (b"old", b"new"), "delete": (b"old",)}.get(case, (b"new",))
        assert read(store.reader(), ref) in possible
    answer = verb(store.new_process(), ref, operation)
    _is(store, ref, case)
    assert verb(store.new_process(), ref, operation) == answer
    if answer is not None:
        assert store.writer().describe(ref) == answer


@pytest.mark.parametrize(("case", "at", "how"), DEATHS, ids=_IDS)
def test_died_anywhere_and_then_others_came(
    store: Store, troubled: Store, front: Front, case: str, at: int, how: Answer
) -> None:
    """What is half-way there keeps nobody from anything."""
    verb, before = CASES[case]
    ref, operation = some_ref(), intent()
    before(store, ref)
    with _dies(front, at, how), pytest.raises(Unavailable):
        verb(troubled.new_process(), ref, operation)
    writer, reader = store.new_process(), store.reader()
    if not reader.resolve([ref]):
        create(writer, ref, b"others")
    else:
        update(writer, ref, b"others")
    assert read(reader, ref) == b"others"
    delete(writer, ref)
    assert reader.resolve([ref]) == {}
    made = create(writer, ref, b"since")
    assert read(reader, ref) == b"since"
    assert writer.describe(ref) == made


class TestOthersWroteInBetween:
    def test_a_done_update_is_not_done_again(self, store: Store) -> None:
        """However many came after it: also once no label tells of it."""
        ref, operation = some_ref(), intent()
        create(store.writer(), ref)
        done = _update(store.writer(), ref, operation)
        for number in range(KEPT + 6):
            current = update(store.writer(), ref, b"%d" % number)
        again = _update(store.new_process(), ref, operation)
        assert (again.version, again.type, again.size) == (done.version, done.type, done.size)
        assert (again.created_at, again.created_by) == (done.created_at, done.created_by)
        assert store.writer().describe(ref) == current

    def test_nor_is_one_with_another_value_taken_for_it(self, store: Store) -> None:
        ref, operation = some_ref(), intent()
        create(store.writer(), ref)
        _update(store.writer(), ref, operation)
        for number in range(KEPT + 6):
            current = update(store.writer(), ref, b"%d" % number)
        with pytest.raises(InvalidArgument, match="operation id"):
            store.new_process().update(ref, SecretValue(b"newer"), actor=ACTOR, operation_id=operation)
        assert store.writer().describe(ref) == current

    def test_a_done_create_is_not_done_again_after_a_delete(self, store: Store) -> None:
        ref, operation = some_ref(), intent()
        made = _create(store.writer(), ref, operation)
        delete(store.writer(), ref)
        assert _create(store.new_process(), ref, operation) == made
        with pytest.raises(NotFound):
            store.writer().describe(ref)

    def test_a_done_update_is_not_done_again_in_another_life(self, store: Store) -> None:
        ref, operation = some_ref(), intent()
        create(store.writer(), ref)
        done = _update(store.writer(), ref, operation)
        delete(store.writer(), ref)
        made = create(store.writer(), ref, b"another life")
        assert _update(store.new_process(), ref, operation) == done
        assert store.writer().describe(ref) == made

    def test_writes_outside_this_service_don_t_matter(self, store: Store) -> None:
        ref, operation = some_ref(), intent()
        create(store.writer(), ref)
        done = _update(store.writer(), ref, operation)
        for number in range(3):
            store.write_outside(ref, f"console {number}")
        assert _update(store.new_process(), ref, operation).version == done.version
        assert read(store.reader(), ref) == b"console 2"

    def test_an_update_that_was_begun_and_overtaken_is_done_then(
        self, store: Store, troubled: Store, front: Front
    ) -> None:
        """It had not happened: the second try makes it happen, on top of what others wrote."""
        ref, operation = some_ref(), intent()
        create(store.writer(), ref)
        with (
            front.failing("UpdateSecretVersionStage", HANG_UP),
            pytest.raises(Unavailable),
        ):
            _update(troubled.writer(), ref, operation)
        update(store.writer(), ref, b"others")
        done = _update(store.new_process(), ref, operation)
        assert read(store.reader(), ref) == b"new"
        assert store.writer().describe(ref) == done

    def test_one_that_was_begun_with_another_value_is_refused(
        self, store: Store, troubled: Store, front: Front
    ) -> None:
        ref, operation = some_ref(), intent()
        made = create(store.writer(), ref)
        with (
            front.failing("UpdateSecretVersionStage", HANG_UP),
            pytest.raises(Unavailable),
        ):
            _update(troubled.writer(), ref, operation)
        with pytest.raises(InvalidArgument, match="operation id"):
            store.new_process().update(ref, SecretValue(b"newer"), actor=ACTOR, operation_id=operation)
        assert store.writer().describe(ref) == made


def test_whoever_loses_the_race_is_told(store: Store, troubled: Store, front: Front) -> None:
    """AWSCURRENT moves in one step, from the version that was expected."""
    ref = some_ref()
    first = create(store.writer(), ref).version
    others = store.writer()

    def script(number: int, operation: str, params: dict[str, str]) -> Answer | None:
        if operation == "UpdateSecretVersionStage" and params["VersionStage"] == "AWSCURRENT":
            update(others, ref, b"others")
        return None

    with front.scripted(script), pytest.raises(Conflict, match="another version than expected"):
        update(troubled.writer(), ref, b"mine", expected=first)
    assert read(store.reader(), ref) == b"others"


def test_without_an_expectation_the_loser_tries_again(store: Store, troubled: Store, front: Front) -> None:
    ref, came = some_ref(), []
    create(store.writer(), ref)
    others = store.writer()

    def script(number: int, operation: str, params: dict[str, str]) -> Answer | None:
        if operation == "PutSecretValue" and len(came) < 3:
            came.append(update(others, ref, b"others"))
        return None

    with front.scripted(script):
        mine = update(troubled.writer(), ref, b"mine")
    assert len(came) == 3
    assert store.writer().describe(ref) == mine
    assert read(store.reader(), ref) == b"mine"


def test_labels_stay_below_what_aws_takes(store: Store, troubled: Store, front: Front) -> None:
    """20 in all: also where updates keep dying, and where others have some of their own."""
    ref, writer = some_ref(), store.writer()
    create(writer, ref)
    for number in range(3):
        store.admin.put_secret_value(
            SecretId=store.name(ref), SecretString=f"other {number}", VersionStages=[f"other-{number}"]
        )
    most = 0
    for number in range(25):
        if number % 3 == 0:
            with front.failing("UpdateSecretVersionStage", HANG_UP), pytest.raises(Unavailable):
                update(troubled.writer(), ref, b"dies")
        made = update(writer, ref, b"%d" % number)
        most = max(most, len(store.labels(ref)))
        assert writer.describe(ref) == made
    assert most <= 20
    assert {f"other-{number}" for number in range(3)} <= set(store.labels(ref))


class TestRegister:
    def test_it_forgets_after_a_day(self) -> None:
        now = [0.0]
        register = Register(clock=lambda: now[0])
        one, another = (Operation.of(each, UPDATE) for each in ("one", "another"))
        register.done(one, "name")
        with pytest.raises(InvalidArgument):
            register.was_done(one, "another name")
        now[0] = 24 * 3600 + 1.0
        register.done(another, "name")
        assert register.was_done(another, "name")
        assert not register.was_done(one, "another name")

    def test_it_stays_small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("secrets_svc.backends.aws.operations.MOST", 10)
        register = Register()
        done = [Operation.of(str(number), UPDATE) for number in range(20)]
        for operation in done:
            register.done(operation, "name")
        assert [register.was_done(operation, "name") for operation in done] == [False] * 10 + [True] * 10
