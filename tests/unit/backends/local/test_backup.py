"""Backup and restore: there and back, beside a server, and hostile files."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secrets_svc.backends.local.backup import NOTICE, backup
from secrets_svc.backends.local.restore import restore, verify_all
from secrets_svc.backends.local.rotation import rotate
from secrets_svc.core.errors import InvalidArgument, SecretsError, Unavailable
from secrets_svc.core.state_folder import hold_state

Stores = Callable[[Path], Any]


@pytest.fixture
def filled(store: Any) -> Any:
    writer = store.writer()
    for number in range(30):
        store.create(writer, f"n-{number}", b"value %d" % number)
    (store.folder / "admin-token").write_bytes(b"token\n")
    (store.folder / "tls").mkdir(mode=0o700)
    (store.folder / "tls" / "server.key").write_bytes(b"key")
    (store.folder / "tls" / "ca.pem").write_bytes(b"certificate")
    (store.folder / "audit.jsonl").write_bytes(b"{}\n")
    return store


@pytest.fixture
def saved(filled: Any, tmp_path: Path) -> Path:
    backup(filled.folder, tmp_path / "backup.tar")
    return tmp_path / "backup.tar"


def _members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def _tar(file: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(file, "w") as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return file


def _file(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


def _special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def test_there_and_back(filled: Any, saved: Path, tmp_path: Path, new_store: Stores) -> None:
    """Values, metadata and the server's own files; the log of what happened isn't part of it."""
    report = restore(saved, tmp_path / "restored")
    assert report.secrets == 30
    restored = new_store(tmp_path / "restored")
    reader = restored.reader()
    assert [restored.read(reader, f"n-{number}") for number in range(30)] == [
        b"value %d" % number for number in range(30)
    ]
    assert restored.writer().list(filled.scope, limit=1000) == filled.writer().list(filled.scope, limit=1000)
    for name in ("admin-token", "tls/server.key", "tls/ca.pem"):
        assert (restored.folder / name).read_bytes() == (filled.folder / name).read_bytes()
    assert not (restored.folder / "audit.jsonl").exists()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in restored.folder.rglob("*")}
    assert modes == {0o600, 0o700}
    assert restored.sql("PRAGMA journal_mode") == [("wal",)]
    restored.create(restored.writer(), "more", b"after")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "restored", "state"]


def test_the_report_says_what_and_to_guard_it(filled: Any, tmp_path: Path) -> None:
    target = tmp_path / "backup.tar"
    report = backup(filled.folder, target)
    assert (report.target, report.secrets, report.size) == (target, 30, target.stat().st_size)
    assert list(report.generations) == filled.generations()
    assert "keys" in report.notice
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert json.loads(_members(target)["secrets-svc-backup.json"])["notice"] == NOTICE


def test_a_backup_never_replaces_a_file(filled: Any, tmp_path: Path) -> None:
    target = tmp_path / "backup.tar"
    target.write_bytes(b"another")
    with pytest.raises(InvalidArgument, match="there already"):
        backup(filled.folder, target)
    assert target.read_bytes() == b"another"
    with pytest.raises(Unavailable):
        backup(filled.folder, tmp_path / "no-such-folder" / "backup.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "state"]


def test_beside_a_process_that_writes_and_rotates(filled: Any, tmp_path: Path) -> None:
    """Each backup is whole and of one moment."""
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, sys\nfrom pathlib import Path\n"
            "from secrets_svc.backends.local.rotation import rotate\n"
            "while os.getppid() == int(sys.argv[2]):\n"
            "    print(rotate(Path(sys.argv[1]), batch=3).resealed, flush=True)",
            str(filled.folder),
            str(os.getpid()),
        ],
        stdout=subprocess.PIPE,
    )
    writer = filled.writer()
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        for number in range(8):
            filled.settings = filled.settings.model_copy(update={"busy_timeout": 30})
            writer = filled.writer()
            filled.create(writer, f"more-{number}", b"x")
            backup(filled.folder, tmp_path / f"backup-{number}.tar")
        child.terminate()
    for number in range(8):
        assert (
            restore(tmp_path / f"backup-{number}.tar", tmp_path / f"restored-{number}").secrets == 31 + number
        )


def test_restore_refuses_a_folder_with_something_in_it(filled: Any, saved: Path, tmp_path: Path) -> None:
    filled.close()
    with pytest.raises(InvalidArgument, match="is not empty"):
        restore(saved, filled.folder)
    one = tmp_path / "one"
    one.mkdir(mode=0o700)
    (one / "file").touch()
    with pytest.raises(InvalidArgument, match="is not empty"):
        restore(saved, one)


def test_restore_refuses_a_folder_that_a_server_holds(saved: Path, tmp_path: Path) -> None:
    with hold_state(tmp_path / "held"), pytest.raises(Unavailable, match=f"pid {os.getpid()}"):
        restore(saved, tmp_path / "held")
    assert restore(saved, tmp_path / "held").secrets == 30
    with hold_state(tmp_path / "held"):
        pass


def test_restore_takes_an_empty_folder_and_a_link_to_one(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    assert restore(saved, tmp_path / "link").secrets == 30
    assert verify_all(tmp_path / "empty") == 30


def test_a_store_that_was_tampered_with_does_not_come_back(filled: Any, tmp_path: Path) -> None:
    filled.sql("UPDATE secrets SET size = 1 WHERE storage_name LIKE '%n-7'")
    backup(filled.folder, tmp_path / "backup.tar")
    with pytest.raises(Unavailable, match=r'secret "n-7" .* does not verify'):
        restore(tmp_path / "backup.tar", tmp_path / "restored")
    assert [path.name for path in (tmp_path / "restored").iterdir()] == ["lock"]


def test_after_a_rotation_only_the_new_keys_are_in_it(filled: Any, tmp_path: Path) -> None:
    generation = rotate(filled.folder).generation
    assert backup(filled.folder, tmp_path / "backup.tar").generations == (generation,)
    assert restore(tmp_path / "backup.tar", tmp_path / "restored").secrets == 30


KEY = "keys/20200101T000000000000Z-00000000/reader.key"


@pytest.mark.parametrize(
    "member",
    [
        _file("../escape", b"x"),
        _file("/etc/escape", b"x"),
        _file("keys/../../escape", b"x"),
        _file("keys/20200101T000000000000Z-00000000/../reader.key", b"x"),
        _file("./admin-token", b"x"),
        _file("keys/reader.key", b"x"),
        _file("keys/20200101T000000000000Z-00000000/other.key", b"x"),
        _file("secrets.db-wal", b"x"),
        _file("lock", b"x"),
        _file("tls/.hidden.key", b"x"),
        _file("tls/x.sh", b"x"),
        _file("admin-token\n", b"x"),
        _file("", b"x"),
        _file("admin-token", b"x" * 65_537),
        _file(KEY, b"x" * 65_537),
        _special("admin-token", tarfile.SYMTYPE, "/etc/passwd"),
        _special("admin-token", tarfile.LNKTYPE, "secrets.db"),
        _special("admin-token", tarfile.FIFOTYPE),
        _special("admin-token", tarfile.CHRTYPE),
        _special("keys", tarfile.DIRTYPE),
        _special("keys", tarfile.SYMTYPE, "/tmp"),
        _special("admin-token", tarfile.CONTTYPE),
        _special("admin-token", b"Z"),
    ],
    ids=lambda member: f"{member[0].name!r}-{member[0].type.decode()}-{member[0].size}",
)
@pytest.mark.parametrize("first", [True, False])
def test_hostile_members(
    saved: Path, tmp_path: Path, member: tuple[tarfile.TarInfo, bytes], first: bool
) -> None:
    """Nothing is restored, nothing is left anywhere."""
    good = [_file(name, content) for name, content in _members(saved).items() if name != "admin-token"]
    hostile = _tar(tmp_path / "hostile.tar", [member, *good] if first else [*good, member])
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(InvalidArgument):
        restore(hostile, tmp_path / "restored")
    assert [path.name for path in (tmp_path / "restored").iterdir()] == ["lock"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "restored"])


def test_the_same_members_without_a_hostile_one(saved: Path, tmp_path: Path) -> None:
    """What shows that the refusals are about the hostile ones."""
    members = [_file(name, content) for name, content in _members(saved).items()]
    assert restore(_tar(tmp_path / "rebuilt.tar", members), tmp_path / "restored").secrets == 30


def test_a_member_twice(saved: Path, tmp_path: Path) -> None:
    members = [_file(name, content) for name, content in _members(saved).items()]
    with pytest.raises(InvalidArgument):
        restore(_tar(tmp_path / "hostile.tar", [*members, members[-1]]), tmp_path / "restored")


def test_too_many_members(tmp_path: Path) -> None:
    members = [_file(f"tls/{number}.pem", b"x") for number in range(1100)]
    with pytest.raises(InvalidArgument):
        restore(_tar(tmp_path / "hostile.tar", members), tmp_path / "restored")


@pytest.mark.parametrize("missing", ["secrets.db", "secrets-svc-backup.json"])
def test_a_part_is_missing(saved: Path, tmp_path: Path, missing: str) -> None:
    members = [_file(name, content) for name, content in _members(saved).items() if name != missing]
    with pytest.raises(InvalidArgument, match="not a backup"):
        restore(_tar(tmp_path / "part.tar", members), tmp_path / "restored")


def test_missing_keys(saved: Path, tmp_path: Path) -> None:
    members = [_file(name, content) for name, content in _members(saved).items() if "keys/" not in name]
    with pytest.raises(Unavailable):
        restore(_tar(tmp_path / "part.tar", members), tmp_path / "restored")


@pytest.mark.parametrize(
    "manifest", [b"", b"[]", b"{}", b'{"form": 2}', b"[" * 60_000, b"\xff"], ids=lambda m: m[:12]
)
def test_another_form(saved: Path, tmp_path: Path, manifest: bytes) -> None:
    members = {**_members(saved), "secrets-svc-backup.json": manifest}
    with pytest.raises(InvalidArgument):
        restore(
            _tar(tmp_path / "other.tar", [_file(*each) for each in members.items()]), tmp_path / "restored"
        )


@pytest.mark.parametrize(
    "content", [b"", b"x", b"x" * 10_000, b"\x00" * 10_240, b"\x1f\x8b" + b"x" * 600], ids=len
)
def test_no_archive_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InvalidArgument, match="not a backup"):
        restore(tmp_path / "file", tmp_path / "restored")
    with pytest.raises(Unavailable):
        restore(tmp_path / "no-such-file", tmp_path / "restored")


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_spoilt_archive_restores_whole_or_not_at_all(
    saved: Path, tmp_path: Path, data: st.DataObject
) -> None:
    """Cut anywhere, or with any few bytes altered: an error of ours and no store, or the very same store."""
    content = bytearray(saved.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for index in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
            content[index] ^= data.draw(st.integers(1, 255))
    spoilt, state = tmp_path / "spoilt.tar", tmp_path / os.urandom(8).hex()
    spoilt.write_bytes(content)
    try:
        assert restore(spoilt, state).secrets == 30
    except SecretsError:
        assert not (state / "secrets.db").exists()
