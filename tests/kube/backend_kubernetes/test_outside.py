"""What others do to the objects: kubectl, Flyte's own service, strangers."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kit import until
from kubernetes_store import (
    FLYTE_LABELS,
    SCOPE,
    Store,
    create,
    delete,
    encoded,
    read,
    rollback,
    some_ref,
    update,
)

from secrets_svc.core.errors import AlreadyExists, Changed, Conflict, NotFound, Unavailable, Unsupported
from secrets_svc.core.naming import storage_name
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType

#: What an object has beside those of Flyte: its labels don't tell an organization.
OUR_LABEL = {"secrets-svc.internal/organization": "flyte"}


def only_that(found: Any, ref: SecretRef) -> Any:
    """The one item of a listing that is about ``ref``; ``None`` if it isn't listed."""
    items = [item for item in found.items if item.ref == ref]
    assert len(items) <= 1
    return items[0] if items else None


class TestFlyte:
    """Its service and its webhook share the namespace with us."""

    def test_its_webhook_finds_ours_as_its_service_would_have_written_it(self, store: Store) -> None:
        ref = some_ref()
        create(store.writer(), ref, b"\x00\xff")
        found = store.object(ref)
        assert found["data"] == encoded({storage_name(ref): b"\x00\xff"})
        assert found["metadata"]["labels"] == FLYTE_LABELS | OUR_LABEL
        assert found["type"] == "Opaque"

    def test_its_service_lists_ours_after_every_write(self, store: Store) -> None:
        """It leaves out whatever has not exactly one data key, and goes by its own labels."""
        ref = some_ref()
        writer, reader = store.writer(versions=1), store.reader(versions=1)
        for number, write in enumerate((create, update, update)):
            write(writer, ref, b"%d" % number)
            found = store.object(ref)
            assert found["data"] == encoded({storage_name(ref): b"%d" % number})
            assert found["metadata"]["labels"] == FLYTE_LABELS | OUR_LABEL
            assert (found["type"], read(reader, ref)) == ("Opaque", b"%d" % number)

    def test_labels_after_what_keeps_versions(self, store: Store) -> None:
        """Data keys are more then, which its webhook doesn't look at; labels are no other."""
        ref, writer = some_ref(), store.writer()
        first = create(writer, ref, b"first").version
        update(writer, ref, b"second")
        rollback(writer, ref, first)
        found = store.object(ref)
        assert found["metadata"]["labels"] == FLYTE_LABELS | OUR_LABEL
        assert found["data"][storage_name(ref)] == encoded({"x": b"first"})["x"]
        assert len(found["data"]) == 3

    @pytest.mark.parametrize(
        ("scope", "labels"),
        [
            (Scope("flyte"), {}),
            (Scope("flyte", domain="d"), {"app.flyte.org/domain": "d"}),
            (Scope("flyte", project="p"), {"app.flyte.org/project": "p"}),
        ],
        ids=str,
    )
    def test_labels_of_absent_parts_are_absent(
        self, store: Store, scope: Scope, labels: dict[str, str]
    ) -> None:
        ref = some_ref(scope=scope)
        create(store.writer(), ref)
        managed = {"app.flyte.org/managed": "true"}
        assert store.object(ref)["metadata"]["labels"] == managed | labels | OUR_LABEL

    def test_what_its_service_wrote_is_read_and_listed(self, store: Store) -> None:
        ref = some_ref()
        made = store.put(ref, {storage_name(ref): b"of Flyte"}, labels=FLYTE_LABELS, manager="flyte")
        reader, writer = store.reader(), store.writer()
        assert read(reader, ref) == b"of Flyte"
        assert reader.resolve([ref])[ref].size is None
        known = writer.describe(ref)
        assert (known.type, known.size) == (SecretType.GENERIC, None)
        assert known.created_by == known.updated_by == "flyte (outside this service)"
        born = datetime.fromisoformat(made["metadata"]["creationTimestamp"])
        assert known.created_at == known.updated_at == born
        for within, exact in ((SCOPE, True), (SCOPE, False), (Scope("flyte"), False)):
            assert only_that(writer.list(within, exact=exact, limit=1000), ref) == known
        assert only_that(writer.list(Scope("flyte"), exact=True, limit=1000), ref) is None
        with pytest.raises(AlreadyExists):
            create(writer, ref)

    def test_its_string_data_too(self, store: Store) -> None:
        """As its command line sends text."""
        ref = some_ref()
        store.put(ref, {}, labels=FLYTE_LABELS, stringData={storage_name(ref): "text"})
        assert read(store.reader(), ref) == b"text"
        assert store.writer().describe(ref).ref == ref

    def test_its_secrets_are_of_one_organization_only(self, store: Store) -> None:
        """Its labels don't say which; another organization doesn't see them."""
        ref = some_ref()
        store.put(ref, {storage_name(ref): b"of Flyte"}, labels=FLYTE_LABELS)
        assert store.writer().list(Scope("other"), limit=1000).items == ()

    def test_an_update_gives_it_our_metadata(self, store: Store) -> None:
        ref = some_ref()
        store.put(ref, {storage_name(ref): b"of Flyte"}, labels=FLYTE_LABELS, manager="flyte")
        writer, reader = store.writer(), store.reader()
        before = writer.describe(ref)
        after = update(writer, ref, b"ours", actor="alice")
        assert (after.size, after.updated_by) == (4, "alice")
        assert (after.created_at, after.created_by) == (before.created_at, before.created_by)
        assert read(reader, ref) == b"ours"
        with pytest.raises(Changed):
            reader.read(ref, before.version)
        assert only_that(writer.list(SCOPE, limit=1000), ref) == after == writer.describe(ref)

    def test_it_can_be_deleted(self, store: Store) -> None:
        ref = some_ref()
        store.put(ref, {storage_name(ref): b"of Flyte"}, labels=FLYTE_LABELS)
        writer, operation = store.writer(), secrets.token_hex(8)
        for _ in range(2):
            delete(writer, ref, operation_id=operation)
        assert store.reader().resolve([ref]) == {}

    def test_its_update_of_ours(self, store: Store) -> None:
        """Its service keeps our annotations, which speak of the value before."""
        ref = some_ref()
        writer, reader = store.writer(), store.reader()
        ours = create(writer, ref, b"ours")
        store.update_as_flyte(ref, b"of Flyte")
        assert read(reader, ref) == b"of Flyte"
        after = writer.describe(ref)
        assert after.version != ours.version
        assert (after.size, after.updated_by) == (None, "flyte (outside this service)")
        assert (after.created_at, after.created_by) == (ours.created_at, "tester")
        assert reader.resolve([ref])[ref].size is None


