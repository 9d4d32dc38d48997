"""What rests in AWS: names, forms, tags; and what others put there."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_front import Answer, Front
from aws_store import ACTOR, Store, create, delete, intent, read, some_ref, update

from secrets_svc.backends.aws.values import MAX_VALUE
from secrets_svc.core.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, TooLarge, Unavailable
from secrets_svc.core.naming import storage_name
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue


class TestForm:
    def test_flytes_own_reader_finds_it(self, store: Store) -> None:
        """The encoded id as it is, and AWSCURRENT: flyteplugins/.../secret/aws_secret_manager.go."""
        ref = SecretRef(Scope("flyte", "development", "proj"), "my-secret")
        create(store.writer(), ref, b"text")
        name = "u__org__flyte__domain__development__project__proj__key__my-secret"
        found = store.admin.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
        assert (found["Name"], found["SecretString"]) == (name, "text")
        assert "SecretBinary" not in found
        delete(store.writer(), ref)

    @pytest.mark.parametrize(
        ("data", "form"),
        [
            (b"text", str),
            ("zażółć 🔑".encode(), str),
            (b"\xff\xfe", bytes),
            (b"nul\x00", bytes),
            (b"\xed\xa0\x80", bytes),
            (b"\xef\xbb\xbfmark", str),
        ],
    )
    def test_text_is_text_and_the_rest_is_not(self, store: Store, data: bytes, form: type) -> None:
        for first in (True, False):
            ref = some_ref()
            create(store.writer(), ref, data if first else b"before")
            if not first:
                update(store.writer(), ref, data)
            found = store.value(ref)
            assert type(found) is form
            assert (found.encode() if isinstance(found, str) else found) == data
            assert read(store.reader(), ref) == data

    def test_tags(self, store: Store) -> None:
        ref = some_ref()
        made = store.writer(tags={"team": "a b"}).create(
            ref, SecretValue(b"12345"), SecretType.GENERIC, actor="bob ä", operation_id=intent()
        )
        tags = {tag["Key"]: tag["Value"] for tag in store.described(ref)["Tags"]}
        [version] = store.described(ref)["VersionIdsToStages"]
        own = {
            "managed": "true",
            "organization": ref.scope.organization,
            "domain": "production",
            "project": "shop",
            "name": "db-password",
            "version": version,
            "type": "generic",
            "size": "5",
            "created-at": made.created_at.strftime("%Y%m%dT%H%M%S.%fZ"),
            "created-by": "bob=20=C3=A4",
        }
        assert tags == {"team": "a b"} | {f"secrets-svc.internal/{key}": text for key, text in own.items()}
        assert made.created_by == "bob ä"

    def test_a_key_of_one_s_own(self, store: Store) -> None:
        ref = some_ref()
        create(store.writer(kms_key="alias/mine"), ref)
        assert store.described(ref)["KmsKeyId"] == "alias/mine"

    def test_a_prefix(self, store: Store) -> None:
        ref = some_ref()
        made = create(store.writer(prefix="team/"), ref)
        assert store.admin.describe_secret(SecretId=f"team/{storage_name(ref)}")
        assert store.writer(prefix="team/").list(ref.scope).items == (made,)
        assert set(store.reader(prefix="team/").resolve([ref])) == {ref}
        for prefix in ("", "team", "team/2", "t"):
            assert store.writer(prefix=prefix).list(ref.scope).items == ()
            assert store.reader(prefix=prefix).resolve([ref]) == {}

    @pytest.mark.parametrize("actor", ["a" * 128, "ä" * 128, "🔑" * 128, "/+= @" * 25])
    def test_long_names_of_actors(self, store: Store, actor: str) -> None:
        """As much as tags and labels can carry, and the same in every answer."""
        ref = some_ref()
        made = store.writer().create(
            ref, SecretValue(b"x"), SecretType.GENERIC, actor=actor, operation_id=intent()
        )
        assert store.writer().describe(ref) == made
        updated = store.writer().update(ref, SecretValue(b"y"), actor=actor, operation_id=intent())
        assert store.writer().describe(ref) == updated
        for said in (made.created_by, updated.updated_by):
            assert said == actor or (said.endswith("…") and actor.startswith(said[:-1]) and len(said) > 10)

    def test_an_actor_that_can_t_be_printed(self, store: Store) -> None:
        with pytest.raises(InvalidArgument):
            store.writer().create(
                some_ref(), SecretValue(b"x"), SecretType.GENERIC, actor="a\nb", operation_id=intent()
            )


class TestLimits:
    """Ours to enforce: moto takes anything."""

    @pytest.mark.parametrize("unit", [b"x", "ä".encode(), "🔑".encode(), b"\xff"], ids=ascii)
    def test_in_bytes(self, store: Store, unit: bytes) -> None:
        ref = some_ref()
        whole = unit * (MAX_VALUE // len(unit))
        assert len(whole) == 65_536
        create(store.writer(), ref, whole[: -len(unit)] + b"x" * (len(unit) - 1))
        update(store.writer(), ref, whole)
        assert read(store.reader(), ref) == whole
        with pytest.raises(TooLarge, match="65537 bytes, over the limit of 65536"):
            update(store.writer(), ref, whole + b"x")
        with pytest.raises(TooLarge):
            create(store.writer(), some_ref(), whole + b"x")

    def test_nothing(self, store: Store) -> None:
        ref = some_ref()
        with pytest.raises(InvalidArgument, match="is empty"):
            create(store.writer(), ref, b"")
        made = create(store.writer(), ref)
        with pytest.raises(InvalidArgument, match="is empty"):
            update(store.writer(), ref, b"")
        assert store.writer().describe(ref) == made


def _tags(ref: SecretRef, **changed: str | None) -> list[dict[str, str]]:
    own: dict[str, str | None] = {
        "managed": "true",
        "organization": ref.scope.organization,
        "domain": ref.scope.domain,
        "project": ref.scope.project,
        "name": ref.name,
        "type": "generic",
        **changed,
    }
    return [
        {"Key": f"secrets-svc.internal/{key}", "Value": text} for key, text in own.items() if text is not None
    ]


class TestSomebodyElses:
    @pytest.mark.parametrize(
        "changed",
        [
            {"managed": None},
            {"managed": "True"},
            {"organization": "other"},
            {"organization": None},
            {"domain": None},
            {"domain": "Production"},
            {"project": "bank"},
            {"name": "db"},
            {"name": None},
        ],
        ids=str,
    )
    def test_it_is_never_touched_and_never_listed(self, store: Store, changed: dict[str, str | None]) -> None:
        """Without our tags, or with those of another secret."""
        ref, writer, reader = some_ref(), store.writer(), store.reader()
        store.admin.create_secret(Name=store.name(ref), SecretString="theirs", Tags=_tags(ref, **changed))
        before = store.described(ref)
        assert reader.resolve([ref]) == {}
        assert writer.list(ref.scope).items == ()
        assert writer.list(Scope(ref.scope.organization)).items == ()
        calls = (
            lambda: writer.describe(ref),
            lambda: writer.history(ref),
            lambda: update(writer, ref, b"ours"),
            lambda: delete(writer, ref),
            lambda: writer.purge(ref, actor=ACTOR, operation_id=intent()),
            lambda: writer.rollback(ref, to="x", actor=ACTOR, operation_id=intent()),
            lambda: reader.read(ref, "x"),
            lambda: reader.read_version(ref, "x"),
        )
        for call in calls:
            with pytest.raises(NotFound):
                call()
        with pytest.raises(Conflict, match="without this service's tags") as refused:
            create(writer, ref)
        assert not isinstance(refused.value, AlreadyExists)
        assert store.name(ref) in str(refused.value)
        after = store.described(ref)
        for each in (before, after):
            each.pop("ResponseMetadata")
        assert after == before
        assert store.value(ref) == "theirs"

    def test_nor_is_one_that_is_deleted(self, store: Store) -> None:
        ref = some_ref()
        store.admin.create_secret(Name=store.name(ref), SecretString="theirs")
        store.admin.delete_secret(SecretId=store.name(ref), RecoveryWindowInDays=7)
        with pytest.raises(Conflict, match="without this service's tags"):
            create(store.writer(), ref)
        assert "DeletedDate" in store.described(ref)

    def test_names_that_only_begin_like_ours(self, store: Store) -> None:
        ref = some_ref()
        made = create(store.writer(), ref)
        for suffix in ("/x", "+y", ".z", "=1"):
            store.admin.create_secret(Name=store.name(ref) + suffix, SecretString="theirs", Tags=_tags(ref))
        assert store.writer().list(ref.scope).items == (made,)


class TestWrittenOutside:
    def test_it_counts_from_then_on(self, store: Store) -> None:
        """By the console, or a rotation."""
        ref, writer, reader = some_ref(), store.writer(), store.reader()
        made = create(writer, ref, b'{"auths": {}}', SecretType.IMAGE_PULL)
        store.write_outside(ref, "console")
        found = writer.describe(ref)
        assert found.version not in (made.version, "")
        assert (found.type, found.created_by, found.created_at) == (made.type, ACTOR, made.created_at)
        assert (found.updated_by, found.size) == ("somebody (outside this service)", None)
        assert writer.list(ref.scope).items == (found,)
        assert reader.resolve([ref])[ref].token == found.version
        assert read(reader, ref) == b"console"
        updated = update(writer, ref, b"ours", found.version)
        assert (updated.created_by, updated.type, updated.size) == (ACTOR, made.type, 4)
        delete(writer, ref)
        assert reader.resolve([ref]) == {}

    def test_a_rotation_that_is_under_way_changes_nothing(self, store: Store) -> None:
        ref, writer = some_ref(), store.writer()
        made = create(writer, ref)
        name = store.name(ref)
        store.admin.put_secret_value(SecretId=name, SecretString="next", VersionStages=["AWSPENDING"])
        assert writer.describe(ref) == made
        assert [each.version for each in writer.history(ref)] == [made.version]
        assert read(store.reader(), ref) == b"value"

    def test_deleted_outside(self, store: Store) -> None:
        """Absent; and nothing of ours brings the value back."""
        ref, writer, reader = some_ref(), store.writer(), store.reader()
        create(writer, ref)
        store.admin.delete_secret(SecretId=store.name(ref), RecoveryWindowInDays=7)
        assert reader.resolve([ref]) == {}
        assert writer.list(ref.scope).items == ()
        for call in (
            lambda: writer.describe(ref),
            lambda: update(writer, ref, b"x"),
            lambda: delete(writer, ref),
        ):
            with pytest.raises(NotFound):
                call()
        with pytest.raises(Conflict, match="deleted outside this service"):
            create(writer, ref)
        assert "DeletedDate" in store.described(ref)
        store.admin.restore_secret(SecretId=store.name(ref))
        assert read(reader, ref) == b"value"

    def test_spoilt_type(self, store: Store) -> None:
        """Then it says so, and is not absent."""
        ref = some_ref()
        store.admin.create_secret(Name=store.name(ref), SecretString="x", Tags=_tags(ref, type="spoilt"))
        for call in (lambda: store.writer().describe(ref), lambda: store.reader().resolve([ref])):
            with pytest.raises(Unavailable, match="has no type in tag"):
                call()
        assert store.writer().list(ref.scope).items == ()

    def test_no_value(self, store: Store) -> None:
        ref = some_ref()
        store.admin.create_secret(Name=store.name(ref), Tags=_tags(ref))
        for call in (
            lambda: store.writer().describe(ref),
            lambda: create(store.writer(), ref),
            lambda: store.reader().resolve([ref]),
        ):
            with pytest.raises(Unavailable, match="no version that is current"):
                call()


class TestDeletion:
    def test_the_value_is_not_current_while_it_can_be_got_back(self, store: Store) -> None:
        ref, writer = some_ref(), store.writer()
        create(writer, ref, b"old")
        delete(writer, ref)
        days = (store.described(ref)["DeletedDate"] - datetime.now(UTC)).total_seconds() / 86_400
        assert 6.9 < days < 7.1
        store.admin.restore_secret(SecretId=store.name(ref))
        assert store.value(ref) == "deleted by secrets-svc"
        assert store.reader().resolve([ref]) == {}
        assert store.value(ref, "AWSPREVIOUS") == "old"

    def test_the_window_is_a_setting(self, store: Store) -> None:
        ref, writer = some_ref(), store.writer(recovery_window_days=30)
        create(writer, ref)
        delete(writer, ref)
        days = (store.described(ref)["DeletedDate"] - datetime.now(UTC)).total_seconds() / 86_400
        assert 29.9 < days < 30.1

    def test_created_again_at_once(self, store: Store, troubled: Store, front: Front) -> None:
        """And never was the old value current in between: looked at after each call."""
        ref = some_ref()
        create(store.writer(), ref, b"old")
        delete(store.writer(), ref)
        seen: list[Any] = []

        def script(number: int, operation: str, params: object) -> Answer | None:
            found = store.described(ref)
            current = [v for v, labels in found["VersionIdsToStages"].items() if "AWSCURRENT" in labels]
            seen.append(len(current) == 1 and ("DeletedDate" in found or store.value(ref) != "old"))
            assert store.reader().resolve([ref]) == {} or read(store.reader(), ref) == b"new"
            return None

        with front.scripted(script):
            made = create(troubled.writer(), ref, b"new", SecretType.IMAGE_PULL)
            assert front.operations[:2] == ["DescribeSecret", "RestoreSecret"]
        assert seen
        assert all(seen)
        assert store.writer().describe(ref) == made
        assert (made.type, made.created_by) == (SecretType.IMAGE_PULL, ACTOR)
        assert read(store.reader(), ref) == b"new"

    def test_what_is_created_while_a_deletion_ends_stays(
        self, store: Store, troubled: Store, front: Front
    ) -> None:
        """The deleter had its tombstone in place and was slow; AWS takes no condition with DeleteSecret."""
        ref = some_ref()
        create(store.writer(), ref, b"old")

        def script(number: int, operation: str, params: object) -> Answer | None:
            if operation == "DeleteSecret":
                create(store.writer(), ref, b"new")
            return None

        with front.scripted(script):
            delete(troubled.writer(timeout=20.0), ref)
        assert read(store.reader(), ref) == b"new"

    def test_a_deletion_that_died_is_ended_by_the_next(self, store: Store) -> None:
        ref, writer = some_ref(), store.writer()
        create(writer, ref)
        delete(writer, ref)
        store.admin.restore_secret(SecretId=store.name(ref))
        with pytest.raises(NotFound):
            delete(writer, ref)
        assert "DeletedDate" in store.described(ref)


def test_the_writer_never_asks_for_a_value(store: Store, troubled: Store, front: Front) -> None:
    ref = some_ref()
    with front.scripted(lambda number, operation, params: None):
        writer = troubled.writer()
        first = create(writer, ref).version
        update(writer, ref, b"x")
        writer.rollback(ref, to=first, actor=ACTOR, operation_id=intent())
        writer.history(ref)
        writer.list(ref.scope)
        delete(writer, ref)
        create(writer, ref)
        writer.purge(ref, actor=ACTOR, operation_id=intent())
        assert not {"GetSecretValue", "BatchGetSecretValue"} & set(front.operations)


def test_a_look_up_moves_no_value(store: Store, troubled: Store, front: Front) -> None:
    ref = some_ref()
    token = create(store.writer(), ref).version
    with front.scripted(lambda number, operation, params: None):
        troubled.reader().resolve([ref, some_ref()])
        troubled.reader().resolve_version(ref, token)
        assert set(front.operations) == {"DescribeSecret"}


def test_changed_between_look_and_read(store: Store, troubled: Store, front: Front) -> None:
    """Nothing of the newer version is taken for the older one."""
    from secrets_svc.core.errors import Changed

    ref = some_ref()
    token = create(store.writer(), ref).version

    def script(number: int, operation: str, params: object) -> Answer | None:
        if operation == "GetSecretValue":
            update(store.writer(), ref, b"newer")
        return None

    with front.scripted(script), pytest.raises(Changed):
        troubled.reader().read(ref, token)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"SecretString": 1},
        {"SecretString": "x", "SecretBinary": "eA=="},
        {"SecretString": "\ud800"},
        {"SecretBinary": "not base64!"},
    ],
    ids=ascii,
)
def test_a_value_that_is_none(store: Store, troubled: Store, front: Front, body: dict[str, Any]) -> None:
    ref = some_ref()
    token = create(store.writer(), ref).version
    found = store.admin.get_secret_value(SecretId=store.name(ref))
    answer = {"ARN": found["ARN"], "Name": found["Name"], "VersionId": found["VersionId"], **body}
    with (
        front.failing("GetSecretValue", Answer(200, json.dumps(answer).encode())),
        pytest.raises(Unavailable, match=r"doesn't answer as it should|makes no sense"),
    ):
        troubled.reader().read(ref, token)
