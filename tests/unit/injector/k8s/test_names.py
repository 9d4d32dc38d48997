"""Names of what is staged: the same on each replica, another for whatever differs, unknown without a key."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from injector.k8s.names import lease_name, secret_name
from secrets_svc.core.ports import Resolved
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType

KEY = b"k" * 32
SHOP = Scope("flyte", "production", "shop")
LABELS = st.from_regex(r"[a-z]{1,3}", fullmatch=True)
RESOLVED = st.builds(
    lambda project, domain, name, token, kind: Resolved(
        SecretRef(Scope("flyte", domain, project), name), token, kind
    ),
    st.none() | LABELS,
    st.none() | LABELS,
    LABELS,
    st.text(max_size=5),
    st.sampled_from(SecretType),
)
INPUTS = st.tuples(st.text(max_size=4), st.text(max_size=4), RESOLVED)


def name(inputs: tuple[str, str, Resolved], key: bytes = KEY) -> str:
    uid, store, resolved = inputs
    return lease_name(key, namespace_uid=uid, store=store, resolved=resolved)


@given(INPUTS, INPUTS)
def test_a_lease_stands_for_one_version_in_one_life_of_a_namespace(
    one: tuple[str, str, Resolved], other: tuple[str, str, Resolved]
) -> None:
    assert (name(one) == name(other)) == (one == other)
    assert re.fullmatch("ss-[0-9a-f]{40}", name(one))
    assert name(one) != name(one, b"another" * 5)


@given(st.text(max_size=6), st.text(max_size=6))
def test_a_secret_belongs_to_one_lease(one: str, other: str) -> None:
    names = [secret_name(KEY, lease_uid=uid) for uid in (one, other)]
    assert (names[0] == names[1]) == (one == other)
    assert re.fullmatch("ss-[0-9a-f]{40}", names[0])
    assert names[0] != secret_name(b"another" * 5, lease_uid=one)


def test_no_lease_is_named_as_a_secret() -> None:
    """One key, two uses, kept apart."""
    resolved = Resolved(SecretRef(SHOP, "a"), "t", SecretType.GENERIC)
    assert name(("uid", "store", resolved)) != secret_name(KEY, lease_uid="uid")
