"""Real faults, each by its real cause: what comes out is an error of ours that says what to do."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from secrets_svc.core.errors import InvalidArgument, SecretsError, Unavailable

FILES = ("secrets.db", "secrets.db-wal", "secrets.db-shm")
PRELUDE = """
import os, resource, secrets, sys
from pathlib import Path
from secrets_svc.backends.local import BACKEND
from secrets_svc.core.errors import SecretsError
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue
import cryptography.hazmat.primitives.serialization, encodings.idna, tempfile

state = Path(sys.argv[1])

def create(writer, name, data=b"value"):
    ref = SecretRef(Scope("flyte"), name)
    operation = os.urandom(8).hex()
    return writer.create(ref, SecretValue(data), SecretType.GENERIC, actor="a", operation_id=operation)

def answer(call):
    try:
        return repr(call())
    except SecretsError as error:
        return f"{error.code}: {error}"
"""


def _run(script: str, state: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(script), str(state)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def nobodys_folder() -> Iterator[Path]:
    """A folder that a process without root's rights gets to."""
    folder = Path(tempfile.mkdtemp(prefix="secrets-svc-"))
    yield folder
    shutil.rmtree(folder)


def test_a_read_only_file(nobodys_folder: Path) -> None:
    """By its mode or its folder's, met by a process that modes bind: root gives its rights up first.

    No writer opens it, however much it could look up: a server that starts so would refuse each write later.
    """
    answers = _run(
        """
        if os.getuid() == 0:
            os.chown(state, 65534, 65534)
            os.setgroups([]); os.setgid(65534); os.setuid(65534)
        settings = BACKEND.settings_model()
        writer = BACKEND.open_writer(settings, state=state)
        create(writer, "before")
        writer.close()
        def refused(path, mode):
            before = path.stat().st_mode
            path.chmod(mode)
            print(answer(lambda: BACKEND.open_writer(settings, state=state)))
            path.chmod(before)
        refused(state, 0o500)
        refused(state / "secrets.db", 0o400)
        create(BACKEND.open_writer(settings, state=state), "after")
        refused(state / "secrets.db-wal", 0o400)
        refused(state / "secrets.db-shm", 0o400)
        (state / "secrets.db").chmod(0o400)
        reader = BACKEND.open_reader(settings, state=state)
        ref = SecretRef(Scope("flyte"), "before")
        print(reader.read(ref, reader.resolve([ref])[ref].token).value.reveal_bytes())
        reader.close()
        """,
        nobodys_folder,
    )
    read_only = [f"folder {nobodys_folder}", *(f"file {nobodys_folder / name}" for name in FILES)]
    look = "look at its owner, its mode and its disk"
    assert answers == [*(f"unavailable: {each} can't be written: {look}" for each in read_only), "b'value'"]


def test_a_folder_that_can_not_be_made(nobodys_folder: Path) -> None:
    answers = _run(
        """
        if os.getuid() == 0:
            os.setgroups([]); os.setgid(65534); os.setuid(65534)
        print(answer(lambda: BACKEND.open_writer(BACKEND.settings_model(), state=Path("/proc/state"))))
        """,
        nobodys_folder,
    )
    assert answers == ["unavailable: folder /proc/state can't be made or used"]


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """The operating system refuses the write; what was there stays, and writing goes on afterwards."""
    answers = _run(
        """
        writer = BACKEND.open_writer(BACKEND.settings_model(), state=state)
        create(writer, "before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
        print(answer(lambda: create(writer, "large", b"x" * 500_000)))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(writer.describe(SecretRef(Scope("flyte"), "before")).size, create(writer, "large").size)
        print(len(writer.list(Scope("flyte")).items))
        writer.close()
        """,
        tmp_path / "state",
    )
    file = tmp_path / "state" / "secrets.db"
    assert answers == [f"unavailable: reading or writing file {file} failed: look at its disk", "5 5", "2"]


