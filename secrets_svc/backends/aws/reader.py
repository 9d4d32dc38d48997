"""The reader's side: metadata of many at once, and one value at a time."""

from __future__ import annotations

from collections.abc import Iterable

from secrets_svc.backends.aws import names
from secrets_svc.backends.aws.calls import Calls
from secrets_svc.backends.aws.deletion import absent
from secrets_svc.backends.aws.held import Held
from secrets_svc.backends.aws.history import target
from secrets_svc.backends.lookups import LookUps
from secrets_svc.core.errors import Changed, InvalidArgument, NotFound
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.secret import SecretRef


class AwsReader:
    """See :class:`secrets_svc.core.ports.SecretReader` and :class:`secrets_svc.core.abilities.ReadsVersions`.

    :param calls: with the reader's identity; closed with this. :param lookups: that are under way at once.
    """

    def __init__(self, calls: Calls, *, lookups: int) -> None:
        self._calls = calls
        self._look_ups = LookUps(lookups)

    def resolve(self, refs: Iterable[SecretRef]) -> dict[SecretRef, Resolved]:
        """See the port. Metadata only."""
        wanted = list(dict.fromkeys(refs))
        return {
            held.ref: _resolved(held) for held in self._look_ups.all(self._look, wanted) if held is not None
        }

    def _look(self, ref: SecretRef) -> Held | None:
        try:
            self._calls.name(ref)
        except InvalidArgument:
            return None  # what would be too long can't be there
        held = self._calls.look(ref)
        return held if held is not None and held.is_there else None

    def read(self, ref: SecretRef, token: str) -> SecretVersion:
        """See the port."""
        held = self._existing(ref)
        if held.current is None or token != held.token(held.current):
            raise _changed(ref)
        return self._read(held, held.current, names.CURRENT) or self._since(ref)

    def resolve_version(self, ref: SecretRef, version: str) -> Resolved:
        """See :class:`secrets_svc.core.abilities.ReadsVersions`. Metadata only."""
        held = self._existing(ref)
        return _resolved(held, target(self._calls, held, version))

    def read_version(self, ref: SecretRef, version: str) -> SecretVersion:
        """See :class:`secrets_svc.core.abilities.ReadsVersions`."""
        held = self._existing(ref)
        found = self._read(held, target(self._calls, held, version), None)
        if found is None:
            raise NotFound(f"that version of secret {ref} is no longer kept: AWS removes old ones")
        return found

    def close(self) -> None:
        """See the port."""
        self._look_ups.close()
        self._calls.close()

    def _existing(self, ref: SecretRef) -> Held:
        held = self._look(ref)
        if held is None:
            raise absent(ref)
        return held

    def _read(self, held: Held, version: str, stage: str | None) -> SecretVersion | None:
        found = self._calls.value(held.ref, version, stage)
        if found is None or found[0] != held.key:
            return None
        resolved = _resolved(held, version)
        return SecretVersion(held.ref, resolved.token, resolved.type, found[1])

    def _since(self, ref: SecretRef) -> SecretVersion:
        """For what was there, and then wasn't."""
        self._existing(ref)
        raise _changed(ref)


def _resolved(held: Held, version: str | None = None) -> Resolved:
    found = held.metadata() if version is None else held.as_written(version)
    return Resolved(held.ref, found.version, found.type, found.size)


def _changed(ref: SecretRef) -> Changed:
    return Changed(f"secret {ref} has changed since it was looked up: resolve it again")
