"""Lists go by indexes, and cursors are what they were made from."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_svc.backends.local import listing
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.naming import storage_name
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef

labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,5}[a-z0-9])?", fullmatch=True)
scopes = st.builds(Scope, labels, st.none() | labels, st.none() | labels)
names = st.from_regex(r"[-a-zA-Z0-9_]{1,20}", fullmatch=True)
refs = st.builds(SecretRef, scopes, names)

FILTERS = [
    (Scope("flyte"), False),
    (Scope("flyte"), True),
    (Scope("flyte", "production"), False),
    (Scope("flyte", "production"), True),
    (Scope("flyte", None, "shop"), False),
    (Scope("flyte", None, "shop"), True),
    (Scope("flyte", "production", "shop"), False),
    (Scope("flyte", "production", "shop"), True),
]


@pytest.mark.parametrize(("within", "exact"), FILTERS, ids=str)
def test_a_page_never_scans_or_sorts(store: Any, within: Scope, exact: bool) -> None:
    statement, parameters = listing.query(within, exact=exact, after="", limit=10)
    plan = " ".join(row[-1] for row in store.sql(f"EXPLAIN QUERY PLAN {statement}", *parameters))
    assert plan.startswith("SEARCH secrets USING ")
    assert "TEMP B-TREE" not in plan
    assert "storage_name>?" in plan


@given(refs)
def test_a_cursor_leads_where_it_was_made(ref: SecretRef) -> None:
    name = storage_name(ref)
    cursor = listing.cursor_after(name)
    assert listing.position(cursor, ref.scope, exact=True) == name
    assert listing.position(cursor, Scope(ref.scope.organization), exact=False) == name


@given(refs, scopes)
def test_a_cursor_of_another_filter_is_refused(ref: SecretRef, other: Scope) -> None:
    cursor = listing.cursor_after(storage_name(ref))
    if not other.covers(ref.scope):
        with pytest.raises(InvalidArgument, match="same filter"):
            listing.position(cursor, other, exact=False)
    if other != ref.scope:
        with pytest.raises(InvalidArgument, match="same filter"):
            listing.position(cursor, other, exact=True)


@given(
    st.text(max_size=400) | st.binary(max_size=300).map(lambda data: base64.urlsafe_b64encode(data).decode())
)
def test_any_text_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidArgument, match="cursor is not valid"):
        listing.position(cursor, Scope("flyte"), exact=False)


@given(refs)
def test_only_one_spelling_of_a_cursor(ref: SecretRef) -> None:
    cursor = listing.cursor_after(storage_name(ref))
    for other in (cursor + "=", cursor + "==", cursor + "\n", " " + cursor, cursor + "A"):
        with pytest.raises(InvalidArgument):
            listing.position(other, ref.scope, exact=False)


@given(st.lists(refs, max_size=12, unique=True), scopes, st.booleans())
def test_the_range_is_what_the_scope_covers(held: list[SecretRef], within: Scope, exact: bool) -> None:
    """The bounds alone, as SQLite compares text; the project index is the contract suite's."""
    statement, parameters = listing.query(within, exact=exact, after="", limit=10)
    if statement == listing.OF_PROJECT:
        return
    low, high, _ = parameters
    for ref in held:
        inside = low < storage_name(ref) < high
        assert inside == (ref.scope == within if exact else within.covers(ref.scope))
