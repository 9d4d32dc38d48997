"""Settings that make no sense stop the start."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from secrets_svc.backends.vault.settings import VaultSettings

TOKEN = {"method": "token_file", "token_file": "/t"}
GOOD: dict[str, Any] = {"address": "https://vault.example:8200", "login": TOKEN}


def test_writer_and_reader_may_differ() -> None:
    approle = {"method": "approle", "role_id": "r", "secret_id_file": "/s", "auth_mount": "apps/approle"}
    settings = VaultSettings.model_validate({**GOOD, "writer": approle})
    assert settings.writer_identity().mount == "apps/approle"
    assert settings.reader_identity().method == "token_file"
    pod = VaultSettings.model_validate({**GOOD, "login": {"method": "kubernetes", "role": "r"}})
    assert str(pod.reader_identity().file) == "/var/run/secrets/kubernetes.io/serviceaccount/token"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"address": "http://vault.example:8200"}, "must be https"),
        ({"address": "vault.example"}, "the server's address"),
        ({"address": "https://u:p@vault.example"}, "name or password"),
        ({"address": "https://vault.example/v1"}, "the server's address"),
        ({"login": None}, "needs login"),
        ({"login": None, "writer": TOKEN}, "needs login"),
        ({"login": {"method": "approle", "role_id": "r"}}, 'method "approle" needs secret_id_file'),
        ({"login": {"method": "cert", "client_cert": "/c"}}, 'method "cert" needs client_key'),
        ({"login": {"method": "password"}}, "method"),
        ({"mount": "../sys"}, "must be letters"),
        ({"prefix": "a//b"}, "must be letters"),
        ({"prefix": "a/../b"}, "must be letters"),
        ({"prefix": "a?b"}, "must be letters"),
        ({"timeout": 0}, "timeout"),
        ({"adress": "x"}, "adress"),
    ],
)
def test_what_is_wrong_is_refused_by_name(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        VaultSettings.model_validate({**GOOD, **change})
    assert says in str(refused.value)


def test_a_token_is_not_shown() -> None:
    login = {"method": "token", "token": "s.canary"}
    assert "canary" not in repr(VaultSettings.model_validate({**GOOD, "login": login}))
