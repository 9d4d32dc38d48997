"""Looking after a store that lies in files of ours: a rarer ability, which a backend has or hasn't."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

#: Told the entries done and those to do.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class RotationReport:
    """What a rotation did.

    :param generation: the keys that everything rests under now.
    :param resumed: it finished an earlier rotation that was killed, with that one's new keys.
    :param resealed: entries sealed anew. :param removed: generations whose keys were removed.
    :param damaged: storage names of entries that don't verify: they were left alone, and so were their keys.
    """

    generation: str
    resumed: bool
    resealed: int
    removed: tuple[str, ...]
    damaged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What was saved.

    :param secrets: how many. :param generations: whose keys are in it. :param size: bytes of the file.
    :param notice: what to tell whoever asked for it.
    """

    target: Path
    secrets: int
    generations: tuple[str, ...]
    size: int
    notice: str


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What was brought back.

    :param secrets: how many; each verified and opened.
    """

    state: Path
    secrets: int


@runtime_checkable
class Maintainable(Protocol):
    """A backend whose store this machine can look after, also while a server uses it."""

    def rotate_keys(self, settings: Any, *, state: Path, progress: Progress | None = None) -> RotationReport:
        """Seal everything with new keys. May be killed and repeated. Raises ``Unavailable``."""

    def backup(self, settings: Any, *, state: Path, target: Path) -> BackupReport:
        """Save everything to the new file ``target``. Raises ``InvalidArgument``, ``Unavailable``."""

    def restore(self, source: Path, *, state: Path) -> RestoreReport:
        """Bring a backup back into an empty folder that no server holds, all of it or nothing."""
