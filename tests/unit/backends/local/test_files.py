"""What lies on the disk, and who may get at it."""

from __future__ import annotations

import base64
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from secrets_svc.backends.local import BACKEND
from secrets_svc.core.errors import InvalidArgument, Unavailable

VALUE = b"a value that must never lie on the disk"


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_layout_and_modes(store: Any) -> None:
    store.create(store.writer(), "name", VALUE)
    [generation] = store.generations()
    names = {str(path.relative_to(store.folder)) for path in _files(store.folder)}
    keys = {f"keys/{generation}/{name}" for name in ("reader.key", "reader.pub", "writer.key", "writer.pub")}
    assert names == {"secrets.db", "secrets.db-wal", "secrets.db-shm", *keys}
    assert {_mode(path) for path in _files(store.folder)} == {0o600}
    folders = [store.folder, *(path for path in store.folder.rglob("*") if path.is_dir())]
    assert {_mode(path) for path in folders} == {0o700}


def test_no_value_lies_on_the_disk(store: Any) -> None:
    """Neither in the database nor in its log, in no encoding; nor after update and delete."""
    writer = store.writer()
    for name in ("kept", "updated", "deleted"):
        store.create(writer, name, VALUE)
    store.update(writer, "updated", VALUE * 2)
    store.delete(writer, "deleted")
    forms = [VALUE, VALUE.hex().encode(), VALUE.decode().encode("utf-16-le")]
    forms += [base64.b64encode(b"x" * shift + VALUE)[4:-4] for shift in range(3)]
    for path in _files(store.folder):
        content = path.read_bytes()
        assert not [form for form in forms if form in content], path
    assert store.read(store.reader(), "kept") == VALUE


def test_deleted_entries_are_overwritten(store: Any) -> None:
    """Their sealed bytes go too, once the log has been written back."""
    writer = store.writer()
    store.create(writer, "deleted", b"x" * 20_000)
    [(sealed,)] = store.sql("SELECT sealed FROM secrets")
    store.delete(writer, "deleted")
    store.close()
    everything = b"".join(path.read_bytes() for path in _files(store.folder))
    assert sealed[:64] not in everything
    assert sealed[-64:] not in everything


@pytest.mark.parametrize("name", ["reader.key", "writer.key"])
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_an_open_key_file_is_refused(store: Any, name: str, mode: int) -> None:
    store.close()
    key = store.folder / "keys" / store.generations()[0] / name
    key.chmod(mode)
    for opening in (store.writer, store.reader):
        with pytest.raises(InvalidArgument, match=f"file {key} is open to others .*type chmod 600 {key}"):
            opening()
    key.chmod(0o600)
    store.reader()


def test_a_public_key_may_be_read_but_not_written_by_others(store: Any) -> None:
    store.close()
    key = store.folder / "keys" / store.generations()[0] / "writer.pub"
    key.chmod(0o644)
    store.reader()
    key.chmod(0o664)
    with pytest.raises(InvalidArgument, match="chmod 600"):
        store.reader()


@pytest.mark.parametrize("place", ["", "keys", "secrets.db"])
def test_open_folders_and_databases_are_refused(store: Any, place: str) -> None:
    store.close()
    path = store.folder / place
    path.chmod(_mode(path) | 0o050)
    for opening in (store.writer, store.reader):
        with pytest.raises(InvalidArgument, match=f"{path} is open to others .*type chmod [67]00 {path}"):
            opening()


def test_a_reader_makes_nothing(tmp_path: Path, new_store: Callable[[Path], Any]) -> None:
    folder = tmp_path / "state"
    with pytest.raises(Unavailable, match="there is no local store in"):
        new_store(folder).reader()
    assert not folder.exists()


def test_several_start_at_once(tmp_path: Path, new_store: Callable[[Path], Any]) -> None:
    """They make one store together; a reader meets it whole or not at all."""
    for number in range(8):
        store = new_store(tmp_path / f"state-{number}")
        gate = threading.Barrier(5)

        def start(opening: Callable[[], Any], gate: threading.Barrier = gate) -> Any:
            gate.wait(30)
            with suppress(Unavailable):
                return opening()

        with ThreadPoolExecutor(5) as pool:
            list(pool.map(start, [store.writer, store.reader, store.writer, store.reader, store.writer]))
        assert len(store.generations()) == 1
        store.create(store.writer(), "name", b"value")
        assert store.read(store.reader(), "name") == b"value"


def test_settings_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValidationError) as refused:
        BACKEND.settings_model(fodler="some-private-input")
    assert "some-private-input" not in str(refused.value)


def test_each_side_holds_only_its_own_keys(store: Any) -> None:
    """The writer works without the reader's private key, the reader without the writer's."""
    writer, reader = store.writer(), store.reader()
    store.create(writer, "name", b"value")
    store.read(reader, "name")
    store.close()
    folder = store.folder / "keys" / store.generations()[0]
    spoilt = b"-----BEGIN PRIVATE KEY-----\nspoilt\n-----END PRIVATE KEY-----\n"
    good = {name: (folder / name).read_bytes() for name in ("reader.key", "writer.key")}
    (folder / "reader.key").write_bytes(spoilt)
    store.update(store.writer(), "name", b"another")
    with pytest.raises(Unavailable, match=r"key file .* damaged.*secret restore"):
        store.reader()
    (folder / "reader.key").write_bytes(good["reader.key"])
    (folder / "writer.key").write_bytes(spoilt)
    assert store.read(store.reader(), "name") == b"another"


def test_keys_of_another_kind_are_refused(store: Any) -> None:
    store.close()
    folder = store.folder / "keys" / store.generations()[0]
    (folder / "reader.key").write_bytes((folder / "writer.key").read_bytes())
    with pytest.raises(Unavailable, match="damaged"):
        store.reader()
