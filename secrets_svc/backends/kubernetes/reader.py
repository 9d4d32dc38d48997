"""The reader's side: metadata of many at once, and one value at a time."""

from __future__ import annotations

from collections.abc import Iterable

from secrets_svc.backends.kubernetes.names import object_name
from secrets_svc.backends.kubernetes.namespace import SECRETS, Namespace
from secrets_svc.backends.kubernetes.objects import Held, earlier_value_of, held, is_strangers, value_of
from secrets_svc.backends.lookups import LookUps
from secrets_svc.core.errors import Changed, InvalidArgument, NotFound
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.secret import SecretRef
from secrets_svc.kube.api import JSON, METADATA, Object


class KubernetesReader:
    """See :class:`secrets_svc.core.ports.SecretReader`, and ``ReadsVersions`` beside it.

    :param namespace: where the secrets are; closed with this. :param lookups: that are under way at once.
    """

    def __init__(self, namespace: Namespace, *, lookups: int) -> None:
        self._namespace = namespace
        self._look_ups = LookUps(lookups)

    def resolve(self, refs: Iterable[SecretRef]) -> dict[SecretRef, Resolved]:
        """See the port. Metadata only."""
        wanted = _by_storage_name(refs)
        found: dict[SecretRef, Resolved] = {}
        for name, each in zip(wanted, self._look_ups.all(self._look, list(wanted)), strict=True):
            if each is not None:
                metadata = each.metadata
                ref = wanted[name]
                found[ref] = Resolved(ref, metadata.version, metadata.type, metadata.size)
        if len(found) < len(wanted):
            # Afterwards: only then does it say something about what was not there.
            self._namespace.check()
        return found

    def _look(self, name: str) -> Held | None:
        object_ = self._namespace.find(SECRETS, object_name(name), accept=METADATA)
        return _standing(object_, name)

    def read(self, ref: SecretRef, token: str) -> SecretVersion:
        """See the port."""
        object_, found = self._existing(ref, JSON)
        metadata = found.metadata
        if metadata.version != token:
            raise Changed(f"secret {ref} has changed since it was looked up: resolve it again")
        return SecretVersion(ref, token, metadata.type, value_of(object_, storage_name(ref)))

    def resolve_version(self, ref: SecretRef, version: str) -> Resolved:
        """See :class:`~secrets_svc.core.abilities.ReadsVersions`. Metadata only."""
        _, found = self._existing(ref, METADATA)
        metadata = found.metadata
        if version == metadata.version:
            return Resolved(ref, version, metadata.type, metadata.size)
        for note in found.earlier:
            if version == note.version:
                return Resolved(ref, version, metadata.type, note.size)
        raise _no_version(ref)

    def read_version(self, ref: SecretRef, version: str) -> SecretVersion:
        """See :class:`~secrets_svc.core.abilities.ReadsVersions`."""
        object_, found = self._existing(ref, JSON)
        name = storage_name(ref)
        if version == found.metadata.version:
            return SecretVersion(ref, version, found.metadata.type, value_of(object_, name))
        value = None
        if version in {note.version for note in found.earlier}:
            value = earlier_value_of(object_, name, version)
        if value is None:
            raise _no_version(ref)
        return SecretVersion(ref, version, found.metadata.type, value)

    def _existing(self, ref: SecretRef, accept: str) -> tuple[Object, Held]:
        name = storage_name(ref)
        object_ = self._namespace.find(SECRETS, object_name(name), accept=accept)
        found = _standing(object_, name)
        if object_ is None or found is None:
            self._namespace.check()
            raise NotFound(f"there is no secret {ref}")
        return object_, found

    def close(self) -> None:
        """See the port."""
        self._look_ups.close()
        self._namespace.close()


def _standing(object_: Object | None, name: str) -> Held | None:
    """``None``: there is no secret, though there may be an object that somebody else made, or that goes."""
    if object_ is None or is_strangers(object_, name):
        return None
    found = held(object_, name)
    return None if found.terminating else found


def _no_version(ref: SecretRef) -> NotFound:
    return NotFound(f"secret {ref} has no such version, or its value is no longer kept")


def _by_storage_name(refs: Iterable[SecretRef]) -> dict[str, SecretRef]:
    """A reference whose storage name would be too long can't be there: it is left out."""
    named: dict[str, SecretRef] = {}
    for ref in refs:
        try:
            named[storage_name(ref)] = ref
        except InvalidArgument:
            continue
    return named
