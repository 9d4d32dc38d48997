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
from secrets_svc.core.abilities import Purges, RollsBack
from secrets_svc.core.errors import Unavailable
from secrets_svc.core.ports import Capabilities, SecretReader, SecretWriter
from secrets_svc.core.secret import SecretMetadata, SecretRef
from secrets_svc.testing.contract import BackendContract
from secrets_svc.testing.harness import (
    ACTOR,
    BackendHarness,
    create,
    delete,
    eventually,
    operation_id,
    some_ref,
    update,
)


class AwsHarness:
    capabilities: Capabilities = BACKEND.capabilities

    def __init__(self, state: Path, admin: Any, **settings: Any) -> None:
        self._admin = admin
        self._settings = BACKEND.settings_model(**settings)
        self._state = state
        self._opened = ExitStack()

    def turned(self) -> AwsHarness:
        """Each side with the other's identity."""
        own = self._settings.model_dump(exclude_unset=True)
        roles = {"writer_profile": own["reader_profile"], "reader_profile": own["writer_profile"]}
        return AwsHarness(self._state, self._admin, **own | roles)

    def elsewhere(self) -> AwsHarness:
        """A store of other names, with the same identities."""
        own = self._settings.model_dump(exclude_unset=True)
        return AwsHarness(self._state, self._admin, **own | {"prefix": "secrets-svc-elsewhere/"})

    def writer(self) -> SecretWriter:
        return self._writer(self._settings)

    def reader(self) -> SecretReader:
        return self._reader(self._settings)

    def reader_of_writer(self) -> SecretReader:
        return self._reader(self.turned()._settings)

    def writer_of_reader(self) -> SecretWriter:
        return self._writer(self.turned()._settings)

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
                "timeout": 20.0,  # what a busy machine takes breaks no contract
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


class TestRefusals:
    """What each of the two identities is refused by AWS itself (or by moto's IAM), whatever code asks."""

    @pytest.fixture
    def turned(self, harness: AwsHarness) -> Iterator[AwsHarness]:
        made = harness.turned()
        yield made
        made.close()

    def test_the_writer_s_may_not_read(self, harness: AwsHarness, turned: AwsHarness) -> None:
        """It may look."""
        ref, reader = some_ref(), turned.reader()
        token = create(harness.writer(), ref).version

        def refused() -> None:
            assert set(reader.resolve([ref])) == {ref}
            with pytest.raises(Unavailable, match="may not GetSecretValue"):
                reader.read(ref, token)

        eventually(harness, refused)

    def test_the_reader_s_may_not_write(self, harness: AwsHarness, turned: AwsHarness) -> None:
        """No verb, and nothing is changed; nor list."""
        ref, writer = some_ref(), turned.writer()
        assert isinstance(writer, Purges)
        assert isinstance(writer, RollsBack)
        first = create(harness.writer(), ref).version
        made = update(harness.writer(), ref, b"other")
        eventually(harness, lambda: shows(writer, made))
        known = {"actor": ACTOR, "operation_id": operation_id()}
        for write in (
            lambda: create(writer, some_ref()),
            lambda: update(writer, ref, b"x"),
            lambda: delete(writer, ref),
            lambda: writer.purge(ref, **known),
            lambda: writer.rollback(ref, to=first, **known),
            lambda: writer.list(ref.scope),
        ):
            with pytest.raises(Unavailable, match="identity may not"):
                write()
        shows(harness.writer(), made)

    def test_other_names_are_out_of_reach(self, harness: AwsHarness, request: pytest.FixtureRequest) -> None:
        """Of AWS; moto compares no resources, so there it shows that it doesn't."""
        elsewhere = harness.elsewhere()
        request.addfinalizer(elsewhere.close)
        ref = some_ref()
        if REAL not in os.environ:
            create(elsewhere.writer(), ref)
            return
        with pytest.raises(Unavailable, match="may not DescribeSecret"):
            elsewhere.reader().resolve([ref])
        with pytest.raises(Unavailable, match="identity may not"):
            create(elsewhere.writer(), ref)


def shows(writer: SecretWriter, made: SecretMetadata) -> None:
    assert writer.describe(made.ref) == made


class TestServed(ServedContract):
    @pytest.fixture
    def harness(self, harness: BackendHarness) -> ServedHarness:
        return ServedHarness(harness)
