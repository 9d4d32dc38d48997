"""SecretValue never shows what it holds."""

from __future__ import annotations

import copy
import json
import pickle
import traceback

import pytest

from secrets_svc.core.value import SecretValue

CANARY = "canary-in-a-coal-mine"
VALUE = SecretValue(CANARY.encode())


@pytest.mark.parametrize(
    "shown",
    [
        repr(VALUE),
        str(VALUE),
        f"{VALUE}",
        f"{VALUE!r:>40}",
        f"{VALUE:s}",
        f"{VALUE} {VALUE!r}",
        repr([VALUE, {"k": VALUE}]),
        repr(dir(VALUE)),
    ],
)
def test_no_text_of_it_shows_the_value(shown: str) -> None:
    assert CANARY not in shown


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_cannot_be_pickled(protocol: int) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(VALUE, protocol)


def test_it_cannot_become_json() -> None:
    with pytest.raises(TypeError) as caught:
        json.dumps({"value": VALUE})
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_copies_are_the_same_object() -> None:
    assert copy.copy(VALUE) is VALUE
    assert copy.deepcopy([VALUE])[0] is VALUE


def test_it_has_no_attributes_to_look_into() -> None:
    with pytest.raises(TypeError):
        vars(VALUE)
    with pytest.raises(TypeError):
        hash(VALUE)


def test_revealing_gives_the_exact_bytes() -> None:
    data = bytes(range(256))
    assert SecretValue(data).reveal_bytes() == data
    assert len(SecretValue(data)) == 256
    assert SecretValue(b"") == SecretValue(b"")
    assert SecretValue(b"a") != SecretValue(b"b")


def test_only_bytes_are_taken() -> None:
    with pytest.raises(TypeError) as caught:
        SecretValue(CANARY)  # type: ignore[arg-type]
    assert CANARY not in str(caught.value)
