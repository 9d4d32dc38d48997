"""Least policies: each right is needed and confined, and neither side can do the other's work (I10)."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_store import ACTOR, Store, create, delete, intent, read, some_ref, update
from documents import ROOT, blocks
from moto_server import ACCOUNT, REGION, Moto, on_everything, profiles, running

from secrets_svc.backends.aws import BACKEND
from secrets_svc.backends.aws.settings import AwsSettings
from secrets_svc.core.errors import InvalidArgument, SecretsError, Unavailable

SETTINGS = AwsSettings(region=REGION)
ROLES = ("writer", "reader")


def printed(role: str, settings: AwsSettings = SETTINGS, account: str = ACCOUNT) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(BACKEND.policy(settings, role=role, account=account))
    return document


def arn(name: str, region: str = REGION, account: str = ACCOUNT) -> str:
    """Of a secret, as AWS makes it."""
    return f"arn:aws:secretsmanager:{region}:{account}:secret:{name}-AbCdEf"


def allows(document: dict[str, Any], action: str, resource: str, **context: str) -> bool:
    """What IAM says, as far as these policies go: no denial, StringEquals and StringLike.

    IAM user guide, "IAM JSON policy elements": "*" and "?" match any characters, also ":" and "/".
    """
    for statement in document["Statement"]:
        patterns = statement["Resource"]
        if action not in statement["Action"] or not fnmatch.fnmatchcase(resource, patterns):
            continue
        conditions = statement.get("Condition", {})
        if all(
            key in context and fnmatch.fnmatchcase(context[key], wanted)
            for wants in conditions.values()
            for key, wanted in wants.items()
        ):
            return True
    return False


OURS = {"secretsmanager:ResourceTag/secrets-svc.internal/managed": "true"}
NEW = {"aws:RequestTag/secrets-svc.internal/managed": "true"}
MINE = "u__org__flyte__domain____project____key__db-password"


class TestResources:
    @pytest.mark.parametrize("role", ROLES)
    def test_a_look_doesn_t_depend_on_tags(self, role: str) -> None:
        """IAM would deny what isn't there, and absent is not failed (I4)."""
        assert allows(printed(role), "secretsmanager:DescribeSecret", arn(MINE))

    @pytest.mark.parametrize(
        "name",
        [
            "prod/db",
            "x" + MINE,
            "U__ORG__flyte",
            "u__org_flyte",
            f"other/{MINE}",
        ],
    )
    @pytest.mark.parametrize("role", ROLES)
    def test_other_names_are_out_of_reach(self, role: str, name: str) -> None:
        document = printed(role)
        actions = {each for statement in document["Statement"] for each in statement["Action"]}
        allowed = {action for action in actions if allows(document, action, arn(name), **OURS, **NEW)}
        assert allowed <= {"secretsmanager:ListSecrets"}

    @pytest.mark.parametrize(("region", "account"), [("eu-west-1", ACCOUNT), (REGION, "999999999999")])
    @pytest.mark.parametrize("role", ROLES)
    def test_other_regions_and_accounts_too(self, role: str, region: str, account: str) -> None:
        document = printed(role)
        for statement in document["Statement"]:
            for action in statement["Action"]:
                reached = allows(document, action, arn(MINE, region, account), **OURS, **NEW)
                assert reached == (action == "secretsmanager:ListSecrets")

    def test_without_our_tag_a_secret_is_only_looked_at(self) -> None:
        """Somebody else's, at our name."""
        for role in ROLES:
            document = printed(role)
            allowed = {
                action
                for statement in document["Statement"]
                for action in statement["Action"]
                if allows(document, action, arn(MINE))
            }
            assert allowed - {"secretsmanager:ListSecrets"} == {
                "secretsmanager:DescribeSecret",
                "secretsmanager:ListSecretVersionIds",
            }

    def test_what_is_created_must_have_it(self) -> None:
        writer = printed("writer")
        assert allows(writer, "secretsmanager:CreateSecret", arn(MINE), **NEW)
        assert not allows(writer, "secretsmanager:CreateSecret", arn(MINE))

    def test_a_prefix_is_followed(self) -> None:
        settings = AwsSettings(region=REGION, prefix="team-a/")
        for role in ROLES:
            document = printed(role, settings)
            assert allows(document, "secretsmanager:DescribeSecret", arn(f"team-a/{MINE}"))
            assert not allows(document, "secretsmanager:DescribeSecret", arn(MINE))

    @pytest.mark.parametrize(
        ("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), (REGION, "aws")]
    )
    def test_partitions(self, region: str, partition: str) -> None:
        document = printed("reader", AwsSettings(region=region))
        [resource] = {statement["Resource"] for statement in document["Statement"]}
        assert resource.startswith(f"arn:{partition}:secretsmanager:{region}:{ACCOUNT}:secret:u__org__")

    def test_without_region_and_account_any(self) -> None:
        document = printed("reader", AwsSettings(), account="*")
        assert allows(document, "secretsmanager:DescribeSecret", arn(MINE))

    @pytest.mark.parametrize(
        ("key", "resource"),
        [
            ("1234-abcd", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234-abcd"),
            (
                f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234-abcd",
                f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234-abcd",
            ),
            ("alias/secrets", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"),
        ],
    )
    def test_keys(self, key: str, resource: str) -> None:
        for role, actions in (
            ("writer", ["kms:Decrypt", "kms:GenerateDataKey"]),
            ("reader", ["kms:Decrypt"]),
        ):
            statement = printed(role, AwsSettings(region=REGION, kms_key=key))["Statement"][-1]
            assert (statement["Action"], statement["Resource"]) == (actions, resource)
            via = {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}
            assert statement["Condition"]["StringLike"] == via
            alias = statement["Condition"].get("ForAnyValue:StringEquals")
            assert alias == ({"kms:ResourceAliases": key} if key.startswith("alias/") else None)

    @pytest.mark.parametrize(
        ("role", "account"), [("admin", "*"), ("", "*"), ("writer", "me"), ("reader", "12")]
    )
    def test_what_could_not_be_meant(self, role: str, account: str) -> None:
        with pytest.raises(InvalidArgument):
            BACKEND.policy(SETTINGS, role=role, account=account)


@pytest.fixture(scope="module")
def enforcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """A server that asks IAM."""
    with running(tmp_path_factory.mktemp("enforcing")) as moto:
        yield moto


class Identities:
    """Stores with other rights."""

    def __init__(self, moto: Moto, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._moto = moto
        self._folder = folder
        self._monkeypatch = monkeypatch

    def store(self, writer: dict[str, Any], reader: dict[str, Any]) -> Store:
        self._moto.enforce(False)
        given = {
            role: self._moto.user(on_everything(json.dumps(document)))
            for role, document in (("writer", writer), ("reader", reader))
        }
        self._moto.enforce(True)
        path = profiles(self._folder / "identities", **given)
        self._monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
        return Store(self._moto, self._folder, writer_profile="writer", reader_profile="reader")


@pytest.fixture
def identities(enforcing: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Identities:
    return Identities(enforcing, tmp_path, monkeypatch)


def _everything(store: Store) -> None:
    """Each thing that the two sides do."""
    writer, reader, ref = store.writer(), store.reader(), some_ref()
    first = create(writer, ref).version
    assert read(reader, ref) == b"value"
    update(writer, ref, b"other")
    assert writer.list(ref.scope).items == (writer.describe(ref),)
    assert len(writer.history(ref)) == 2
    assert reader.read_version(ref, first).value.reveal_bytes() == b"value"
    writer.rollback(ref, to=first, actor=ACTOR, operation_id=intent())
    delete(writer, ref)
    create(writer, ref)
    writer.purge(ref, actor=ACTOR, operation_id=intent())


def test_they_suffice(identities: Identities) -> None:
    store = identities.store(printed("writer"), printed("reader"))
    _everything(store)
    store.close()


@pytest.mark.parametrize(
    ("role", "action"),
    [
        (role, action)
        for role in ROLES
        for statement in json.loads(BACKEND.policy(SETTINGS, role=role))["Statement"]
        for action in statement["Action"]
        # moto doesn't ask for it where tags come with what is created; AWS does (API_CreateSecret).
        if action != "secretsmanager:TagResource"
    ],
)
def test_each_right_is_needed(identities: Identities, role: str, action: str) -> None:
    documents = {each: printed(each) for each in ROLES}
    for statement in documents[role]["Statement"]:
        statement["Action"] = [each for each in statement["Action"] if each != action]
    documents[role]["Statement"] = [each for each in documents[role]["Statement"] if each["Action"]]
    store = identities.store(documents["writer"], documents["reader"])
    with pytest.raises(Unavailable, match=f"identity may not {action.partition(':')[2]}"):
        _everything(store)
    store.close()


def test_the_writer_is_refused_a_read(identities: Identities) -> None:
    """With its own credentials, by the policy engine, whatever code asks."""
    store = identities.store(printed("writer"), printed("reader"))
    ref = some_ref()
    token = create(store.writer(), ref).version
    as_writer = store.reader(reader_profile="writer")
    assert set(as_writer.resolve([ref])) == {ref}
    with pytest.raises(Unavailable, match="may not GetSecretValue"):
        as_writer.read(ref, token)
    with pytest.raises(Unavailable, match="may not GetSecretValue"):
        as_writer.read_version(ref, token)
    store.close()


WRITES: dict[str, Callable[[Any, Any, str], object]] = {
    "create": lambda writer, ref, version: create(writer, some_ref()),
    "update": lambda writer, ref, version: update(writer, ref, b"x"),
    "delete": lambda writer, ref, version: delete(writer, ref),
    "purge": lambda writer, ref, version: writer.purge(ref, actor=ACTOR, operation_id=intent()),
    "rollback": lambda writer, ref, version: writer.rollback(
        ref, to=version, actor=ACTOR, operation_id=intent()
    ),
    "list": lambda writer, ref, version: writer.list(ref.scope),
}


def test_the_reader_is_refused_every_write(identities: Identities) -> None:
    """And to list."""
    store = identities.store(printed("writer"), printed("reader"))
    ref = some_ref()
    first = create(store.writer(), ref).version
    made = update(store.writer(), ref, b"other")
    as_reader = store.writer(writer_profile="reader")
    for write in WRITES.values():
        with pytest.raises(SecretsError, match="identity may not"):
            write(as_reader, ref, first)
    assert store.writer().describe(ref) == made
    store.close()


def test_no_side_has_a_right_of_the_other() -> None:
    """Beyond looking."""
    actions = {
        role: {action for statement in printed(role)["Statement"] for action in statement["Action"]}
        for role in ROLES
    }
    looking = {"secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds"}
    assert actions["writer"] & actions["reader"] == looking
    assert not any("GetSecretValue" in action or action.endswith("*") for action in actions["writer"])
    assert actions["reader"] - looking == {"secretsmanager:GetSecretValue"}


def test_the_documents_show_them() -> None:
    page = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
    shown = [json.loads(block.text) for block in blocks(page) if '"secretsmanager:' in block.text]
    assert shown == [printed("writer"), printed("reader")]
