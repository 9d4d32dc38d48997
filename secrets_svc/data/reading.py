"""Reading: which secret a name means in a scope, decided on calls that began after the question (I4, I7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace

from secrets_svc.core.caches import WeightedCache
from secrets_svc.core.errors import Changed, SecretsError
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.routing import Routes
from secrets_svc.core.scope import Scope, precedence_chain
from secrets_svc.core.secret import SecretRef, Selector
from secrets_svc.data.store_reading import Found, StoreReading

#: For each selector the narrowest secret; ``None`` where there is none.
Hits = tuple[Resolved | None, ...]
#: By store: what it has, or why it can't tell.
Answers = Mapping[StoreReading, Found | SecretsError]


class Candidates:
    """Where the names of ``selectors`` are looked for.

    :param stores: the chain's scopes, the narrowest first, and the store of each.
    :ivar parts: which store has to be asked for what. :ivar hits: what won when stores were in ``states``.
    :ivar pinned: whether some selector wants a version of its own choice.
    """

    __slots__ = ("_places", "_selectors", "hits", "parts", "pinned", "states")

    def __init__(self, selectors: tuple[Selector, ...], stores: Mapping[Scope, StoreReading]) -> None:
        self._selectors = selectors
        self._places = tuple(
            tuple((SecretRef(each, selector.name), store) for each, store in stores.items())
            for selector in selectors
        )
        parts: dict[StoreReading, dict[SecretRef, None]] = {}
        for ref, store in (place for places in self._places for place in places):
            parts.setdefault(store, {})[ref] = None
        self.parts = tuple((store, tuple(refs)) for store, refs in parts.items())
        self.pinned = any(selector.version is not None for selector in selectors)
        self.hits: Hits = ()
        self.states: list[Hashable] | None = None

    def narrowest(self, answers: Answers) -> Hits | None:
        """What wins by ``answers``, at its current version; ``None`` where those of further stores are
        needed to tell.

        :raises SecretsError: a store that could have the narrowest failed.
        """
        hits: list[Resolved | None] = []
        for selector, places in zip(self._selectors, self._places, strict=True):
            decided, hit = _first(places, answers)
            if not decided:
                return None
            hits.append(hit if hit is None or selector.field is None else replace(hit, field=selector.field))
        return tuple(hits)


def _first(
    places: Iterable[tuple[SecretRef, StoreReading]], answers: Answers
) -> tuple[bool, Resolved | None]:
    """Whether that can be told, and the narrowest. What a store that can't be asked now said before may give
    a secret, and never its absence.
    """
    oldest: Found | None = None
    for ref, store in places:
        answer = answers.get(store)
        if answer is None:
            return False, None
        if isinstance(answer, SecretsError):
            raise answer
        if answer.as_of is not None and (oldest is None or answer.as_of < (oldest.as_of or 0.0)):
            oldest = answer
        hit = answer.get(ref)
        if hit is not None:
            return True, hit if oldest is None else replace(hit, as_of=oldest.as_of)
    if oldest is not None and oldest.failure is not None:
        raise oldest.failure
    return True, None


#: Selectors in all remembered candidates together; about 1.5 kB each.
MAX_CANDIDATES = 16_384


class ScopedReading:
    """Looks names up along the scope chain, each scope in its store.

    :param stores: by name. :param routes: lead to no other stores.
    """

    def __init__(self, stores: Mapping[str, StoreReading], routes: Routes) -> None:
        self._stores = dict(stores)
        self._routes = routes
        self._candidates: WeightedCache[tuple[Scope, tuple[Selector, ...]], Candidates]
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

    def resolve_at(self, moment: Moment, scope: Scope, selectors: tuple[Selector, ...]) -> Hits | None:
        """See :meth:`Moment.resolve`."""
        candidates = self._candidates_for(scope, selectors)
        if candidates.pinned:
            return None
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

    async def resolve(self, scope: Scope, selectors: tuple[Selector, ...]) -> Hits:
        """For each selector the narrowest secret that ``scope`` sees, or ``None``, also where that has no
        such version, or doesn't keep its value any more.

        A store that is slow or fails is waited for, and failed for, only where it could have the narrowest.

        :raises SecretsError: such a store failed: that is never taken for absence. :raises Unsupported: it
            keeps no earlier versions, and one is wanted.
        """
        candidates = self._candidates_for(scope, selectors)
        hits = await _resolve_currents(candidates)
        if not candidates.pinned:
            return hits
        pairs = zip(selectors, hits, strict=True)
        return tuple(await asyncio.gather(*(self._at_version(selector, hit) for selector, hit in pairs)))

    async def _at_version(self, selector: Selector, current: Resolved | None) -> Resolved | None:
        if current is None or selector.version in (None, current.token):
            return current
        store = self._stores[self.store_of(current.ref.scope)]
        hit = await store.resolve_version(current.ref, selector.version)
        return None if hit is None else replace(hit, field=selector.field, pinned=True)

    async def read(self, resolved: Resolved) -> SecretVersion:
        """The value at exactly the version of ``resolved``, or the field of it.

        :raises Changed: it was written since: resolve again. :raises NotFound: it was deleted since.
        :raises Unsupported, InvalidArgument: its store gives no such field.
        """
        return await self._stores[self.store_of(resolved.ref.scope)].read(resolved)

    async def resolve_and_read(
        self, scope: Scope, selector: Selector, *, attempts: int = 4
    ) -> SecretVersion | None:
        """What :meth:`resolve` finds with its value, or ``None``; follows concurrent writes.

        :raises Changed: it was written during each of ``attempts`` tries.
        """
        for attempt in range(attempts):
            [resolved] = await self.resolve(scope, (selector,))
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

    def probes(self) -> dict[str, Callable[[], None]]:
        """What asks each store whether it has what is needed."""
        return {name: store.probe for name, store in self._stores.items()}

    def close(self) -> None:
        """Close the readers and their threads."""
        for store in self._stores.values():
            store.close()

    def _candidates_for(self, scope: Scope, selectors: tuple[Selector, ...]) -> Candidates:
        key = (scope, selectors)
        return self._candidates.get(key) or self._candidates.put(
            key, self._look_along(scope, selectors), len(selectors)
        )

    def _look_along(self, scope: Scope, selectors: tuple[Selector, ...]) -> Candidates:
        stores = {each: self._stores[self.store_of(each)] for each in precedence_chain(scope)}
        return Candidates(selectors, stores)


async def _resolve_currents(candidates: Candidates) -> Hits:
    if not candidates.parts:
        return ()
    if len(candidates.parts) == 1:
        [(store, refs)] = candidates.parts
        return candidates.narrowest({store: await store.resolve(refs)}) or ()
    return await _resolve_from_several(candidates)


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

    def resolve(self, scope: Scope, selectors: tuple[Selector, ...]) -> Hits | None:
        """What :meth:`ScopedReading.resolve` answers, if it takes no waiting; ``None`` where it does.

        :raises SecretsError: a store failed.
        """
        return self._reading.resolve_at(self, scope, selectors)
