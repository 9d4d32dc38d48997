"""Names and types of secrets."""

from __future__ import annotations

import pytest

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType, validate_name

BAD = {
    "empty": "",
    "slash": "a/b",
    "dots": "..",
    "dot": "db.password",
    "NUL": "a\x00b",
    "space": "a b",
    "Cyrillic": "pаssword",
    "newline": "a\n",
    "129 characters": "a" * 129,
    "not a text": 7,
    "nothing": None,
}


@pytest.mark.parametrize("name", BAD.values(), ids=BAD.keys())
def test_illegal_names_are_refused(name: object) -> None:
    with pytest.raises(InvalidArgument, match="secret name") as caught:
        validate_name(name)
    assert caught.value.message.isascii()


@pytest.mark.parametrize("name", ["a", "A_b", "-", "_", "0", "a" * 128, "a__key__b"])
def test_legal_names_pass_unchanged(name: str) -> None:
    assert validate_name(name) == name


def test_a_reference_is_its_scope_and_name() -> None:
    one = SecretRef(Scope("flyte", project="shop"), "a")
    assert one == SecretRef(Scope("flyte", project="shop"), "a")
    assert hash(one) == hash(SecretRef(Scope("flyte", project="shop"), "a"))
    assert one != SecretRef(Scope("flyte", domain="shop"), "a")
    assert "_hash" not in repr(one)


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("generic", SecretType.GENERIC),
        ("regular", SecretType.GENERIC),
        ("image-pull", SecretType.IMAGE_PULL),
        ("image_pull", SecretType.IMAGE_PULL),
        ("image-pull-secret", SecretType.IMAGE_PULL),
    ],
)
def test_types_have_the_names_that_clients_use(text: str, type_: SecretType) -> None:
    assert SecretType.parse(text) is type_


def test_other_types_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="generic or image-pull"):
        SecretType.parse("tls")
