"""Taking over in place what another service wrote into a store in the form that ours has too."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from secrets_svc.core.secret import SecretRef, SecretType


class Standing(enum.StrEnum):
    """How something in the store stands to this service."""

    FOREIGN = "foreign"  # another service's, and could be ours
    TAKEN = "taken"  # ours since a moment ago
    OURS = "ours"
    LEFT = "left alone"  # can't be ours


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that another service wrote, or may have.

    :param place: its name in the store. :param ref: the secret that it is, where that can be told.
    :param why: it is left alone. :param written_by: who wrote it last, where that can be told.
    :param type: that it is to have as ours; ``None``: as the store tells.
    """

    place: str
    ref: SecretRef | None
    standing: Standing
    why: str = ""
    written_by: str = ""
    type: SecretType | None = None


class TakeOver(Protocol):
    """One store, looked at for what another service wrote there. No value is asked for."""

    @property
    def where(self) -> str:
        """The store's place, in words, such as ``namespace "flyte"``."""

    def candidates(self) -> Iterator[Candidate]:
        """All that there is, in a stable order; ours too."""

    def take(self, candidate: Candidate) -> Candidate:
        """Make it ours if it still can be, value untouched; how it stands then.

        May be repeated. Only what is foreign is written to, once, on the condition that nobody did meanwhile.
        """

    def close(self) -> None:
        """Let go of connections."""


@runtime_checkable
class TakesOver(Protocol):
    """A backend whose stores may hold what Flyte's own service wrote in our form."""

    def open_take_over(
        self, settings: Any, *, organization: str, kubeconfig: Path | None, context: str | None
    ) -> TakeOver:
        """One of its stores.

        :param settings: of the store. :param organization: whose secrets can become ours.
        :param kubeconfig: of whoever does it, with ``context``; ``None``: as the store's writer.
        :raises Unsupported: this store holds no secrets of ours.
        """
