"""The service as it is put together: what a real store makes of readiness."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from asgi import Exchange

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


def test_a_store_that_cannot_be_used_does(service: Service, tmp_path: Path) -> None:
    assert call(service, tmp_path, "GET", "/readyz") == 200
    spoil(tmp_path, "DROP TABLE secrets")
    assert call(service, tmp_path, "GET", "/readyz") == 503
