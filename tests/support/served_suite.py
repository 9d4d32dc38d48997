"""The contract suite through the whole service, and what the service makes of some of its rules."""

from __future__ import annotations

import pytest

from secrets_svc.core.abilities import ReadsVersions, RollsBack
from secrets_svc.core.errors import Conflict, InvalidArgument, NotFound
from secrets_svc.core.secret import SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.testing.contract import BackendContract
from secrets_svc.testing.harness import (
    ACTOR,
    BackendHarness,
    create,
    eventually,
    operation_id,
    some_ref,
    update,
)

_DOCKER = b'{"auths": {"r": {"auth": "eA=="}}}'


class ServedContract(BackendContract):
    """All of it, but for what a client can't say: whether a value fits a type is for the service to ask, and
    identities are not for clients to choose. What is left of a secret is seen at the port.
    """

    test_each_identity_is_refused_the_other_side = None
    test_what_was_deleted_can_be_got_back_or_is_gone = None
    test_nothing_is_left_of_what_was_purged = None
    test_a_repeated_update_is_not_asked_whether_it_fits = None

    @pytest.mark.parametrize("type", [SecretType.IMAGE_PULL])
    def test_update_asks_whether_the_value_fits_the_type(
        self, harness: BackendHarness, type: SecretType
    ) -> None:
        """If not, nothing is written, and the same id may be used again."""
        ref, writer, operation = some_ref(), harness.writer(), operation_id()
        made = create(writer, ref, _DOCKER, type)
        with pytest.raises(InvalidArgument, match="not a docker config"):
            writer.update(ref, SecretValue(b"{}"), actor=ACTOR, operation_id=operation)
        assert writer.describe(ref) == made
        done = writer.update(ref, SecretValue(_DOCKER), actor=ACTOR, operation_id=operation)
        assert writer.describe(ref) == done

    @pytest.mark.parametrize(
        "version", ["", "x", "../x", "\x00", "\ud800", "a" * 5000], ids=lambda text: ascii(text)[:24]
    )
    def test_a_version_that_never_was(self, harness: BackendHarness, version: str) -> None:
        """Is not found, or no version at all."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        made = create(writer, ref)
        if isinstance(reader, ReadsVersions):
            with pytest.raises((NotFound, InvalidArgument)):
                reader.read_version(ref, version)
        if isinstance(writer, RollsBack):
            with pytest.raises((NotFound, InvalidArgument)):
                writer.rollback(ref, to=version, actor=ACTOR, operation_id=operation_id())
        assert writer.describe(ref) == made

    test_rollback_to_a_version_that_never_was = None

    def test_rollback_holds_the_expected_version(self, harness: BackendHarness) -> None:
        """Current is taken; another is a conflict and changes nothing."""
        ref, writer = some_ref(), harness.writer()
        first = create(writer, ref)
        second = update(writer, ref, b"second")
        if not isinstance(writer, RollsBack):
            return
        for stale in (first.version, "no-such-token"):
            with pytest.raises(Conflict):
                writer.rollback(
                    ref, to=first.version, actor=ACTOR, operation_id=operation_id(), expected=stale
                )
        assert writer.describe(ref) == second

    def test_exact_bytes_and_type(self, harness: BackendHarness) -> None:
        """All bytes of a pinned version come as they were."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        first = create(writer, ref, bytes(range(256))).version
        update(writer, ref, b"x")
        if not isinstance(reader, ReadsVersions):
            return
        pinned = reader

        def as_they_were() -> None:
            assert pinned.read_version(ref, first).value.reveal_bytes() == bytes(range(256))

        eventually(harness, as_they_were)

    def test_resolve_knows_what_the_writer_said(self, harness: BackendHarness) -> None:
        """The token is what a pod's status tells."""
        ref, reader = some_ref(), harness.reader()
        made = create(harness.writer(), ref)

        def there() -> None:
            assert reader.resolve([ref])[ref].token == made.version

        eventually(harness, there)

    def test_update_holds_the_expected_version(self, harness: BackendHarness) -> None:
        """Current is taken; another is a conflict, none at all is no version; neither changes anything."""
        ref, writer = some_ref(), harness.writer()
        first = create(writer, ref)
        second = update(writer, ref, b"another", expected=first.version)
        for stale in (first.version, "no-such-token"):
            with pytest.raises(Conflict):
                update(writer, ref, b"third", expected=stale)
        with pytest.raises(InvalidArgument):
            update(writer, ref, b"third", expected="")
        assert writer.describe(ref) == second
