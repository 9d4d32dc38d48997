"""Operations that were cut short, repeated, forgotten, tampered with."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kit import until
from kubernetes_store import FLYTE_LABELS, Store, create, delete, encoded, read, some_ref, update
from unreliable import Unreliable

from secrets_svc.backends.kubernetes.names import KEY_OBJECT, lease_name
from secrets_svc.backends.kubernetes.namespace import Namespace
from secrets_svc.backends.kubernetes.operations import Operations
from secrets_svc.core.errors import AlreadyExists, InvalidArgument, NotFound, Unavailable
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import SecretWriter
from secrets_svc.core.secret import SecretRef
from secrets_svc.kube.api import connect

HOUR = 3600
#: Where a call can end without an answer, and the writes that come there.
CUTS = ("POST /secrets", "PATCH /secrets", "DELETE /secrets", "POST /leases", "GET /leases", "GET /secrets")


@pytest.fixture
def operation() -> str:
    return secrets.token_hex(8)


def lease_of(store: Store, operation: str) -> list[dict[str, Any]]:
    """The Lease that tells of the operation, if there is one."""
    import hashlib

    name = lease_name(hashlib.sha256(operation.encode()).hexdigest())
    return [lease for lease in store.leases() if lease["metadata"]["name"] == name]


class TestCutShort:
    """The write was done, and its Lease wasn't."""

    def test_create(self, store: Store, troubled: Store, proxy: Unreliable, operation: str) -> None:
        ref = some_ref()
        with proxy.failing("POST /leases"), pytest.raises(Unavailable):
            create(troubled.writer(), ref, operation_id=operation)
        assert lease_of(store, operation) == []
        with pytest.raises(InvalidArgument):
            create(store.writer(), ref, b"other", operation_id=operation)
        with pytest.raises(AlreadyExists):
            create(store.writer(), ref)
        again = create(store.writer(), ref, operation_id=operation)
        assert again == store.writer().describe(ref)
        assert len(lease_of(store, operation)) == 1

    def test_update(self, store: Store, troubled: Store, proxy: Unreliable, operation: str) -> None:
        ref, writer = some_ref(), store.writer()
        store.put(ref, {storage_name(ref): b"of Flyte"}, labels=FLYTE_LABELS)
        with proxy.failing("POST /leases"), pytest.raises(Unavailable):
            update(troubled.writer(), ref, b"once", operation_id=operation)
        done = writer.describe(ref)
        assert done.size == 4
        with pytest.raises(InvalidArgument):
            delete(writer, ref, operation_id=operation)
        assert update(writer, ref, b"once", operation_id=operation) == done == writer.describe(ref)

    def test_nothing_is_replaced_that_can_not_be_remembered(
        self, store: Store, troubled: Store, proxy: Unreliable, operation: str
    ) -> None:
        """The Lease of what is there comes first: without it, it would be done again."""
        ref, writer = some_ref(), store.writer()
        made = create(writer, ref)
        with proxy.failing("POST /leases"):
            with pytest.raises(Unavailable):
                update(troubled.writer(), ref, b"x", operation_id=operation)
            with pytest.raises(Unavailable):
                delete(troubled.writer(), ref, operation_id=operation)
        assert writer.describe(ref) == made

    @pytest.mark.parametrize("since", ["updated", "deleted", "created again"])
    def test_what_came_since_is_spared(
        self, store: Store, troubled: Store, proxy: Unreliable, operation: str, since: str
    ) -> None:
        """Whoever writes next sees to it that the first is remembered."""
        ref, writer = some_ref(), store.writer()
        with proxy.failing("POST /leases"), pytest.raises(Unavailable):
            create(troubled.writer(), ref, b"first", operation_id=operation)
        made = writer.describe(ref)
        if since == "updated":
            update(writer, ref, b"since")
        else:
            delete(writer, ref)
        if since == "created again":
            create(writer, ref, b"since")
        assert create(writer, ref, b"first", operation_id=operation) == made
        if since == "deleted":
            with pytest.raises(NotFound):
                writer.describe(ref)
        else:
            assert read(store.reader(), ref) == b"since"

    def test_delete(self, store: Store, troubled: Store, proxy: Unreliable, operation: str) -> None:
        """Begun, and not done: the same object is then deleted, and no other."""
        ref, writer = some_ref(), store.writer()
        create(writer, ref)
        with proxy.failing("DELETE /secrets"), pytest.raises(Unavailable):
            delete(troubled.writer(), ref, operation_id=operation)
        assert read(store.reader(), ref) == b"value"
        update(writer, ref, b"since")
        delete(writer, ref, operation_id=operation)
        with pytest.raises(NotFound):
            writer.describe(ref)

    def test_delete_after_which_there_is_another(
        self, store: Store, troubled: Store, proxy: Unreliable, operation: str
    ) -> None:
        ref, writer = some_ref(), store.writer()
        create(writer, ref)
        with proxy.failing("DELETE /secrets"), pytest.raises(Unavailable):
            delete(troubled.writer(), ref, operation_id=operation)
        delete(writer, ref)
        made = create(writer, ref, b"another")
        delete(writer, ref, operation_id=operation)
        assert writer.describe(ref) == made

    def test_two_secrets_written_under_one_id_can_both_be_written_again(
        self, store: Store, troubled: Store, proxy: Unreliable, operation: str
    ) -> None:
        """What one caller mixed up is no other's business."""
        refs, writer = [some_ref(), some_ref()], store.writer()
        with proxy.failing("POST /leases"):
            for ref in refs:
                with pytest.raises(Unavailable):
                    create(troubled.writer(), ref, operation_id=operation)
        for ref in refs:
            update(writer, ref, b"since")
            delete(writer, ref)

    def test_a_delete_of_nothing_leaves_nothing(self, store: Store, operation: str) -> None:
        ref, writer = some_ref(), store.writer()
        with pytest.raises(NotFound):
            delete(writer, ref, operation_id=operation)
        assert lease_of(store, operation) == []
        create(writer, ref)
        delete(writer, ref, operation_id=operation)


