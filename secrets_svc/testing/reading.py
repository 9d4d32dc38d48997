"""Resolve and read, and scopes that don't see each other."""

from __future__ import annotations

import pytest

from secrets_svc.core.abilities import probe
from secrets_svc.core.errors import Changed, NotFound
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.testing.harness import (
    BackendHarness,
    create,
    delete,
    eventually,
    levels,
    read,
    some_ref,
    some_scope,
    update,
)


class ReaderContract:
    """Must have."""

    def test_a_good_store_lacks_nothing(self, harness: BackendHarness) -> None:
        """Where there is something to ask (:class:`secrets_svc.core.abilities.Probes`); nothing is made."""
        for side in (harness.writer(), harness.reader()):
            probe(side)
        assert harness.writer().list(some_scope()).items == ()

    def test_the_reader_has_nothing_to_write_with(self, harness: BackendHarness) -> None:
        """And the writer nothing to read with (I10)."""
        assert not {"create", "update", "delete", "put", "write"} & set(dir(harness.reader()))
        assert not {"read", "resolve", "value"} & set(dir(harness.writer()))

    def test_resolve_knows_what_the_writer_said(self, harness: BackendHarness) -> None:
        """Token, type and, if at all, size."""
        ref = some_ref()
        made = create(harness.writer(), ref, b'{"auths": {}}', SecretType.IMAGE_PULL)
        reader = harness.reader()

        def there() -> None:
            resolved = reader.resolve([ref])[ref]
            assert (resolved.ref, resolved.token, resolved.type) == (ref, made.version, SecretType.IMAGE_PULL)
            assert resolved.size in (None, 13)

        eventually(harness, there)

    def test_resolve_leaves_absent_ones_out(self, harness: BackendHarness) -> None:
        """Absent is not failed (I4); nothing asked is nothing found."""
        here, absent = some_ref("here"), some_ref("absent")
        create(harness.writer(), here)
        reader = harness.reader()

        def only_one() -> None:
            assert set(reader.resolve([absent, here])) == {here}

        eventually(harness, only_one)
        assert reader.resolve([absent]) == {}
        assert reader.resolve([]) == {}

    def test_resolve_takes_what_can_not_be_there(self, harness: BackendHarness) -> None:
        """A long name in a long scope is absent, and doesn't hide what a wider scope has."""
        name = "n" * 128
        wide = SecretRef(Scope(some_scope().organization), name)
        narrow = SecretRef(Scope(wide.scope.organization, "d" * 63, "p" * 63), name)
        create(harness.writer(), wide)
        reader = harness.reader()

        def the_wide_one() -> None:
            assert set(reader.resolve([narrow, wide])) == {wide}

        eventually(harness, the_wide_one)

    def test_resolve_takes_all_references_at_once(self, harness: BackendHarness) -> None:
        """200 of them, every other one absent; each with its own token, from any iterable."""
        scope, writer, reader = some_scope(), harness.writer(), harness.reader()
        refs = [SecretRef(scope, f"n-{number}") for number in range(200)]
        made = {ref: create(writer, ref).version for ref in refs[::2]}

        def every_other() -> None:
            found = reader.resolve(iter(refs))
            assert {ref: resolved.token for ref, resolved in found.items()} == made

        eventually(harness, every_other)

    def test_what_resolve_answers_is_the_callers(self, harness: BackendHarness) -> None:
        """Emptying it changes no later answer."""
        ref, reader = some_ref(), harness.reader()
        create(harness.writer(), ref)

        def there() -> None:
            assert set(reader.resolve([ref])) == {ref}

        eventually(harness, there)
        reader.resolve([ref]).clear()
        there()

    def test_read_gives_value_and_version(self, harness: BackendHarness) -> None:
        """Of the token that was asked for."""
        ref, reader = some_ref(), harness.reader()
        made = create(harness.writer(), ref, b"the value")

        def the_value() -> None:
            version = reader.read(ref, made.version)
            assert (version.ref, version.token, version.type) == (ref, made.version, SecretType.GENERIC)
            assert version.value.reveal_bytes() == b"the value"

        eventually(harness, the_value)

    def test_an_out_of_date_token_is_changed(self, harness: BackendHarness) -> None:
        """By an update, and by delete and create again; a made-up one too."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        stale = [create(writer, ref).version, "made-up"]
        stale.append(update(writer, ref, b"another").version)
        delete(writer, ref)
        create(writer, ref)

        def all_changed() -> None:
            for token in stale:
                with pytest.raises(Changed):
                    reader.read(ref, token)

        eventually(harness, all_changed)

    def test_read_of_what_is_gone(self, harness: BackendHarness) -> None:
        """Is not found, not changed."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        token = create(writer, ref).version
        delete(writer, ref)

        def gone() -> None:
            with pytest.raises(NotFound):
                reader.read(ref, token)

        eventually(harness, gone)

    def test_every_write_is_seen(self, harness: BackendHarness) -> None:
        """By a reader that was asked just before (I7)."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        assert reader.resolve([ref]) == {}
        create(writer, ref, b"0")
        for number in range(1, 10):
            token = update(writer, ref, b"%d" % number).version

            def current(token: str = token, data: bytes = b"%d" % number) -> None:
                assert reader.resolve([ref])[ref].token == token
                assert read(reader, ref) == data

            eventually(harness, current)


class ScopeContract:
    """Must have."""

    def test_scopes_do_not_see_each_other(self, harness: BackendHarness) -> None:
        """One name in every level, and beside it, is as many secrets."""
        writer, reader = harness.writer(), harness.reader()
        refs = [SecretRef(scope, "same-name") for scope in levels(some_scope())]
        for number, ref in enumerate(refs):
            create(writer, ref, b"value %d" % number)
        delete(writer, refs[0])
        update(writer, refs[1], b"updated")
        expected = {ref: b"value %d" % number for number, ref in enumerate(refs)} | {refs[1]: b"updated"}
        del expected[refs[0]]

        def each_its_own() -> None:
            assert set(reader.resolve(refs)) == set(expected)
            assert {ref: read(reader, ref) for ref in expected} == expected

        eventually(harness, each_its_own)

    def test_a_token_opens_nothing_elsewhere(self, harness: BackendHarness) -> None:
        """One secret's token is another's stale one."""
        writer, reader = harness.writer(), harness.reader()
        one, other = (SecretRef(scope, "same-name") for scope in levels(some_scope())[:2])
        token = create(writer, one, b"same").version
        create(writer, other, b"same")

        def refused() -> None:
            with pytest.raises(Changed):
                reader.read(other, token)

        eventually(harness, refused)

    @pytest.mark.parametrize(
        "names",
        [
            ("Password", "password", "PASSWORD", "passworD"),
            ("a-b", "a_b", "a--b", "-a-b", "a-b-", "_a_b_", "-", "_", "0"),
            ("x__key__y", "__key__", "y", "x", "__domain__", "u__org__a__domain____project____key__b", "__"),
            ("n" * 128, "n" * 127, "N" * 128),
        ],
        ids=["case", "punctuation", "our-own-separators", "longest"],
    )
    def test_names_are_told_apart(self, harness: BackendHarness, names: tuple[str, ...]) -> None:
        """To the letter."""
        scope, writer, reader = some_scope(), harness.writer(), harness.reader()
        refs = {SecretRef(scope, name): name.encode() for name in names}
        for ref, data in refs.items():
            create(writer, ref, data)

        def each_its_own() -> None:
            assert {ref: read(reader, ref) for ref in refs} == refs
            assert {each.ref for each in writer.list(scope).items} == set(refs)

        eventually(harness, each_its_own)
