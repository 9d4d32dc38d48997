"""Names, labels and selectors: Flyte's, to the letter."""

from __future__ import annotations

import pytest

from secrets_svc.backends.kubernetes.names import labels_of, object_name, selectors
from secrets_svc.core.naming import storage_name
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        (Scope("flyte", "development", "proj"), "1165598fa115f181c7093856a1756218"),
        (Scope("flyte", "development"), "85134ca16b7e3df19b51a492cdccf094"),
        (Scope("flyte"), "fb7ecc638177256036613dca61ecf9a7"),
    ],
    ids=str,
)
def test_objects_are_named_as_flyte_names_them(scope: Scope, name: str) -> None:
    """Its own code gave these."""
    assert object_name(storage_name(SecretRef(scope, "my-secret"))) == name


def test_labels_are_flytes_and_the_organization() -> None:
    assert labels_of(Scope("o", "d", "p")) == {
        "app.flyte.org/managed": "true",
        "app.flyte.org/domain": "d",
        "app.flyte.org/project": "p",
        "secrets-svc.internal/organization": "o",
    }
    assert set(labels_of(Scope("o"))) == {"app.flyte.org/managed", "secrets-svc.internal/organization"}


M, D, P, O = (  # noqa: E741  # as short as the table below
    "app.flyte.org/managed=true",
    "app.flyte.org/domain",
    "app.flyte.org/project",
    "secrets-svc.internal/organization",
)


@pytest.mark.parametrize(
    ("within", "exact", "wanted"),
    [
        (Scope("o"), False, M),
        (Scope("o"), True, f"{M},!{D},!{P}"),
        (Scope("o", domain="d"), False, f"{M},{D}=d"),
        (Scope("o", domain="d"), True, f"{M},{D}=d,!{P}"),
        (Scope("o", project="p"), False, f"{M},{P}=p"),
        (Scope("o", project="p"), True, f"{M},!{D},{P}=p"),
        (Scope("o", "d", "p"), False, f"{M},{D}=d,{P}=p"),
        (Scope("o", "d", "p"), True, f"{M},{D}=d,{P}=p"),
    ],
    ids=str,
)
def test_the_server_filters(within: Scope, exact: bool, wanted: str) -> None:
    assert selectors(within, exact=exact) == (f"{wanted},{O}=o", f"{wanted},!{O}")