@pytest.mark.parametrize("cut", CUTS)
def test_no_answer_at_any_point_and_again(store: Store, troubled: Store, proxy: Unreliable, cut: str) -> None:
    """The whole life of a secret, each step first without an answer somewhere: then it is done, and once."""
    ref, reader = some_ref(), store.reader()
    failing = troubled.writer()
    create(failing, some_ref())  # the key is known

    def twice(call: Callable[[SecretWriter, str], object]) -> None:
        operation = secrets.token_hex(8)
        with proxy.failing(cut), contextlib.suppress(Unavailable):  # not every step makes that call
            call(failing, operation)
        call(failing, operation)
        call(store.writer(), operation)

    twice(lambda writer, operation: create(writer, ref, b"one", operation_id=operation))
    assert read(reader, ref) == b"one"
    twice(lambda writer, operation: update(writer, ref, b"two", operation_id=operation))
    assert read(reader, ref) == b"two"
    twice(lambda writer, operation: delete(writer, ref, operation_id=operation))
    assert reader.resolve([ref]) == {}


def test_one_update_at_once_is_done_once(store: Store) -> None:
    """The caller's retry meets its first try: both are told the same."""
    ref, writers = some_ref(), (store.writer(), store.writer())
    create(writers[0], ref)
    with ThreadPoolExecutor(2) as pool:
        for number in range(10):
            operation = secrets.token_hex(8)
            data = b"%d" % number
            one, other = pool.map(
                lambda writer, operation=operation, data=data: update(
                    writer, ref, data, operation_id=operation
                ),
                writers,
            )
            assert one == other == writers[0].describe(ref)


class TestRemembered:
    """For hours, and no longer."""

    @pytest.fixture
    def now(self) -> float:
        return time.time()

    @pytest.fixture
    def operations(self, own_store: Store, now: float) -> Iterator[Callable[[float], Operations]]:
        """As they are some hours from now."""
        api = connect(own_store.kubeconfig)
        namespace = Namespace(api, own_store.namespace, timeout=5.0)
        yield lambda hours: Operations(namespace, clock=lambda: now + hours * HOUR)
        api.close()

    def test_old_ones_are_forgotten_and_no_others(
        self, own_store: Store, operations: Callable[[float], Operations], operation: str
    ) -> None:
        ref, writer = some_ref(), own_store.writer()
        create(writer, ref, operation_id=operation)
        own_store.cluster.api(
            "POST", own_store.path(resource="leases"), {"metadata": {"name": "somebodys"}, "spec": {}}
        ).ok()
        for hours, kept in ((-1, 2), (0, 2), (1, 2), (2, 2), (3, 1), (4, 1)):
            operations(hours).sweep()
            assert len(own_store.leases()) == kept, hours
        with pytest.raises(InvalidArgument):  # the object itself still tells
            create(writer, ref, b"other", operation_id=operation)
        assert create(writer, ref, operation_id=operation) == writer.describe(ref)
        update(writer, ref, b"since")
        operations(4).sweep()
        with pytest.raises(AlreadyExists):
            create(writer, ref, operation_id=operation)

    def test_many_are_forgotten_beside_a_write(
        self, own_store: Store, operations: Callable[[float], Operations]
    ) -> None:
        """More than come on one page of a list."""
        path = own_store.path(resource="leases")
        for number in range(520):
            meta = {
                "name": f"old-{number}",
                "labels": {"secrets-svc.internal/operation-hour": "2020-01-01T00"},
            }
            own_store.cluster.api("POST", path, {"metadata": meta, "spec": {}}).ok()
        create(own_store.writer(), some_ref())
        until(lambda: len(own_store.leases()) == 1, what="520 old operations to be forgotten", within=60)

    def test_what_a_finalizer_keeps_is_left(
        self, own_store: Store, operations: Callable[[float], Operations], operation: str
    ) -> None:
        """Nothing turns round and round."""
        create(own_store.writer(), some_ref(), operation_id=operation)
        [lease] = own_store.leases()
        path = f"{own_store.path(resource='leases')}/{lease['metadata']['name']}"
        kept = {"metadata": {"finalizers": ["example.org/keeps"]}}
        merge = "application/merge-patch+json"
        own_store.cluster.api("PATCH", path, kept, content_type=merge).ok()
        for _ in range(2):
            operations(5).sweep()
        assert len(own_store.leases()) == 1
        free = {"metadata": {"finalizers": None}}
        own_store.cluster.api("PATCH", path, free, content_type=merge).ok()


