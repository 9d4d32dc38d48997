"""Staged delivery (DESIGN.md §7): one immutable Secret a version and namespace, held by a lease."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from injector import keys
from injector.delivery.staging import Read, Staged, ValueFacts, data_key, is_pull_secret
from injector.k8s.calls import Calls
from injector.k8s.names import key_id, lease_name, secret_name
from injector.trust import NamespaceFacts, Namespaces
from secrets_svc.core.errors import SecretsError, Unavailable
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.scope import Scope
from secrets_svc.kube.api import APPLY_PATCH, METADATA, Object, path_of
from secrets_svc.kube.errors import ApiError
from secrets_svc.kube.informer import Metadata

LEASES = "coordination.k8s.io/v1"
MANAGER = "secrets-svc-injector"
#: Seconds that a lease lasts since it was last needed, and how often at most it is renewed.
DURATION = 3600.0
#: Staged Secrets that a replica remembers; about 1 kB each.
CAPACITY = 50_000
#: Tries while the API server says "again", or the lease goes away under us.
_ATTEMPTS = 3
#: Seconds that are waited out when the API server asks for it; for more the caller tries again.
_MAX_PAUSE = 1.0
#: Leases that went while their Secrets were being made: this many are remembered.
_GONE = 4096


@dataclass(frozen=True, slots=True)
class _Entry:
    staged: Staged
    lease_uid: str
    renewed_at: float


_Key = tuple[str, Resolved]


class ClusterStaging:
    """Implements :class:`~injector.delivery.staging.Staging`.

    Create-only on Secrets: nothing is ever read back.

    :param store_of: the name of the store that a scope's secrets are in.
    :param key: the installation's, shared by replicas. :param holder: who we are, in leases.
    :param duration: seconds; see :data:`DURATION`.
    """

    def __init__(
        self,
        calls: Calls,
        namespaces: Namespaces,
        *,
        store_of: Callable[[Scope], str],
        key: bytes,
        holder: str,
        duration: float = DURATION,
        capacity: int = CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._calls = calls
        self._namespaces = namespaces
        self._store_of = store_of
        self._key_bytes = key
        self._key_id = key_id(key)
        self._holder = holder
        self._duration = duration
        self._capacity = capacity
        self._clock = clock
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._by_lease: dict[str, _Key] = {}
        self._gone: deque[str] = deque()
        self._gone_lately: OrderedDict[str, None] = OrderedDict()
        self._under_way: dict[_Key, asyncio.Task[Staged]] = {}

    def staged(self, namespace: str, resolved: Resolved) -> Staged | None:
        """See the port. ``None`` also when it is time to renew."""
        if self._gone:
            self._forget_gone()
        facts = self._namespaces.known(namespace)
        entry = None if facts is None else self._entries.get((facts.uid, resolved))
        if entry is None or self._clock() - entry.renewed_at >= self._duration / 4:
            return None
        return entry.staged

    async def stage(self, namespace: str, resolved: Resolved, read: Read) -> Staged:
        """See the port: apply the lease, which renews it too, and create its Secret where it isn't there."""
        facts = self._namespaces.known(namespace) or await self._namespaces.look(namespace)
        if facts is None:
            raise Unavailable(f'there is no namespace "{namespace}"')
        key = (facts.uid, resolved)
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._stage(facts, resolved, read))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)

    def saw(self, was: Metadata | None, now: Metadata | None) -> None:
        """A lease changed (see :data:`secrets_svc.kube.informer.OnChange`). From any thread."""
        if was is not None and now is None:
            self._gone.append(was.uid)

    def _forget_gone(self) -> None:
        """Where a lease is gone its Secret is too."""
        while self._gone:
            uid = self._gone.popleft()
            self._gone_lately[uid] = None
            if len(self._gone_lately) > _GONE:
                self._gone_lately.popitem(last=False)
            key = self._by_lease.pop(uid, None)
            if key is not None:
                self._entries.pop(key, None)

    async def _stage(self, namespace: NamespaceFacts, resolved: Resolved, read: Read) -> Staged:
        attempt = 1
        while True:
            try:
                return await self._try_to_stage(namespace, resolved, read)
            except ApiError as error:
                pause = error.retry_after or 0.05
                again = error.is_conflict or error.status == 429
                if not again or attempt == _ATTEMPTS or pause > _MAX_PAUSE:
                    raise self._refused(error, namespace) from error
                attempt += 1
                await asyncio.sleep(pause)

    async def _try_to_stage(self, namespace: NamespaceFacts, resolved: Resolved, read: Read) -> Staged:
        asked_at = self._clock()
        version = await read(resolved)
        facts = ValueFacts.of(version, resolved)
        if facts.objection is not None:  # written past us: the API server wouldn't take it
            return Staged("", resolved, facts)
        lease = await self._apply_lease(namespace, resolved)
        known = self._entries.get((namespace.uid, resolved))
        name = secret_name(self._key_bytes, lease_uid=lease.uid)
        try:
            await self._calls(
                "POST",
                path_of("v1", "secrets", namespace.name),
                body=secret_object(name, lease, resolved, version),
                accept=METADATA,
            )
        except ApiError as error:
            if not error.is_there_already:  # which is healthy: same lease, same version, same bytes
                raise
        self._forget_gone()
        if lease.uid in self._gone_lately:
            raise ApiError(409, "Conflict", "the lease went meanwhile")
        if known is not None and known.staged.name == name:
            staged = known.staged
        else:
            staged = Staged(name, resolved, facts)
        self._remember((namespace.uid, resolved), _Entry(staged, lease.uid, asked_at))
        return staged

    async def _apply_lease(self, namespace: NamespaceFacts, resolved: Resolved) -> Metadata:
        store = self._store_of(resolved.ref.scope)
        name = lease_name(self._key_bytes, namespace_uid=namespace.uid, store=store, resolved=resolved)
        answer = await self._calls(
            "PATCH",
            path_of(LEASES, "leases", namespace.name, name),
            query={"fieldManager": MANAGER, "force": "true"},
            body=self._lease_object(name, resolved),
            content_type=APPLY_PATCH,
            accept=METADATA,
        )
        lease = Metadata.of(answer)
        if not lease.uid:
            raise ApiError(502, "BadAnswer")
        if lease.terminating:
            raise ApiError(409, "Conflict", "the lease is being deleted")
        return lease

    def _lease_object(self, name: str, resolved: Resolved) -> Object:
        return lease_object(name, resolved, key_id=self._key_id, holder=self._holder, duration=self._duration)

    def _remember(self, key: _Key, entry: _Entry) -> None:
        before = self._entries.get(key)
        if before is not None and before.lease_uid != entry.lease_uid:
            self._by_lease.pop(before.lease_uid, None)
        self._entries[key] = entry
        self._entries.move_to_end(key)
        self._by_lease[entry.lease_uid] = key
        if len(self._entries) > self._capacity:
            _, oldest = self._entries.popitem(last=False)
            self._by_lease.pop(oldest.lease_uid, None)

    def _refused(self, error: ApiError, namespace: NamespaceFacts) -> SecretsError:
        what = f'stage it in namespace "{namespace.name}"'
        if error.is_conflict:
            return Unavailable(f"can't {what}: its lease changes under our hands")
        return error.translated(what)


