"""Where a store is, in words that another process can be told."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from unittest import mock

import ready_stores

from secrets_svc.backends import registry
from secrets_svc.core.ports import Backend, SecretReader, SecretWriter


@dataclass(frozen=True)
class Place:
    """A store, to be opened as often as wanted.

    :param settings: of the backend, as JSON could have them. :param state: the state folder.
    """

    backend: str
    settings: dict[str, Any]
    state: str

    def told(self) -> dict[str, Any]:
        """What makes the same in another process."""
        return asdict(self)

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        """The place that was told."""
        return cls(**told)

    def kind(self) -> Backend:
        """The backend itself."""
        return registry.load(self.backend)

    def writer(self) -> SecretWriter:
        """A new one, to be closed by who asked."""
        kind = self.kind()
        return kind.open_writer(kind.settings_model.model_validate(self.settings), state=Path(self.state))

    def reader(self) -> SecretReader:
        """A new one, to be closed by who asked."""
        kind = self.kind()
        return kind.open_reader(kind.settings_model.model_validate(self.settings), state=Path(self.state))


@contextmanager
def ready(backend: str, folder: Path) -> Iterator[Place]:
    """A store of that kind with nothing in it, and the environment that goes with it."""
    state, elsewhere = folder / "state", folder / "store"
    elsewhere.mkdir()
    with ready_stores.BACKENDS[backend](elsewhere) as store, mock.patch.dict(os.environ, store.environment):
        settings = tomllib.loads(store.settings)["stores"]["main"] if store.settings else {}
        settings.pop("backend", None)
        place = Place(backend, settings, str(state))
        place.writer().close()  # which makes the keys of a store that has its own
        yield place
