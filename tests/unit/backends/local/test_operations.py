"""Operation ids are forgotten in time, and not before."""

from __future__ import annotations

import time
from typing import Any

import pytest

from secrets_svc.core.errors import InvalidArgument
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
