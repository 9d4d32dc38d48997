"""Values that show whether they are whole, and which write of which secret they are of."""

from __future__ import annotations

import hashlib


def value_of(name: str, number: int) -> bytes:
    """Of write ``number``: from a few bytes to several pages of a database."""
    filler = hashlib.sha256(f"{name} {number}".encode()).digest() * (1 + (number * 7919) % 700)
    start = f"{name} {number} ".encode()
    return start + hashlib.sha256(start + filler).hexdigest().encode() + b" " + filler


def number_in(name: str, value: bytes) -> int:
    """Which write of ``name`` this is the value of, whole."""
    found, number, _, _ = value.split(b" ", 3)
    assert found.decode() == name
    assert value == value_of(name, int(number)), f"{name} is half there"
    return int(number)
