"""Operation ids are forgotten in time, and not before."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secrets_svc.backends.local.backup import backup
from secrets_svc.backends.local.restore import restore
from secrets_svc.backends.local.rotation import rotate
from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.secret import SecretType
from secrets_svc.core.value import SecretValue


def _ids(store: Any) -> set[str]:
    return {operation_id for (operation_id,) in store.sql("SELECT operation_id FROM operations")}


def _create(store: Any, writer: Any, name: str, operation_id: str) -> None:
    value = SecretValue(b"value")
    writer.create(store.ref(name), value, SecretType.GENERIC, actor="a", operation_id=operation_id)


def test_older_than_a_day_is_forgotten(store: Any) -> None:
    """By the first write of a writer, and then only every few minutes."""
    writer = store.writer()
    for name in ("old", "young"):
        _create(store, writer, name, f"op-{name}")
    now = int(time.time())
    store.sql("UPDATE operations SET at = ? WHERE operation_id = 'op-old'", now - 25 * 3600)
    store.sql("UPDATE operations SET at = ? WHERE operation_id = 'op-young'", now - 23 * 3600)
    _create(store, writer, "more", "op-more")
    assert _ids(store) == {"op-old", "op-young", "op-more"}
    _create(store, store.writer(), "new", "op-new")
    assert _ids(store) == {"op-young", "op-more", "op-new"}


def test_a_new_start_remembers(store: Any) -> None:
    writer = store.writer()
    _create(store, writer, "name", "op")
    made = writer.describe(store.ref("name"))
    store.close()
    writer = store.writer()
    _create(store, writer, "name", "op")
    assert writer.describe(store.ref("name")) == made
    with pytest.raises(InvalidArgument, match="was used before"):
        _create(store, writer, "another", "op")


def test_a_failed_write_leaves_no_id(store: Any) -> None:
    """It rests in the transaction of the write itself."""
    writer = store.writer()
    writer._database.rows("PRAGMA max_page_count = 1")
    with pytest.raises(Exception, match="full"):
        writer.create(
            store.ref("name"), SecretValue(b"x" * 100_000), SecretType.GENERIC, actor="a", operation_id="op"
        )
    assert _ids(store) == set()


@pytest.mark.parametrize("unusable", ["line\nbreak", "\x00", "\ud800", "tab\t"])
def test_ids_and_actors_are_printable(store: Any, unusable: str) -> None:
    writer, value = store.writer(), SecretValue(b"value")
    with pytest.raises(InvalidArgument):
        _create(store, writer, "name", unusable)
    with pytest.raises(InvalidArgument):
        writer.create(store.ref("name"), value, SecretType.GENERIC, actor=unusable, operation_id="op")


_ANSWER = '["t","generic",1,1,1,"a","a"]'


@pytest.mark.parametrize(
    "answer",
    [
        *("", "[", "7", "{}", "[]", "null", '["t"]', "[" * 100_000),
        *(_ANSWER.replace("generic", "odd"), _ANSWER.replace("1", "true", 1), _ANSWER.replace("1", "1e9", 1)),
        _ANSWER.replace(",1,1", ",1,9e99".replace("9e99", "9" * 30)),
    ],
    ids=range(12),
)
def test_an_answer_that_was_never_given_is_refused(store: Any, answer: str) -> None:
    """Nothing of it is passed on, and no error is but ours."""
    writer = store.writer()
    _create(store, writer, "name", "op")
    store.sql("UPDATE operations SET answer = ?", answer)
    with pytest.raises(Unavailable, match="was changed outside this service"):
        _create(store, writer, "name", "op")


# Fingerprints: what tells a repeat from another intent


def _fingerprints(store: Any) -> dict[str, tuple[str | None, bytes | None]]:
    rows = store.sql("SELECT operation_id, generation, fingerprint FROM operations")
    return {operation_id: (generation, fingerprint) for operation_id, generation, fingerprint in rows}


def _put(store: Any, writer: Any, data: bytes, operation_id: str = "op") -> str:
    value = SecretValue(data)
    made = writer.create(store.ref("name"), value, SecretType.GENERIC, actor="a", operation_id=operation_id)
    return str(made.version)


def test_a_new_start_still_tells_another_value(store: Any) -> None:
    first = _put(store, store.writer(), b"value")
    store.close()
    writer = store.writer()
    with pytest.raises(InvalidArgument, match="was used before"):
        _put(store, writer, b"other")
    assert _put(store, writer, b"value") == first


def test_a_fingerprint_needs_the_writers_key(tmp_path: Path, new_store: Callable[[Path], Any]) -> None:
    """The same write in two stores has two: whoever has only the file can't try a value out."""
    found = set()
    for name in ("one", "two"):
        store = new_store(tmp_path / name)
        _put(store, store.writer(), b"guessable")
        [(generation, fingerprint)] = _fingerprints(store).values()
        assert generation in store.generations()
        assert len(fingerprint or b"") == 32
        found.add(fingerprint)
    assert len(found) == 2


