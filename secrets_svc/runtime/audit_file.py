"""Audit events in a file of JSON lines: written before the answer, on the disk within a fifth of a second."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

from secrets_svc.core.audit import AuditEvent, AuditSink
from secrets_svc.core.errors import Unavailable

#: Seconds that writes are gathered before one fsync serves them all.
SYNC_INTERVAL = 0.2


class AuditFile(AuditSink):
    """An :class:`~secrets_svc.core.audit.AuditSink` that appends to ``path`` (mode 0600).

    Lines are with the kernel when ``record_all`` returns, so that they outlive the process; a thread syncs
    them to the disk within :data:`SYNC_INTERVAL`. A file that was moved away (log rotation) is opened anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._dirty = threading.Event()
        self._stopping = threading.Event()
        self._failed = False
        self._descriptor = self._open()
        self._torn = _ends_within_a_line(self._descriptor)
        self._thread = threading.Thread(target=self._sync_for_ever, name="audit-sync", daemon=True)
        self._thread.start()

    def record_all(self, events: Sequence[AuditEvent]) -> None:
        """Append ``events``. Raises ``Unavailable`` if they can't be kept."""
        lines = b"".join([event.to_json() for event in events])
        try:
            with self._lock:
                self._append(lines)
        except OSError as error:
            raise Unavailable(
                "the audit record can't be written, and no call succeeds without one; repeating it is safe"
            ) from error
        if not self._dirty.is_set():
            self._dirty.set()
        if self._failed:
            raise Unavailable(
                "the audit file can't be synced to its disk, and no call succeeds without; repeating is safe"
            )

    def _append(self, lines: bytes) -> None:
        # What a full disk cut off stays a line of its own, so that these are whole.
        data = b"\n" + lines if self._torn else lines
        written = os.write(self._descriptor, data)
        if written:
            self._torn = not data[:written].endswith(b"\n")
        if written != len(data):
            raise OSError("short write")

    def close(self) -> None:
        """Sync and close. May be repeated."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._dirty.set()
        self._thread.join()
        self._sync()
        os.close(self._descriptor)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            return os.open(self._path, flags, 0o600)
        except OSError as error:
            raise Unavailable(f"the audit file {self._path} can't be opened for writing") from error

    def _sync_for_ever(self) -> None:
        while not self._stopping.is_set():
            self._dirty.wait()
            self._stopping.wait(SYNC_INTERVAL)
            self._dirty.clear()
            self._failed = not (self._sync() and self._follow_rotation())

    def _sync(self) -> bool:
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            return error.errno == errno.EINVAL  # a pipe or terminal, which has nothing to sync: fsync(2)
        return True

    def _follow_rotation(self) -> bool:
        """Open the path anew if it is another file now; false if that can't be done."""
        try:
            current = os.stat(self._path)
            ours = os.fstat(self._descriptor)
            moved = (current.st_dev, current.st_ino) != (ours.st_dev, ours.st_ino)
        except FileNotFoundError:
            moved = True
        except OSError:
            return False
        return self._reopen() if moved else True

    def _reopen(self) -> bool:
        try:
            fresh = self._open()
        except Unavailable:
            return False
        torn = _ends_within_a_line(fresh)
        with self._lock:
            old, self._descriptor, self._torn = self._descriptor, fresh, torn
        os.close(old)
        return True


def _ends_within_a_line(descriptor: int) -> bool:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
        return False
    return os.pread(descriptor, 1, status.st_size - 1) != b"\n"
