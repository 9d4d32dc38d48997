"""A backup back into an empty folder. The file is hostile until each member has been looked at."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from secrets_svc.backends.local import earlier
from secrets_svc.backends.local.archives import FORM, MANIFEST, MAX_MEMBERS, most_bytes
from secrets_svc.backends.local.databases import FILE, Database, check, open_database
from secrets_svc.backends.local.entries import open_entry
from secrets_svc.backends.local.faults import Translated
from secrets_svc.backends.local.keys import KeyRing, KeysGone, ReaderKeys, load_reader_keys
from secrets_svc.backends.local.records import COLUMNS, Verifier, changed_outside
from secrets_svc.backends.local.schema import keeps_versions
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.maintenance import RestoreReport
from secrets_svc.core.private_files import sync_folder, temporary_beside
from secrets_svc.core.state_folder import LOCK_FILE, hold_state

_CHUNK = 1 << 20
_PAGE = 50
_ENTRIES = (
    f"SELECT {COLUMNS}, sealed FROM secrets "  # noqa: S608  # constants only
    "WHERE storage_name > ? ORDER BY storage_name LIMIT ?"
)
_EARLIER = (
    f"SELECT {earlier.COLUMNS}, sealed FROM versions "  # noqa: S608  # constants only
    "WHERE (storage_name, token) > (?, ?) ORDER BY storage_name, token LIMIT ?"
)


def restore(source: Path, state: Path) -> RestoreReport:
    """Bring the backup ``source`` back into the empty or absent folder ``state``, all of it or nothing.

    :raises InvalidArgument: ``state`` isn't empty, or ``source`` isn't a backup of this service.
    :raises Unavailable: a server holds ``state``, an entry doesn't verify, or reading or writing failed.
    """
    state = state.resolve()
    with hold_state(state), Translated(state):
        if any(entry.name != LOCK_FILE for entry in state.iterdir()):
            raise InvalidArgument(
                f"folder {state} is not empty: restore into a new one, or move its files away"
            )
        with _place_beside(state) as place:
            _unpack(source, place)
            secrets = verify_all(place)
            _put_in_place(place, state)
    return RestoreReport(state, secrets)


@contextlib.contextmanager
def _place_beside(state: Path) -> Iterator[Path]:
    place = temporary_beside(state, "restoring")
    place.mkdir(mode=0o700)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _put_in_place(place: Path, state: Path) -> None:
    """Held all the while: under the old name first, then as what is renamed."""
    with hold_state(place):
        (state / LOCK_FILE).unlink()
        try:
            place.rename(state)
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.EXDEV):
                raise
            raise InvalidArgument(
                f"folder {state} is a mount point: restore into a folder inside it"
            ) from error
        sync_folder(state.parent)


def _unpack(source: Path, place: Path) -> None:
    with Translated(source), source.open("rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                _unpack_members(archive, place)
        except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
            raise _not_a_backup(source) from error
    if not ((place / MANIFEST).is_file() and (place / FILE).is_file()):
        raise _not_a_backup(source)
    _check_manifest(place / MANIFEST, source)


def _unpack_members(archive: tarfile.TarFile, place: Path) -> None:
    seen: set[str] = set()
    for member in archive:
        _check_member(member, seen)
        seen.add(member.name)
        content = archive.extractfile(member)
        if content is None:
            raise InvalidArgument(
                "the backup holds something other than files: it was not made by this service"
            )
        with content:
            _make_folders(place, member.name)
            _write(place / member.name, content, member.size)


def _check_member(member: tarfile.TarInfo, seen: set[str]) -> None:
    most = most_bytes(member.name)
    plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
    if most is None or not plain or member.name in seen or len(seen) >= MAX_MEMBERS:
        raise InvalidArgument(
            "the backup holds something that no backup of this service does: nothing was restored"
        )
    if member.size < 0 or (most and member.size > most):
        raise InvalidArgument(f"the backup holds a {member.name} of impossible size: nothing was restored")


def _make_folders(place: Path, name: str) -> None:
    """Each of its own: the mode of ``mkdir`` is only for the last one."""
    for parent in reversed(Path(name).parents[:-1]):
        (place / parent).mkdir(mode=0o700, exist_ok=True)


def _write(path: Path, content: IO[bytes], size: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        shutil.copyfileobj(content, output, _CHUNK)
        if output.tell() != size:
            raise tarfile.ReadError("cut off")
        output.flush()
        os.fsync(output.fileno())
    sync_folder(path.parent)


def _check_manifest(file: Path, source: Path) -> None:
    try:
        form = json.loads(file.read_bytes())["form"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _not_a_backup(source) from error
    if form != FORM:
        raise InvalidArgument(f"backup {source} was made by another release of this service: use that one")
    file.unlink()


def _not_a_backup(source: Path) -> InvalidArgument:
    return InvalidArgument(f"file {source} is not a backup of this service, or it is damaged")


def verify_all(state: Path) -> int:
    """Look through the whole store: the file, every signature, every value, those of earlier versions too.

    Returns how many secrets it has.

    :raises Unavailable: naming the first that is not as the writer made it.
    """
    with contextlib.closing(open_database(state, readonly=True)) as database:
        check(database, thoroughly=True)
        return _verify_entries(database)


def _verify_entries(database: Database) -> int:
    keys = KeyRing(database.folder, load_reader_keys)
    verifier = Verifier(lambda generation: keys.of(generation).verifying)
    count, last = 0, ""
    while rows := database.rows(_ENTRIES, (last, _PAGE)):
        for *columns, sealed in rows:
            last = columns[0]
            try:
                record = verifier.checked(tuple(columns))
                open_entry(record, sealed, keys.of(record.generation).opening)
            except KeysGone:
                raise changed_outside(str(last)) from None
            count += 1
    if keeps_versions(database.connection):
        _verify_earlier(database, keys, verifier)
    return count


def _verify_earlier(database: Database, keys: KeyRing[ReaderKeys], verifier: Verifier) -> None:
    last = ("", "")
    while rows := database.rows(_EARLIER, (*last, _PAGE)):
        for *columns, sealed in rows:
            last = (columns[0], columns[1])
            try:
                found = earlier.checked(verifier, tuple(columns))
                open_entry(found, sealed, keys.of(found.generation).opening, earlier.spoilt)
            except KeysGone:
                raise earlier.spoilt(str(last[0])) from None