def test_a_deletion_has_none(store: Any) -> None:
    """Verb and name are all there is to compare."""
    writer = store.writer()
    _put(store, writer, b"value")
    writer.delete(store.ref("name"), actor="a", operation_id="gone")
    assert _fingerprints(store)["gone"] == (None, None)


def test_a_rotation_blanks_what_the_old_keys_could_be_tried_on(store: Any) -> None:
    """The id stays remembered: a repeat gets the first answer, without comparing."""
    first = _put(store, store.writer(), b"value")
    [(_, old)] = _fingerprints(store).values()
    store.close()
    rotate(store.folder)
    assert set(_fingerprints(store).values()) == {(None, None)}
    assert old not in b"".join(path.read_bytes() for path in store.folder.iterdir() if path.is_file())
    writer = store.writer()
    assert _put(store, writer, b"value") == first
    assert _put(store, writer, b"other") == first
    with pytest.raises(InvalidArgument, match="was used before"):
        writer.update(store.ref("name"), SecretValue(b"value"), actor="a", operation_id="op")
    writer.update(store.ref("name"), SecretValue(b"value"), actor="a", operation_id="since")
    with pytest.raises(InvalidArgument, match="was used before"):
        writer.update(store.ref("name"), SecretValue(b"other"), actor="a", operation_id="since")


def test_a_rotation_beside_a_writer_does_not_stop_it_from_comparing(store: Any) -> None:
    """Until the old keys go, what they made is compared; the writer takes up the new ones by itself."""
    writer = store.writer()
    first = _put(store, writer, b"value")
    seen: list[bool] = []

    def halfway(done: int, total: int) -> None:
        with pytest.raises(InvalidArgument, match="was used before"):
            _put(store, writer, b"other")
        seen.append(_put(store, writer, b"value") == first)

    rotate(store.folder, progress=halfway)
    assert seen
    assert all(seen)


def test_keys_that_are_gone_compare_nothing(store: Any) -> None:
    """As a rotation leaves it that is killed after removing them: the repeat still gets its answer."""
    writer = store.writer()
    first = _put(store, writer, b"value")
    store.sql("UPDATE operations SET generation = '20200101T000000000000Z-00000000'")
    assert _put(store, store.writer(), b"other") == first
    store.close()
    rotate(store.folder)
    assert set(_fingerprints(store).values()) == {(None, None)}


def test_a_restored_store_tells_another_value(store: Any, tmp_path: Path, new_store: Any) -> None:
    first = _put(store, store.writer(), b"value")
    backup(store.folder, tmp_path / "saved")
    restore(tmp_path / "saved", tmp_path / "restored")
    writer = new_store(tmp_path / "restored").writer()
    with pytest.raises(InvalidArgument, match="was used before"):
        _put(store, writer, b"other")
    assert _put(store, writer, b"value") == first
