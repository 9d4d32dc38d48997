"""Staging without a cluster: Secrets that exist in this process only, under names made as in a cluster.

For ``serve all`` on a laptop and for tests. A pod can't refer to what it stages; the service says so at its
start.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import uuid
from collections import OrderedDict

from injector.delivery.staging import Read, Staged, ValueFacts
from injector.keys import RESERVED
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import Resolved
from secrets_svc.core.value import SecretValue

_Key = tuple[str, Resolved]

#: Staged Secrets kept; the one staged longest ago goes first.
DEFAULT_CAPACITY = 10_000


class InMemoryStaging:
    """Implements :class:`~injector.delivery.staging.Staging`.

    :param keep_values: keep what was staged, so that tests can look at it; a laptop has no use for it.
    """

    def __init__(self, *, keep_values: bool = False, capacity: int = DEFAULT_CAPACITY) -> None:
        self._installation_key = secrets.token_bytes(32)
        self._capacity = capacity
        self._staged: OrderedDict[_Key, Staged] = OrderedDict()
        self._under_way: dict[_Key, asyncio.Task[Staged]] = {}
        self.values: dict[str, SecretValue] | None = {} if keep_values else None

    def staged(self, namespace: str, resolved: Resolved) -> Staged | None:
        """See the port."""
        return self._staged.get((namespace, resolved))

    async def stage(self, namespace: str, resolved: Resolved, read: Read) -> Staged:
        """See the port."""
        key = (namespace, resolved)
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._stage(key, read))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)

    async def _stage(self, key: _Key, read: Read) -> Staged:
        namespace, resolved = key
        version = await read(resolved)
        name = self._name(namespace, resolved)
        staged = Staged(name, resolved, ValueFacts.of(version, resolved))
        self._staged[key] = staged
        if self.values is not None:
            self.values[name] = version.value
        if len(self._staged) > self._capacity:
            _, oldest = self._staged.popitem(last=False)
            if self.values is not None:
                self.values.pop(oldest.name, None)
        return staged

    def _name(self, namespace: str, resolved: Resolved) -> str:
        """As in a cluster: from the uid of a lease that is new each time, so that nobody can guess it."""
        parts = (
            namespace,
            storage_name(resolved.ref),
            resolved.type,
            resolved.token,
            uuid.uuid4().hex,
        )
        digest = hmac.digest(self._installation_key, "\0".join(parts).encode(), "sha256")
        return RESERVED + digest.hex()[:40]
