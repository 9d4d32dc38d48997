"""Earlier versions: how many are kept, where they lie, and what somebody with the file can do to them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from secrets_svc.backends.local.backup import backup
from secrets_svc.backends.local.earlier import KEPT
from secrets_svc.backends.local.restore import restore, verify_all
from secrets_svc.backends.local.rotation import rotate
from secrets_svc.core.errors import NotFound, Unavailable
from secrets_svc.core.secret import SecretMetadata

REFUSED = (
    'an earlier version of secret "victim" in project-domain shop/production in the local store '
    "does not verify"
)
ALTERED = {
    "signature": "zeroblob(64)",
    "type": "'image-pull'",
    "size": "7",
    "written_at": "written_at + 1",
    "left_at": "left_at + 1",
    "written_by": "'somebody'",
    "digest": "zeroblob(32)",
}
#: The form of the tables before there were versions.
FIRST_FORM = [
    ("meta", "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID"),
    (
        "operations",
        "CREATE TABLE operations (operation_id TEXT PRIMARY KEY, verb TEXT NOT NULL, "
        "storage_name TEXT NOT NULL, generation TEXT, fingerprint BLOB, answer TEXT NOT NULL, "
        "at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    ),
    ("operations_by_age", "CREATE INDEX operations_by_age ON operations (at)"),
    (
        "secrets",
        "CREATE TABLE secrets (storage_name TEXT PRIMARY KEY, signature BLOB NOT NULL, "
        "token TEXT NOT NULL, type TEXT NOT NULL, size INTEGER NOT NULL, created_at INTEGER NOT NULL, "
        "updated_at INTEGER NOT NULL, created_by TEXT NOT NULL, updated_by TEXT NOT NULL, "
        "generation TEXT NOT NULL, digest BLOB NOT NULL, project_key TEXT NOT NULL, sealed BLOB NOT NULL"
        ") STRICT, WITHOUT ROWID",
    ),
    ("secrets_by_project", "CREATE INDEX secrets_by_project ON secrets (project_key, storage_name)"),
]


def _rollback(store: Any, name: str, to: str, actor: str = "bob") -> SecretMetadata:
    done: SecretMetadata = store.writer().rollback(
        store.ref(name), to=to, actor=actor, operation_id=secrets.token_hex(8)
    )
    return done


def _written(store: Any, name: str, count: int) -> list[str]:
    writer = store.writer()
    return [store.create(writer, name, b"0").version] + [
        store.update(writer, name, b"%d" % number).version for number in range(1, count)
    ]


def _values(store: Any, name: str) -> dict[str, bytes]:
    """All that the history tells of, by version."""
    reader = store.reader()
    return {
        each.version: reader.read_version(store.ref(name), each.version).value.reveal_bytes()
        for each in store.writer().history(store.ref(name))
    }


def _counted(store: Any, name: str) -> int:
    [(count,)] = store.sql("SELECT count(*) FROM versions WHERE storage_name LIKE ?", f"%{name}")
    return int(count)


@pytest.fixture
def victim(store: Any) -> Iterator[Any]:
    """A store with a secret of three versions, ``tokens``, and another beside it."""
    store.tokens = _written(store, "victim", 3)
    store.others = _written(store, "other", 3)
    return store


class TestKeeping:
    def test_ten_with_the_current_one(self, store: Any) -> None:
        tokens = _written(store, "name", KEPT + 5)
        assert KEPT == 10
        assert _counted(store, "name") == KEPT - 1
        assert _values(store, "name") == {
            token: b"%d" % number for number, token in list(enumerate(tokens))[5:]
        }

    def test_deleting_removes_all(self, victim: Any) -> None:
        """Of that secret; their bytes are overwritten too."""
        sealed = [
            row[0] for row in victim.sql("SELECT sealed FROM versions WHERE storage_name LIKE '%victim'")
        ]
        victim.delete(victim.writer(), "victim")
        assert (_counted(victim, "victim"), _counted(victim, "other")) == (0, 2)
        victim.close()
        everything = b"".join(path.read_bytes() for path in victim.folder.iterdir() if path.is_file())
        assert len(sealed) == 2
        assert not [each for each in sealed if each in everything]

    def test_what_a_rollback_left_goes_last(self, store: Any) -> None:
        """What was current just now is missed most, however long ago it was written."""
        first, *rest = _written(store, "name", KEPT)
        _rollback(store, "name", first)
        newest = store.update(store.writer(), "name", b"new").version
        assert set(_values(store, "name")) == {first, newest, *rest[1:]}

    def test_who_wrote_it_is_told_though_it_came_back(self, store: Any) -> None:
        """The secret's metadata tell who rolled back."""
        first, second = _written(store, "name", 2)
        before = {each.version: each for each in store.writer().history(store.ref("name"))}
        done = _rollback(store, "name", first)
        assert (done.version, done.updated_by, done.created_by) == (first, "bob", "tester")
        history = store.writer().history(store.ref("name"))
        assert [(each.version, each.current) for each in history] == [(second, False), (first, True)]
        for each in history:
            assert (each.created_at, each.created_by) == (
                before[each.version].created_at,
                before[each.version].created_by,
            )
        third = store.update(store.writer(), "name", b"third").version
        again = {each.version: each for each in store.writer().history(store.ref("name"))}
        assert set(again) == {first, second, third}
        assert again[first].created_at == before[first].created_at
        assert again[first].created_by == "tester"

    def test_to_the_current_one_changes_nothing(self, victim: Any) -> None:
        before = (
            victim.sql("SELECT * FROM secrets ORDER BY 1"),
            victim.sql("SELECT * FROM versions ORDER BY 1, 2"),
        )
        assert _rollback(victim, "victim", victim.tokens[-1]) == victim.writer().describe(
            victim.ref("victim")
        )
        after = (
            victim.sql("SELECT * FROM secrets ORDER BY 1"),
            victim.sql("SELECT * FROM versions ORDER BY 1, 2"),
        )
        assert after == before

    def test_the_writer_alone_can_do_it(self, victim: Any) -> None:
        """Without the key that opens."""
        victim.close()
        key = victim.folder / "keys" / victim.generations()[0] / "reader.key"
        good = key.read_bytes()
        key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nspoilt\n-----END PRIVATE KEY-----\n")
        _rollback(victim, "victim", victim.tokens[0])
        victim.close()
        key.write_bytes(good)
        assert victim.read(victim.reader(), "victim") == b"0"

    def test_a_clock_that_is_put_back(self, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """The order stays that of the writes."""
        writer = store.writer()
        tokens = [store.create(writer, "name", b"0").version]
        for number in range(1, 4):
            with monkeypatch.context() as patch:
                patch.setattr("secrets_svc.backends.local.writer.now", lambda number=number: 1000 - number)
                tokens.append(store.update(writer, "name", b"%d" % number).version)
        assert [each.version for each in writer.history(store.ref("name"))] == tokens[::-1]


class TestTampering:
    @pytest.mark.parametrize("column", ALTERED)
    def test_an_altered_column_is_refused(self, victim: Any, column: str) -> None:
        """By who reads it, tells of it, or would make it current; the secret itself goes on."""
        first = victim.tokens[0]
        victim.sql(
            f"UPDATE versions SET {column} = {ALTERED[column]} WHERE token = ?",
            first,
        )
        ref = victim.ref("victim")
        for call in (
            lambda: victim.reader().resolve_version(ref, first),
            lambda: victim.reader().read_version(ref, first),
            lambda: victim.writer().history(ref),
            lambda: _rollback(victim, "victim", first),
        ):
            with pytest.raises(Unavailable, match=REFUSED):
                call()
        assert victim.read(victim.reader(), "victim") == b"2"
        assert victim.reader().read_version(ref, victim.tokens[1]).value.reveal_bytes() == b"1"
        victim.update(victim.writer(), "victim", b"3")

    @pytest.mark.parametrize(
        "alteration", ["zeroblob(length(sealed))", "x''", "CAST(sealed || x'00' AS BLOB)"]
    )
    def test_an_altered_value_is_refused(self, victim: Any, alteration: str) -> None:
        """It is not made current either: the secret would be lost."""
        first = victim.tokens[0]
        victim.sql(f"UPDATE versions SET sealed = {alteration} WHERE token = ?", first)
        with pytest.raises(Unavailable, match=REFUSED):
            victim.reader().read_version(victim.ref("victim"), first)
        with pytest.raises(Unavailable, match=REFUSED):
            _rollback(victim, "victim", first)
        assert victim.read(victim.reader(), "victim") == b"2"

    def test_keys_that_are_not_there(self, victim: Any) -> None:
        victim.sql("UPDATE versions SET generation = '20200101T000000000000Z-00000000'")
        with pytest.raises(Unavailable, match="key files of an entry"):
            victim.reader().read_version(victim.ref("victim"), victim.tokens[0])

    def test_an_earlier_version_copied_into_the_current_place(self, victim: Any) -> None:
        """With its own signature it is no entry: only the writer makes it current."""
        victim.sql(
            "UPDATE secrets SET "
            "(token, signature, type, size, generation, digest, sealed, updated_at, updated_by) = "
            "(SELECT token, signature, type, size, generation, digest, sealed, written_at, written_by "
            "FROM versions WHERE token = ?) WHERE storage_name LIKE '%victim'",
            victim.tokens[0],
        )
        for call in (
            lambda: victim.reader().resolve([victim.ref("victim")]),
            lambda: victim.writer().describe(victim.ref("victim")),
        ):
            with pytest.raises(Unavailable, match="does not verify"):
                call()

    def test_an_entry_copied_among_the_earlier_versions(self, victim: Any) -> None:
        """The other's, and its own."""
        for name, source in (("victim", "victim"), ("victim", "other")):
            victim.sql(
                "INSERT OR REPLACE INTO versions SELECT ?, 'planted', signature, type, size, created_at, "
                "updated_at, updated_at, updated_by, generation, digest, sealed FROM secrets "
                "WHERE storage_name LIKE ?",
                f"u__org__flyte__domain__production__project__shop__key__{name}",
                f"%{source}",
            )
            with pytest.raises(Unavailable, match=REFUSED):
                victim.reader().read_version(victim.ref("victim"), "planted")

    def test_another_secrets_version_under_its_name(self, victim: Any) -> None:
        victim.sql(
            "UPDATE versions SET storage_name = replace(storage_name, 'other', 'victim') WHERE token = ?",
            victim.others[0],
        )
        with pytest.raises(Unavailable, match=REFUSED):
            _rollback(victim, "victim", victim.others[0])

    def test_versions_of_an_earlier_life(self, victim: Any) -> None:
        """Kept aside and put back behind the service's back, they belong to nothing."""
        rows = victim.sql("SELECT * FROM versions WHERE storage_name LIKE '%victim'")
        victim.delete(victim.writer(), "victim")
        made = victim.create(victim.writer(), "victim", b"new life")
        for row in rows:
            victim.sql(f"INSERT INTO versions VALUES ({', '.join('?' * len(row))})", *row)
        assert set(_values(victim, "victim")) == {made.version}
        for token in victim.tokens[:2]:
            with pytest.raises(NotFound):
                victim.reader().read_version(victim.ref("victim"), token)
            with pytest.raises(NotFound):
                _rollback(victim, "victim", token)
        victim.sql("DELETE FROM secrets WHERE storage_name LIKE '%victim'")
        victim.create(victim.writer(), "victim", b"again")
        assert _counted(victim, "victim") == 0

    def test_a_spoilt_note_of_who_wrote_it(self, store: Any) -> None:
        """The next write replaces it; nothing is lost."""
        first, second = _written(store, "name", 2)
        _rollback(store, "name", first)
        store.sql("UPDATE versions SET written_by = 'somebody' WHERE token = ?", first)
        third = store.update(store.writer(), "name", b"2").version
        assert _values(store, "name") == {first: b"0", second: b"1", third: b"2"}


class TestRotation:
    def test_earlier_versions_rest_under_new_keys_too(self, victim: Any) -> None:
        """With all that is told of them, for those who run already and those who start now."""
        writer, reader, ref = victim.writer(), victim.reader(), victim.ref("victim")
        history, before = writer.history(ref), [row[0] for row in victim.sql("SELECT sealed FROM versions")]
        seen: list[tuple[int, int]] = []
        report = rotate(victim.folder, batch=3, progress=lambda done, total: seen.append((done, total)))
        assert (report.resealed, len(report.removed), report.damaged) == (6, 1, ())
        assert seen == [(0, 6), (2, 6), (5, 6), (6, 6)]
        assert victim.sql("SELECT DISTINCT generation FROM versions") == [(report.generation,)]
        assert victim.generations() == [report.generation]
        assert writer.history(ref) == victim.writer().history(ref) == history
        assert reader.read_version(ref, victim.tokens[0]).value.reveal_bytes() == b"0"
        assert list(_values(victim, "victim").values()) == [b"2", b"1", b"0"]
        _rollback(victim, "victim", victim.tokens[0])
        assert victim.read(reader, "victim") == b"0"
        victim.close()
        left = b"".join(path.read_bytes() for path in victim.folder.iterdir() if path.is_file())
        assert not [sealed for sealed in before if sealed in left]

    def test_beside_rollbacks_and_updates(self, victim: Any) -> None:
        """Values go to and fro between the tables while they are sealed anew: none is missed."""
        expected = _values(victim, "victim")
        writer = victim.writer()
        turns = iter([victim.tokens[0], None, victim.tokens[1], victim.tokens[0]])

        def meanwhile(*_: int) -> None:
            to = next(turns, "")
            if to is None:
                made = victim.update(writer, "victim", b"new").version
                expected[made] = b"new"
            elif to:
                _rollback(victim, "victim", to)

        report = rotate(victim.folder, batch=1, progress=meanwhile)
        assert next(turns, "all done") == "all done"
        assert victim.generations() == [report.generation]
        assert _values(victim, "victim") == expected
        assert victim.read(victim.reader(), "victim") == b"0"

    def test_what_was_tampered_with_is_left_and_told_once(self, victim: Any) -> None:
        victim.sql("UPDATE versions SET size = 9 WHERE storage_name LIKE '%victim'")
        [old] = victim.generations()
        report = rotate(victim.folder)
        assert [name.rpartition("__")[2] for name in report.damaged] == ["victim"]
        assert (report.resealed, report.removed) == (4, ())
        assert victim.generations() == [old, report.generation]
        victim.delete(victim.writer(), "victim")
        assert len(rotate(victim.folder).removed) == 2

    def test_killed_in_between(self, victim: Any) -> None:
        """The next rotation takes the rest."""

        class Killed(Exception):
            pass

        def kill(done: int, _: int) -> None:
            if done == 4:
                raise Killed

        with pytest.raises(Killed):
            rotate(victim.folder, batch=2, progress=kill)
        assert list(_values(victim, "victim").values()) == [b"2", b"1", b"0"]
        report = rotate(victim.folder)
        assert (report.resumed, report.resealed, len(victim.generations())) == (True, 2, 1)
        assert list(_values(victim, "victim").values()) == [b"2", b"1", b"0"]


class TestBackups:
    def test_there_and_back(self, victim: Any, tmp_path: Path, new_store: Callable[[Path], Any]) -> None:
        """The count is of secrets."""
        rotate(victim.folder)
        assert backup(victim.folder, tmp_path / "backup.tar").secrets == 2
        assert restore(tmp_path / "backup.tar", tmp_path / "restored").secrets == 2
        restored = new_store(tmp_path / "restored")
        assert _values(restored, "victim") == _values(victim, "victim")
        _rollback(restored, "victim", victim.tokens[0])
        assert restored.read(restored.reader(), "victim") == b"0"

    def test_keys_that_only_an_earlier_version_needs_are_in_it(self, victim: Any, tmp_path: Path) -> None:
        """Here they are needed by one that doesn't verify, which keeps the rotation from removing them."""
        victim.sql("UPDATE versions SET size = 9 WHERE token = ?", victim.tokens[0])
        rotate(victim.folder)
        assert len(backup(victim.folder, tmp_path / "backup.tar").generations) == 2

    @pytest.mark.parametrize("column", ["written_by = 'x'", "sealed = zeroblob(90)", "generation = 'gone'"])
    def test_a_spoilt_version_does_not_come_back(self, victim: Any, tmp_path: Path, column: str) -> None:
        backup(victim.folder, tmp_path / "good.tar")
        victim.sql(f"UPDATE versions SET {column} WHERE token = ?", victim.tokens[0])
        with pytest.raises(Unavailable, match=REFUSED):
            verify_all(victim.folder)
        assert restore(tmp_path / "good.tar", tmp_path / "good").secrets == 2


class TestUpgrade:
    """A store that an earlier release left."""

    @pytest.fixture
    def old(self, store: Any) -> Any:
        writer = store.writer()
        for number in range(3):
            store.create(writer, f"n-{number}", b"value %d" % number)
        store.close()
        store.sql("DROP TABLE versions")
        store.sql("PRAGMA user_version = 1")
        found = store.sql(
            "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY 1"
        )
        assert found == FIRST_FORM
        return store

    def test_a_writer_brings_it_to_this_form(self, old: Any) -> None:
        rows = old.sql("SELECT * FROM secrets ORDER BY 1")
        writer = old.writer()
        assert old.sql("PRAGMA user_version") == [(2,)]
        assert old.sql("SELECT * FROM secrets ORDER BY 1") == rows
        before = writer.describe(old.ref("n-0"))
        assert [each.version for each in writer.history(old.ref("n-0"))] == [before.version]
        made = old.update(writer, "n-0", b"new")
        assert _values(old, "n-0") == {made.version: b"new", before.version: b"value 0"}
        old.close()
        old.writer()
        assert verify_all(old.folder) == 3

    def test_a_reader_reads_it_as_it_is(self, old: Any) -> None:
        """It can't write; what it may not find yet is there once somebody has written."""
        reader, ref = old.reader(), old.ref("n-1")
        assert old.read(reader, "n-1") == b"value 1"
        token = reader.resolve([ref])[ref].token
        assert reader.read_version(ref, token).value.reveal_bytes() == b"value 1"
        with pytest.raises(NotFound):
            reader.resolve_version(ref, "0" * 32)
        assert old.sql("PRAGMA user_version") == [(1,)]
        old.update(old.writer(), "n-1", b"new")
        assert reader.read_version(ref, token).value.reveal_bytes() == b"value 1"

    def test_rotation_and_backup_take_it(
        self, old: Any, tmp_path: Path, new_store: Callable[[Path], Any]
    ) -> None:
        assert backup(old.folder, tmp_path / "backup.tar").secrets == 3
        assert old.sql("PRAGMA user_version") == [(1,)]
        assert restore(tmp_path / "backup.tar", tmp_path / "restored").secrets == 3
        restored = new_store(tmp_path / "restored")
        restored.update(restored.writer(), "n-2", b"new")
        assert list(_values(restored, "n-2").values()) == [b"new", b"value 2"]
        assert rotate(old.folder).resealed == 3
        assert old.read(old.reader(), "n-2") == b"value 2"

    def test_killed_half_way(self, old: Any) -> None:
        """It is one transaction: the form is the old one or this one."""
        from secrets_svc.backends.local import databases, schema

        database = databases.open_database(old.folder, readonly=True)
        database.close()
        raw = databases._connect(old.folder / databases.FILE, "rw", 1)
        raw.execute("BEGIN IMMEDIATE")
        schema.upgrade(raw)
        raw.close()
        assert old.sql("PRAGMA user_version") == [(1,)]
        assert old.read(old.reader(), "n-0") == b"value 0"
        old.writer()
        assert old.sql("PRAGMA user_version") == [(2,)]

    def test_one_that_says_less_than_it_has_is_damaged(self, store: Any) -> None:
        store.close()
        store.sql("PRAGMA user_version = 1")
        with pytest.raises(Unavailable, match="is damaged"):
            store.writer()
