"""Reading: which secret a name means in a scope, decided on calls that began after the question (I4, I7)."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Mapping

from secrets_svc.core.caches import WeightedCache
from secrets_svc.core.errors import Changed, SecretsError
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.routing import Routes
from secrets_svc.core.scope import Scope, precedence_chain
from secrets_svc.core.secret import SecretRef
from secrets_svc.data.store_reading import Found, StoreReading

#: For each name the narrowest secret; ``None`` where there is none.
Hits = tuple[Resolved | None, ...]
#: By store: what it has, or why it can't tell.
Answers = Mapping[StoreReading, Found | SecretsError]


class Candidates:
    """Where ``names`` are looked for.

    :param stores: the chain's scopes, the narrowest first, and the store of each.
    :ivar parts: which store has to be asked for what. :ivar hits: what won when stores were in ``states``.
    """

    __slots__ = ("_by_name", "hits", "parts", "states")

    def __init__(self, names: tuple[str, ...], stores: Mapping[Scope, StoreReading]) -> None:
        self._by_name = tuple(
            tuple((SecretRef(each, name), store) for each, store in stores.items()) for name in names
        )
        parts: dict[StoreReading, list[SecretRef]] = {}
        for ref, store in (pair for pairs in self._by_name for pair in pairs):
            parts.setdefault(store, []).append(ref)
        self.parts = tuple((store, tuple(refs)) for store, refs in parts.items())
        self.hits: Hits = ()
        self.states: list[Hashable] | None = None

    def narrowest(self, answers: Answers) -> Hits | None:
        """What wins by ``answers``; ``None`` where those of further stores are needed to tell.

        :raises SecretsError: a store that could have the narrowest failed.
        """
        hits: list[Resolved | None] = []
        for refs in self._by_name:
            decided, hit = _first(refs, answers)
            if not decided:
                return None
            hits.append(hit)
        return tuple(hits)


def _first(refs: Iterable[tuple[SecretRef, StoreReading]], answers: Answers) -> tuple[bool, Resolved | None]:
    """Whether that can be told, and the narrowest."""
    for ref, store in refs:
        answer = answers.get(store)
        if answer is None:
            return False, None
        if isinstance(answer, SecretsError):
            raise answer
        hit = answer.get(ref)
        if hit is not None:
            return True, hit
    return True, None


#: Names in all remembered candidates together; about 1.5 kB each.
MAX_CANDIDATES = 16_384


class ScopedReading:
    """Looks names up along the scope chain, each scope in its store.

    :param stores: by name. :param routes: lead to no other stores.
    """

    def __init__(self, stores: Mapping[str, StoreReading], routes: Routes) -> None:
        self._stores = dict(stores)
        self._routes = routes
        self._candidates: WeightedCache[tuple[Scope, tuple[str, ...]], Candidates]
        self._candidates = WeightedCache(MAX_CANDIDATES)

    @classmethod
    def of(cls, store: StoreReading) -> ScopedReading:
        """With one store for all."""
        return cls({store.store: store}, Routes.to(store.store))

    def store_of(self, scope: Scope) -> str:
        """The name of the store that secrets of exactly ``scope`` are in."""
        return self._routes.store_of(scope)

    def stores_of(self, scope: Scope) -> str:
        """Those that are looked into on behalf of ``scope``, for messages."""
        return ", ".join(dict.fromkeys(self.store_of(each) for each in precedence_chain(scope)))

    def moment(self) -> Moment:
        """For questions that have all been asked by now."""
        return Moment(self)

    def resolve_at(self, moment: Moment, scope: Scope, names: tuple[str, ...]) -> Hits | None:
        """See :meth:`Moment.resolve`."""
        candidates = self._candidates_for(scope, names)
        states: list[Hashable] = []
        for store, _ in candidates.parts:
            if not store.takes_no_waiting:
                return None
            states.append(moment.state_of(store))
        if candidates.states != states:
            # The states were asked for first: what is looked up now is at least that fresh.
            answers = {store: store.resolve_now(refs) for store, refs in candidates.parts}
            candidates.hits = candidates.narrowest(answers) or ()
            candidates.states = states
        return candidates.hits

    async def resolve(self, scope: Scope, names: tuple[str, ...]) -> Hits:
        """For each name the narrowest secret that ``scope`` sees, or ``None``.

        A store that is slow or fails is waited for, and failed for, only where it could have the narrowest.

        :raises SecretsError: such a store failed: that is never taken for absence.
        """
        candidates = self._candidates_for(scope, names)
        if not candidates.parts:
            return ()
        if len(candidates.parts) == 1:
            [(store, refs)] = candidates.parts
            return candidates.narrowest({store: await store.resolve(refs)}) or ()
        return await _resolve_from_several(candidates)

    async def read(self, resolved: Resolved) -> SecretVersion:
        """The value at exactly the version of ``resolved``.

        :raises Changed: it was written since: resolve again. :raises NotFound: it was deleted since.
        """
        return await self._stores[self.store_of(resolved.ref.scope)].read(resolved)

    async def resolve_and_read(self, scope: Scope, name: str, *, attempts: int = 4) -> SecretVersion | None:
        """The narrowest secret called ``name`` with its value, or ``None``; follows concurrent writes.

        :raises Changed: it was written during each of ``attempts`` tries.
        """
        for attempt in range(attempts):
            [resolved] = await self.resolve(scope, (name,))
            if resolved is None:
                return None
            try:
                return await self.read(resolved)
            except Changed:
                if attempt == attempts - 1:
                    raise
        return None

    def is_answering(self) -> bool:
        """Whether any store can be read: one that can't is no reason to keep pods from the others."""
        return any(store.is_answering() for store in self._stores.values())

    def states(self) -> dict[str, str]:
        """How each store fares, in a word; see :attr:`StoreReading.condition`."""
        return {name: store.condition for name, store in self._stores.items()}

    def close(self) -> None:
        """Close the readers and their threads."""
        for store in self._stores.values():
            store.close()

    def _candidates_for(self, scope: Scope, names: tuple[str, ...]) -> Candidates:
        key = (scope, names)
        return self._candidates.get(key) or self._candidates.put(
            key, self._look_along(scope, names), len(names)
        )

    def _look_along(self, scope: Scope, names: tuple[str, ...]) -> Candidates:
        stores = {each: self._stores[self.store_of(each)] for each in precedence_chain(scope)}
        return Candidates(names, stores)


