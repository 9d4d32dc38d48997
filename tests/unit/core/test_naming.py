"""Storage names: one to one, in Flyte's form."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.naming import MAX_STORAGE_NAME, parse_storage_name, storage_name
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef

LABEL = st.from_regex(r"\A[a-z0-9](?:[-a-z0-9]{0,20}[a-z0-9])?\Z")
NAME = st.from_regex(r"\A[-a-zA-Z0-9_]{1,128}\Z") | st.sampled_from(["__key__", "a__project__b__key__c", "_"])
REFS = st.builds(SecretRef, st.builds(Scope, LABEL, st.none() | LABEL, st.none() | LABEL), NAME)


def test_the_form_is_flytes() -> None:
    ref = SecretRef(Scope("flyte", "development", "proj"), "my-secret")
    assert storage_name(ref) == "u__org__flyte__domain__development__project__proj__key__my-secret"
    assert storage_name(SecretRef(Scope("flyte"), "k")) == "u__org__flyte__domain____project____key__k"


def within_limit(ref: SecretRef) -> bool:
    try:
        storage_name(ref)
    except InvalidArgument:
        return False
    return True


@given(REFS)
def test_parsing_gives_back_what_was_named(ref: SecretRef) -> None:
    assume(within_limit(ref))
    assert parse_storage_name(storage_name(ref)) == ref


@given(REFS, REFS)
def test_no_two_references_share_a_name(one: SecretRef, other: SecretRef) -> None:
    assume(within_limit(one) and within_limit(other))
    assert (storage_name(one) == storage_name(other)) == (one == other)


def test_names_at_the_limit_pass_and_one_over_is_refused() -> None:
    def ref(length: int) -> SecretRef:
        return SecretRef(Scope("a" * 63, "b" * 63), "n" * length)

    fixed = len(storage_name(ref(1))) - 1
    fits = MAX_STORAGE_NAME - fixed
    assert len(storage_name(ref(fits))) == MAX_STORAGE_NAME
    with pytest.raises(InvalidArgument, match="1 over the limit of 253"):
        storage_name(ref(fits + 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "u__org__flyte__key__x",
        "u__org____domain____project____key__x",
        "u__org__Flyte__domain____project____key__x",
        "u__org__flyte__domain____project____key__",
        "u__org__flyte__domain____project____key__a/b",
        "u__org__flyte__domain____project____key__x\n",
        "x" * 300,
    ],
)
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_storage_name(text)
