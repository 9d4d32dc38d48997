"""Earlier versions: told, read, and made current again, where a store keeps them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import pytest

from secrets_svc.core.abilities import KeepsHistory, ReadsVersions, RollsBack, VersionInfo
from secrets_svc.core.errors import Conflict, InvalidArgument, NotFound
from secrets_svc.core.ports import SecretReader, SecretWriter
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.testing.harness import (
    ACTOR,
    BackendHarness,
    create,
    delete,
    eventually,
    operation_id,
    read,
    some_ref,
    update,
)

Test = TypeVar("Test", bound=Callable[..., None])
#: Writes that are more than what most stores keep.
_MANY = 14
_DOCKER = b'{"auths": {"r": {"auth": "eA=="}}}'
_UNKNOWN = ["", "x", "0", "1", "made-up", "../x", "\x00", "ü", "\ud800", "9" * 40, "a" * 5000]


def _short(text: str) -> str:
    return ascii(text)[:24]


def _history(writer: SecretWriter, ref: SecretRef, *, limit: int = 100) -> tuple[VersionInfo, ...]:
    assert isinstance(writer, KeepsHistory)
    return writer.history(ref, limit=limit)


def _pinned(reader: SecretReader, ref: SecretRef, version: str) -> bytes:
    """That version's value; what is said of it must agree."""
    assert isinstance(reader, ReadsVersions)
    resolved = reader.resolve_version(ref, version)
    found = reader.read_version(ref, version)
    assert (resolved.ref, resolved.token) == (found.ref, found.token) == (ref, version)
    assert resolved.type is found.type
    assert resolved.size in (None, len(found.value))
    return found.value.reveal_bytes()


def _not_found(reader: SecretReader, ref: SecretRef, version: str) -> None:
    assert isinstance(reader, ReadsVersions)
    for call in (reader.resolve_version, reader.read_version):
        with pytest.raises(NotFound):
            call(ref, version)


def _rollback(
    writer: SecretWriter, ref: SecretRef, to: str, *, operation: str = "", expected: str | None = None
) -> SecretMetadata:
    assert isinstance(writer, RollsBack)
    return writer.rollback(
        ref, to=to, actor=ACTOR, operation_id=operation or operation_id(), expected=expected
    )


def _where_kept(test: Test) -> Test:
    """Without history there is nothing but that nobody pretends to have one."""

    @functools.wraps(test)
    def run(*arguments: Any, harness: BackendHarness, **rest: Any) -> None:
        if harness.capabilities.versions > 1:
            test(*arguments, harness=harness, **rest)
        else:
            assert not isinstance(harness.writer(), KeepsHistory)
            assert not isinstance(harness.reader(), ReadsVersions)

    return cast(Test, run)


def _where_turned(test: Test) -> Test:
    """Without rollback there is nothing but that nobody pretends to have it."""

    @functools.wraps(test)
    def run(*arguments: Any, harness: BackendHarness, **rest: Any) -> None:
        if harness.capabilities.rollback:
            test(*arguments, harness=harness, **rest)
        else:
            assert not isinstance(harness.writer(), RollsBack)

    return cast(Test, run)


def _written(writer: SecretWriter, ref: SecretRef, count: int) -> list[str]:
    """Tokens of ``count`` versions, whose values are their numbers."""
    return [create(writer, ref, b"0").version] + [
        update(writer, ref, b"%d" % number).version for number in range(1, count)
    ]


