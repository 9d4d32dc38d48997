"""Absent is not failed (I4): what the API server and its surroundings can answer, told apart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit import Cluster, until
from kubernetes_store import SCOPE, Store, create, delete, some_ref, update
from unreliable import Unreliable

from secrets_svc.backends.kubernetes.namespace import Namespace
from secrets_svc.backends.kubernetes.reader import KubernetesReader
from secrets_svc.core import errors
from secrets_svc.core.errors import InvalidArgument, NotFound, QuotaExceeded, SecretsError, Unavailable
from secrets_svc.core.secret import SecretRef
from secrets_svc.kube.api import ApiServer, Object, connect

Call = Callable[[Store, SecretRef], object]
#: Every call of both ports. The reference is one that isn't there.
CALLS: dict[str, Call] = {
    "create": lambda store, ref: create(store.writer(), ref),
    "update": lambda store, ref: update(store.writer(), ref, b"x"),
    "delete": lambda store, ref: delete(store.writer(), ref),
    "describe": lambda store, ref: store.writer().describe(ref),
    "list": lambda store, ref: store.writer().list(SCOPE),
    "resolve": lambda store, ref: store.reader().resolve([ref]),
    "read": lambda store, ref: store.reader().read(ref, "token"),
}


def status(code: int, reason: str, **details: Any) -> dict[str, Any]:
    """A refusal of the API server; its words must not come out."""
    return {
        "status": code,
        "body": {
            "kind": "Status",
            "apiVersion": "v1",
            "code": code,
            "reason": reason,
            "message": "open sesame",
            "details": details,
        },
    }


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no answer": ({"status": 0}, "unavailable"),
    "too late": ({"status": 0, "delay": 3.0}, "deadline_exceeded"),
    "401": (status(401, "Unauthorized"), "unavailable"),
    "403": (status(403, "Forbidden"), "unavailable"),
    "404 of something else": (status(404, "NotFound", kind="namespaces", name="x"), "unavailable"),
    "404 of a proxy": ({"status": 404, "body": {"error": "no route"}}, "unavailable"),
    "429": (
        {**status(429, "TooManyRequests"), "headers": {"retry-after": "7"}},
        "throttled",
    ),
    "500": (status(500, "InternalError"), "unavailable"),
    "503": (status(503, "ServiceUnavailable"), "unavailable"),
    "504": (status(504, "Timeout"), "deadline_exceeded"),
    "200 and garbage": ({"status": 200, "body": {"kind": "Nonsense"}}, "unavailable"),
    "200 and no object": ({"status": 200, "body": ["list"]}, "unavailable"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("verb", CALLS)
def test_a_failure_is_never_absence(troubled: Store, proxy: Unreliable, verb: str, fault: str) -> None:
    answer, code = FAULTS[fault]
    if fault == "too late":
        troubled.timeout = 0.4
    ref = some_ref()
    with proxy.failing("/secrets", **answer), pytest.raises(SecretsError) as refused:
        CALLS[verb](troubled, ref)
    assert refused.value.code == code
    assert not isinstance(refused.value, NotFound)
    assert "sesame" not in str(refused.value)
    assert refused.value.retry_after == (7.0 if fault == "429" else None)


def test_one_failing_look_up_fails_all(troubled: Store, proxy: Unreliable) -> None:
    refs = [some_ref() for _ in range(40)]
    for ref in refs[::2]:
        create(troubled.writer(), ref)
    reader = troubled.reader()
    bad = troubled.path(refs[20]).rpartition("/")[2]
    with proxy.failing(f"GET {bad}", **status(500, "InternalError")), pytest.raises(Unavailable):
        reader.resolve(refs)
    assert set(reader.resolve(refs)) == set(refs[::2])


class Slow:
    """An API server that takes its time.

    :ivar most: calls that were under way at once.
    """

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._under_way = 0
        self.most = 0

    def call(self, *args: Any, **more: Any) -> Object:
        with self._lock:
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        time.sleep(0.1)
        try:
            return self._api.call(*args, **more)
        finally:
            with self._lock:
                self._under_way -= 1

    def close(self) -> None:
        self._api.close()


def test_many_are_looked_up_at_once_and_no_more_than_allowed(store: Store) -> None:
    """200 answers of 0.1 s, 16 at a time: 1.3 s, and one more for the namespace."""
    refs = [some_ref() for _ in range(200)]
    create(store.writer(), refs[150])
    slow: Any = Slow(connect(store.kubeconfig, connections=16))
    reader = KubernetesReader(Namespace(slow, store.namespace, timeout=10.0), lookups=16)
    began = time.monotonic()
    assert set(reader.resolve(refs)) == {refs[150]}
    assert time.monotonic() - began < 8
    assert slow.most == 16
    reader.close()


@pytest.fixture(scope="module")
def kept() -> SecretRef:
    return some_ref("kept")


@pytest.fixture(scope="module")
def going(cluster: Cluster, kept: SecretRef) -> Iterator[Store]:
    """In a namespace that is being deleted, and doesn't go."""
    store = Store(cluster, cluster.namespace())
    create(store.writer(), kept)
    store.patch(kept, {"metadata": {"finalizers": ["example.org/keeps"]}})
    cluster.api("DELETE", f"/api/v1/namespaces/{store.namespace}").ok()
    until(lambda: "deletionTimestamp" in store.object(kept)["metadata"], what="its content to go")
    yield store
    store.patch(kept, {"metadata": {"finalizers": None}})
    store.close()


