"""Documents that are in the mount already."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from secrets_svc.backends.existing.places import Document, Found, JsonDocument
from secrets_svc.backends.existing.reader import ExistingReader
from secrets_svc.backends.existing.writer import ExistingWriter
from secrets_svc.backends.vault.documents import version_of
from secrets_svc.backends.vault.kv import Kv
from secrets_svc.core.scope import Scope
from secrets_svc.core.templates import PathTemplate


class VaultPlaces:
    """See :class:`secrets_svc.backends.existing.places.Places`.

    :param close: lets go of connections.
    """

    def __init__(self, kv: Kv, *, close: Callable[[], None]) -> None:
        self._kv = kv
        self.close = close

    def probe(self) -> None:
        """See :class:`secrets_svc.core.abilities.Probes`."""
        self._kv.probe_engine()

    def look(self, path: str) -> Found | None:
        """See the port."""
        versions = self._kv.versions(path)
        if not versions or versions[-1].gone:
            return None
        return Found(versions[-1].token, versions[0].at, versions[-1].at)

    def read(self, path: str) -> tuple[str, Document] | None:
        """See the port."""
        answer = self._kv.read(path)
        document = None if answer is None else answer.get("data")
        if answer is None or not isinstance(document, Mapping):
            return None
        return version_of(answer.get("metadata")).token, JsonDocument(document)

    def listed(self, template: PathTemplate, within: Scope) -> Iterator[tuple[str, Found | None]]:
        """See the port. Folder by folder; what is there is left to be looked up."""
        return ((path, None) for path in self._below("", template.narrowed(within)))

    def _below(self, folder: str, segments: Sequence[str | re.Pattern[str]]) -> Iterator[str]:
        head, *rest = segments
        names = [head + "/" * bool(rest)] if isinstance(head, str) else self._names(folder, head)
        for name in names:
            if name.endswith("/") != bool(rest):
                continue
            if rest:
                yield from self._below(folder + name, rest)
            else:
                yield folder + name

    def _names(self, folder: str, form: re.Pattern[str]) -> list[str]:
        names = self._kv.list(folder.removesuffix("/"))
        return [name for name in names if form.fullmatch(name.removesuffix("/"))]


def existing_reader(kv: Kv, template: str, *, lookups: int, close: Callable[[], None]) -> ExistingReader:
    """With the reader's identity."""
    return ExistingReader(VaultPlaces(kv, close=close), PathTemplate(template), lookups=lookups)


def existing_writer(kv: Kv, template: str, *, lookups: int, close: Callable[[], None]) -> ExistingWriter:
    """With the writer's identity."""
    return ExistingWriter(VaultPlaces(kv, close=close), PathTemplate(template), lookups=lookups)
