"""Removes what nobody needs any more: leases of staged Secrets, and by that the Secrets (DESIGN.md §7).

A lease goes when we have not seen it change for longer than it lasts, by our own clock, and no live pod
refers to its Secret. The deletion names the very state we judged: a lease that was renewed meanwhile stays.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from injector.k8s.names import key_id, secret_name
from injector.keys import KEY_ID, RESERVED, STAGED_NAME
from secrets_svc.kube.api import ApiServer, Object, path_of
from secrets_svc.kube.errors import ApiError
from secrets_svc.kube.informer import Informer, Metadata

log = logging.getLogger(__name__)

_LEASES = "coordination.k8s.io/v1"
_TIMEOUT = 10.0
_DONE = ("Succeeded", "Failed")
#: Unknown keys that are told of: one line each.
_MAX_STRANGE = 16


class Janitor:
    """Watches leases change and sweeps those that lasted.

    :param leases: follows ours; tell it of :meth:`saw`.
    :param installation_keys: the present one and earlier ones. Whose key isn't among them, stays: nobody can
        tell which Secret it holds. :param duration: seconds that leases last.
    """

    def __init__(
        self,
        api: ApiServer,
        leases: Informer,
        *,
        installation_keys: Iterable[bytes],
        duration: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._leases = leases
        self._keys = {key_id(key): key for key in installation_keys}
        self._strange: set[str] = set()
        self._duration = duration
        self._clock = clock
        self._changed_at: dict[str, float] = {}

    def saw(self, was: Metadata | None, now: Metadata | None) -> None:
        """A lease changed (see :data:`secrets_svc.kube.informer.OnChange`)."""
        if now is not None:
            self._changed_at[now.uid] = self._clock()
        elif was is not None:
            self._changed_at.pop(was.uid, None)

    def sweep(self, keep_on: Callable[[], bool] = lambda: True) -> int:
        """Delete what nobody needs; returns how many. Goes on with the others where one fails.

        :param keep_on: asked before each deletion.
        """
        by_namespace: dict[str, list[Metadata]] = defaultdict(list)
        for lease in self._leases.all():
            if self._has_lasted(lease):
                by_namespace[lease.namespace].append(lease)
        deleted = 0
        for namespace, leases in by_namespace.items():
            if not keep_on():
                break
            try:
                deleted += self._sweep_namespace(namespace, leases, keep_on)
            except ApiError as error:
                log.warning("sweeping namespace %s: %s; it stays for the next time", namespace, error)
        return deleted

    def _has_lasted(self, lease: Metadata) -> bool:
        if lease.terminating or not STAGED_NAME.fullmatch(lease.name):
            return False
        changed_at = self._changed_at.get(lease.uid)
        if changed_at is None or self._clock() - changed_at <= self._duration:
            return False
        key = lease.labels.get(KEY_ID, "")
        if key not in self._keys:
            self._tell_of_strange(key, lease)
        return key in self._keys

    def _tell_of_strange(self, key: str, lease: Metadata) -> None:
        if key in self._strange or len(self._strange) >= _MAX_STRANGE:
            return
        self._strange.add(key)
        log.warning(
            "lease %s/%s was made with another installation key: name it in "
            "injector.cluster.previous_installation_keys, else it stays for ever",
            *(lease.namespace, lease.name),
        )

    def _sweep_namespace(self, namespace: str, leases: list[Metadata], keep_on: Callable[[], bool]) -> int:
        needed = self._needed(namespace)
        deleted = 0
        for lease in leases:
            name = secret_name(self._keys[lease.labels[KEY_ID]], lease_uid=lease.uid)
            if name in needed:
                continue
            if not keep_on():
                break
            deleted += self._delete(lease)
        return deleted

    def _needed(self, namespace: str) -> set[str]:
        """Names of the staged Secrets that live pods refer to."""
        needed: set[str] = set()
        pages = self._api.pages(path_of("v1", "pods", namespace), timeout=_TIMEOUT)
        for page in pages:
            for pod in page.get("items") or ():
                if pod.get("status", {}).get("phase") not in _DONE:
                    needed.update(staged_names(pod))
        return needed

    def _delete(self, lease: Metadata) -> bool:
        preconditions = {"uid": lease.uid, "resourceVersion": lease.resource_version}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        path = path_of(_LEASES, "leases", lease.namespace, lease.name)
        try:
            self._api.call("DELETE", path, timeout=_TIMEOUT, body=options)
        except ApiError as error:
            if error.is_absent or error.status == 409:  # gone, or renewed meanwhile
                return False
            raise
        return True


def staged_names(pod: Object) -> Iterator[str]:
    """Names of Secrets that begin as ours, anywhere in the pod's spec where the kubelet looks for them."""
    spec = pod.get("spec") or {}
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            for entry in container.get("env") or ():
                yield from _ours((entry.get("valueFrom") or {}).get("secretKeyRef"))
            for source in container.get("envFrom") or ():
                yield from _ours(source.get("secretRef"))
    for volume in spec.get("volumes") or ():
        secret = volume.get("secret") or {}
        yield from _ours({"name": secret.get("secretName")})
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _ours(source.get("secret"))
    for reference in spec.get("imagePullSecrets") or ():
        yield from _ours(reference)


def _ours(reference: Any) -> Iterator[str]:
    name = (reference or {}).get("name")
    if isinstance(name, str) and name.startswith(RESERVED):
        yield name


class Rounds:
    """A thread that has the janitor sweep, while we are the one that is elected.

    :param stand: see :meth:`~injector.k8s.election.Election.stand`. :param every: seconds between rounds.
    """

    def __init__(self, janitor: Janitor, *, stand: Callable[[], bool], every: float = 10.0) -> None:
        self._janitor = janitor
        self._stand = stand
        self._every = every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._go, name="janitor", daemon=True)

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the call under way; may be repeated."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_TIMEOUT + 5)

    def _go(self) -> None:
        while not self._stopping.wait(self._every):
            try:
                if self._stand():
                    deleted = self._janitor.sweep(lambda: not self._stopping.is_set() and self._stand())
                    if deleted:
                        log.info("removed %d staged secrets that nobody needs", deleted)
            except Exception as error:  # the next round may fare better
                log.error("unforeseen %s while sweeping", type(error).__name__)
