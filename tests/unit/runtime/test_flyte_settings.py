"""Who has no credentials is somebody only where that can be meant."""

from __future__ import annotations

from typing import Any

import pytest

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.runtime.flyte import require_flyte
from secrets_svc.runtime.settings import Settings


def settings(**flyte: Any) -> Settings:
    bindings = [{"principal": "dev", "role": "contributor", "project": "shop"}]
    return Settings.model_validate({"flyte": {"enabled": True, **flyte}, "policy": {"bindings": bindings}})


@pytest.mark.parametrize(
    ("flyte", "wrong"),
    [
        ({"anonymous_principal": "admn"}, "policy.bindings has no such principal"),
        ({"anonymous_principal": "dev", "public_url": "https://secrets.example.com"}, "flyte.public_url"),
        ({"anonymous_principal": "admin", "public_url": "https://10.0.0.1:8470"}, "flyte.public_url"),
    ],
)
def test_strangers_are_nobody(flyte: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InvalidArgument, match=wrong):
        require_flyte(settings(**flyte))


@pytest.mark.parametrize(
    "flyte",
    [
        {},
        {"anonymous_principal": "admin"},
        {"anonymous_principal": "dev", "public_url": "https://localhost:8470"},
        {"public_url": "http://10.0.0.1:8470", "allow_clear_text": True, "access_token_lifetime": 60},
    ],
)
def test_what_is_meant_is_served(flyte: dict[str, Any]) -> None:
    require_flyte(settings(**flyte))
