"""Rotation: beside a server, after a kill at any point, and over what was tampered with."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from secrets_svc.backends.local.rotation import RotationReport, rotate
from secrets_svc.core.errors import Changed, InvalidArgument, NotFound, Unavailable

ROTATE = """
import os, signal, sys
from pathlib import Path
from secrets_svc.backends.local.rotation import rotate
def progress(done, total):
    if len(sys.argv) > 2 and done >= int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
print("ready", flush=True)
sys.stdin.readline()
rotate(Path(sys.argv[1]), batch=4, progress=progress)
print("done", flush=True)
"""

WRITE = """
import os, sys, time
from pathlib import Path
from secrets_svc.backends.local import BACKEND
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue
writer = BACKEND.open_writer(BACKEND.settings_model(busy_timeout=30), state=Path(sys.argv[1]))
scope = Scope("flyte", "production", "shop")
number = 0
while os.getppid() == int(sys.argv[2]):
    data = SecretValue(b"%d" % number)
    ref = SecretRef(scope, f"new-{number}")
    writer.create(ref, data, SecretType.GENERIC, actor="w", operation_id=f"c{number}")
    writer.update(SecretRef(scope, f"n-{number % 60}"), data, actor="w", operation_id=f"u{number}")
    print(number, flush=True)
    number += 1
    time.sleep(0.002)  # one that never pauses keeps the database to itself
