"""Reading an audit file: one JSON object a line, the newest last; the last line may be incomplete."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from secrets_svc.core.errors import InvalidArgument, NotFound
from secrets_svc.core.scope import shown

_BLOCK = 64 * 1024
_POLL = 0.2
# Lines are nearly in the order of their times: threads write them, and clocks are set back.
_DISORDER = timedelta(minutes=10)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Filter(NamedTuple):
    """Which events to show; what is ``None`` doesn't matter."""

    since: datetime | None = None
    name: str | None = None
    actor: str | None = None
    action: str | None = None
    outcome: str | None = None

    def matches(self, event: dict[str, Any]) -> bool:
        """Whether to show ``event``."""
        for key in ("actor", "action", "outcome"):
            wanted = getattr(self, key)
            if wanted is not None and event.get(key) != wanted:
                return False
        if self.name is not None and self.name not in _names(event):
            return False
        return self.since is None or not self.before(event)

    def before(self, event: dict[str, Any], *, margin: timedelta = timedelta(0)) -> bool:
        """Whether ``event`` is too old, by more than ``margin``."""
        at = event_time(event)
        return self.since is not None and at is not None and at < self.since - margin


def _names(event: dict[str, Any]) -> list[Any]:
    secrets = event.get("secrets")
    return [s.get("name") for s in secrets if isinstance(s, dict)] if isinstance(secrets, list) else []


def event_time(event: dict[str, Any]) -> datetime | None:
    """When ``event`` happened, if it says so legibly."""
    try:
        at = datetime.fromisoformat(str(event.get("at")))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def parse_since(text: str, *, now: datetime | None = None) -> datetime:
    """``90s``, ``15m``, ``1h``, ``7d`` before now, or an RFC 3339 time.

    :raises InvalidArgument: neither.
    """
    try:
        if match := re.fullmatch(r"([0-9]{1,9})([smhd])", text):
            return (now or datetime.now(UTC)) - timedelta(seconds=int(match[1]) * _UNITS[match[2]])
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at
    except (ValueError, OverflowError):
        pass
    raise InvalidArgument(
        f"--since {shown(text)} is neither like 90s, 15m, 1h, 7d nor like 2026-01-31T12:00:00Z"
    )


def parse_event(line: bytes) -> dict[str, Any] | None:
    """The event on a line, ``None`` if there is none."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def open_audit_file(path: Path) -> BinaryIO:
    """The file, opened for reading.

    :raises NotFound: there is none. :raises InvalidArgument: it can't be read.
    """
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise NotFound(f"there is no audit file {path}") from None
    except OSError as error:
        raise InvalidArgument(f"audit file {path} can't be read: {error.strerror}") from error


def last_events(file: BinaryIO, end: int, wanted: Filter, limit: int) -> tuple[list[dict[str, Any]], int]:
    """The last ``limit`` matching events before ``end``, oldest first; how many lines were illegible."""
    found: list[dict[str, Any]] = []
    illegible = 0
    for line in _lines_backwards(file, end):
        event = parse_event(line)
        if event is None:
            illegible += 1
            continue
        if wanted.before(event, margin=_DISORDER):
            break
        if wanted.matches(event):
            found.append(event)
            if len(found) == limit:
                break
    return found[::-1], illegible


def complete_end(file: BinaryIO) -> int:
    """Where the last complete line ends: what is behind it is still being written, or was torn by a crash."""
    position = file.seek(0, os.SEEK_END)
    while position > 0:
        start = max(0, position - _BLOCK)
        file.seek(start)
        found = file.read(position - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0


def _lines_backwards(file: BinaryIO, end: int) -> Iterator[bytes]:
    """Complete lines before ``end``, the last one first."""
    tail = b""
    position = end
    while position > 0:
        start = max(0, position - _BLOCK)
        file.seek(start)
        lines = (file.read(position - start) + tail).split(b"\n")
        tail = lines[0]
        yield from (line for line in reversed(lines[1:]) if line)
        position = start
    if tail:
        yield tail


def follow(path: Path, file: BinaryIO, position: int) -> Iterator[dict[str, Any]]:
    """Events from ``position`` on, for ever; also when ``path`` is emptied or replaced."""
    while True:
        file.seek(position)
        data = file.read()
        complete = data.rfind(b"\n") + 1
        position += complete
        yield from (event for line in data[:complete].split(b"\n") if (event := parse_event(line)))
        if complete:
            continue
        time.sleep(_POLL)
        try:
            there = path.stat()
        except FileNotFoundError:
            continue
        here = os.fstat(file.fileno())
        if (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino):
            file.close()
            file, position = open_audit_file(path), 0
        elif there.st_size < position:
            position = 0