class TestKubectl:
    """People with rights of their own."""

    def test_an_edit_gives_a_new_token_and_the_new_value(self, store: Store) -> None:
        ref = some_ref()
        writer, reader = store.writer(), store.reader()
        before = create(writer, ref, b"before")

        def edit(object_: dict[str, Any]) -> None:
            object_["data"] = encoded({storage_name(ref): b"afterwards"})

        store.replace_with_kubectl(ref, edit)
        with pytest.raises(Changed):
            reader.read(ref, before.version)
        assert read(reader, ref) == b"afterwards"
        after = writer.describe(ref)
        assert (after.size, after.updated_by) == (None, "kubectl-replace (outside this service)")
        assert after.updated_at >= before.updated_at
        assert only_that(writer.list(SCOPE, limit=1000), ref) == after

    def test_after_an_edit_ours_counts_again(self, store: Store) -> None:
        ref, writer = some_ref(), store.writer()
        create(writer, ref, b"before")
        store.patch(ref, {"data": encoded({storage_name(ref): b"edited"})})
        done = update(writer, ref, b"ours", actor="alice")
        assert (done.size, done.updated_by) == (4, "alice")

    def test_the_same_value_written_again_counts_as_ours_a_second_later(self, store: Store) -> None:
        """The server counts a field as its first writer's as long as it doesn't change."""
        ref, writer = some_ref(), store.writer()
        create(writer, ref, b"before")
        store.patch(ref, {"data": encoded({storage_name(ref): b"edited"})})

        def ours() -> bool:
            return update(writer, ref, b"edited").size == 6

        until(ours, what="a size of ours", within=10)

    def test_delete_and_create_again(self, store: Store) -> None:
        """The very same object in every byte that its maker can choose is another version."""
        ref = some_ref()
        reader = store.reader()
        before = create(store.writer(), ref, b"same")
        object_ = store.object(ref)
        for field in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
            del object_["metadata"][field]
        store.cluster.api("DELETE", store.path(ref)).ok()
        with pytest.raises(NotFound):
            reader.read(ref, before.version)
        store.cluster.api("POST", store.path(), object_).ok()
        with pytest.raises(Changed):
            reader.read(ref, before.version)
        assert read(reader, ref) == b"same"
        assert store.writer().describe(ref).version != before.version

    def test_a_label_more_is_a_new_token(self, store: Store) -> None:
        """A token may change more often than the value."""
        ref, reader = some_ref(), store.reader()
        before = create(store.writer(), ref, b"same")
        store.patch(ref, {"metadata": {"labels": {"team": "blue"}}})
        with pytest.raises(Changed):
            reader.read(ref, before.version)
        assert reader.resolve([ref])[ref].size == 4
        update(store.writer(), ref, b"other")
        assert store.object(ref)["metadata"]["labels"]["team"] == "blue"

    def test_with_its_account_of_fields_lost(self, store: Store) -> None:
        """Anybody may have the server forget who wrote what: then nobody knows the size."""
        ref, writer = some_ref(), store.writer()
        create(writer, ref, b"value")
        store.patch(ref, {"metadata": {"managedFields": [{}]}})
        found = writer.describe(ref)
        assert (found.size, found.updated_by) == (None, "somebody (outside this service)")
        assert read(store.reader(), ref) == b"value"
        assert only_that(writer.list(SCOPE, limit=1000), ref) == found

    def test_what_kubectl_applied_does_not_outlive_an_update(self, store: Store) -> None:
        """It leaves the value in an annotation."""
        ref, writer = some_ref(), store.writer()
        create(writer, ref, b"before")
        marker = secrets.token_hex(16)
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": store.path(ref).rpartition("/")[2],
                "namespace": store.namespace,
                "labels": FLYTE_LABELS,
            },
            "data": encoded({storage_name(ref): marker.encode()}),
        }
        store.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
        assert read(store.reader(), ref) == marker.encode()
        [copy] = encoded({"x": marker.encode()}).values()
        assert copy in json.dumps(store.object(ref)["metadata"])
        for shown in (repr(writer.describe(ref)), repr(writer.list(SCOPE, limit=1000))):
            assert copy not in shown
        update(writer, ref, b"after")
        assert copy not in json.dumps(store.object(ref)["metadata"])
        assert read(store.reader(), ref) == b"after"

    def test_made_immutable(self, store: Store) -> None:
        """An update says so; a delete helps."""
        ref, writer = some_ref(), store.writer()
        made = create(writer, ref, b"value")
        store.patch(ref, {"immutable": True})
        with pytest.raises(Unsupported, match="somebody made it immutable"):
            update(writer, ref, b"other")
        assert read(store.reader(), ref) == b"value"
        delete(writer, ref)
        assert create(writer, ref).version != made.version

    def test_kept_by_a_finalizer(self, store: Store) -> None:
        """What was deleted is gone, whoever keeps its object; until it goes its name is taken."""
        ref, writer, reader = some_ref(), store.writer(), store.reader()
        create(writer, ref)
        store.patch(ref, {"metadata": {"finalizers": ["example.org/keeps"]}})
        token = reader.resolve([ref])[ref].token
        delete(writer, ref)
        assert store.object(ref)["metadata"]["deletionTimestamp"]
        for gone in (
            lambda: writer.describe(ref),
            lambda: update(writer, ref, b"x"),
            lambda: delete(writer, ref),
            lambda: reader.read(ref, token),
        ):
            with pytest.raises(NotFound):
                gone()
        assert reader.resolve([ref]) == {}
        assert only_that(writer.list(SCOPE, limit=1000), ref) is None
        with pytest.raises(Unavailable, match="is being deleted"):
            create(writer, ref)
        store.patch(ref, {"metadata": {"finalizers": None}})
        create(writer, ref)


