"""The aws backend keeps the contract, with two identities that IAM holds to the policies that we print."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from aws_account import REAL
from moto_server import REGION, on_everything, profiles, running
from served import ServedHarness
from served_suite import ServedContract

from secrets_svc.backends.aws import BACKEND
from secrets_svc.core.ports import Capabilities, SecretReader, SecretWriter
from secrets_svc.testing.contract import BackendContract
from secrets_svc.testing.harness import BackendHarness


class AwsHarness:
    capabilities: Capabilities = BACKEND.capabilities

    def __init__(self, state: Path, **settings: Any) -> None:
        self._settings = BACKEND.settings_model(**settings)
        self._state = state
        self._opened = ExitStack()

    def writer(self) -> SecretWriter:
        writer = BACKEND.open_writer(self._settings, state=self._state)
        self._opened.callback(writer.close)
        return writer

    def reader(self) -> SecretReader:
        reader = BACKEND.open_reader(self._settings, state=self._state)
        self._opened.callback(reader.close)
        return reader

    def reopen(self) -> None:
        self._opened.close()

    close = reopen


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Settings for moto's server; files of credentials."""
    folder = tmp_path_factory.mktemp("enforcing")
    settings = BACKEND.settings_model(region=REGION)
    with running(folder) as moto:
        sides = {
            role: moto.user(on_everything(BACKEND.policy(settings, role=role)))
            for role in ("writer", "reader")
        }
        moto.enforce(True)
        yield {
            "credentials": profiles(folder / "credentials", **sides),
            "settings": {
                "region": REGION,
                "endpoint_url": moto.url,
                "writer_profile": "writer",
                "reader_profile": "reader",
            },
        }


@pytest.fixture
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AwsHarness]:
    """In a real account where ``make test-aws`` says so, otherwise on the stand-in."""
    given = os.environ.get(REAL)
    if given is None:
        request.getfixturevalue("aws_environment")
        found = request.getfixturevalue("stand_in")
        patch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(found["credentials"]))
        settings = found["settings"]
    else:
        settings = json.loads(given)
    harness = AwsHarness(tmp_path, **settings)
    yield harness
    harness.close()


class TestContract(BackendContract):
    """At the port."""


class TestServed(ServedContract):
    @pytest.fixture
    def harness(self, harness: BackendHarness) -> ServedHarness:
        return ServedHarness(harness)
