"""Private files of the store, and the locks that its tools take."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from secrets_svc.backends.local.faults import Translated
from secrets_svc.core.errors import InvalidArgument, Unavailable

#: Mode bits that give anything to anybody but the owner, and those that let others write.
OTHERS = 0o077
OTHERS_WRITE = 0o022


def check_private(path: Path, *, mask: int = OTHERS) -> None:
    """Refuse the file or folder ``path`` if others have any of the rights in ``mask``.

    What is not there, or not any more, is open to nobody: a rotation may be removing it.

    :raises InvalidArgument: they do. :raises Unavailable: it can't be looked at.
    """
    with Translated(path), suppress(FileNotFoundError):
        mode = path.stat().st_mode
        _refuse(path, mode, mask, "700" if stat.S_ISDIR(mode) else "600")


def read_private(path: Path, *, mask: int = OTHERS, limit: int = 65_536) -> bytes:
    """The first ``limit`` bytes of a file, its mode checked on the open file.

    :raises InvalidArgument: others have rights in ``mask``. :raises FileNotFoundError: it is not there.
    """
    with path.open("rb") as file:
        _refuse(path, os.fstat(file.fileno()).st_mode, mask, "600")
        return file.read(limit)


def _refuse(path: Path, mode: int, mask: int, wanted: str) -> None:
    bits = stat.S_IMODE(mode)
    if bits & mask:
        kind = "folder" if stat.S_ISDIR(mode) else "file"
        raise InvalidArgument(
            f"{kind} {path} is open to others (mode {bits:04o}): type chmod {wanted} {path}"
        )


def write_new(path: Path, content: bytes) -> None:
    """Make the file ``path`` (0600), its content on the disk at the end; its name takes ``sync_folder``."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Bring the entries of folder ``path`` to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_beside(path: Path, purpose: str) -> Path:
    """A hidden name in the folder of ``path`` that nobody else chooses."""
    return path.with_name(f".{path.name}.{purpose}-{secrets.token_hex(8)}")


@contextmanager
def alone_in(folder: Path, otherwise: str | None = None) -> Iterator[None]:
    """Have the folder's own lock, until the end of the process at the latest.

    :param otherwise: what to say where another process has it; ``None``: wait for it.
    :raises Unavailable: with ``otherwise``.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (fcntl.LOCK_NB if otherwise else 0))
        yield
    except BlockingIOError:
        raise Unavailable(otherwise or "") from None
    finally:
        os.close(descriptor)
