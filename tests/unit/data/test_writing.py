"""Writing validates first, and what may be repeated stays so."""

from __future__ import annotations

from typing import Any

import pytest

from secrets_svc.backends.memory import MemoryStore, MemoryWriter
from secrets_svc.core.errors import Conflict, InvalidArgument, NotFound, TooLarge
from secrets_svc.core.ports import Capabilities
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.data.writing import ValidatedWriter

REF = SecretRef(Scope("flyte", project="shop"), "key")
DOCKER = SecretValue(b'{"auths": {"r": {"auth": "x"}}}')
PLAIN = SecretValue(b"plain")


@pytest.fixture
def writer() -> ValidatedWriter:
    return ValidatedWriter(writer=MemoryStore().writer(), capabilities=Capabilities(max_value=64), store="s")


def create(
    writer: ValidatedWriter, value: SecretValue = PLAIN, type_: SecretType = SecretType.GENERIC
) -> str:
    return writer.create(REF, value, type_, actor="t", operation_id="create").version


def update(
    writer: ValidatedWriter, value: SecretValue, operation_id: str, expected: str | None = None
) -> str:
    return writer.update(REF, value, actor="t", operation_id=operation_id, expected=expected).version


def test_what_is_refused_is_not_there(writer: ValidatedWriter) -> None:
    with pytest.raises(InvalidArgument):
        create(writer, PLAIN, SecretType.IMAGE_PULL)
    with pytest.raises(TooLarge):
        create(writer, SecretValue(b"x" * 65))
    with pytest.raises(NotFound):
        writer.describe(REF)


def test_an_update_must_fit_the_type_that_is_there(writer: ValidatedWriter) -> None:
    create(writer, DOCKER, SecretType.IMAGE_PULL)
    with pytest.raises(InvalidArgument, match="docker config"):
        update(writer, PLAIN, "u1")
    update(writer, DOCKER, "u2")
    with pytest.raises(TooLarge):
        update(writer, SecretValue(b"x" * 65), "u3")


class Overtaken(MemoryWriter):
    """Once, just before an update, somebody else makes the secret anew as another type."""

    pending = True

    def update(self, *args: Any, **more: Any) -> SecretMetadata:
        if self.pending:
            self.pending = False
            self.delete(REF, actor="o", operation_id="overtaken-1")
            self.create(REF, DOCKER, SecretType.IMAGE_PULL, actor="o", operation_id="overtaken-2")
        return super().update(*args, **more)


def test_what_does_not_fit_never_gets_in_though_the_type_changes_meanwhile() -> None:
    store = MemoryStore()
    overtaken = Overtaken(store)
    writer = ValidatedWriter(writer=overtaken, capabilities=Capabilities(max_value=64), store="s")
    create(writer)
    with pytest.raises(InvalidArgument, match="docker config"):
        update(writer, PLAIN, "u1")
    found = store.reader().resolve([REF])[REF]
    assert (found.type, found.size) == (SecretType.IMAGE_PULL, len(DOCKER))
    update(writer, DOCKER, "u2")


def test_a_repeat_succeeds_though_another_type_has_the_name_by_now(writer: ValidatedWriter) -> None:
    create(writer)
    version = update(writer, PLAIN, "u1")
    writer.delete(REF, actor="t", operation_id="d1")
    writer.create(REF, DOCKER, SecretType.IMAGE_PULL, actor="t", operation_id="c2")
    assert update(writer, PLAIN, "u1") == version
    assert writer.describe(REF).type is SecretType.IMAGE_PULL


def test_a_caller_may_have_a_say_in_what_fits_too(writer: ValidatedWriter) -> None:
    create(writer)

    def never(type: SecretType) -> None:
        raise InvalidArgument(f"no {type}")

    with pytest.raises(InvalidArgument, match="no generic"):
        writer.update(REF, PLAIN, actor="t", operation_id="u1", fits=never)


def test_an_update_of_nothing_is_not_found(writer: ValidatedWriter) -> None:
    with pytest.raises(NotFound):
        update(writer, PLAIN, "u1")
    with pytest.raises(NotFound):
        update(writer, PLAIN, "u1", expected="x")


def test_a_repeat_after_a_deletion_gets_the_first_answer(writer: ValidatedWriter) -> None:
    create(writer)
    version = update(writer, PLAIN, "u1")
    writer.delete(REF, actor="t", operation_id="d1")
    assert update(writer, PLAIN, "u1") == version
    with pytest.raises(NotFound):
        writer.describe(REF)


def test_expected_is_handed_on(writer: ValidatedWriter) -> None:
    version = create(writer)
    with pytest.raises(Conflict):
        update(writer, PLAIN, "u1", expected="other")
    assert update(writer, PLAIN, "u2", expected=version) != version
