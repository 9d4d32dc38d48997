"""The reader of existing secrets."""

from __future__ import annotations

from collections.abc import Iterable

from secrets_svc.backends.existing.places import Places
from secrets_svc.backends.lookups import LookUps
from secrets_svc.core.abilities import probe
from secrets_svc.core.errors import Changed, InvalidArgument, NotFound
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.templates import PathTemplate


class ExistingReader:
    """See :class:`secrets_svc.core.ports.SecretReader`, and ``ReadsFields`` beside it.

    :param places: with the reader's identity; closed with this. :param lookups: that are under way at once.
    """

    def __init__(self, places: Places, template: PathTemplate, *, lookups: int) -> None:
        self._places = places
        self._template = template
        self._look_ups = LookUps(lookups)

    def resolve(self, refs: Iterable[SecretRef]) -> dict[SecretRef, Resolved]:
        """See the port. Metadata only."""
        paths = {ref: self._template.path_of(ref) for ref in refs}
        wanted = [(ref, path) for ref, path in paths.items() if path is not None]
        found = self._look_ups.all(self._places.look, [path for _, path in wanted])
        return {
            ref: Resolved(ref, each.token, SecretType.GENERIC)
            for (ref, _), each in zip(wanted, found, strict=True)
            if each is not None
        }

    def read(self, ref: SecretRef, token: str) -> SecretVersion:
        """See the port."""
        return self._read(ref, token, self._template.field)

    def read_field(self, ref: SecretRef, token: str, field: str) -> SecretVersion:
        """See :class:`secrets_svc.core.abilities.ReadsFields`."""
        if self._template.field is not None:
            raise InvalidArgument(
                f'secret {ref}: its store\'s settings say which field is read: leave "field" out'
            )
        return self._read(ref, token, field)

    def _read(self, ref: SecretRef, token: str, field: str | None) -> SecretVersion:
        path = self._template.path_of(ref)
        found = None if path is None else self._places.read(path)
        if found is None:
            raise NotFound(f"there is no secret {ref}")
        current, document = found
        if current != token:
            raise Changed(f"secret {ref} has changed since it was looked up: resolve it again")
        try:
            value = document.whole() if field is None else document.field(field)
        except InvalidArgument as error:
            raise InvalidArgument(f"secret {ref}: {error.message}") from None
        return SecretVersion(ref, token, SecretType.GENERIC, value)

    def probe(self) -> None:
        """See :class:`secrets_svc.core.abilities.Probes`."""
        probe(self._places)

    def close(self) -> None:
        """See the port."""
        self._look_ups.close()
        self._places.close()
