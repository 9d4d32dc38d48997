"""Create, update, delete, describe."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from secrets_svc.core.errors import AlreadyExists, Conflict, InvalidArgument, NotFound
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.testing.harness import (
    ACTOR,
    BackendHarness,
    create,
    delete,
    eventually,
    operation_id,
    some_ref,
    update,
)

#: How far a store's clock may be from ours.
SKEW = timedelta(minutes=5)
_DOCKER = SecretValue(b'{"auths": {"r": {"auth": "eA=="}}}')


class WriterContract:
    """Must have."""

    def test_create_answers_with_metadata(self, harness: BackendHarness) -> None:
        """All of it, and no value."""
        ref = some_ref()
        made = create(harness.writer(), ref, b"seven b", SecretType.GENERIC)
        assert (made.ref, made.type) == (ref, SecretType.GENERIC)
        assert made.size in (None, 7)
        assert made.version
        assert (made.created_by, made.updated_by) == (ACTOR, ACTOR)
        assert made.created_at.tzinfo is not None
        assert abs(datetime.now(UTC) - made.created_at) < SKEW

    def test_describe_answers_as_create_did(self, harness: BackendHarness) -> None:
        """From another writer too."""
        ref = some_ref()
        made = create(harness.writer(), ref)
        assert harness.writer().describe(ref) == made

    @pytest.mark.parametrize("type", list(SecretType))
    def test_the_type_is_kept(self, harness: BackendHarness, type: SecretType) -> None:
        """An update doesn't change it."""
        ref, writer = some_ref(), harness.writer()
        create(writer, ref, b'{"auths": {"r": {"auth": "eA=="}}}', type)
        assert update(writer, ref, b'{"auths": {"r": {"auth": "eQ=="}}}').type is type
        assert writer.describe(ref).type is type

    def test_create_refuses_what_is_there(self, harness: BackendHarness) -> None:
        """And leaves it as it was."""
        ref, writer = some_ref(), harness.writer()
        made = create(writer, ref, b"first")
        with pytest.raises(AlreadyExists):
            create(writer, ref, b"second")
        assert writer.describe(ref) == made

    def test_absent_is_not_found(self, harness: BackendHarness) -> None:
        """Whatever is asked of it."""
        ref, writer = some_ref(), harness.writer()
        with pytest.raises(NotFound):
            writer.describe(ref)
        with pytest.raises(NotFound):
            update(writer, ref, b"value")
        with pytest.raises(NotFound):
            update(writer, ref, b"value", expected="some-token")
        with pytest.raises(NotFound):
            delete(writer, ref)

    def test_update_tells_when_and_keeps_who_made_it(self, harness: BackendHarness) -> None:
        """Created stays, updated moves."""
        ref, writer = some_ref(), harness.writer()
        made = create(writer, ref)
        updated = update(writer, ref, b"another")
        assert (updated.created_at, updated.created_by) == (made.created_at, made.created_by)
        assert updated.updated_at >= made.updated_at
        assert writer.describe(ref) == updated

    def test_update_holds_the_expected_version(self, harness: BackendHarness) -> None:
        """Current is taken; anything else is a conflict and changes nothing."""
        ref, writer = some_ref(), harness.writer()
        first = create(writer, ref)
        second = update(writer, ref, b"another", expected=first.version)
        for stale in (first.version, "no-such-token", ""):
            with pytest.raises(Conflict):
                update(writer, ref, b"third", expected=stale)
        assert writer.describe(ref) == second

    @pytest.mark.parametrize("type", list(SecretType))
    def test_update_asks_whether_the_value_fits_the_type(
        self, harness: BackendHarness, type: SecretType
    ) -> None:
        """Of the type that is there; if not, nothing is written, and the same id may be used again."""
        ref, writer, operation = some_ref(), harness.writer(), operation_id()
        made = create(writer, ref, _DOCKER.reveal_bytes(), type)
        asked: list[SecretType] = []

        def refuses(type: SecretType) -> None:
            asked.append(type)
            raise InvalidArgument("it does not fit")

        with pytest.raises(InvalidArgument, match="it does not fit"):
            writer.update(ref, _DOCKER, actor=ACTOR, operation_id=operation, fits=refuses)
        assert set(asked) == {type}
        assert writer.describe(ref) == made
        done = writer.update(ref, _DOCKER, actor=ACTOR, operation_id=operation, fits=asked.append)
        assert set(asked) == {type}
        assert writer.describe(ref) == done

    def test_every_write_changes_the_token(self, harness: BackendHarness) -> None:
        """Also of the same value again, and of delete and create again."""
        ref, writer = some_ref(), harness.writer()
        tokens = [create(writer, ref, b"same").version]
        for _ in range(3):
            tokens += [update(writer, ref, b"same").version for _ in range(2)]
            delete(writer, ref)
            tokens.append(create(writer, ref, b"same").version)
        assert len(set(tokens)) == len(tokens)

    def test_deleted_is_gone(self, harness: BackendHarness) -> None:
        """Until it is created again."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        create(writer, ref)
        delete(writer, ref)
        with pytest.raises(NotFound):
            writer.describe(ref)

        def gone() -> None:
            assert reader.resolve([ref]) == {}

        eventually(harness, gone)
        create(writer, ref)
        assert writer.describe(ref).ref == ref

    def test_a_storage_name_that_is_too_long_is_refused(self, harness: BackendHarness) -> None:
        """At once, with a code (I8)."""
        ref = SecretRef(Scope("o" * 63, "d" * 63, "p" * 63), "n" * 128)
        with pytest.raises(InvalidArgument):
            create(harness.writer(), ref)

    def test_close_may_be_repeated(self, harness: BackendHarness) -> None:
        """For both sides."""
        for opened in (harness.writer(), harness.reader()):
            opened.close()
            opened.close()
