"""A cache bounded by what its entries weigh, for keys that anybody may choose."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class WeightedCache(Generic[K, V]):
    """Keeps entries until their weights exceed ``capacity``; the oldest go first. Not for several threads.

    :param capacity: in the unit of the weights, which the user of it chooses.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._weight = 0
        self._entries: dict[K, tuple[V, int]] = {}

    def get(self, key: K) -> V | None:
        """The value of ``key``, if it is kept."""
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def put(self, key: K, value: V, weight: int) -> V:
        """Keep ``value``, unless it outweighs everything; returns it."""
        if weight > self._capacity or key in self._entries:
            return value
        self._entries[key] = (value, weight)
        self._weight += weight
        while self._weight > self._capacity:
            _, dropped = self._entries.pop(next(iter(self._entries)))
            self._weight -= dropped
        return value

    def __len__(self) -> int:
        return len(self._entries)