def lease_object(name: str, resolved: Resolved, *, key_id: str, holder: str, duration: float) -> Object:
    """The lease as it is applied; it says which secret it is about, and no value."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": LEASES,
        "kind": "Lease",
        "metadata": {
            "name": name,
            "labels": {keys.STAGED: "true", keys.NOT_FOR_BACKUP: "true", keys.KEY_ID: key_id},
            "annotations": {
                keys.LEASE_SECRET: _named(resolved),
                keys.LEASE_VERSION: resolved.token,
            },
        },
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": max(1, int(duration)), "renewTime": now},
    }


def _named(resolved: Resolved) -> str:
    field = "" if resolved.field is None else f', field "{resolved.field}"'
    return f"{resolved.ref.name} in {resolved.ref.scope}{field}"


def secret_object(name: str, lease: Metadata, resolved: Resolved, version: SecretVersion) -> Object:
    """The staged Secret; it goes when its lease goes.

    ``blockOwnerDeletion`` stays unset: OpenShift refuses it to whoever can't set finalizers.
    """
    value = base64.b64encode(version.value.reveal_bytes()).decode()
    pulls = is_pull_secret(resolved)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "labels": {keys.STAGED: "true", keys.NOT_FOR_BACKUP: "true"},
            "ownerReferences": [
                {"apiVersion": LEASES, "kind": "Lease", "name": lease.name, "uid": lease.uid}
            ],
        },
        "immutable": True,
        "type": keys.PULL_TYPE if pulls else keys.STAGED_TYPE,
        "data": {data_key(resolved): value},
    }
