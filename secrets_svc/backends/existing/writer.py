"""The writer of existing secrets, which writes nothing: it sees what is there."""

from __future__ import annotations

from typing import NoReturn

from secrets_svc.backends.existing.places import Found, Places
from secrets_svc.backends.lookups import LookUps
from secrets_svc.core.abilities import probe
from secrets_svc.core.errors import InvalidArgument, NotFound, Unsupported
from secrets_svc.core.ports import Fits, Page
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.templates import PathTemplate
from secrets_svc.core.value import SecretValue

_OUTSIDE = "somebody (outside this service)"
_MAX_CURSOR = 4096


class ExistingWriter:
    """See :class:`secrets_svc.core.ports.SecretWriter`, and ``RefusesWrites`` beside it.

    :param places: with the writer's identity, which needn't be able to read values; closed with this.
    :param lookups: that are under way at once.
    """

    def __init__(self, places: Places, template: PathTemplate, *, lookups: int) -> None:
        self._places = places
        self._template = template
        self._look_ups = LookUps(lookups)

    def refuse_write(self, ref: SecretRef) -> NoReturn:
        """See :class:`secrets_svc.core.abilities.RefusesWrites`."""
        raise Unsupported(
            f"secret {ref} would be in a store of existing secrets, which are only read here: write it where "
            "it lies"
        )

    def create(
        self, ref: SecretRef, value: SecretValue, type: SecretType, *, actor: str, operation_id: str
    ) -> SecretMetadata:
        """See :meth:`refuse_write`."""
        del value, type, actor, operation_id
        self.refuse_write(ref)

    def update(
        self,
        ref: SecretRef,
        value: SecretValue,
        *,
        actor: str,
        operation_id: str,
        expected: str | None = None,
        fits: Fits | None = None,
    ) -> SecretMetadata:
        """See :meth:`refuse_write`."""
        del value, actor, operation_id, expected, fits
        self.refuse_write(ref)

    def delete(self, ref: SecretRef, *, actor: str, operation_id: str) -> None:
        """See :meth:`refuse_write`."""
        del actor, operation_id
        self.refuse_write(ref)

    def describe(self, ref: SecretRef) -> SecretMetadata:
        """See the port."""
        path = self._template.path_of(ref)
        found = None if path is None else self._places.look(path)
        if found is None:
            raise NotFound(f"there is no secret {ref}")
        return _metadata(ref, found)

    def _behind(self, after: str, within: Scope, *, exact: bool) -> dict[str, tuple[SecretRef, Found | None]]:
        found = {}
        for path, known in self._places.listed(self._template, within):
            ref = self._template.ref_of(path, within.organization)
            if ref is None or path <= after:
                continue
            if ref.scope == within if exact else within.covers(ref.scope):
                found[path] = (ref, known)
        return found

    def _there(
        self, found: dict[str, tuple[SecretRef, Found | None]], wanted: int
    ) -> list[tuple[str, tuple[SecretRef, Found]]]:
        """The first ``wanted`` of them, in order; those that the list doesn't tell of are looked up."""
        there: list[tuple[str, tuple[SecretRef, Found]]] = []
        paths = sorted(found)
        for start in range(0, len(paths), wanted):
            some = paths[start : start + wanted]
            for path, each in zip(
                some, self._look_ups.all(lambda p: self._known(p, found), some), strict=True
            ):
                if each is not None:
                    there.append((path, (found[path][0], each)))
            if len(there) >= wanted:
                break
        return there

    def _known(self, path: str, found: dict[str, tuple[SecretRef, Found | None]]) -> Found | None:
        return found[path][1] or self._places.look(path)

    def _position(self, cursor: str | None, within: Scope) -> str:
        if cursor is None:
            return ""
        try:
            path = bytes.fromhex(cursor).decode("ascii") if len(cursor) <= _MAX_CURSOR else ""
        except ValueError:
            path = ""
        if self._template.ref_of(path, within.organization) is None or path.encode().hex() != cursor:
            raise InvalidArgument("cursor is not valid: give back the one of the page before")
        return path

    def list(
        self, within: Scope, *, exact: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[SecretMetadata]:
        """See the port. In the order of paths; each page as things are when it is asked for."""
        if not 1 <= limit <= 1000:
            raise InvalidArgument("limit is not valid: 1 to 1000")
        after = self._position(cursor, within)
        found = self._behind(after, within, exact=exact)
        items: list[SecretMetadata] = []
        last = ""
        for path, (ref, metadata) in self._there(found, limit + 1):
            if len(items) == limit:
                return Page(tuple(items), last.encode().hex())
            items.append(_metadata(ref, metadata))
            last = path
        return Page(tuple(items))

    def probe(self) -> None:
        """See :class:`secrets_svc.core.abilities.Probes`."""
        probe(self._places)

    def close(self) -> None:
        """See the port."""
        self._look_ups.close()
        self._places.close()


def _metadata(ref: SecretRef, found: Found) -> SecretMetadata:
    return SecretMetadata(
        ref=ref,
        type=SecretType.GENERIC,
        version=found.token,
        created_at=found.created_at,
        updated_at=found.updated_at,
        created_by=_OUTSIDE,
        updated_by=_OUTSIDE,
        read_only=True,
    )