class VersionContract:
    """Optional: ``versions`` over 1, and ``rollback``."""

    def test_abilities_are_as_declared(self, harness: BackendHarness) -> None:
        """Nobody has a method that the capabilities don't tell of, nor lacks one."""
        writer, reader, can = harness.writer(), harness.reader(), harness.capabilities
        assert isinstance(writer, KeepsHistory) is (can.versions > 1)
        assert isinstance(reader, ReadsVersions) is (can.versions > 1)
        assert isinstance(writer, RollsBack) is can.rollback
        assert not isinstance(reader, KeepsHistory | RollsBack)
        assert not isinstance(writer, ReadsVersions)
        assert can.versions > 1 or not can.rollback

    @_where_kept
    def test_a_history_begins_with_what_was_created(self, harness: BackendHarness) -> None:
        """One version, the current one, and nothing of its value."""
        ref, writer = some_ref(), harness.writer()
        made = create(writer, ref, b"the-value-itself")

        def alone() -> None:
            [only] = _history(writer, ref)
            assert only.version == made.version == writer.describe(ref).version
            assert (only.current, only.readable, only.created_by) == (True, True, ACTOR)
            assert only.created_at == made.updated_at
            assert only.size in (None, 16)
            assert "the-value-itself" not in repr(only)

        eventually(harness, alone)

    @_where_kept
    def test_updates_come_newest_first(self, harness: BackendHarness) -> None:
        """Exactly one is current, and what falls off the end is the oldest."""
        ref, writer, kept = some_ref(), harness.writer(), harness.capabilities.versions
        tokens = _written(writer, ref, _MANY)

        def all_told() -> None:
            found = _history(writer, ref)
            assert [each.version for each in found] == tokens[::-1][:kept]
            assert [each.current for each in found] == [True] + [False] * (len(found) - 1)
            times = [each.created_at for each in found]
            assert times == sorted(times, reverse=True)
            assert found[0].version == writer.describe(ref).version

        eventually(harness, all_told)

    @_where_kept
    def test_a_limit_of_a_history(self, harness: BackendHarness) -> None:
        """The newest so many; 1 to 1000 are taken."""
        ref, writer = some_ref(), harness.writer()
        tokens = _written(writer, ref, 3)

        def the_newest() -> None:
            for limit in (1, 2, 3, 1000):
                found = _history(writer, ref, limit=limit)
                assert [each.version for each in found] == tokens[::-1][:limit]

        eventually(harness, the_newest)
        for refused in (0, -1, 1001):
            with pytest.raises(InvalidArgument):
                _history(writer, ref, limit=refused)

    @_where_kept
    def test_each_kept_value_can_be_read(self, harness: BackendHarness) -> None:
        """To the byte, of the type it has; what has expired is not found."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        tokens = _written(writer, ref, _MANY)
        kept = harness.capabilities.versions

        def each_its_own() -> None:
            for number, token in list(enumerate(tokens))[-kept:]:
                assert _pinned(reader, ref, token) == b"%d" % number
            for token in tokens[:-kept]:
                _not_found(reader, ref, token)

        eventually(harness, each_its_own)

    @_where_kept
    def test_exact_bytes_and_type(self, harness: BackendHarness) -> None:
        """All bytes come back as they were, and a type is every version's."""
        binary, docker = some_ref("binary"), some_ref("docker")
        writer, reader = harness.writer(), harness.reader()
        data = bytes(range(256))
        first = create(writer, binary, data).version
        update(writer, binary, b"x")
        pull = create(writer, docker, _DOCKER, SecretType.IMAGE_PULL).version
        update(writer, docker, _DOCKER)
        assert isinstance(reader, ReadsVersions)
        pinned = reader

        def as_they_were() -> None:
            assert _pinned(reader, binary, first) == data
            assert _pinned(reader, docker, pull) == _DOCKER
            assert pinned.read_version(docker, pull).type is SecretType.IMAGE_PULL

        eventually(harness, as_they_were)

    @_where_kept
    def test_a_large_value_is_pushed_out_rather_than_refused(self, harness: BackendHarness) -> None:
        """Values of the largest size can be written one after the other, whatever is kept of them."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        largest = harness.capabilities.max_value
        create(writer, ref, b"0" * largest)
        current = [update(writer, ref, b"%d" % number * largest).version for number in (1, 2)][-1]

        def the_last_one() -> None:
            assert read(reader, ref) == b"2" * largest
            found = _history(writer, ref)
            assert (found[0].version, found[0].current) == (current, True)
            for each in found:
                if each.readable:
                    assert len(set(_pinned(reader, ref, each.version))) == 1

        eventually(harness, the_last_one)

    @pytest.mark.parametrize("version", _UNKNOWN, ids=_short)
    @_where_kept
    def test_a_version_that_never_was(self, harness: BackendHarness, version: str) -> None:
        """Is not found, whatever it looks like."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        create(writer, ref)
        eventually(harness, lambda: _there(reader, ref))
        _not_found(reader, ref, version)

    @_where_kept
    def test_another_secrets_version(self, harness: BackendHarness) -> None:
        """Is not found, though value and number may be the same."""
        one, other = some_ref("one"), some_ref("other")
        writer, reader = harness.writer(), harness.reader()
        tokens = _written(writer, one, 2)
        _written(writer, other, 2)
        eventually(harness, lambda: _there(reader, other))
        for token in tokens:
            _not_found(reader, other, token)

    @_where_kept
    def test_no_versions_of_what_is_absent(self, harness: BackendHarness) -> None:
        """Is not found, by either side."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        with pytest.raises(NotFound):
            _history(writer, ref)
        _not_found(reader, ref, "x")

    @_where_kept
    def test_nothing_from_before_a_delete(self, harness: BackendHarness) -> None:
        """Neither while it is gone, nor once it has been created again."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        before = _written(writer, ref, 2)
        delete(writer, ref)
        with pytest.raises(NotFound):
            _history(writer, ref)

        def none_of_them() -> None:
            for token in before:
                _not_found(reader, ref, token)

        eventually(harness, none_of_them)
        made = create(writer, ref)
        after = update(writer, ref, b"after").version

        def only_since() -> None:
            assert [each.version for each in _history(writer, ref)] == [after, made.version]
            none_of_them()

        eventually(harness, only_since)