def test_a_full_disk(store: Any) -> None:
    """SQLite's own limit on the file's pages: it answers as it does where the disk has no room."""
    writer = store.writer()
    [(pages,)] = writer._database.rows("PRAGMA page_count")
    writer._database.rows(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(Unavailable, match="the disk of the state folder is full") as full:
        store.create(writer, "large", b"x" * 100_000)
    assert isinstance(full.value.__cause__, sqlite3.Error)
    assert str(full.value.__cause__) not in str(full.value)
    writer._database.rows("PRAGMA max_page_count = 1000000")
    store.create(writer, "large", b"x" * 100_000)
    assert store.read(store.reader(), "large") == b"x" * 100_000


def test_locked_by_another_process(store: Any) -> None:
    writer, reader = store.writer(), store.reader()
    store.create(writer, "name", b"value")
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
            "c.execute('BEGIN EXCLUSIVE'); print('held', flush=True); sys.stdin.readline()",
            str(store.folder / "secrets.db"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Unavailable, match="locked by another process") as locked:
            store.update(writer, "name", b"another")
        store.writer()  # opens nevertheless: who holds it may let go
        assert locked.value.retryable
        assert store.read(reader, "name") == b"value"
        assert holder.stdin is not None
        holder.stdin.close()
    store.update(writer, "name", b"another")
    assert store.read(reader, "name") == b"another"


@pytest.mark.parametrize("spoil", ["header", "all", "empty", "cut", "middle"])
def test_a_damaged_file(store: Any, spoil: str) -> None:
    writer = store.writer()
    for number in range(60):
        store.create(writer, f"n-{number}", b"x" * 500)
    store.close()
    file = store.folder / "secrets.db"
    content = file.read_bytes()
    file.write_bytes(
        {
            "header": b"not a database at all" + content[21:],
            "all": os.urandom(len(content)),
            "empty": b"",
            "cut": content[: len(content) // 2],
            "middle": content[:8192] + os.urandom(len(content) - 8192),
        }[spoil]
    )
    for opening in (store.reader, store.writer):
        with pytest.raises(SecretsError) as damaged:
            opening()
        text = str(damaged.value)
        assert str(file) in text
        if opening == store.writer:
            assert "secret restore" in text


def test_a_file_that_is_damaged_under_an_open_store(store: Any) -> None:
    """Met in the middle of reading: an error of ours, and no vendor's text in it."""
    writer, reader = store.writer(), store.reader()
    for number in range(60):
        store.create(writer, f"n-{number}", b"x" * 500)
    store.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    file = store.folder / "secrets.db"
    with file.open("r+b") as raw:
        raw.seek(4096)
        raw.write(os.urandom(file.stat().st_size - 4096))
    with pytest.raises(Unavailable) as damaged:
        store.read(reader, "n-0")
    assert "sqlite" not in str(damaged.value).lower()
    assert str(file) in str(damaged.value)


def test_another_applications_database(tmp_path: Path, new_store: Callable[[Path], Any]) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    with closing(sqlite3.connect(folder / "secrets.db")) as raw:
        raw.execute("CREATE TABLE theirs (x)")
    (folder / "secrets.db").chmod(0o600)
    before = (folder / "secrets.db").read_bytes()
    for opening in (new_store(folder).writer, new_store(folder).reader):
        with pytest.raises(InvalidArgument, match="is not a database of this service"):
            opening()
    assert (folder / "secrets.db").read_bytes() == before


def test_a_newer_schema(store: Any) -> None:
    store.close()
    store.sql("PRAGMA user_version = 3")
    for opening in (store.writer, store.reader):
        with pytest.raises(InvalidArgument, match="newer release"):
            opening()


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TRIGGER t AFTER UPDATE ON secrets BEGIN DELETE FROM secrets; END",
        "CREATE VIEW v AS SELECT * FROM secrets",
        "CREATE TABLE more (x)",
        "DROP INDEX secrets_by_project",
        "DROP TABLE operations",
    ],
)
def test_a_schema_that_is_not_ours(store: Any, change: str) -> None:
    store.close()
    store.sql(change)
    for opening in (store.writer, store.reader):
        with pytest.raises(Unavailable, match=r"damaged.*secret restore"):
            opening()


def test_a_store_without_current_keys(store: Any) -> None:
    writer = store.writer()
    store.sql("DELETE FROM meta")
    with pytest.raises(Unavailable, match="names no current keys"):
        store.create(writer, "name", b"value")


def test_a_closed_store(store: Any) -> None:
    writer, reader = store.writer(), store.reader()
    store.close()
    for call in (
        lambda: store.create(writer, "name", b"value"),
        lambda: writer.list(store.scope),
        lambda: reader.resolve([store.ref("name")]),
        lambda: reader.read(store.ref("name"), "token"),
    ):
        with pytest.raises(Unavailable, match="closed"):
            call()


def test_an_error_shows_no_value(store: Any) -> None:
    """Nor does its traceback."""
    writer = store.writer()
    writer._database.rows("PRAGMA max_page_count = 1")
    with pytest.raises(Unavailable) as full:
        store.create(writer, "name", bytes(range(65, 91)) * 10_000)
    assert "ABCDEFGHIJ" not in "".join(traceback.format_exception(full.value))
