"""Which store a scope's secrets are in. Pure; a request never says which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope, shown

_PATTERN = re.compile(r"[-a-z0-9*]{1,63}")


@dataclass(frozen=True, slots=True)
class Route:
    """Scopes that a store is for.

    :param project: a name, in which ``*`` stands for any run of characters; ``None``: any project, and none.
    :param domain: the same for domains.
    :raises InvalidArgument: no such pattern.
    """

    store: str
    project: str | None = None
    domain: str | None = None

    def __post_init__(self) -> None:
        for kind, pattern in (("project", self.project), ("domain", self.domain)):
            if pattern is not None and not _PATTERN.fullmatch(pattern):
                raise InvalidArgument(
                    f"{kind} {shown(pattern)} is no pattern: lower-case letters, digits, '-' and '*'"
                )

    def takes(self, scope: Scope) -> bool:
        """Whether it is for ``scope``. Only a name meets a pattern: ``*`` is not for scopes without one."""
        return _meets(scope.project, self.project) and _meets(scope.domain, self.domain)

    @property
    def is_for_all(self) -> bool:
        """Whether no scope is left for a route behind it."""
        return self.project is None and self.domain is None


def _meets(name: str | None, pattern: str | None) -> bool:
    if pattern is None:
        return True
    return name is not None and re.fullmatch(pattern.replace("*", ".*"), name) is not None


class Routes:
    """The first route that takes a scope says its store.

    :raises InvalidArgument: the last one isn't for all, or one before it is: some scope would have no store,
        or some route no scope.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        if not routes or not routes[-1].is_for_all:
            raise InvalidArgument("the last route must be for all scopes: name its store and nothing else")
        for route in routes[:-1]:
            if route.is_for_all:
                raise InvalidArgument(
                    f"a route to store {shown(route.store)} is for all scopes, but it is not the last"
                )
        self._routes = tuple(routes)

    @classmethod
    def to(cls, store: str) -> Routes:
        """All to one."""
        return cls([Route(store)])

    @property
    def stores(self) -> tuple[str, ...]:
        """Those that are led to, each once."""
        return tuple(dict.fromkeys(route.store for route in self._routes))

    def store_of(self, scope: Scope) -> str:
        """The store of ``scope``."""
        return next(route.store for route in self._routes if route.takes(scope))
