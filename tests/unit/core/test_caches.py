"""The cache that is bounded by weight."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from secrets_svc.core.caches import WeightedCache


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 12))))
def test_it_never_outweighs_its_capacity(puts: list[tuple[int, int]]) -> None:
    cache: WeightedCache[int, int] = WeightedCache(20)
    kept: dict[int, int] = {}
    for key, weight in puts:
        assert cache.put(key, key * 2, weight) == key * 2
        kept.setdefault(key, weight)
        if cache.get(key) is None:
            kept.pop(key, None)
        kept = {each: kept[each] for each in kept if cache.get(each) is not None}
        assert sum(kept.values()) <= 20
        assert len(cache) == len(kept)
        assert all(cache.get(each) == each * 2 for each in kept)


def test_the_oldest_goes_first_and_what_is_too_heavy_is_not_kept() -> None:
    cache: WeightedCache[str, str] = WeightedCache(3)
    for name in "abcd":
        cache.put(name, name, 1)
    assert [cache.get(name) for name in "abcd"] == [None, "b", "c", "d"]
    assert cache.put("heavy", "x", 4) == "x"
    assert cache.get("heavy") is None
    assert cache.get("b") == "b"