def _there(reader: SecretReader, ref: SecretRef) -> None:
    assert ref in reader.resolve([ref])


class RollbackContract:
    """Optional: ``rollback``."""

    @_where_turned
    def test_a_rollback_brings_the_value_back(self, harness: BackendHarness) -> None:
        """For readers as for the writer; when and by whom it was created stays."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        first = create(writer, ref, b"first")
        second = update(writer, ref, b"second")
        done = _rollback(writer, ref, first.version)

        def back() -> None:
            assert read(reader, ref) == b"first"
            resolved = reader.resolve([ref])[ref]
            assert resolved.token == done.version == harness.writer().describe(ref).version
            assert _pinned(reader, ref, second.version) == b"second"

        eventually(harness, back)
        assert writer.describe(ref) == done
        assert (done.created_at, done.created_by) == (first.created_at, first.created_by)
        assert done.type is first.type
        assert done.updated_at >= second.updated_at

    @_where_turned
    def test_a_history_after_a_rollback(self, harness: BackendHarness) -> None:
        """One version is current, and nothing that was kept is lost."""
        ref, writer = some_ref(), harness.writer()
        tokens = _written(writer, ref, 3)
        done = _rollback(writer, ref, tokens[0])

        def told() -> None:
            found = _history(writer, ref)
            assert [each.version for each in found if each.current] == [done.version]
            assert {*tokens[1:], done.version} <= {each.version for each in found}
            assert len(found) == len({each.version for each in found}) <= harness.capabilities.versions

        eventually(harness, told)

    @_where_turned
    def test_rollbacks_there_and_forth_again(self, harness: BackendHarness) -> None:
        """There and back, and on with new values, more often than there is room for."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        create(writer, ref, b"a")
        other, here = update(writer, ref, b"b"), b"b"
        for _ in range(_MANY):
            earlier = _previous(harness, writer, reader, ref, b"a" if here == b"b" else b"b")
            other = _rollback(writer, ref, earlier, expected=other.version)
            here = b"a" if here == b"b" else b"b"
            eventually(harness, _has(reader, ref, here))
            assert len(_history(writer, ref)) <= harness.capabilities.versions
        update(writer, ref, b"new")
        eventually(harness, _has(reader, ref, b"new"))

    @_where_turned
    def test_rollback_holds_the_expected_version(self, harness: BackendHarness) -> None:
        """Current is taken; anything else is a conflict and changes nothing."""
        ref, writer = some_ref(), harness.writer()
        first, second = _written(writer, ref, 2)
        before = writer.describe(ref)
        for stale in (first, "no-such-token", ""):
            with pytest.raises(Conflict):
                _rollback(writer, ref, first, expected=stale)
        assert writer.describe(ref) == before
        _rollback(writer, ref, first, expected=second)

    @pytest.mark.parametrize("version", _UNKNOWN, ids=_short)
    @_where_turned
    def test_rollback_to_a_version_that_never_was(self, harness: BackendHarness, version: str) -> None:
        """Is not found, and changes nothing."""
        ref, writer = some_ref(), harness.writer()
        made = create(writer, ref)
        with pytest.raises(NotFound):
            _rollback(writer, ref, version)
        assert writer.describe(ref) == made

    @_where_turned
    def test_rollback_to_what_is_not_its_own(self, harness: BackendHarness) -> None:
        """Another secret's version, one from before a delete; and of what is absent."""
        one, other = some_ref("one"), some_ref("other")
        writer = harness.writer()
        before = create(writer, one).version
        elsewhere = create(writer, other).version
        for ref, stale in ((one, elsewhere), (some_ref(), before)):
            with pytest.raises(NotFound):
                _rollback(writer, ref, stale)
        delete(writer, one)
        with pytest.raises(NotFound):
            _rollback(writer, one, before)
        made = create(writer, one)
        with pytest.raises(NotFound):
            _rollback(writer, one, before)
        assert writer.describe(one) == made

    @_where_turned
    def test_rollback_to_the_current_one(self, harness: BackendHarness) -> None:
        """Succeeds; the value is what it was."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        current = _written(writer, ref, 2)[-1]
        done = _rollback(writer, ref, current)
        assert writer.describe(ref) == done
        eventually(harness, _has(reader, ref, b"1"))

    @_where_turned
    def test_rollback_again(self, harness: BackendHarness) -> None:
        """It answers as before, and what was written since stays."""
        ref, operation = some_ref(), operation_id()
        first, second = _written(harness.writer(), ref, 2)
        answers = [
            _rollback(harness.writer(), ref, first, operation=operation, expected=second) for _ in range(3)
        ]
        assert answers[0] == answers[1] == answers[2]
        current = update(harness.writer(), ref, b"since")
        assert _rollback(harness.writer(), ref, first, operation=operation, expected=second) == answers[0]
        assert harness.writer().describe(ref) == current

    @_where_turned
    def test_an_id_of_another_rollback_is_refused(self, harness: BackendHarness) -> None:
        """With another version to go to, another expectation, or another verb."""
        ref, operation, writer = some_ref(), operation_id(), harness.writer()
        first, second, third = _written(writer, ref, 3)
        done = _rollback(writer, ref, first, operation=operation)
        for each in (writer, harness.writer()):
            with pytest.raises(InvalidArgument):
                _rollback(each, ref, second, operation=operation)
            with pytest.raises(InvalidArgument):
                _rollback(each, ref, first, operation=operation, expected=third)
            with pytest.raises(InvalidArgument):
                each.update(ref, SecretValue(b"x"), actor=ACTOR, operation_id=operation)
            with pytest.raises(InvalidArgument):
                each.delete(ref, actor=ACTOR, operation_id=operation)
        assert _rollback(writer, ref, first, operation=operation) == done == writer.describe(ref)

    @_where_turned
    def test_a_failed_rollback_may_be_tried_again(self, harness: BackendHarness) -> None:
        """Only what was done is remembered."""
        ref, operation, writer = some_ref(), operation_id(), harness.writer()
        first, second = _written(writer, ref, 2)
        with pytest.raises(Conflict):
            _rollback(writer, ref, first, operation=operation, expected=first)
        with pytest.raises(NotFound):
            _rollback(writer, ref, "made-up", operation=operation_id())
        done = _rollback(writer, ref, first, operation=operation, expected=second)
        assert writer.describe(ref) == done


def _has(reader: SecretReader, ref: SecretRef, data: bytes) -> Callable[[], None]:
    def check() -> None:
        assert read(reader, ref) == data

    return check


def _previous(
    harness: BackendHarness, writer: SecretWriter, reader: SecretReader, ref: SecretRef, data: bytes
) -> str:
    """The version of an earlier one whose value is ``data``."""
    found: list[str] = []

    def look() -> None:
        found[:] = [
            each.version
            for each in _history(writer, ref)
            if each.readable and not each.current and _pinned(reader, ref, each.version) == data
        ]
        assert found

    eventually(harness, look)
    return found[0]