def other_key(store: Store, ref: SecretRef) -> None:
    """Flyte's labels, and another secret's data key."""
    store.put(ref, {storage_name(some_ref()): b"another's"}, labels=FLYTE_LABELS)


def second_key(store: Store, ref: SecretRef) -> None:
    create(store.writer(), ref)
    store.patch(ref, {"data": encoded({"more": b"x"})})


def key_changed(store: Store, ref: SecretRef) -> None:
    create(store.writer(), ref)
    store.patch(ref, {"data": {storage_name(ref): None, storage_name(some_ref()): "eA=="}})


def unmanaged(store: Store, ref: SecretRef) -> None:
    create(store.writer(), ref)
    store.patch(ref, {"metadata": {"labels": {"app.flyte.org/managed": None}}})


def stripped(store: Store, ref: SecretRef) -> None:
    """Flyte's, without its labels: the data key is left."""
    store.put(ref, {storage_name(ref): b"theirs"}, labels={})


def annotated(key: str, text: str) -> Callable[[Store, SecretRef], None]:
    def spoil(store: Store, ref: SecretRef) -> None:
        create(store.writer(), ref)
        store.patch(ref, {"metadata": {"annotations": {f"secrets-svc.internal/{key}": text}}})

    spoil.__name__ = f"annotation_{key}"
    return spoil