async def _resolve_from_several(candidates: Candidates) -> Hits:
    tasks = {asyncio.create_task(_answer_of(store, refs)): store for store, refs in candidates.parts}
    answers: dict[StoreReading, Found | SecretsError] = {}
    pending = set(tasks)
    try:
        while True:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            answers.update({tasks[task]: task.result() for task in done})
            hits = candidates.narrowest(answers)
            if hits is not None:
                return hits
    finally:
        for task in pending:
            task.cancel()


async def _answer_of(store: StoreReading, refs: tuple[SecretRef, ...]) -> Found | SecretsError:
    try:
        return await store.resolve(refs)
    except SecretsError as error:
        return error


class Moment:
    """Looks up what was asked before it was made; what its look-ups share is done once."""

    __slots__ = ("_reading", "_states")

    def __init__(self, reading: ScopedReading) -> None:
        self._reading = reading
        self._states: dict[StoreReading, Hashable] = {}

    def state_of(self, store: StoreReading) -> Hashable:
        """Of that store, asked for once it is needed."""
        state = self._states.get(store)
        if state is None:
            state = self._states[store] = store.state()
        return state

    def resolve(self, scope: Scope, names: tuple[str, ...]) -> Hits | None:
        """What :meth:`ScopedReading.resolve` answers, if it takes no waiting; ``None`` where it does.

        :raises SecretsError: a store failed.
        """
        return self._reading.resolve_at(self, scope, names)