class TestNamespace:
    """Where there is none, or won't be any more, nothing is absent."""

    @pytest.mark.parametrize("verb", CALLS)
    def test_it_is_not_there(self, cluster: Cluster, verb: str) -> None:
        store = Store(cluster, "not-there")
        with pytest.raises(Unavailable, match='in namespace "not-there": there is no such namespace'):
            CALLS[verb](store, some_ref())
        store.close()

    @pytest.mark.parametrize("verb", CALLS)
    def test_it_is_being_deleted(self, going: Store, verb: str) -> None:
        with pytest.raises(Unavailable, match="being deleted"):
            CALLS[verb](going, some_ref())

    def test_what_goes_with_it_is_not_absent(self, going: Store, kept: SecretRef) -> None:
        """Narrow scopes may go first: a wider one must not take their place."""
        with pytest.raises(Unavailable, match="being deleted"):
            going.reader().resolve([kept])


def test_quota(own_store: Store) -> None:
    """Told apart from a right that is missing."""
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"count/secrets": "2"}}}
    path = f"/api/v1/namespaces/{own_store.namespace}/resourcequotas"
    own_store.cluster.api("POST", path, quota).ok()
    until(
        lambda: own_store.cluster.api("GET", f"{path}/few").ok()["status"].get("used"),
        what="the quota to count",
    )
    writer, ref = own_store.writer(), some_ref()
    create(writer, ref)  # besides the key
    with pytest.raises(QuotaExceeded, match="ResourceQuota of the namespace is used up"):
        create(writer, some_ref())
    update(writer, ref, b"x")
    delete(writer, ref)
    until(lambda: _created(own_store, writer), what="room again")


def _created(store: Store, writer: Any) -> bool:
    try:
        create(writer, some_ref())
    except QuotaExceeded:
        return False
    return True


def test_an_expired_token(store: Store, cluster: Cluster) -> None:
    store.kubeconfig = cluster.kubeconfig_with("not-a-token")
    for call in CALLS.values():
        with pytest.raises(Unavailable, match="doesn't accept this service's identity"):
            call(store, some_ref())


def test_nobody_listens(store: Store, tmp_path: Path) -> None:
    original = store.kubeconfig.read_text()
    config = tmp_path / "kubeconfig"
    config.write_text(original.replace(store.cluster.server, "https://127.0.0.1:1"))
    store.kubeconfig = config
    for call in CALLS.values():
        with pytest.raises(Unavailable, match="can't be reached"):
            call(store, some_ref())


def test_a_closed_store(store: Store) -> None:
    writer, reader = store.writer(), store.reader()
    ref = some_ref()
    create(writer, ref)
    writer.close()
    reader.close()
    for call in (
        lambda: create(writer, some_ref()),
        lambda: writer.list(SCOPE),
        lambda: writer.describe(ref),
        lambda: reader.resolve([ref]),
        lambda: reader.resolve([ref, some_ref()]),
        lambda: reader.read(ref, "token"),
    ):
        with pytest.raises(Unavailable, match="the store is closed"):
            call()


def test_a_kubeconfig_that_is_none(store: Store, tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    for text in ("", "not: [yaml", "{}"):
        config.write_text(text)
        for opened in (store.writer, store.reader):
            with pytest.raises(InvalidArgument, match="no way to the API server"):
                opened(kubeconfig=config)
    with pytest.raises(InvalidArgument, match="no way to the API server"):
        store.writer(context="nobody's")


def test_all_codes_are_ours() -> None:
    assert {code for _, code in FAULTS.values()} <= set(errors.by_code())
