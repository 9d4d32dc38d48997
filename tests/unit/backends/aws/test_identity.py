"""As whom: profiles, roles, regions; and that the library is imported when it is needed only."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_store import ACTOR, Store, create, intent, read, some_ref
from moto_server import REGION, Moto, on_everything, profiles, running

from secrets_svc.backends.aws import BACKEND
from secrets_svc.backends.aws.settings import AwsSettings
from secrets_svc.core.errors import InvalidArgument, Unavailable

SETTINGS = AwsSettings(region=REGION)


@pytest.fixture(scope="module")
def enforcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """A server that asks IAM."""
    with running(tmp_path_factory.mktemp("enforcing")) as moto:
        yield moto


def policy(role: str) -> str:
    backend: Any = BACKEND
    return on_everything(backend.policy(SETTINGS, role=role))


ASSUME = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": "*"}],
    }
)


class TestRoles:
    @pytest.fixture
    def store(self, enforcing: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
        """One user who may do nothing but take on two roles."""
        enforcing.enforce(False)
        path = profiles(tmp_path / "credentials", default=enforcing.user(ASSUME))
        settings = {
            "writer_role_arn": enforcing.role(policy("writer")),
            "reader_role_arn": enforcing.role(policy("reader")),
            "writer_external_id": "given-to-us",
        }
        enforcing.enforce(True)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", enforcing.url)
        store = Store(enforcing, tmp_path, **settings)
        yield store
        store.close()

    def test_each_side_takes_on_its_own(self, store: Store) -> None:
        ref = some_ref()
        token = create(store.writer(), ref).version
        assert read(store.reader(), ref) == b"value"
        with pytest.raises(Unavailable, match="may not GetSecretValue"):
            store.reader(reader_role_arn=store.settings.writer_role_arn).read(ref, token)
        with pytest.raises(Unavailable, match="may not CreateSecret"):
            create(store.writer(writer_role_arn=store.settings.reader_role_arn), some_ref())

    def test_a_role_that_it_may_not_take_on(
        self, store: Store, enforcing: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        enforcing.enforce(False)
        path = profiles(tmp_path / "others", default=enforcing.user(policy("reader")))
        enforcing.enforce(True)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
        with pytest.raises(Unavailable, match="may not AssumeRole"):
            store.reader(timeout=9.0).resolve([some_ref()])


def test_credentials_that_were_changed_are_taken_up(
    enforcing: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a new start: AWS doesn't know the old ones any more."""
    monkeypatch.setattr("secrets_svc.backends.aws.api._BETWEEN_REFRESHES", 0.0)
    enforcing.enforce(False)
    first, second = (enforcing.user(policy("reader")) for _ in range(2))
    path = profiles(tmp_path / "rotated", default=first)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    store = Store(enforcing, tmp_path)
    enforcing.enforce(True)
    assert store.reader().resolve([some_ref()]) == {}
    enforcing.enforce(False)
    iam = enforcing.client("iam")
    key = first["aws_access_key_id"]
    name = next(
        user["UserName"]
        for user in iam.list_users()["Users"]
        for each in iam.list_access_keys(UserName=user["UserName"])["AccessKeyMetadata"]
        if each["AccessKeyId"] == key
    )
    iam.delete_access_key(UserName=name, AccessKeyId=key)
    enforcing.enforce(True)
    with pytest.raises(Unavailable, match="credentials"):
        store.reader().resolve([some_ref()])
    profiles(path, default=second)
    assert store.reader().resolve([some_ref()]) == {}
    store.close()


@pytest.mark.parametrize("side", ["writer", "reader"])
def test_a_profile_that_is_not_there_stops_the_start(moto: Moto, tmp_path: Path, side: str) -> None:
    store = Store(moto, tmp_path, **{f"{side}_profile": "nobody"})
    with pytest.raises(InvalidArgument, match="profile"):
        getattr(store, side)()
    other = "reader" if side == "writer" else "writer"
    getattr(store, other)()
    store.close()


def test_no_region_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for opener in (BACKEND.open_writer, BACKEND.open_reader):
        with pytest.raises(InvalidArgument, match="no region"):
            opener(AwsSettings(), state=tmp_path)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    BACKEND.open_writer(AwsSettings(), state=tmp_path).close()


def test_a_file_that_is_none_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_text("no [config\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    with pytest.raises(InvalidArgument, match="profile"):
        BACKEND.open_reader(SETTINGS, state=tmp_path)


def test_the_library_waits_until_it_is_needed() -> None:
    """It takes half a second."""
    script = (
        "import sys\n"
        "from secrets_svc.backends import registry\n"
        "backend = registry.load('aws')\n"
        "backend.policy(backend.settings_model(), role='reader')\n"
        "print(sorted(each for each in sys.modules if each.partition('.')[0] in ('boto3', 'botocore')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_writers_of_one_store_know_of_each_other(moto: Moto, tmp_path: Path) -> None:
    """And those of others don't: an operation id is one store's."""
    operation, ref = intent(), some_ref()
    store = Store(moto, tmp_path)
    create(store.writer(), ref)
    store.writer().delete(ref, actor=ACTOR, operation_id=operation)
    with pytest.raises(InvalidArgument):
        store.writer(timeout=9.0).delete(some_ref(), actor=ACTOR, operation_id=operation)
    other = store.writer(prefix="other/")
    create(other, ref)
    other.delete(ref, actor=ACTOR, operation_id=operation)
    store.close()
