"""Scopes: what is legal, and the one chain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope, precedence_chain

LABEL = st.from_regex(r"\A[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\Z")
SCOPES = st.builds(Scope, LABEL, st.none() | LABEL, st.none() | LABEL)

BAD = {
    "empty": "",
    "slash": "a/b",
    "dots": "..",
    "dot": "a.b",
    "NUL": "a\x00b",
    "space": "a b",
    "upper case": "Shop",
    "underscore": "a_b",
    "Cyrillic a": "shоp",
    "full width": "ｓhop",
    "trailing newline": "shop\n",
    "leading hyphen": "-shop",
    "trailing hyphen": "shop-",
    "64 characters": "a" * 64,
}


@pytest.mark.parametrize("part", ["organization", "domain", "project"])
@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_illegal_parts_are_refused_by_name(part: str, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Scope(**{"organization": "flyte", part: text})
    assert caught.value.message.startswith(f"{part} ")
    assert caught.value.message.isascii()


def test_a_label_may_have_63_characters() -> None:
    assert Scope("a" * 63).organization == "a" * 63


def test_the_chain_goes_from_narrow_to_wide() -> None:
    chain = precedence_chain(Scope("flyte", "production", "shop"))
    assert [str(scope) for scope in chain] == [
        "project-domain shop/production",
        "project shop",
        "domain production",
        "organization flyte",
    ]


@pytest.mark.parametrize(
    ("scope", "levels"),
    [
        (Scope("flyte"), ["organization"]),
        (Scope("flyte", domain="production"), ["domain", "organization"]),
        (Scope("flyte", project="shop"), ["project", "organization"]),
    ],
)
def test_the_chain_of_wider_scopes_is_shorter(scope: Scope, levels: list[str]) -> None:
    assert [each.level for each in precedence_chain(scope)] == levels


@given(SCOPES)
def test_every_scope_of_a_chain_covers_its_beginning(scope: Scope) -> None:
    chain = precedence_chain(scope)
    assert chain[0] == scope
    assert chain[-1] == Scope(scope.organization)
    assert len(set(chain)) == len(chain)
    assert all(wider.covers(scope) for wider in chain)


@given(SCOPES, SCOPES)
def test_covering_both_ways_is_being_equal(one: Scope, other: Scope) -> None:
    assert (one.covers(other) and other.covers(one)) == (one == other)
