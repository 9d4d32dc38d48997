"""What a reader remembers never makes it say what is no longer so."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from secrets_svc.backends.local import reader as reader_module
from secrets_svc.core.ports import TellsState
from secrets_svc.core.value import SecretValue

UPDATE = """
import sys
from pathlib import Path
from secrets_svc.backends.local import BACKEND
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef
from secrets_svc.core.value import SecretValue
writer = BACKEND.open_writer(BACKEND.settings_model(), state=Path(sys.argv[1]))
ref = SecretRef(Scope("flyte", "production", "shop"), "name")
for number, line in enumerate(sys.stdin):
    if line == "delete\\n":
        writer.delete(ref, actor="a", operation_id=f"o{number}")
        print("gone", flush=True)
    else:
        value = SecretValue(line.strip().encode())
        print(writer.update(ref, value, actor="a", operation_id=f"o{number}").version, flush=True)
writer.close()
"""


def test_another_process_is_seen_at_once(store: Any) -> None:
    """On the very next call after its write was acknowledged."""
    store.create(store.writer(), "name", b"0")
    reader, ref = store.reader(), store.ref("name")
    with subprocess.Popen(
        [sys.executable, "-c", UPDATE, str(store.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        for number in range(1, 30):
            assert set(reader.resolve([ref])) == {ref}  # now it is remembered
            other.stdin.write(f"{number}\n")
            other.stdin.flush()
            token = other.stdout.readline().strip()
            assert reader.resolve([ref])[ref].token == token
            assert reader.read(ref, token).value.reveal_bytes() == b"%d" % number
        other.stdin.write("delete\n")
        other.stdin.flush()
        assert other.stdout.readline() == "gone\n"
        assert reader.resolve([ref]) == {}
        other.stdin.close()


def test_absence_is_not_remembered_either(store: Any) -> None:
    writer, reader, ref = store.writer(), store.reader(), store.ref("name")
    for _ in range(3):
        assert reader.resolve([ref]) == {}
        store.create(writer, "name", b"value")
        assert set(reader.resolve([ref])) == {ref}
        store.delete(writer, "name")


def test_the_state_is_another_after_every_write_and_after_no_read(store: Any) -> None:
    writer, reader = store.writer(), store.reader()
    assert isinstance(reader, TellsState)
    states = [reader.state()]
    for write in (
        lambda: store.create(writer, "name", b"value"),
        lambda: writer.update(store.ref("name"), SecretValue(b"other"), actor="x", operation_id="o"),
        lambda: store.delete(writer, "name"),
        lambda: store.create(store.writer(), "name", b"value"),
    ):
        write()
        states.append(reader.state())
        reader.resolve([store.ref("name")])
        assert reader.state() == states[-1]
    assert len(set(states)) == 5


def test_one_statement_for_all_references(store: Any) -> None:
    store.create(store.writer(), "name", b"value")
    reader = store.reader()
    reader.resolve([store.ref("name")])
    statements: list[str] = []
    reader._database.connection.set_trace_callback(statements.append)
    reader.resolve([store.ref("name"), *(store.ref(f"n-{number}") for number in range(300))])
    assert len(statements) == 1


def test_more_references_than_one_statement_takes(store: Any) -> None:
    writer, reader = store.writer(), store.reader()
    made = {store.ref(f"n-{number}") for number in range(0, 1300, 100)}
    for ref in made:
        store.create(writer, ref.name, b"value")
    refs = [store.ref(f"n-{number}") for number in range(1300)]
    assert set(reader.resolve(refs)) == set(reader.resolve(refs)) == made


def test_what_is_remembered_is_bounded(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "MAX_REMEMBERED", 5)
    writer, reader = store.writer(), store.reader()
    for number in range(12):
        store.create(writer, f"n-{number}", b"value")
    for number in range(200):
        reader.resolve([store.ref(f"absent-{number}"), store.ref(f"n-{number % 12}")])
        assert len(reader._known) <= 5


def test_the_readers_connection_can_not_write(store: Any) -> None:
    import sqlite3

    reader = store.reader()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._database.connection.execute("DELETE FROM secrets")
