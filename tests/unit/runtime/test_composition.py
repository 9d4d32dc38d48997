"""The service as it is put together: what a real store makes of readiness."""

from __future__ import annotations

import base64
import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from asgi import Exchange

from secrets_svc.core.errors import Unsupported
from secrets_svc.core.state_folder import ADMIN_TOKEN_FILE
from secrets_svc.runtime.composition import Service, build_service
from secrets_svc.runtime.settings import Settings


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    built = build_service(Settings(), tmp_path)
    yield built
    built.close()


def call(service: Service, state: Path, method: str, path: str, body: object = None) -> int:
    token = (state / ADMIN_TOKEN_FILE).read_bytes().strip()
    headers = [(b"authorization", b"Bearer " + token), (b"content-type", b"application/json")]
    return Exchange(headers, [json.dumps(body).encode()], method=method, path=path).through(service.app)[0]


def spoil(state: Path, statement: str) -> None:
    with closing(sqlite3.connect(state / "secrets.db", isolation_level=None)) as raw:
        raw.execute(statement)


def test_one_damaged_entry_takes_nothing_else_out_of_service(service: Service, tmp_path: Path) -> None:
    body = {"name": "wide", "organization": "flyte", "value": {"text": "x"}}
    assert call(service, tmp_path, "POST", "/v1/secrets", body) == 201
    spoil(tmp_path, "UPDATE secrets SET signature = zeroblob(64)")
    assert call(service, tmp_path, "GET", "/v1/secrets/wide?organization=flyte") == 503
    assert call(service, tmp_path, "GET", "/readyz") == 200


FLYTE = Settings.model_validate({"flyte": {"enabled": True}})
LIST = "/flyteidl2.secret.SecretService/ListSecrets"


def test_what_flytes_clients_call_is_there_where_the_settings_say_so(tmp_path: Path) -> None:
    for settings, status in ((Settings(), 404), (FLYTE, 200)):
        built = build_service(settings, tmp_path)
        assert call(built, tmp_path, "POST", LIST, {}) == status
        assert call(built, tmp_path, "GET", "/v1/secrets") == 200
        built.close()


def test_an_access_token_is_good_at_every_edge(tmp_path: Path) -> None:
    built = build_service(FLYTE, tmp_path)
    secret = (tmp_path / ADMIN_TOKEN_FILE).read_text().strip()
    basic = b"Basic " + base64.b64encode(f"admin:{secret}".encode())
    form = (b"content-type", b"application/x-www-form-urlencoded")
    asked = Exchange(
        [(b"authorization", basic), form], [b"grant_type=client_credentials"], path="/oauth2/token"
    )
    status, _, answer = asked.through(built.app)
    assert status == 200
    token = (b"authorization", b"Bearer " + json.loads(answer)["access_token"].encode())
    assert Exchange([token], method="GET", path="/v1/whoami").through(built.app)[0] == 200
    proto = (b"content-type", b"application/proto")
    assert Exchange([token, proto], path=LIST).through(built.app)[0] == 200
    assert Exchange([token], method="GET", path="/oauth2/tokens").through(built.app)[0] == 404
    built.close()


def test_without_its_libraries_the_start_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "connectrpc", None)
    build_service(Settings(), tmp_path).close()
    with pytest.raises(Unsupported, match="install the extra flyte"):
        build_service(FLYTE, tmp_path)


def test_a_store_that_cannot_be_used_does(service: Service, tmp_path: Path) -> None:
    assert call(service, tmp_path, "GET", "/readyz") == 200
    spoil(tmp_path, "DROP TABLE secrets")
    assert call(service, tmp_path, "GET", "/readyz") == 503