SPOILT = [
    other_key,
    second_key,
    key_changed,
    unmanaged,
    stripped,
    annotated("name", storage_name(some_ref("other"))),
    annotated("name", "nonsense"),
    annotated("type", "tls"),
    annotated("size", "-1"),
    annotated("created-at", "yesterday"),
    annotated("updated-at", "2024-01-01T00:00:00"),
    annotated("versions", "{}"),
    annotated("versions", '[["v","yesterday","x",1]]'),
]


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda each: each.__name__)
def test_what_was_spoilt_is_never_touched_or_believed(
    store: Store, spoil: Callable[[Store, SecretRef], None]
) -> None:
    """Neither absent nor there: a coded refusal, whatever is asked, that says which object to look at."""
    ref = some_ref()
    spoil(store, ref)
    before = store.object(ref)
    writer, reader = store.writer(), store.reader()
    calls: dict[str, Callable[[], object]] = {
        "create": lambda: create(writer, ref),
        "update": lambda: update(writer, ref, b"x"),
        "delete": lambda: delete(writer, ref),
        "describe": lambda: writer.describe(ref),
        "resolve": lambda: reader.resolve([some_ref(), ref]),
        "read": lambda: reader.read(ref, "token"),
        "history": lambda: writer.history(ref),  # type: ignore[attr-defined]
        "rollback": lambda: rollback(writer, ref, "token"),
        "pin": lambda: reader.read_version(ref, "token"),  # type: ignore[attr-defined]
    }
    for verb, call in calls.items():
        with pytest.raises(Unavailable, match=before["metadata"]["name"]) as refused:
            call()
        assert "kubectl" in refused.value.message, verb
    assert store.object(ref) == before
    assert only_that(writer.list(SCOPE, limit=1000), ref) is None


def bare(store: Store, ref: SecretRef) -> None:
    """A Secret that has our name, and nothing else."""
    store.put(ref, {"password": b"somebody's"})


def labelled(store: Store, ref: SecretRef) -> None:
    """With labels and annotations of others."""
    about = {"annotations": {"example.org/team": "blue"}}
    labels = {"app.kubernetes.io/managed-by": "Helm", "app.flyte.org/project": "shop"}
    store.put(ref, {"password": b"somebody's"}, labels=labels, metadata=about)


def of_another_type(store: Store, ref: SecretRef) -> None:
    store.put(ref, {"tls.crt": b"x", "tls.key": b"y"}, type="kubernetes.io/tls")


def going(store: Store, ref: SecretRef) -> None:
    """Deleted already, and kept by a finalizer."""
    store.put(ref, {"password": b"x"}, metadata={"finalizers": ["example.org/keeps"]})
    store.cluster.api("DELETE", store.path(ref)).ok()


