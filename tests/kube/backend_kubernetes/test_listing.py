"""Pages of a real API server: many secrets, two writers' labels, and tokens that it won't take."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kit import Cluster
from kubernetes_store import FLYTE_LABELS, Store, create, delete, some_ref
from unreliable import Unreliable

from secrets_svc.backends.kubernetes.listing import _continued_behind
from secrets_svc.backends.kubernetes.names import labels_of, object_name
from secrets_svc.core.errors import Unavailable
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef

DOMAIN = Scope("flyte", domain="production")
PROJECTS = [f"p-{number}" for number in range(10)]
#: More than the API server is asked for at once, and than one page may hold.
MANY = 1_300


def every_page(
    writer: SecretWriter, within: Scope, *, limit: int, exact: bool = False
) -> Iterator[list[SecretRef]]:
    cursor = None
    while True:
        page = writer.list(within, exact=exact, limit=limit, cursor=cursor)
        yield [item.ref for item in page.items]
        cursor = page.cursor
        if cursor is None:
            return


def everything(writer: SecretWriter, within: Scope, *, limit: int, exact: bool = False) -> list[SecretRef]:
    return [ref for page in every_page(writer, within, limit=limit, exact=exact) for ref in page]


@pytest.fixture(scope="module")
def refs() -> list[SecretRef]:
    """Of ten projects, every third written by Flyte's own service."""
    return [
        SecretRef(Scope("flyte", "production", PROJECTS[number % len(PROJECTS)]), f"n-{number}")
        for number in range(MANY)
    ]


@pytest.fixture(scope="module")
def full(cluster: Cluster, refs: list[SecretRef]) -> Iterator[Store]:
    store = Store(cluster, cluster.namespace())
    writer = store.writer()

    def put(number: int) -> None:
        ref = refs[number]
        if number % 3:
            create(writer, ref)
        else:
            labels = labels_of(ref.scope)
            del labels["secrets-svc.internal/organization"]
            store.put(ref, {storage_name(ref): b"x"}, labels=labels)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(MANY)))
    yield store
    store.close()


@pytest.mark.parametrize("limit", [1000, 500, 499, 130])
def test_all_are_seen_once_in_order_on_full_pages(full: Store, refs: list[SecretRef], limit: int) -> None:
    pages = list(every_page(full.writer(), DOMAIN, limit=limit))
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    found = [ref for page in pages for ref in page]
    assert found == sorted(refs, key=lambda ref: object_name(storage_name(ref)))


@pytest.mark.parametrize("project", PROJECTS[:3])
def test_a_project_among_many(full: Store, refs: list[SecretRef], project: str) -> None:
    for within in (Scope("flyte", "production", project), Scope("flyte", project=project)):
        found = everything(full.writer(), within, limit=37)
        assert sorted(found, key=str) == sorted(
            (ref for ref in refs if ref.scope.project == project), key=str
        )
    assert everything(full.writer(), Scope("flyte", project=project), limit=37, exact=True) == []


def test_others_come_and_go_between_pages(full: Store, refs: list[SecretRef]) -> None:
    """What is there throughout is seen exactly once."""
    writer, chance = full.writer(), random.Random(1)
    coming: list[SecretRef] = []
    seen: list[SecretRef] = []
    for page in every_page(writer, DOMAIN, limit=100):
        seen += page
        for _ in range(5):
            coming.append(some_ref())
            create(writer, coming[-1])
        for ref in chance.sample(coming, 3):
            delete(writer, ref)
            coming.remove(ref)
    assert len(seen) == len(set(seen))
    assert [ref for ref in seen if ref in set(refs)] == sorted(
        refs, key=lambda ref: object_name(storage_name(ref))
    )
    for ref in coming:
        delete(writer, ref)


def test_pages_are_as_of_now(full: Store) -> None:
    """No page shows what was deleted before it was asked for."""
    writer = full.writer()
    ref = max((some_ref() for _ in range(200)), key=lambda ref: object_name(storage_name(ref)))
    create(writer, ref)
    cursor = writer.list(DOMAIN, limit=600).cursor
    delete(writer, ref)
    while cursor is not None:
        page = writer.list(DOMAIN, limit=600, cursor=cursor)
        assert ref not in {item.ref for item in page.items}
        cursor = page.cursor


@pytest.fixture(scope="module")
def proxy(cluster: Cluster) -> Iterator[Unreliable]:
    with Unreliable(cluster) as made:
        yield made


@pytest.fixture
def troubled(cluster: Cluster, full: Store, proxy: Unreliable) -> Iterator[Store]:
    """``full`` through the proxy."""
    rights = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{full.namespace}/rolebindings/all"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": full.namespace}
    binding = {"metadata": {"name": "all"}, "roleRef": role, "subjects": [subject]}
    if cluster.api("GET", rights).status == 404:
        cluster.api("POST", rights.rpartition("/")[0], binding).ok()
    config = cluster.kubeconfig_with(cluster.token(full.namespace))
    store = Store(cluster, full.namespace, proxy.kubeconfig(config))
    yield store
    store.close()


REFUSALS: list[dict[str, Any]] = [
    {"status": 400, "body": {"kind": "Status", "code": 400, "reason": "BadRequest"}},
    {"status": 410, "body": {"kind": "Status", "code": 410, "reason": "Expired"}},
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=["not taken", "expired"])
def test_a_server_that_does_not_take_our_token(
    troubled: Store, proxy: Unreliable, refs: list[SecretRef], refusal: dict[str, Any]
) -> None:
    """What is in front is listed again, and left out: nothing is lost, nothing comes twice."""
    writer = troubled.writer()
    whole = everything(troubled.writer(), DOMAIN, limit=1000)
    first = writer.list(DOMAIN, limit=1000)
    assert first.cursor is not None
    token = _continued_behind(first.cursor)
    with proxy.failing(f"GET continue={token}", **refusal):
        rest = writer.list(DOMAIN, limit=1000, cursor=first.cursor)
        assert proxy.asked
    assert [item.ref for item in (*first.items, *rest.items)] == whole
    assert len(whole) == MANY


def test_a_failure_between_pages_is_one(troubled: Store, proxy: Unreliable) -> None:
    writer = troubled.writer()
    cursor = writer.list(DOMAIN, limit=100).cursor
    with proxy.failing("GET continue=", status=500), pytest.raises(Unavailable):
        writer.list(DOMAIN, limit=100, cursor=cursor)
    with proxy.failing("GET labelSelector", status=410), pytest.raises(Unavailable):
        writer.list(DOMAIN, limit=100)


def test_two_organizations_with_the_same_scopes(store: Store) -> None:
    """And Flyte's objects, which don't tell theirs, between them."""
    writer = store.writer()
    ours = [SecretRef(Scope(organization, "d", "p"), "same") for organization in ("one", "two", "flyte")]
    for ref in ours[:2]:
        create(writer, ref)
    labels = FLYTE_LABELS | {"app.flyte.org/domain": "d", "app.flyte.org/project": "p"}
    store.put(ours[2], {storage_name(ours[2]): b"x"}, labels=labels)
    for ref in ours:
        assert everything(writer, Scope(ref.scope.organization), limit=1) == [ref]
