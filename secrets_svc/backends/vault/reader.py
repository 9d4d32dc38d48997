"""The reader's side: what is there by names of keys, and one value at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from secrets_svc.backends.lookups import LookUps
from secrets_svc.backends.vault.documents import Held, read_document
from secrets_svc.backends.vault.kv import Kv
from secrets_svc.core.errors import Changed, InvalidArgument, NotFound
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.secret import SecretRef


class VaultReader:
    """See :class:`secrets_svc.core.ports.SecretReader`, and ``ReadsVersions`` and ``Probes`` beside it.

    :param kv: with the reader's identity. :param lookups: that are under way at once.
    """

    def __init__(self, kv: Kv, *, lookups: int, close: Callable[[], None] = lambda: None) -> None:
        self._kv = kv
        self._look_ups = LookUps(lookups)
        self._close = close

    def resolve(self, refs: Iterable[SecretRef]) -> dict[SecretRef, Resolved]:
        """See the port. Names of keys only."""
        wanted = [ref for ref in dict.fromkeys(refs) if _fits(ref)]
        found = zip(wanted, self._look_ups.all(self._look, wanted), strict=True)
        return {ref: _resolved(ref, each) for ref, each in found if each is not None and each.is_there}

    def _look(self, ref: SecretRef) -> Held | None:
        return self._kv.look(self._kv.paths.secret(ref))

    def read(self, ref: SecretRef, token: str) -> SecretVersion:
        """See the port."""
        found = self._read(ref, None)
        if found.token != token:
            raise Changed(f"secret {ref} has changed since it was looked up: resolve it again")
        return found

    def resolve_version(self, ref: SecretRef, version: str) -> Resolved:
        """See :class:`~secrets_svc.core.abilities.ReadsVersions`."""
        current = self._look(ref)
        if current is None or not current.is_there:
            raise NotFound(f"there is no secret {ref}")
        number = _number(version)
        if number is None or not current.first <= number <= current.version.number:
            raise _no_version(ref)
        found = current if number == current.version.number else self._kv.look(self._path(ref), number)
        if found is None or not found.is_there or found.version.token != version:
            raise _no_version(ref)
        return _resolved(ref, found)

    def read_version(self, ref: SecretRef, version: str) -> SecretVersion:
        """See :class:`~secrets_svc.core.abilities.ReadsVersions`."""
        resolved = self.resolve_version(ref, version)
        found = self._read(ref, _number(version))
        if found.token != resolved.token:
            raise _no_version(ref)
        return found

    def _read(self, ref: SecretRef, number: int | None) -> SecretVersion:
        data = self._kv.read(self._path(ref), number)
        if data is not None:
            found, value = read_document(data, ref)
            if found.is_there:
                metadata = found.metadata(ref)
                return SecretVersion(ref, found.version.token, metadata.type, value)
        raise NotFound(f"there is no secret {ref}")

    def _path(self, ref: SecretRef) -> str:
        return self._kv.paths.secret(ref)

    def probe(self) -> None:
        """See :class:`secrets_svc.core.abilities.Probes`."""
        self._kv.probe()

    def close(self) -> None:
        """See the port."""
        self._look_ups.close()
        self._close()


def _resolved(ref: SecretRef, found: Held) -> Resolved:
    metadata = found.metadata(ref)
    return Resolved(ref, metadata.version, metadata.type, metadata.size)


def _number(version: str) -> int | None:
    text = version.partition("-")[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _no_version(ref: SecretRef) -> NotFound:
    return NotFound(f"secret {ref} has no such version, or its value is no longer kept")


def _fits(ref: SecretRef) -> bool:
    """A reference whose storage name would be too long can't be there."""
    try:
        storage_name(ref)
    except InvalidArgument:
        return False
    return True
