"""One file with everything: a snapshot of the database, the keys, and the server's own small files."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from secrets_svc.backends.local.archives import FORM, MANIFEST, TLS_NAME
from secrets_svc.backends.local.databases import FILE, Database, open_database
from secrets_svc.backends.local.faults import Translated
from secrets_svc.backends.local.keys import FILES, FOLDER, generations
from secrets_svc.backends.local.schema import keeps_versions
from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.maintenance import BackupReport
from secrets_svc.core.private_files import sync_folder, temporary_beside
from secrets_svc.core.state_folder import ADMIN_TOKEN_FILE, TLS_FOLDER

NOTICE = "this file holds the keys together with what they open: guard it like the secrets themselves"
_TRIES = 5


def backup(state: Path, target: Path) -> BackupReport:
    """Save the store in ``state`` to the new file ``target`` (0600); servers and rotations may go on.

    The file holds the keys and so opens everything in it: guard it like the secrets themselves.

    :raises InvalidArgument: ``target`` is there already. :raises Unavailable: reading or writing failed.
    """
    if target.exists():
        raise InvalidArgument(f"file {target} is there already: a backup never replaces one")
    with Translated(target, "backup's folder"), _private_place_beside(target) as place:
        with contextlib.closing(open_database(state, readonly=True)) as database:
            keys, secrets = _consistent(database, place / FILE)
        files = {FILE: place / FILE}
        _write(place / "tar", files, {MANIFEST: _manifest(), **keys, **_own_files(state)})
        _name(place / "tar", target)
        return BackupReport(target, secrets, _generations_in(keys), target.stat().st_size, NOTICE)


@contextlib.contextmanager
def _private_place_beside(target: Path) -> Iterator[Path]:
    place = temporary_beside(target, "saving")
    place.mkdir(mode=0o700)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _consistent(database: Database, snapshot: Path) -> tuple[dict[str, bytes], int]:
    """The keys that a snapshot needs, and how many secrets it has.

    A rotation may remove keys meanwhile: those from before and after the snapshot together nearly always have
    all that its entries need; where not, it is taken again.
    """
    for _ in range(_TRIES):
        before = _keys(database.folder)
        needed, secrets = _snapshot(database, snapshot)
        keys = {**before, **_keys(database.folder)}
        if needed <= set(_generations_in(keys)):
            return keys, secrets
        snapshot.unlink()
    raise Unavailable("the keys that some entries of the local store need are missing: nothing was saved")


def _snapshot(database: Database, file: Path) -> tuple[set[str], int]:
    """Copy the database as of one moment; returns the generations it needs and how many secrets it has."""
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as copy:
        with database.lock:
            database.connection.backup(copy)
        # In the file alone, without a log beside it; the start of a server puts the log back.
        copy.execute("PRAGMA journal_mode = DELETE")
        with database.faults:
            counted = copy.execute("SELECT generation, count(*) FROM secrets GROUP BY generation").fetchall()
            current = copy.execute("SELECT value FROM meta WHERE key = 'current_generation'").fetchall()
            earlier = (
                copy.execute("SELECT DISTINCT generation FROM versions").fetchall()
                if keeps_versions(copy)
                else []
            )
    needed = {str(row[0]) for row in (*counted, *current, *earlier)}
    return needed, sum(count for _, count in counted)


def _keys(folder: Path) -> dict[str, bytes]:
    """The key files by their names in the archive; of complete generations only."""
    found: dict[str, bytes] = {}
    for generation in generations(folder):
        place = folder / FOLDER / generation
        with contextlib.suppress(FileNotFoundError):
            found |= {f"{FOLDER}/{generation}/{name}": (place / name).read_bytes() for name in FILES}
    return found


def _generations_in(keys: dict[str, bytes]) -> tuple[str, ...]:
    return tuple(sorted({name.split("/")[1] for name in keys}))


def _own_files(state: Path) -> dict[str, bytes]:
    """The server's token and certificates, where this folder has them."""
    found = {ADMIN_TOKEN_FILE: state / ADMIN_TOKEN_FILE}
    if (state / TLS_FOLDER).is_dir():
        names = sorted(entry.name for entry in (state / TLS_FOLDER).iterdir())
        found |= {
            f"{TLS_FOLDER}/{name}": state / TLS_FOLDER / name for name in names if TLS_NAME.fullmatch(name)
        }
    return {name: file.read_bytes() for name, file in found.items() if file.is_file()}


def _manifest() -> bytes:
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"form": FORM, "made": made, "notice": NOTICE}).encode() + b"\n"


def _write(file: Path, files: dict[str, Path], contents: dict[str, bytes]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in contents.items():
                archive.addfile(_member(name, len(content)), io.BytesIO(content))
            for name, path in files.items():
                with path.open("rb") as source:
                    archive.addfile(_member(name, path.stat().st_size), source)
        output.flush()
        os.fsync(output.fileno())


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _name(file: Path, target: Path) -> None:
    """Give it its name, but never another file's."""
    try:
        os.link(file, target)
    except FileExistsError:
        raise InvalidArgument(f"file {target} is there already: a backup never replaces one") from None
    sync_folder(target.parent)
