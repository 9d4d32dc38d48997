"""Which store a scope is in."""

from __future__ import annotations

import pytest

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.routing import Route, Routes
from secrets_svc.core.scope import Scope

SHOP = Scope("flyte", "production", "shop")


@pytest.mark.parametrize(
    ("route", "takes"),
    [
        (Route("s"), [True, True, True, True]),
        (Route("s", project="shop"), [True, True, False, False]),
        (Route("s", project="sh*"), [True, True, False, False]),
        (Route("s", project="*"), [True, True, False, False]),
        (Route("s", project="hop"), [False] * 4),
        (Route("s", project="s*x"), [False] * 4),
        (Route("s", domain="prod*"), [True, False, True, False]),
        (Route("s", project="shop", domain="staging"), [False] * 4),
        (Route("s", project="shop", domain="*"), [True, False, False, False]),
    ],
)
def test_a_route_takes_scopes_by_their_names(route: Route, takes: list[bool]) -> None:
    chain = (SHOP, Scope("flyte", project="shop"), Scope("flyte", domain="production"), Scope("flyte"))
    assert [route.takes(scope) for scope in chain] == takes


def test_the_first_that_takes_it_says_the_store() -> None:
    routes = Routes([Route("a", project="shop", domain="staging"), Route("b", project="shop"), Route("c")])
    assert routes.stores == ("a", "b", "c")
    assert routes.store_of(SHOP) == "b"
    assert routes.store_of(Scope("flyte", "staging", "shop")) == "a"
    assert routes.store_of(Scope("flyte", "staging", "bank")) == "c"


@pytest.mark.parametrize("routes", [[], [Route("a", project="x")], [Route("a"), Route("b")]])
def test_every_scope_has_a_store_and_every_route_a_use(routes: list[Route]) -> None:
    with pytest.raises(InvalidArgument):
        Routes(routes)


@pytest.mark.parametrize("pattern", ["", "A", "a_b", "a.b", "[a]", "a?", "a" * 64, "a\n"])
def test_a_pattern_is_a_name_with_stars(pattern: str) -> None:
    with pytest.raises(InvalidArgument, match="is no pattern"):
        Route("s", project=pattern)
