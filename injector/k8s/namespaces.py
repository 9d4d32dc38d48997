"""The cluster's namespaces for proofs and names: a watched copy of bounded age, and live looks."""

from __future__ import annotations

from collections.abc import Sequence

from injector.k8s.calls import Calls
from injector.trust import NamespaceFacts
from secrets_svc.data.sharing import SharedFreshCalls
from secrets_svc.kube.api import METADATA, path_of
from secrets_svc.kube.errors import ApiError
from secrets_svc.kube.informer import Informer, Metadata

#: Seconds without a word from the watch after which its copy is not gone by. The API server says something
#: about once a minute.
MAX_AGE = 150.0
PATH = path_of("v1", "namespaces")


class WatchedNamespaces:
    """Implements :class:`injector.trust.Namespaces`.

    :param informer: of :data:`PATH`, started by the caller.
    """

    def __init__(self, informer: Informer, calls: Calls, *, max_age: float = MAX_AGE) -> None:
        self._informer = informer
        self._calls = calls
        self._max_age = max_age
        self._looks = SharedFreshCalls(self._look_at)

    def known(self, name: str) -> NamespaceFacts | None:
        """See the port."""
        if self._informer.age > self._max_age:
            return None
        metadata = self._informer.get("", name)
        return None if metadata is None else _facts(metadata)

    async def look(self, name: str) -> NamespaceFacts | None:
        """See the port. Concurrent looks at one namespace share a call that began after them."""
        return (await self._looks.get([name])).get(name)

    async def _look_at(self, names: Sequence[str]) -> dict[str, NamespaceFacts]:
        found: dict[str, NamespaceFacts] = {}
        for name in names:
            try:
                answer = await self._calls("GET", path_of("v1", "namespaces", name=name), accept=METADATA)
            except ApiError as error:
                if error.is_absent:
                    continue
                raise error.translated(f'look at namespace "{name[:63]}"') from error
            found[name] = _facts(Metadata.of(answer))
        return found


def _facts(metadata: Metadata) -> NamespaceFacts:
    return NamespaceFacts(metadata.name, metadata.uid, metadata.labels, metadata.terminating)