class TestTheKey:
    """Under which operations are compared."""

    def test_all_writers_share_it(self, own_store: Store, operation: str) -> None:
        ref = some_ref()
        create(own_store.writer(), ref, operation_id=operation)
        with pytest.raises(InvalidArgument):
            create(own_store.writer(), ref, b"other", operation_id=operation)
        key = own_store.cluster.api("GET", f"{own_store.path()}/{KEY_OBJECT}").ok()
        assert key["immutable"]
        assert own_store.writer().list(ref.scope).items == (own_store.writer().describe(ref),)

    def test_nothing_that_rests_tells_what_was_written(self, own_store: Store, operation: str) -> None:
        """Fingerprints of equal values differ from namespace to namespace, by the key."""
        ref = some_ref()
        create(own_store.writer(), ref, b"guess me", operation_id=operation)
        rests = json.dumps([own_store.leases(), own_store.object(ref)["metadata"]])
        assert operation not in rests
        mark = json.loads(own_store.object(ref)["metadata"]["annotations"]["secrets-svc.internal/operation"])
        own_store.cluster.api("DELETE", f"{own_store.path()}/{KEY_OBJECT}").ok()
        writer = own_store.writer()
        other = SecretRef(ref.scope, "other")
        create(writer, other, b"guess me")
        found = json.loads(
            own_store.object(other)["metadata"]["annotations"]["secrets-svc.internal/operation"]
        )
        assert (found["key"], found["fingerprint"]) != (mark["key"], mark["fingerprint"])

    def test_after_it_was_replaced_verb_and_name_decide(self, own_store: Store, operation: str) -> None:
        ref = some_ref()
        made = create(own_store.writer(), ref, operation_id=operation)
        own_store.cluster.api("DELETE", f"{own_store.path()}/{KEY_OBJECT}").ok()
        writer = own_store.writer()
        assert create(writer, ref, operation_id=operation) == made
        for other in (
            lambda: create(writer, some_ref(), operation_id=operation),
            lambda: update(writer, ref, b"value", operation_id=operation),
        ):
            with pytest.raises(InvalidArgument):
                other()

    @pytest.mark.parametrize("spoilt", [{"data": {"key": "c2hvcnQ="}}, {"data": {"other": "eA=="}}, {}])
    def test_somebody_elses_object_there(self, own_store: Store, spoilt: dict[str, Any]) -> None:
        own_store.cluster.api("POST", own_store.path(), {"metadata": {"name": KEY_OBJECT}, **spoilt}).ok()
        with pytest.raises(Unavailable, match="delete it, a new one is made"):
            create(own_store.writer(), some_ref())
        own_store.cluster.api("DELETE", f"{own_store.path()}/{KEY_OBJECT}").ok()
        create(own_store.writer(), some_ref())


@pytest.mark.parametrize(
    "annotations",
    [
        {"secrets-svc.internal/operation": None},
        {"secrets-svc.internal/operation": "{}"},
        {"secrets-svc.internal/answer": None},
        {"secrets-svc.internal/answer": "[]"},
        {"secrets-svc.internal/answer": '{"created_at": "x"}'},
        {"secrets-svc.internal/target": "uid"},
    ],
    ids=str,
)
def test_a_tampered_memory_is_not_believed(
    store: Store, operation: str, annotations: dict[str, str | None]
) -> None:
    ref, writer = some_ref(), store.writer()
    create(writer, ref, operation_id=operation)
    [lease] = lease_of(store, operation)
    store.cluster.api(
        "PATCH",
        f"{store.path(resource='leases')}/{lease['metadata']['name']}",
        {"metadata": {"annotations": annotations}},
        content_type="application/merge-patch+json",
    ).ok()
    with pytest.raises(Unavailable, match="changed outside this service"):
        create(writer, ref, operation_id=operation)


def test_a_mark_that_makes_no_sense_is_none(store: Store) -> None:
    """It was somebody else's: an update takes its place."""
    ref, writer = some_ref(), store.writer()
    create(writer, ref)
    for text in ("", "[]", '{"id": 1}', "x" * 1000):
        store.patch(ref, {"metadata": {"annotations": {"secrets-svc.internal/operation": text}}})
        assert update(writer, ref, text.encode()).version == writer.describe(ref).version


def test_values_of_one_byte_are_not_in_the_annotations(store: Store) -> None:
    """Nor in anything else that metadata show."""
    ref, marker = some_ref(), secrets.token_hex(16).encode()
    create(store.writer(), ref, marker)
    update(store.writer(), ref, marker)
    metadata = json.dumps([store.object(ref)["metadata"], store.leases()])
    [(_, in_data)] = encoded({"x": marker}).items()
    assert marker.decode() not in metadata
    assert in_data not in metadata
