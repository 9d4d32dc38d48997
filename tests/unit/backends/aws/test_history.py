"""Earlier versions, pins, rollback, purge: what only some stores can do."""

from __future__ import annotations

import pytest
from aws_front import HANG_UP, HANG_UP_AFTERWARDS, Answer, Front, error
from aws_store import ACTOR, Store, create, delete, intent, read, some_ref, update

from secrets_svc.backends.aws.operations import KEPT
from secrets_svc.core.abilities import KeepsHistory, Purges, ReadsVersions, RollsBack
from secrets_svc.core.errors import Conflict, InvalidArgument, NotFound, Unavailable, Unsupported
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

DOCKER = b'{"auths": {"r": {"auth": "eA=="}}}'


def test_the_abilities_are_there(store: Store) -> None:
    for ability in (KeepsHistory, RollsBack, Purges):
        assert isinstance(store.writer(), ability)
    assert isinstance(store.reader(), ReadsVersions)
    assert not isinstance(store.reader(), KeepsHistory | RollsBack | Purges)


class TestHistory:
    def test_newest_first(self, store: Store) -> None:
        ref, writer = some_ref(), store.writer()
        made = [create(writer, ref, b"0"), *(update(writer, ref, b"0" * number) for number in range(2, 6))]
        found = writer.history(ref)
        assert [each.version for each in found] == [each.version for each in reversed(made)]
        assert [each.size for each in found] == [5, 4, 3, 2, 1]
        assert [each.created_at for each in found] == [each.updated_at for each in reversed(made)]
        assert {each.created_by for each in found} == {ACTOR}
        assert [each.current for each in found] == [True, False, False, False, False]
        assert all(each.readable for each in found)
        assert writer.history(ref, limit=2) == found[:2]

    def test_versions_that_lost_their_labels_are_there(self, store: Store) -> None:
        ref, writer = some_ref(), store.writer()
        versions = [create(writer, ref).version]
        versions += [update(writer, ref, b"%d" % number).version for number in range(KEPT + 5)]
        found = writer.history(ref)
        assert {each.version for each in found} == set(versions)
        assert found[0].version == versions[-1] or found[0].created_by is None  # moto dates all versions now
        by_version = {each.version: each for each in found}
        assert by_version[versions[0]].created_by == ACTOR, "of the first one, tags tell"
        assert by_version[versions[2]].created_by is None

    def test_what_came_before_a_delete_is_no_part_of_it(self, store: Store) -> None:
        ref, writer = some_ref(), store.writer()
        create(writer, ref)
        update(writer, ref, b"x")
        delete(writer, ref)
        for verb in (writer.history, writer.describe):
            with pytest.raises(NotFound):
                verb(ref)
        made = create(writer, ref)
        assert [each.version for each in writer.history(ref)] == [made.version]
        made = update(writer, ref, b"y")
        assert writer.history(ref)[0].version == made.version
        assert len(writer.history(ref)) == 2

    def test_nor_what_never_became_current(self, store: Store, troubled: Store, front: Front) -> None:
        ref = some_ref()
        made = create(store.writer(), ref)
        with front.failing("UpdateSecretVersionStage", HANG_UP), pytest.raises(Unavailable):
            update(troubled.writer(), ref, b"dies")
        assert [each.version for each in store.writer().history(ref)] == [made.version]

    def test_what_others_wrote_is_part_of_it(self, store: Store) -> None:
        ref, writer = some_ref(), store.writer()
        made = create(writer, ref)
        outside = store.write_outside(ref, "console")
        after = update(writer, ref, b"x")
        found = {each.version: each for each in writer.history(ref)}
        assert len(found) == 3
        assert {made.version, after.version} < set(found)
        [other] = set(found) - {made.version, after.version}
        assert other.startswith(outside)
        assert (found[other].created_by, found[other].size) == (None, None)

    def test_absent(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.writer().history(some_ref())

    @pytest.mark.parametrize("limit", [0, -1, 1001])
    def test_limits(self, store: Store, limit: int) -> None:
        ref = some_ref()
        create(store.writer(), ref)
        with pytest.raises(InvalidArgument):
            store.writer().history(ref, limit=limit)


class TestPins:
    def test_earlier_values_can_be_read(self, store: Store) -> None:
        ref, writer, reader = some_ref(), store.writer(), store.reader()
        tokens = {create(writer, ref, b"0").version: b"0"}
        for number in range(1, KEPT + 4):
            tokens[update(writer, ref, b"%d" % number).version] = b"%d" % number
        for token, data in tokens.items():
            resolved = reader.resolve_version(ref, token)
            assert (resolved.ref, resolved.token, resolved.type) == (ref, token, SecretType.GENERIC)
            assert resolved.size in (len(data), None)
            found = reader.read_version(ref, token)
            assert (found.token, found.value.reveal_bytes()) == (token, data)

    def test_of_the_type_that_it_had(self, store: Store) -> None:
        ref, writer, reader = some_ref(), store.writer(), store.reader()
        first = create(writer, ref, DOCKER, SecretType.IMAGE_PULL).version
        update(writer, ref, DOCKER)
        assert reader.resolve_version(ref, first).type is SecretType.IMAGE_PULL
        assert reader.read_version(ref, first).type is SecretType.IMAGE_PULL

    @pytest.mark.parametrize("token", ["", "x", ".", "x.AbCdEf", "a" * 40, "../x.AbCdEf"])
    def test_made_up_ones(self, store: Store, token: str) -> None:
        ref = some_ref()
        create(store.writer(), ref)
        for pinned in (store.reader().resolve_version, store.reader().read_version):
            with pytest.raises(NotFound, match="no such version"):
                pinned(ref, token)

    def test_another_secret_s(self, store: Store) -> None:
        one, other = some_ref(), some_ref()
        token = create(store.writer(), one).version
        create(store.writer(), other)
        with pytest.raises(NotFound):
            store.reader().read_version(other, token)

    def test_before_a_delete(self, store: Store) -> None:
        """Neither while it is deleted nor afterwards; the tombstone neither."""
        ref, writer, reader = some_ref(), store.writer(), store.reader()
        token = create(writer, ref).version
        delete(writer, ref)
        key = token.rpartition(".")[2]
        [tombstone] = [
            version
            for version, labels in store.described(ref)["VersionIdsToStages"].items()
            if "AWSCURRENT" in labels
        ]
        for _ in range(2):
            for stale in (token, f"{tombstone}.{key}"):
                with pytest.raises(NotFound):
                    reader.read_version(ref, stale)
            if not reader.resolve([ref]):
                create(writer, ref)

    def test_one_that_aws_removed(self, store: Store, troubled: Store, front: Front) -> None:
        """AWS keeps a hundred, and those of a day."""
        ref = some_ref()
        token = create(store.writer(), ref).version
        update(store.writer(), ref, b"x")
        gone = Answer(200, b'{"Versions": []}')
        with front.failing("ListSecretVersionIds", gone), pytest.raises(NotFound, match="no longer kept"):
            troubled.reader().read_version(ref, token)


def rollback(store: Store, ref: SecretRef, to: str, expected: str | None = None) -> SecretMetadata:
    return store.writer().rollback(ref, to=to, actor="bob", operation_id=intent(), expected=expected)


class TestRollback:
    def test_the_value_is_back_and_nobody_read_it(self, store: Store, troubled: Store, front: Front) -> None:
        ref = some_ref()
        first = create(store.writer(), ref, b"first")
        update(store.writer(), ref, b"second")
        with front.scripted(lambda number, operation, params: None):
            rolled = troubled.writer().rollback(
                ref, to=first.version, actor="bob", operation_id=intent(), expected=None
            )
            assert not {"GetSecretValue", "PutSecretValue"} & set(front.operations)
        assert read(store.reader(), ref) == b"first"
        assert store.value(ref) == "first"
        assert store.writer().describe(ref) == rolled
        assert (rolled.version, rolled.created_by, rolled.updated_by) == (first.version, ACTOR, "bob")
        assert rolled.created_at == first.created_at
        assert rolled.updated_at > first.updated_at

    def test_forth_again(self, store: Store) -> None:
        ref = some_ref()
        first = create(store.writer(), ref, b"first").version
        second = update(store.writer(), ref, b"second").version
        for to, data in ((first, b"first"), (second, b"second"), (first, b"first"), (first, b"first")):
            assert rollback(store, ref, to) == store.writer().describe(ref)
            assert read(store.reader(), ref) == data
        third = update(store.writer(), ref, b"third")
        assert store.writer().describe(ref) == third
        assert {each.version for each in store.writer().history(ref)} == {first, second, third.version}

    def test_once_however_often_it_is_asked(self, store: Store) -> None:
        ref, operation = some_ref(), intent()
        first = create(store.writer(), ref, b"first").version
        second = update(store.writer(), ref, b"second").version

        def again() -> SecretMetadata:
            return store.new_process().rollback(
                ref, to=first, actor="bob", operation_id=operation, expected=second
            )

        done = again()
        assert again() == done
        current = update(store.writer(), ref, b"since")
        assert again() == done
        assert store.writer().describe(ref) == current

    def test_another_intent_under_its_id(self, store: Store) -> None:
        ref, operation = some_ref(), intent()
        first = create(store.writer(), ref, b"first").version
        second = update(store.writer(), ref, b"second").version
        store.writer().rollback(ref, to=first, actor="bob", operation_id=operation)
        for writer in (store.writer(), store.new_process()):
            with pytest.raises(InvalidArgument):
                writer.rollback(ref, to=second, actor="bob", operation_id=operation)
            with pytest.raises(InvalidArgument):
                writer.update(ref, SecretValue(b"x"), actor="bob", operation_id=operation)
            with pytest.raises(InvalidArgument):
                writer.delete(ref, actor="bob", operation_id=operation)

    @pytest.mark.parametrize("how", [HANG_UP, HANG_UP_AFTERWARDS], ids=["before", "after"])
    @pytest.mark.parametrize("at", range(5))
    def test_died_anywhere(self, store: Store, troubled: Store, front: Front, at: int, how: Answer) -> None:
        """Look, two labels, the move, a label off; versions are looked at in between."""
        ref, operation = some_ref(), intent()
        first = create(store.writer(), ref, b"first").version
        second = update(store.writer(), ref, b"second").version

        def script(number: int, called: str, params: object) -> Answer | None:
            return None if number < at else how if number == at else HANG_UP

        with front.scripted(script), pytest.raises(Unavailable):
            troubled.new_process().rollback(ref, to=first, actor="bob", operation_id=operation)
        assert store.writer().describe(ref).version in (first, second)
        done = store.new_process().rollback(ref, to=first, actor="bob", operation_id=operation)
        assert done == store.writer().describe(ref)
        assert read(store.reader(), ref) == b"first"

    def test_it_holds_what_is_expected(self, store: Store) -> None:
        ref = some_ref()
        first = create(store.writer(), ref, b"first").version
        second = update(store.writer(), ref, b"second").version
        for stale in (first, "", "made-up"):
            with pytest.raises(Conflict):
                rollback(store, ref, first, expected=stale)
        assert rollback(store, ref, first, expected=second).version == first

    def test_whoever_loses_the_race_is_told(self, store: Store, troubled: Store, front: Front) -> None:
        ref = some_ref()
        first = create(store.writer(), ref, b"first").version
        second = update(store.writer(), ref, b"second").version

        def script(number: int, operation: str, params: dict[str, str]) -> Answer | None:
            if params.get("VersionStage") == "AWSCURRENT":
                update(store.writer(), ref, b"others")
            return None

        with front.scripted(script), pytest.raises(Conflict):
            troubled.writer().rollback(ref, to=first, actor="b", operation_id=intent(), expected=second)
        assert read(store.reader(), ref) == b"others"

    def test_to_what_it_can_t(self, store: Store, troubled: Store, front: Front) -> None:
        ref, writer = some_ref(), store.writer()
        before = create(writer, ref).version
        with pytest.raises(NotFound):
            rollback(store, some_ref(), before)
        delete(writer, ref)
        with pytest.raises(NotFound):
            rollback(store, ref, before)
        made = create(writer, ref)
        with front.failing("UpdateSecretVersionStage", HANG_UP), pytest.raises(Unavailable):
            update(troubled.writer(), ref, b"dies")
        pending = {
            f"{version}.{made.version.rpartition('.')[2]}"
            for version, labels in store.described(ref)["VersionIdsToStages"].items()
            if "AWSCURRENT" not in labels
        }
        for stale in (before, "made-up", *pending):
            with pytest.raises(NotFound):
                rollback(store, ref, stale)
        assert writer.describe(ref) == made


class TestPurge:
    def test_nothing_is_left(self, store: Store) -> None:
        ref, writer = some_ref(), store.writer()
        create(writer, ref)
        writer.purge(ref, actor=ACTOR, operation_id=intent())
        with pytest.raises(store.admin.exceptions.ResourceNotFoundException):
            store.described(ref)
        with pytest.raises(NotFound):
            writer.purge(ref, actor=ACTOR, operation_id=intent())

    def test_also_of_what_was_deleted(self, store: Store) -> None:
        ref, writer = some_ref(), store.writer()
        create(writer, ref)
        delete(writer, ref)
        writer.purge(ref, actor=ACTOR, operation_id=intent())
        with pytest.raises(store.admin.exceptions.ResourceNotFoundException):
            store.described(ref)

    def test_where_aws_wants_it_restored_first(self, store: Store, troubled: Store, front: Front) -> None:
        """What its documents leave open."""
        ref = some_ref()
        create(store.writer(), ref)
        delete(store.writer(), ref)

        def script(number: int, operation: str, params: object) -> Answer | None:
            deleted = operation == "DeleteSecret" and "DeletedDate" in store.described(ref)
            return error("InvalidRequestException") if deleted else None

        with front.scripted(script):
            troubled.writer().purge(ref, actor=ACTOR, operation_id=intent())
        with pytest.raises(store.admin.exceptions.ResourceNotFoundException):
            store.described(ref)

    def test_one_that_aws_refuses(self, store: Store, troubled: Store, front: Front) -> None:
        ref = some_ref()
        made = create(store.writer(), ref)
        refusal = error("InvalidRequestException")
        with front.failing("DeleteSecret", refusal), pytest.raises(Unsupported, match="can't be purged"):
            troubled.writer().purge(ref, actor=ACTOR, operation_id=intent())
        assert store.writer().describe(ref) == made

    def test_again(self, store: Store) -> None:
        """This process remembers. It spares what was created since."""
        ref, operation, writer = some_ref(), intent(), store.writer()
        create(writer, ref)
        for _ in range(2):
            writer.purge(ref, actor=ACTOR, operation_id=operation)
        made = create(writer, ref)
        writer.purge(ref, actor=ACTOR, operation_id=operation)
        assert writer.describe(ref) == made
        with pytest.raises(InvalidArgument):
            writer.delete(ref, actor=ACTOR, operation_id=operation)

    def test_what_is_created_while_aws_still_removes_it(self, troubled: Store, front: Front) -> None:
        """It does so in the background, and says that it is scheduled though there is nothing to see."""
        going = error("InvalidRequestException")
        with front.failing("CreateSecret", going), pytest.raises(Unavailable, match="removing") as refused:
            create(troubled.writer(), some_ref())
        assert refused.value.retry_after == 5.0

    def test_one_operation_never_has_one_token_for_two_values(self, store: Store) -> None:
        """A version's id is the operation's; the end of the ARN isn't."""
        ref, operation = some_ref(), intent()
        tokens = set()
        for data in (b"one", b"two"):
            writer = store.new_process()
            made = writer.create(
                ref, SecretValue(data), SecretType.GENERIC, actor=ACTOR, operation_id=operation
            )
            tokens.add(made.version)
            store.writer().purge(ref, actor=ACTOR, operation_id=intent())
        assert len(tokens) == 2
        assert len({token.rpartition(".")[0] for token in tokens}) == 1
