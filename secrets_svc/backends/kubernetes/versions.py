"""Earlier versions of a secret, in its own object: data keys beside the current one, and notes of them.

A value is moved to its data key by the API server itself, so nobody reads it. The data key is made of the
version token, and the notes rest in one annotation, newest first.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from secrets_svc.backends.kubernetes.provenance import moment
from secrets_svc.core.abilities import VersionInfo
from secrets_svc.core.secret import SecretMetadata

#: Versions of a secret that may be kept, the current one included: settings say how many are.
KEPT = 5
#: Bytes of all values of one Secret, keys not counted (k8s.io/kubernetes/pkg/apis/core, MaxSecretSize).
MAX_SIZE = 1_048_576
#: Characters of an actor in a note: annotations of an object have 256 KiB together.
_MAX_ACTOR = 256

_KEY = re.compile(r"v-[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Note:
    """What is told of an earlier version.

    :param version: its token while it was current. :param size: bytes, where somebody knew.
    """

    version: str
    at: datetime
    by: str
    size: int | None

    @classmethod
    def of(cls, current: SecretMetadata) -> Note:
        """Of what is about to be replaced."""
        return cls(current.version, current.updated_at, current.updated_by[:_MAX_ACTOR], current.size)

    @property
    def key(self) -> str:
        """The data key of its value."""
        return key_of(self.version)

    def info(self) -> VersionInfo:
        """For the ability."""
        return VersionInfo(self.version, self.at, self.by, current=False, size=self.size)


def key_of(version: str) -> str:
    """The data key for the value of that version; a storage name never has this form."""
    return "v-" + hashlib.sha256(version.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def is_key(data_key: str) -> bool:
    """Whether a data key is for an earlier version."""
    return _KEY.fullmatch(data_key) is not None


def text_of(notes: Iterable[Note]) -> str:
    """For the annotation."""
    told = [[note.version, note.at.isoformat(), note.by, note.size] for note in notes]
    return json.dumps(told, separators=(",", ":"))


def parse(text: str) -> tuple[Note, ...] | None:
    """Of :func:`text_of`; ``None`` for anything else."""
    try:
        rows = json.loads(text)
        notes = tuple(_note(*row) for row in rows) if isinstance(rows, list) else None
    except (ValueError, TypeError, RecursionError):
        return None
    if notes is None:
        return None
    return notes if len({note.version for note in notes}) == len(notes) < KEPT else None


def _note(version: object, at: object, by: object, size: object) -> Note:
    time = moment(at)
    if not (isinstance(version, str) and version.isascii() and isinstance(by, str) and by.isprintable()):
        raise TypeError
    if time is None or not (size is None or (type(size) is int and 0 <= size <= MAX_SIZE)):
        raise TypeError
    return Note(version, time.astimezone(UTC), by, size)


def fitting(notes: Iterable[Note], *, beside: int | None, versions: int = KEPT) -> tuple[Note, ...]:
    """The newest of ``notes`` that are kept, and for whose values there is room.

    What nobody knows the size of is taken to fit.

    :param beside: bytes of the current value. :param versions: that are kept, with the current one.
    """
    kept: list[Note] = []
    total = beside or 0
    for note in notes:
        total += note.size or 0
        if len(kept) == versions - 1 or total > MAX_SIZE:
            break
        kept.append(note)
    return tuple(kept)
