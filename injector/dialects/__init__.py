"""How pods say what they want: a module a dialect, unaware of each other. All that a pod says is hostile."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from injector.requests import Claim, PodRequests
from injector.review import ObjectMeta
from secrets_svc.core.errors import InvalidArgument


class Dialect(Protocol):
    """One way to ask."""

    @property
    def name(self) -> str:
        """In messages."""

    def asks(self, metadata: ObjectMeta) -> bool:
        """Whether the pod asks so; nothing is parsed before the scope is proven."""

    def claim(self, metadata: ObjectMeta) -> Claim:
        """The scope that the pod's labels claim. Raises ``InvalidArgument`` for labels that can't be one."""

    def parse(self, metadata: ObjectMeta) -> PodRequests | None:
        """What a pod that asks so asks for; ``None`` where that is nothing. The same text, the same object.

        :raises InvalidArgument: it can't be understood.
        """


def asking_dialect(dialects: Iterable[Dialect], metadata: ObjectMeta) -> Dialect | None:
    """The dialect that the pod asks in.

    :raises InvalidArgument: there are two; which of them were to win nobody could tell.
    """
    asking = [dialect for dialect in dialects if dialect.asks(metadata)]
    if len(asking) > 1:
        names = " and ".join(dialect.name for dialect in asking)
        raise InvalidArgument(f"the pod asks for secrets in two ways, by {names}: choose one")
    return asking[0] if asking else None
