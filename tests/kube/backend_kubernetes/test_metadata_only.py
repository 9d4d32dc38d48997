"""No value comes back to the writer; and why the table says "not separable" all the same."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from kit import until
from kubernetes_store import SCOPE, Recording, Store, create, delete, encoded, rollback, some_ref, update

from secrets_svc.backends.kubernetes.names import KEY_OBJECT
from secrets_svc.backends.kubernetes.namespace import Namespace
from secrets_svc.backends.kubernetes.reader import KubernetesReader
from secrets_svc.backends.kubernetes.versions import KEPT
from secrets_svc.backends.kubernetes.writer import KubernetesWriter
from secrets_svc.core.errors import AlreadyExists, Conflict, NotFound
from secrets_svc.core.naming import storage_name
from secrets_svc.kube.api import connect

VALUE = b"the value that must not come back"


@pytest.fixture
def recording(store: Store) -> Iterator[Recording]:
    made = Recording(connect(store.kubeconfig))
    yield made
    made.close()


@pytest.fixture
def recorded(store: Store, recording: Recording) -> Namespace:
    return Namespace(recording, store.namespace, timeout=5.0)  # type: ignore[arg-type]


def test_no_answer_to_the_writer_holds_a_value(
    store: Store, recording: Recording, recorded: Namespace
) -> None:
    """Whatever it does, also where something stands in its way; the key of its own marks is the exception."""
    create(store.writer(), some_ref())  # the key is there by now, so it is fetched
    writer, ref, operation = KubernetesWriter(recorded, versions=KEPT), some_ref(), secrets.token_hex(8)
    first = create(writer, ref, VALUE, operation_id=operation).version
    create(writer, ref, VALUE, operation_id=operation)
    with pytest.raises(AlreadyExists):
        create(writer, ref, VALUE)
    update(writer, ref, VALUE)
    store.patch(ref, {"data": encoded({storage_name(ref): VALUE + b"!"})})
    update(writer, ref, VALUE)
    rollback(writer, ref, first)
    assert len(writer.history(ref)) == 4
    writer.describe(ref)
    assert writer.list(SCOPE).items
    strangers = some_ref()
    store.put(strangers, {"password": VALUE})
    with pytest.raises(NotFound):
        update(writer, strangers, b"x")
    with pytest.raises(Conflict):
        create(writer, strangers)
    store.patch(ref, {"metadata": {"finalizers": ["example.org/keeps"]}})
    delete(writer, ref)  # which is answered with the object, as it doesn't go
    store.patch(ref, {"metadata": {"finalizers": None}})
    assert {path.split()[0] for path, _ in recording.answers} == {"GET", "POST", "PATCH", "DELETE"}
    shown = repr(recording.answers)
    assert VALUE.decode() not in shown
    assert base64.b64encode(VALUE).decode()[:-4] not in shown
    with_data = [path for path, answer in recording.answers if "'data':" in repr(answer)]
    assert with_data == [f"GET {store.path()}/{KEY_OBJECT}"]


def test_no_value_moves_when_the_reader_resolves(
    store: Store, recording: Recording, recorded: Namespace
) -> None:
    ref = some_ref()
    create(store.writer(), ref, VALUE)
    reader = KubernetesReader(recorded, lookups=4)
    token = reader.resolve([ref, some_ref()])[ref].token
    update(store.writer(), ref, b"another")
    assert reader.resolve_version(ref, token).size == len(VALUE)
    assert {answer["kind"] for _, answer in recording.answers} == {"PartialObjectMetadata"}
    assert reader.read_version(ref, token).value.reveal_bytes() == VALUE
    assert recording.answers[-1][1]["kind"] == "Secret"
    reader.close()


def test_whoever_may_write_may_read(store: Store) -> None:
    """The reason: a right to change an object brings the object, and one to see metadata all of it."""
    ref = some_ref()
    create(store.writer(), ref, VALUE)
    role = {
        "metadata": {"name": "changes"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["patch"]}],
    }
    binding = {
        "metadata": {"name": "changes"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "changes"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "changes-only"}],
    }
    rights = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{store.namespace}"
    store.cluster.api("POST", f"{rights}/roles", role).ok()
    store.cluster.api("POST", f"{rights}/rolebindings", binding).ok()

    def patched() -> Any:
        return store.cluster.api(
            "PATCH",
            store.path(ref),
            {},
            as_user="changes-only",
            content_type="application/merge-patch+json",
        )

    until(lambda: patched().status == 200, what="the right to patch")
    assert patched().ok()["data"] == encoded({storage_name(ref): VALUE})
    assert store.cluster.api("GET", store.path(ref), as_user="changes-only").status == 403