"""


def _filled(store: Any, count: int) -> dict[str, bytes]:
    writer = store.writer()
    values = {f"n-{number}": b"value %d" % number for number in range(count)}
    for name, data in values.items():
        store.create(writer, name, data)
    return values


def _values(store: Any, names: Any) -> dict[str, bytes]:
    reader = store.reader()
    return {name: store.read(reader, name) for name in names}


def test_everything_rests_under_new_keys(store: Any) -> None:
    """Values, tokens and metadata as they were, for those who start now and those who run already."""
    values = _filled(store, 25)
    writer, reader = store.writer(), store.reader()
    metadata = writer.list(store.scope, limit=1000)
    resolved = reader.resolve([store.ref(name) for name in values])
    [old] = store.generations()
    seen: list[tuple[int, int]] = []
    report = rotate(store.folder, batch=10, progress=lambda done, total: seen.append((done, total)))
    [new] = store.generations()
    assert report == RotationReport(new, resumed=False, resealed=25, removed=(old,), damaged=())
    assert seen == [(0, 25), (10, 25), (20, 25), (25, 25)]
    assert store.sql("SELECT DISTINCT generation FROM secrets") == [(new,)]
    for each_writer, each_reader in ((writer, reader), (store.writer(), store.reader())):
        assert each_writer.list(store.scope, limit=1000) == metadata
        assert each_reader.resolve(list(resolved)) == resolved
        assert {name: store.read(each_reader, name) for name in values} == values
        store.update(each_writer, "n-0", b"value 0")
        resolved = each_reader.resolve(list(resolved))
        metadata = each_writer.list(store.scope, limit=1000)


def test_nothing_sealed_with_the_old_keys_stays_on_the_disk(store: Any) -> None:
    _filled(store, 5)
    before = [sealed for (sealed,) in store.sql("SELECT sealed FROM secrets")]
    store.close()
    rotate(store.folder)
    left = b"".join(path.read_bytes() for path in store.folder.iterdir() if path.is_file())
    assert not [sealed for sealed in before if sealed in left]


def test_an_empty_store(store: Any) -> None:
    [old] = store.generations()
    report = rotate(store.folder)
    assert (report.resealed, report.removed) == (0, (old,))
    store.create(store.writer(), "name", b"value")
    assert store.read(store.reader(), "name") == b"value"


def test_large_values_go_a_few_at_a_time(store: Any) -> None:
    writer = store.writer()
    for number in range(12):
        store.create(writer, f"n-{number:02}", bytes([number]) * 1_048_576)
    seen: list[int] = []
    assert rotate(store.folder, progress=lambda done, _: seen.append(done)).resealed == 12
    assert seen == [0, 7, 12]
    assert _values(store, ["n-00", "n-11"]) == {"n-00": bytes(1_048_576), "n-11": b"\x0b" * 1_048_576}


@pytest.mark.parametrize("after", [0, 4, 8, 12, 20])
def test_killed_after_so_many(store: Any, after: int) -> None:
    """All is readable, and the next rotation finishes this one before anything else."""
    values = _filled(store, 20)
    done = subprocess.run(
        [sys.executable, "-c", ROTATE, str(store.folder), str(after)], input=b"\n", check=False, timeout=60
    )
    assert done.returncode == -9
    assert _values(store, values) == values
    store.update(store.writer(), "n-3", b"since")
    values["n-3"] = b"since"
    old, new = store.generations()
    report = rotate(store.folder)
    assert (report.generation, report.resumed, report.removed) == (new, True, (old,))
    assert report.resealed in (20 - after, 20 - after - 1)
    assert _values(store, values) == values
    assert not rotate(store.folder).resumed
    assert _values(store, values) == values


def test_killed_at_any_moment(store: Any) -> None:
    """From before the first key file to after the last removal."""
    values = _filled(store, 60)
    chance = random.Random(20)
    finished = 0
    for number in range(12):
        child = subprocess.Popen(
            [sys.executable, "-c", ROTATE, str(store.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with child:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            child.stdin.write(b"\n")
            child.stdin.flush()
            time.sleep(chance.uniform(0, 0.09))
            child.kill()
            finished += child.stdout.read() == b"done\n"
        if number % 3 == 0:
            store.update(store.writer(), f"n-{number}", b"since")
            values[f"n-{number}"] = b"since"
        assert _values(store, values) == values
        store.close()
    assert finished < 12
    rotate(store.folder)
    rotate(store.folder)
    assert len(store.generations()) == 1
    assert _values(store, values) == values


def test_what_killed_rotations_leave_is_cleaned_up(store: Any) -> None:
    """Half-made and half-removed folders, and keys that never became current."""
    values = _filled(store, 3)
    keys = store.folder / "keys"
    for left in (".making-20200101T000000000000Z-00000000", ".removing-20200101T000000000000Z-00000001"):
        (keys / left).mkdir()
        (keys / left / "reader.key").write_bytes(b"half")
    orphan = keys / "20200101T000000000000Z-00000002"
    orphan.mkdir(mode=0o700)
    for name in ("reader.key", "reader.pub", "writer.key", "writer.pub"):
        (orphan / name).write_bytes(b"never used")
        (orphan / name).chmod(0o600)
    report = rotate(store.folder)
    assert orphan.name in report.removed
    assert store.generations() == [report.generation]
    assert _values(store, values) == values


def test_beside_a_process_that_writes(store: Any) -> None:
    """Nothing that it was told is lost, and a reader from before reads on throughout."""
    values = _filled(store, 60)
    reader = store.reader()
    import os

    child = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(store.folder), str(os.getpid())], stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        for _ in range(4):
            rotate(store.folder, batch=7, progress=lambda *_: _read_some(store, reader))
        time.sleep(0.1)
        child.terminate()
        acknowledged = 1 + sum(line.endswith(b"\n") for line in child.stdout.read().splitlines(keepends=True))
    assert acknowledged > 5
    for number in range(acknowledged):
        assert store.read(reader, f"new-{number}") == b"%d" % number
        values[f"n-{number % 60}"] = b"%d" % number
    # The child may have been a step further than it could tell.
    values[f"n-{acknowledged % 60}"] = store.read(reader, f"n-{acknowledged % 60}")
    assert _values(store, values) == values
    rotate(store.folder)
    assert len(store.generations()) == 1


def _read_some(store: Any, reader: Any) -> None:
    for number in (0, 30, 59):
        try:
            assert store.read(reader, f"n-{number}")
        except (Changed, NotFound):
            continue


def test_beside_those_who_start(store: Any) -> None:
    """Opening a store while keys come and go makes no folder and fails nobody."""
    values = _filled(store, 5)
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            ROTATE.replace("\nrotate(", "\nfor _ in range(25): rotate("),
            str(store.folder),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        child.stdin.write(b"\n")
        child.stdin.flush()
        while child.poll() is None:
            assert _values(store, values) == values
            store.close()
        assert child.returncode == 0
    assert len(store.generations()) == 1


def test_a_running_writer_takes_the_new_keys(store: Any) -> None:
    writer, reader = store.writer(), store.reader()
    store.create(writer, "before", b"before")
    new = rotate(store.folder).generation
    store.create(writer, "after", b"after")
    assert store.sql("SELECT DISTINCT generation FROM secrets") == [(new,)]
    assert (store.read(reader, "before"), store.read(reader, "after")) == (b"before", b"after")


def test_what_was_tampered_with_is_left_and_told(store: Any) -> None:
    """Nothing that the writer never signed is signed now."""
    values = _filled(store, 6)
    store.sql("UPDATE secrets SET size = 1 WHERE storage_name LIKE '%n-1'")
    store.sql("UPDATE secrets SET sealed = zeroblob(90) WHERE storage_name LIKE '%n-2'")
    store.sql("UPDATE secrets SET generation = 'gone' WHERE storage_name LIKE '%n-3'")
    [old] = store.generations()
    report = rotate(store.folder)
    assert [name[-3:] for name in report.damaged] == ["n-1", "n-2", "n-3"]
    assert (report.resealed, report.removed) == (3, ())
    assert store.generations() == [old, report.generation]
    for name in ("n-1", "n-2", "n-3"):
        with pytest.raises(Unavailable):
            store.read(store.reader(), name)
    writer = store.writer()
    for name in ("n-1", "n-2", "n-3"):
        store.delete(writer, name)
        del values[name]
    again = rotate(store.folder)
    assert not again.resumed
    assert store.generations() == [again.generation]
    assert _values(store, values) == values


def test_one_at_a_time(store: Any) -> None:
    _filled(store, 3)

    def another(*_: int) -> None:
        with pytest.raises(Unavailable, match="under way already"):
            rotate(store.folder)

    rotate(store.folder, progress=another)


def test_refusals(store: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="batch"):
        rotate(store.folder, batch=0)
    with pytest.raises(Unavailable, match="no local store"):
        rotate(tmp_path / "nothing")
