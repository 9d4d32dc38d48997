"""One intent is done once, however often it is asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from secrets_svc.core.errors import InvalidArgument, NotFound
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.testing.harness import (
    ACTOR,
    BackendHarness,
    create,
    delete,
    operation_id,
    some_ref,
    update,
)

_VALUE = SecretValue(b"value")
_DOCKER = SecretValue(b'{"auths": {"r": {"auth": "eA=="}}}')


class OperationContract:
    """Must have."""

    def test_create_again(self, harness: BackendHarness) -> None:
        """The second answers as the first."""
        ref, operation = some_ref(), operation_id()
        answers = [
            harness.writer().create(ref, _VALUE, SecretType.GENERIC, actor=ACTOR, operation_id=operation)
            for _ in range(3)
        ]
        assert answers[0] == answers[1] == answers[2]

    def test_update_again(self, harness: BackendHarness) -> None:
        """Though the version it expected is no longer current, by its own doing."""
        ref, operation = some_ref(), operation_id()
        made = create(harness.writer(), ref)
        answers = [
            harness.writer().update(ref, _VALUE, actor=ACTOR, operation_id=operation, expected=made.version)
            for _ in range(3)
        ]
        assert answers[0] == answers[1] == answers[2]
        assert answers[0].version != made.version

    def test_delete_again(self, harness: BackendHarness) -> None:
        """Though it is gone, by its own doing."""
        ref, operation = some_ref(), operation_id()
        create(harness.writer(), ref)
        for _ in range(3):
            harness.writer().delete(ref, actor=ACTOR, operation_id=operation)
        with pytest.raises(NotFound):
            harness.writer().describe(ref)

    def test_delete_again_spares_what_was_created_since(self, harness: BackendHarness) -> None:
        """Nothing is done twice."""
        ref, operation, writer = some_ref(), operation_id(), harness.writer()
        create(writer, ref)
        writer.delete(ref, actor=ACTOR, operation_id=operation)
        made = create(writer, ref)
        writer.delete(ref, actor=ACTOR, operation_id=operation)
        assert writer.describe(ref) == made

    def test_update_again_spares_what_was_written_since(self, harness: BackendHarness) -> None:
        """Nothing is done twice."""
        ref, operation, writer = some_ref(), operation_id(), harness.writer()
        create(writer, ref)
        writer.update(ref, _VALUE, actor=ACTOR, operation_id=operation)
        current = update(writer, ref, b"since")
        writer.update(ref, _VALUE, actor=ACTOR, operation_id=operation)
        assert writer.describe(ref) == current

    def test_a_failed_operation_may_be_tried_again(self, harness: BackendHarness) -> None:
        """Only what was done is remembered."""
        ref, operation, writer = some_ref(), operation_id(), harness.writer()
        with pytest.raises(NotFound):
            writer.update(ref, _VALUE, actor=ACTOR, operation_id=operation)
        made = create(writer, ref)
        assert writer.update(ref, _VALUE, actor=ACTOR, operation_id=operation).version != made.version

    @pytest.mark.parametrize("verb", ["create", "update", "delete"])
    def test_an_id_of_another_intent_is_refused(self, harness: BackendHarness, verb: str) -> None:
        """Another secret's, or another verb's; nothing happens then."""
        ref, operation, writer = some_ref(), operation_id(), harness.writer()
        other = SecretRef(ref.scope, "other")
        writer.create(ref, _VALUE, SecretType.GENERIC, actor=ACTOR, operation_id=operation)
        made = writer.describe(ref)
        untouched = create(writer, other) if verb != "create" else None
        calls: dict[str, Callable[[SecretRef], object]] = {
            "create": lambda ref: writer.create(
                ref, _VALUE, SecretType.GENERIC, actor=ACTOR, operation_id=operation
            ),
            "update": lambda ref: writer.update(ref, _VALUE, actor=ACTOR, operation_id=operation),
            "delete": lambda ref: writer.delete(ref, actor=ACTOR, operation_id=operation),
        }
        for refused in {other, ref} if verb != "create" else {other}:
            with pytest.raises(InvalidArgument):
                calls[verb](refused)
        assert writer.describe(ref) == made
        if untouched is not None:
            assert writer.describe(other) == untouched

    @pytest.mark.parametrize("differs", ["value", "shorter value", "type"])
    def test_an_id_with_another_creation_is_refused(self, harness: BackendHarness, differs: str) -> None:
        """By any writer; the first stays as it was, and can be repeated still."""
        ref, operation, writer = some_ref(), operation_id(), harness.writer()
        made = writer.create(ref, _DOCKER, SecretType.GENERIC, actor=ACTOR, operation_id=operation)
        another = {
            "value": (SecretValue(b"X" * len(_DOCKER)), SecretType.GENERIC),
            "shorter value": (SecretValue(_DOCKER.reveal_bytes()[:-1]), SecretType.GENERIC),
            "type": (_DOCKER, SecretType.IMAGE_PULL),
        }
        value, type_ = another[differs]
        for each in (writer, harness.writer()):
            with pytest.raises(InvalidArgument):
                each.create(ref, value, type_, actor=ACTOR, operation_id=operation)
            again = each.create(ref, _DOCKER, SecretType.GENERIC, actor=ACTOR, operation_id=operation)
            assert again == made == each.describe(ref)

    def test_an_id_with_another_update_is_refused(self, harness: BackendHarness) -> None:
        """By the value, and by the version that is expected, none included."""
        ref, operation, writer = some_ref(), operation_id(), harness.writer()
        first = create(writer, ref).version
        done = writer.update(ref, _VALUE, actor=ACTOR, operation_id=operation, expected=first)
        for value, expected in (
            (SecretValue(b"other"), first),
            (_VALUE, None),
            (_VALUE, done.version),
            (_VALUE, ""),
        ):
            with pytest.raises(InvalidArgument):
                writer.update(ref, value, actor=ACTOR, operation_id=operation, expected=expected)
        again = writer.update(ref, _VALUE, actor=ACTOR, operation_id=operation, expected=first)
        assert again == done == writer.describe(ref)

    def test_a_repeated_update_is_not_asked_whether_it_fits(self, harness: BackendHarness) -> None:
        """It did when it was done; by now another secret may have the name."""
        ref, operation, writer = some_ref(), operation_id(), harness.writer()
        create(writer, ref)

        def never(type: SecretType) -> None:
            raise InvalidArgument(f"not as {type}")

        done = writer.update(ref, _VALUE, actor=ACTOR, operation_id=operation)
        assert writer.update(ref, _VALUE, actor=ACTOR, operation_id=operation, fits=never) == done

    @pytest.mark.parametrize("unusable", ["", "x" * 129])
    def test_ids_have_1_to_128_characters(self, harness: BackendHarness, unusable: str) -> None:
        """Both ends."""
        ref, writer = some_ref(), harness.writer()
        with pytest.raises(InvalidArgument):
            writer.create(ref, _VALUE, SecretType.GENERIC, actor=ACTOR, operation_id=unusable)
        longest = operation_id() + "x" * 96
        writer.create(ref, _VALUE, SecretType.GENERIC, actor=ACTOR, operation_id=longest)
        delete(writer, ref)
