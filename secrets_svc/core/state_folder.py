"""The state folder of this machine: private, and held by one server at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.private_files import private_folder, write_private

LOCK_FILE = "lock"
AUDIT_FILE = "audit.jsonl"
ADMIN_TOKEN_FILE = "admin-token"  # noqa: S105  # a file's name
TLS_FOLDER = "tls"
#: Has the path of the audit file, where the settings put it elsewhere.
_AUDIT_POINTER = "audit-file"
_LONGEST_PATH = 4096


def audit_file_of(state: Path) -> Path:
    """The audit file of the server whose state folder this is.

    :raises Unavailable: what names it can't be read. :raises InvalidArgument: that names no file.
    """
    pointer = state / _AUDIT_POINTER
    try:
        with pointer.open("rb") as file:
            named = file.read(_LONGEST_PATH + 1)
    except FileNotFoundError:
        return state / AUDIT_FILE
    except OSError as error:
        raise Unavailable(f"file {pointer}, which names the audit file, can't be read") from error
    path = named.removesuffix(b"\n")
    if not path.startswith(b"/") or len(path) > _LONGEST_PATH or any(byte < 32 for byte in path):
        raise InvalidArgument(
            f"file {pointer} has no absolute path of an audit file: the server's next start writes it anew"
        )
    return Path(os.fsdecode(path))


def remember_audit_file(state: Path, file: Path | None) -> None:
    """So that other commands on this machine find it; ``None``: it is where it always is."""
    pointer = state / _AUDIT_POINTER
    if file is not None:
        write_private(pointer, os.fsencode(file.absolute()) + b"\n")
        return
    try:
        pointer.unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable(f"file {pointer} can't be written") from error


@contextmanager
def hold_state(state: Path) -> Iterator[None]:
    """Hold the state folder as its one server, from entering to leaving or the end of the process.

    Tools that work beside a running server (backup, rotation) don't take it; restore does.

    :param state: the folder, made (0700) if need be.
    :raises Unavailable: another process holds it. :raises InvalidArgument: others can get into the folder.
    """
    private_folder(state)
    file = state / LOCK_FILE
    try:
        descriptor = _locked(file)
    except OSError as error:
        raise Unavailable(f"file {file} can't be made or used") from error
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(file: Path) -> int:
    """A descriptor that holds the lock on ``file``, and not on one that was removed meanwhile."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(file, descriptor):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                return descriptor
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise _held(file.parent, holder) from None
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_still(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _held(state: Path, holder: str) -> Unavailable:
    pid = f" (pid {holder})" if holder.isdecimal() else ""
    return Unavailable(f"state folder {state} is held by another process{pid}: stop that one first")
