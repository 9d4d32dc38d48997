"""What an operation id stands for: equal for equal intents only, and of no use without the key."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from secrets_svc.core.intents import fingerprint
from secrets_svc.core.secret import SecretType
from secrets_svc.core.value import SecretValue

KEY = b"k" * 32

INTENTS = st.fixed_dictionaries(
    {
        "verb": st.sampled_from(["create", "update"]),
        "name": st.sampled_from(["a", "ab"]),
        "type": st.sampled_from([None, *SecretType]),
        "expected": st.sampled_from([None, "", "v", "null", '"']),
        "to": st.sampled_from([None, "", "v", "null", '"']),
        "value": st.sampled_from([None, b"b", b"\x00", b"x\x00y"]) | st.binary(max_size=8),
    }
)


def of(intent: dict[str, Any], key: bytes = KEY) -> bytes:
    value = intent["value"]
    return fingerprint(key, **{**intent, "value": None if value is None else SecretValue(value)})


@given(INTENTS, INTENTS)
def test_equal_for_equal_intents_only(one: dict[str, Any], other: dict[str, Any]) -> None:
    # Verbs that carry a value always do: nothing and no bytes need not be told apart.
    alike = {**one, "value": one["value"] or b""} == {**other, "value": other["value"] or b""}
    assert (of(one) == of(other)) is alike
    assert len(of(one)) == 32


@given(INTENTS)
def test_another_key_makes_another(intent: dict[str, Any]) -> None:
    assert of(intent) != of(intent, b"j" * 32)
