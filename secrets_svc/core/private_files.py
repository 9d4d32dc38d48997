"""Private files and folders: made with the right mode, refused with the wrong one, on the disk once written.

Where an ``OSError`` comes out, the caller knows better what to say about it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from secrets_svc.core.errors import InvalidArgument, Unavailable

#: Mode bits that give anything to anybody but the owner, and those that let others write.
OTHERS = 0o077
OTHERS_WRITE = 0o022
GROUP_READS = 0o040


def private_folder(path: Path) -> Path:
    """Make ``path`` (0700) if need be, and see that nobody else gets in.

    :raises InvalidArgument: others can. :raises Unavailable: it can't be made or used.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = path.stat().st_mode
    except OSError as error:
        raise Unavailable(f"folder {path} can't be made or used") from error
    _refuse(path, mode, OTHERS)
    return path


def check_private(path: Path, *, mask: int = OTHERS) -> None:
    """Refuse the file or folder ``path`` if others have any of the rights in ``mask``.

    What is not there, or not any more, is open to nobody: somebody may be removing it.

    :raises InvalidArgument: they do. :raises OSError: it can't be looked at.
    """
    with suppress(FileNotFoundError):
        _refuse(path, path.stat().st_mode, mask)


def read_if_private(path: Path, *, mask: int = OTHERS, limit: int = 65_536) -> bytes:
    """The first ``limit`` bytes of a file, its mode checked on the open file.

    A group may read what isn't ours: so Kubernetes gives files of a Secret to a pod that isn't root
    (``fsGroup``), and we are in by that group.

    :raises InvalidArgument: others have rights in ``mask``. :raises OSError: it can't be read.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != os.geteuid():
            mask &= ~GROUP_READS
        _refuse(path, status.st_mode, mask)
        return file.read(limit)


def _refuse(path: Path, mode: int, mask: int) -> None:
    bits = stat.S_IMODE(mode)
    if bits & mask:
        kind, wanted = ("folder", "700") if stat.S_ISDIR(mode) else ("file", "600")
        raise InvalidArgument(
            f"{kind} {path} is open to others (mode {bits:04o}): type chmod {wanted} {path}"
        )


def write_new(path: Path, content: bytes) -> None:
    """Make the file ``path`` (0600), its content on the disk at the end; its name takes :func:`sync_folder`.

    :raises OSError: also if it is there.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_private(path: Path, content: bytes) -> None:
    """Write ``path`` whole or not at all, mode 0600, in place of what is there, on the disk at the end.

    :raises Unavailable: it can't be written.
    """
    temporary = temporary_beside(path, "writing")
    try:
        try:
            write_new(temporary, content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise Unavailable(f"file {path} can't be written: look at its folder and its disk") from error


def sync_folder(path: Path) -> None:
    """Bring the entries of folder ``path`` to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_beside(path: Path, purpose: str) -> Path:
    """A hidden name in the folder of ``path`` that nobody else chooses."""
    return path.with_name(f".{path.name}.{purpose}-{os.urandom(8).hex()}")