@pytest.mark.parametrize("put", [bare, labelled, of_another_type, going], ids=lambda each: each.__name__)
def test_a_stranger_in_its_place_is_no_secret(store: Store, put: Callable[[Store, SecretRef], None]) -> None:
    """Absent for everything but a create, which says whose Secret is in the way; and it stays as it is."""
    ref, there = some_ref(), some_ref()
    put(store, ref)
    before = store.object(ref)
    writer, reader = store.writer(), store.reader()
    create(writer, there)
    calls: dict[str, Callable[[], object]] = {
        "update": lambda: update(writer, ref, b"x"),
        "delete": lambda: delete(writer, ref),
        "describe": lambda: writer.describe(ref),
        "read": lambda: reader.read(ref, "token"),
        "history": lambda: writer.history(ref),  # type: ignore[attr-defined]
        "rollback": lambda: rollback(writer, ref, "token"),
        "pin": lambda: reader.read_version(ref, "token"),  # type: ignore[attr-defined]
    }
    for verb, call in calls.items():
        with pytest.raises(NotFound) as absent:
            call()
        assert str(ref) in absent.value.message, verb
    assert set(reader.resolve([ref, there])) == {there}
    with pytest.raises(Conflict, match=before["metadata"]["name"]) as refused:
        create(writer, ref)
    assert "kubectl" in refused.value.message
    assert "somebody's" not in refused.value.message.replace("somebody else's", "")
    assert store.object(ref) == before
    assert only_that(writer.list(SCOPE, limit=1000), ref) is None


def test_once_the_stranger_is_gone_the_same_create_is_done(store: Store) -> None:
    ref, writer, operation = some_ref(), store.writer(), secrets.token_hex(8)
    bare(store, ref)
    with pytest.raises(Conflict):
        create(writer, ref, operation_id=operation)
    store.cluster.api("DELETE", store.path(ref)).ok()
    made = create(writer, ref, operation_id=operation)
    assert create(writer, ref, operation_id=operation) == made


def test_a_stranger_where_ours_was(store: Store) -> None:
    """A repeat of what was done is told as before, and does nothing to it."""
    ref, writer, operation = some_ref(), store.writer(), secrets.token_hex(8)
    create(writer, ref)
    delete(writer, ref, operation_id=operation)
    bare(store, ref)
    before = store.object(ref)
    delete(writer, ref, operation_id=operation)
    with pytest.raises(NotFound):
        delete(writer, ref)
    assert store.object(ref) == before


def test_a_data_key_that_nobody_told_of_is_found_when_the_value_is_read(store: Store) -> None:
    """With the server's account of fields lost, metadata alone don't tell."""
    ref, reader = some_ref(), store.reader()
    create(store.writer(), ref)
    store.patch(ref, {"data": {storage_name(ref): None, "other": "eA=="}})
    store.patch(ref, {"metadata": {"managedFields": [{}]}})
    token = reader.resolve([ref])[ref].token
    with pytest.raises(Unavailable, match="another data key"):
        reader.read(ref, token)


def test_what_can_not_be_told_is_left_out_of_lists(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """And the log says which object it is."""
    body = {"metadata": {"name": "not-a-secret", "labels": FLYTE_LABELS}}
    store.cluster.api("POST", store.path(), body).ok()
    ref, writer = some_ref(), store.writer()
    made = create(writer, ref)
    with caplog.at_level(logging.WARNING):
        assert only_that(writer.list(SCOPE, limit=1000), ref) == made
    assert 'Secret "not-a-secret" is not listed' in caplog.text


def test_a_wrong_label_shows_nothing_outside_the_filter(store: Store) -> None:
    """The filter goes by what the object is, not only by what it is labelled as."""
    ref = some_ref(scope=Scope("flyte", "production", "bank"))
    writer = store.writer()
    create(writer, ref)
    store.patch(ref, {"metadata": {"labels": {"app.flyte.org/project": "shop"}}})
    assert only_that(writer.list(SCOPE, limit=1000), ref) is None


def test_clocks_of_others_do_not_turn_time_back(store: Store) -> None:
    ref, writer = some_ref(), store.writer()
    made = create(writer, ref)
    ahead = datetime.now(UTC) + timedelta(hours=1)
    store.patch(ref, {"metadata": {"annotations": {"secrets-svc.internal/updated-at": ahead.isoformat()}}})
    assert update(writer, ref, b"x").updated_at == ahead
    assert writer.describe(ref).created_at == made.created_at
