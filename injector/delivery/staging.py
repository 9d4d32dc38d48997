"""The staging port: a value becomes a Secret beside the pod, once per namespace and version (§7)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from injector.keys import RESERVED
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.data.limits import env_objection

#: Reads exactly the version that was resolved. Raises ``Changed``, ``NotFound``, or what the store raises.
Read = Callable[[Resolved], Awaitable[SecretVersion]]


@dataclass(frozen=True, slots=True)
class Staged:
    """A Secret beside the pod, and what is known of its value without holding it.

    :param name: of the Secret. :param size: bytes. :param env_objection: why it can't be a variable, if so.
    """

    name: str
    size: int
    env_objection: str | None


class Staging(Protocol):
    """Puts values beside pods. The injector itself can't read them back."""

    def staged(self, namespace: str, resolved: Resolved) -> Staged | None:
        """What is staged already, without any call. ``None`` where it isn't, or may not be any more."""

    async def stage(self, namespace: str, resolved: Resolved, read: Read) -> Staged:
        """Make it so; concurrent calls for one version share the work.

        :raises QuotaExceeded, Unavailable, Throttled: the cluster refused it.
        """


def describe_staged(name: str, version: SecretVersion) -> Staged:
    """The facts that decisions need of a value, so that it need not be kept."""
    return Staged(name, len(version.value), env_objection(version.value))


async def rehearse(resolved: Resolved, read: Read) -> Staged:
    """For a dry run: reads, discards, writes nothing; the name is a placeholder that no Secret has."""
    digest = hashlib.sha256(storage_name(resolved.ref).encode()).hexdigest()[:16]
    return describe_staged(f"{RESERVED}dry-run-{digest}", await read(resolved))
