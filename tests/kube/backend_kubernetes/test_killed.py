"""A writer ends at any of its calls, done or not; others write; then the same call comes again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes_store import Store, create, delete, rollback, some_ref, update

from secrets_svc.backends.kubernetes.namespace import Namespace
from secrets_svc.backends.kubernetes.versions import KEPT
from secrets_svc.backends.kubernetes.writer import KubernetesWriter
from secrets_svc.core.errors import AlreadyExists, NotFound, Unavailable
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import SecretWriter
from secrets_svc.core.secret import SecretRef
from secrets_svc.kube.api import ApiServer, Object, connect
from secrets_svc.kube.errors import NoAnswer


class Dying:
    """An API server that answers ``calls`` calls, and none after.

    :param arrives: whether the first call without an answer is carried out all the same.
    """

    def __init__(self, api: ApiServer, calls: int, *, arrives: bool) -> None:
        self._api = api
        self._left = calls
        self._arrives = arrives

    def call(self, method: str, path: str, **more: Any) -> Object:
        self._left -= 1
        if self._left >= 0:
            return self._api.call(method, path, **more)
        if self._left == -1 and self._arrives:
            self._api.call(method, path, **more)
        raise NoAnswer

    def close(self) -> None:
        """It is another's."""


Intent = Callable[[SecretWriter, SecretRef, str], object]
INTENTS: dict[str, Intent] = {
    "create": lambda writer, ref, operation: create(writer, ref, b"intended", operation_id=operation),
    "update": lambda writer, ref, operation: update(writer, ref, b"intended", operation_id=operation),
    "delete": lambda writer, ref, operation: delete(writer, ref, operation_id=operation),
    "rollback": lambda writer, ref, operation: rollback(writer, ref, FIRST[ref], operation_id=operation),
}
#: The version that a secret was created with.
FIRST: dict[SecretRef, str] = {}


def nothing(store: Store, ref: SecretRef) -> None:
    """Nobody else comes."""


def updated(store: Store, ref: SecretRef) -> None:
    if state(store, ref) is not None:
        update(store.writer(), ref, b"by another")


def deleted(store: Store, ref: SecretRef) -> None:
    if state(store, ref) is not None:
        delete(store.writer(), ref)


def created_anew(store: Store, ref: SecretRef) -> None:
    deleted(store, ref)
    create(store.writer(), ref, b"by another")


def state(store: Store, ref: SecretRef) -> tuple[str, str] | None:
    """What is there, as its admin sees it: version and value."""
    answer = store.cluster.api("GET", store.path(ref))
    if answer.status == 404:
        return None
    found = answer.ok()
    value = found["data"][storage_name(ref)]
    return found["metadata"]["uid"] + found["metadata"]["resourceVersion"], value


@pytest.fixture
def api(store: Store) -> Iterator[ApiServer]:
    made = connect(store.kubeconfig)
    yield made
    made.close()


@pytest.mark.parametrize("arrives", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize(
    "meanwhile", [nothing, updated, deleted, created_anew], ids=lambda each: each.__name__
)
@pytest.mark.parametrize("verb", INTENTS)
def test_it_is_done_once(
    store: Store, api: ApiServer, verb: str, meanwhile: Callable[[Store, SecretRef], None], arrives: bool
) -> None:
    """Ended after 0, 1, 2 … calls, until it needs no more."""
    for calls in range(20):
        if not ended_after(calls, store, api, verb, meanwhile, arrives=arrives):
            break
    else:
        pytest.fail("it never came to its end")
    assert calls >= 4


def ended_after(
    calls: int,
    store: Store,
    api: ApiServer,
    verb: str,
    meanwhile: Callable[[Store, SecretRef], None],
    *,
    arrives: bool,
) -> bool:
    """One such story; whether the writer was ended before its time."""
    ref, operation, intent = some_ref(), secrets.token_hex(8), INTENTS[verb]
    if verb != "create":
        FIRST[ref] = create(store.writer(), ref, b"before").version
    if verb == "rollback":
        update(store.writer(), ref, b"after")
    before = state(store, ref)
    dying: Any = Dying(api, calls, arrives=arrives)
    cut = False
    try:
        writer = KubernetesWriter(Namespace(dying, store.namespace, timeout=5.0), versions=KEPT)
        intent(writer, ref, operation)
    except Unavailable:
        cut = True
    was_done = state(store, ref) != before
    assert was_done or cut
    meanwhile(store, ref)
    left = state(store, ref)
    try:
        intent(store.writer(), ref, operation)
    except NotFound:
        assert not was_done
        # A version of before goes with the secret that it was one of.
        assert verb == "rollback" or (verb in ("update", "delete") and left is None)
    except AlreadyExists:
        assert verb == "create"
        assert not was_done
        assert left is not None
    else:
        check_effect(store, ref, verb, left, was_done=was_done)
    return cut


def check_effect(
    store: Store, ref: SecretRef, verb: str, left: tuple[str, str] | None, *, was_done: bool
) -> None:
    """The repeat changed nothing if it had been done; if it hadn't, it did it now."""
    now = state(store, ref)
    if was_done or (verb == "delete" and left is None):
        assert now == left
    elif verb == "delete":
        # Begun before another took the place: that one is spared.
        assert now is None or now == left
    else:
        assert now is not None
        assert now != left
