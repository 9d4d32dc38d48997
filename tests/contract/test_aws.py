"""The aws backend keeps the contract, with two identities that IAM holds to the policies that we print."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_account import REAL
from moto_server import REGION, on_everything, profiles, running
from served import ServedHarness
from served_suite import ServedContract

from secrets_svc.backends.aws import BACKEND
from secrets_svc.backends.aws.names import secret_name
from secrets_svc.core.ports import Capabilities, SecretReader, SecretWriter
from secrets_svc.core.secret import SecretRef
from secrets_svc.testing.contract import BackendContract
from secrets_svc.testing.harness import BackendHarness


class AwsHarness:
    capabilities: Capabilities = BACKEND.capabilities

    def __init__(self, state: Path, admin: Any, **settings: Any) -> None:
        self._admin = admin
        self._settings = BACKEND.settings_model(**settings)
        self._state = state
        self._opened = ExitStack()

    def writer(self) -> SecretWriter:
        return self._writer(self._settings)

    def reader(self) -> SecretReader:
        return self._reader(self._settings)

    def reader_of_writer(self) -> SecretReader:
        return self._reader(self._swapped())

    def writer_of_reader(self) -> SecretWriter:
        return self._writer(self._swapped())

    def bring_back(self, ref: SecretRef) -> bool:
        """As the documents say: restore it, and move the label to the version before."""
        name = secret_name(self._settings.prefix, ref)
        absent = self._admin.exceptions.ResourceNotFoundException
        try:
            self._admin.restore_secret(SecretId=name)
        except absent:
            return False
        stages = self._admin.describe_secret(SecretId=name)["VersionIdsToStages"]
        by_label = {label: version for version, labels in stages.items() for label in labels}
        self._admin.update_secret_version_stage(
            SecretId=name,
            VersionStage="AWSCURRENT",
            MoveToVersionId=by_label["AWSPREVIOUS"],
            RemoveFromVersionId=by_label["AWSCURRENT"],
        )
        return True

    def _swapped(self) -> Any:
        known = self._settings
        return known.model_copy(
            update={"writer_profile": known.reader_profile, "reader_profile": known.writer_profile}
        )

    def _writer(self, settings: Any) -> SecretWriter:
        writer = BACKEND.open_writer(settings, state=self._state)
        self._opened.callback(writer.close)
        return writer

    def _reader(self, settings: Any) -> SecretReader:
        reader = BACKEND.open_reader(settings, state=self._state)
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
        everything = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
        admin = moto.user(json.dumps({"Version": "2012-10-17", "Statement": everything}))
        moto.enforce(True)
        yield {
            "admin": moto.client("secretsmanager", **admin),
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
        admin, settings = found["admin"], found["settings"]
    else:
        settings = json.loads(given)
        admin = boto3.client("secretsmanager", region_name=settings["region"])
    harness = AwsHarness(tmp_path, admin, **settings)
    if "writer_profile" not in settings:  # one identity, which may do all
        harness.capabilities = replace(BACKEND.capabilities, separate_identities=False)
    yield harness
    harness.close()


class TestContract(BackendContract):
    """At the port."""


class TestServed(ServedContract):
    @pytest.fixture
    def harness(self, harness: BackendHarness) -> ServedHarness:
        return ServedHarness(harness)
