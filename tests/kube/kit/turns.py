"""One node at a time on a machine: its turn is a lock that ends with the last process that has it.

The file also tells what the machine was like before. Whoever takes the next turn puts that back first, should
the one before have been killed in the middle of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from . import machine
from .errors import KitError
from .progress import EVERY, Say, to_stderr

FILE = Path("/run/secrets-svc-kube-node")


class Turn:
    """Taken by :meth:`take` or not at all."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None

    def take(self, *, within: float = 600.0, say: Say = to_stderr) -> None:
        """Wait until no other node runs on this machine.

        :param within: seconds.
        :raises KitError: when they are over.
        """
        deadline = time.monotonic() + within
        told = float("-inf")
        while not self.take_if_free():
            if time.monotonic() > deadline:
                raise KitError(f"another node still runs on this machine: {_described()}")
            if time.monotonic() - told > EVERY:
                told = time.monotonic()
                say(f"waiting: one node at a time on a machine, and now it is {_described()}")
            time.sleep(0.1)

    def take_if_free(self) -> bool:
        """Take it, or don't. The machine is as it was before all nodes then."""
        if self._file is not None:
            return True
        file = os.fdopen(os.open(FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        self._put_back()
        return True

    def note(self, record: dict[str, Any]) -> None:
        """Remember what the machine was like, and who changes it."""
        self._write(json.dumps(record).encode())

    def fileno(self) -> int:
        """For processes that shall keep the turn as long as they live."""
        assert self._file is not None
        return self._file.fileno()

    def end(self) -> None:
        """Put the machine back as it was; the next may begin. May be called again."""
        if self._file is not None:
            with contextlib.closing(self._file):
                self._put_back()
            self._file = None

    def _put_back(self) -> None:
        record = _read()
        if "found" in record:
            machine.put_back(record["found"])
        self._write(b"")

    def _write(self, content: bytes) -> None:
        assert self._file is not None
        os.ftruncate(self.fileno(), 0)
        os.pwrite(self.fileno(), content, 0)


@contextlib.contextmanager
def turn() -> Iterator[Turn]:
    """A turn for as long as the block takes."""
    made = Turn()
    made.take()
    try:
        yield made
    finally:
        made.end()


def owner() -> str:
    """The state folder of whoever has the turn, or had it and didn't put the machine back; else empty."""
    return str(_read().get("folder", ""))


def _read() -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(FILE.read_bytes() or b"{}")
    except (OSError, ValueError):
        return {}
    return found


def _described() -> str:
    record = _read()
    return f"that of process {record['pid']} in {record['folder']}" if "pid" in record else "somebody's"
