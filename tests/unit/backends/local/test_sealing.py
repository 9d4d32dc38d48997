"""What is sealed for one entry opens for no other, and a signature covers everything."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from secrets_svc.backends.local.sealing import DoesNotVerify, open_sealed, seal, sign, unambiguous, verify
from secrets_svc.core.value import SecretValue

CONTEXT = {"name": "u__org__a", "token": "t", "type": "generic", "generation": "g"}
READER = X25519PrivateKey.generate()
WRITER = Ed25519PrivateKey.generate()
parts = st.lists(st.text() | st.binary() | st.integers(), max_size=4)


@given(parts, parts)
def test_parts_are_joined_unambiguously(one: list[str | bytes | int], other: list[str | bytes | int]) -> None:
    assert (unambiguous(*one) == unambiguous(*other)) == (
        [(type(part), part) for part in one] == [(type(part), part) for part in other]
    )


def test_parts_do_not_run_into_each_other() -> None:
    alike = [
        ("ab", "c"),
        ("a", "bc"),
        ("abc",),
        ("abc", ""),
        (b"ab", "c"),
        ("", "abc"),
        (1, 2),
        (12,),
        ("1", 2),
    ]
    assert len({unambiguous(*each) for each in alike}) == len(alike)


@given(st.binary(max_size=300))
def test_opening_gives_back_what_was_sealed(data: bytes) -> None:
    sealed = seal(SecretValue(data), READER.public_key(), **CONTEXT)
    assert open_sealed(sealed, READER, **CONTEXT).reveal_bytes() == data
    assert len(data) < 4 or data not in sealed


@pytest.mark.parametrize("part", list(CONTEXT))
def test_a_value_opens_nowhere_else(part: str) -> None:
    sealed = seal(SecretValue(b"value"), READER.public_key(), **CONTEXT)
    with pytest.raises(DoesNotVerify):
        open_sealed(sealed, READER, **{**CONTEXT, part: CONTEXT[part] + "x"})


def test_a_value_opens_for_nobody_else() -> None:
    sealed = seal(SecretValue(b"value"), READER.public_key(), **CONTEXT)
    with pytest.raises(DoesNotVerify):
        open_sealed(sealed, X25519PrivateKey.generate(), **CONTEXT)


def test_every_byte_counts() -> None:
    sealed = seal(SecretValue(b"value"), READER.public_key(), **CONTEXT)
    for index in range(len(sealed)):
        altered = bytearray(sealed)
        altered[index] ^= 0x01
        with pytest.raises(DoesNotVerify):
            open_sealed(bytes(altered), READER, **CONTEXT)


@pytest.mark.parametrize("sealed", [b"", b"x", b"x" * 32, b"\x00" * 48], ids=len)
def test_what_was_never_sealed(sealed: bytes) -> None:
    with pytest.raises(DoesNotVerify):
        open_sealed(sealed, READER, **CONTEXT)


def test_one_value_never_looks_the_same_twice() -> None:
    assert len({seal(SecretValue(b"value"), READER.public_key(), **CONTEXT) for _ in range(20)}) == 20


@given(st.lists(st.text() | st.integers(), min_size=1, max_size=4), st.data())
def test_a_signature_covers_every_field(fields: list[str | int], data: st.DataObject) -> None:
    signature = sign(WRITER, tuple(fields))
    verify(WRITER.public_key(), signature, tuple(fields))
    index = data.draw(st.integers(0, len(fields) - 1))
    altered = [*fields]
    altered[index] = f"{fields[index]}x"
    for wrong in (tuple(altered), tuple(fields[:-1]), (*fields, "")):
        with pytest.raises(DoesNotVerify):
            verify(WRITER.public_key(), signature, wrong)
