"""The staging port: a value becomes a Secret beside the pod, once per namespace and version (§7)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from injector.keys import DATA_KEY, PULL_DATA_KEY, RESERVED
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.secret import SecretType
from secrets_svc.data.limits import docker_config_objection, env_objection

#: Reads exactly the version that was resolved. Raises ``Changed``, ``NotFound``, or what the store raises.
Read = Callable[[Resolved], Awaitable[SecretVersion]]


@dataclass(frozen=True, slots=True)
class ValueFacts:
    """What decisions need to know of a value, so that it need not be kept.

    :param size: bytes. :param env_objection: why it can't be a variable, if so.
    :param objection: why it isn't what its type says, if so.
    """

    size: int
    env_objection: str | None
    objection: str | None = None

    @classmethod
    def of(cls, version: SecretVersion, resolved: Resolved) -> ValueFacts:
        """Of the value in ``version``, which was read for ``resolved``."""
        value = version.value
        objection = docker_config_objection(value) if is_pull_secret(resolved) else None
        return cls(len(value), env_objection(value), objection)


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """A Secret beside the pod. One object stands for it as long as it is known.

    :param name: of the Secret. :param resolved: what it holds the value of.
    """

    name: str
    resolved: Resolved
    facts: ValueFacts

    @property
    def is_pull_secret(self) -> bool:
        """Whether images can be pulled with it."""
        return is_pull_secret(self.resolved)

    @property
    def data_key(self) -> str:
        """The one key in it."""
        return data_key(self.resolved)


def is_pull_secret(resolved: Resolved) -> bool:
    """Whether it is staged as what images are pulled with: one field of such a value is no such thing."""
    return resolved.type is SecretType.IMAGE_PULL and resolved.field is None


def data_key(resolved: Resolved) -> str:
    """The one key that it has in its staged Secret."""
    return PULL_DATA_KEY if is_pull_secret(resolved) else DATA_KEY


class Staging(Protocol):
    """Puts values beside pods. The injector itself can't read them back."""

    def staged(self, namespace: str, resolved: Resolved) -> Staged | None:
        """What is staged already, without any call. ``None`` where it isn't, or may not be any more."""

    async def stage(self, namespace: str, resolved: Resolved, read: Read) -> Staged:
        """Make it so; concurrent calls for one version share the work.

        :raises QuotaExceeded, Unavailable, Throttled: the cluster refused it.
        """


async def rehearse(resolved: Resolved, read: Read) -> Staged:
    """For a dry run: reads, discards, writes nothing; the name is a placeholder that no Secret has."""
    digest = hashlib.sha256(storage_name(resolved.ref).encode()).hexdigest()[:16]
    facts = ValueFacts.of(await read(resolved), resolved)
    return Staged(f"{RESERVED}dry-run-{digest}", resolved, facts)
