"""Asking a store whether it has what is needed: as it can say itself, else by a look at what isn't there."""

from __future__ import annotations

from contextlib import suppress

from secrets_svc.core.abilities import Probes
from secrets_svc.core.errors import NotFound
from secrets_svc.core.ports import SecretReader, SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef

#: Nobody's secret: a look at it takes credentials, rights and the server, and finds nothing.
NOBODYS = SecretRef(Scope("probe"), "probe-of-the-start")


def probe_writer(writer: SecretWriter) -> None:
    """See :meth:`secrets_svc.core.abilities.Probes.probe`."""
    if isinstance(writer, Probes):
        writer.probe()
        return
    with suppress(NotFound):
        writer.describe(NOBODYS)


def probe_reader(reader: SecretReader) -> None:
    """See :meth:`secrets_svc.core.abilities.Probes.probe`."""
    if isinstance(reader, Probes):
        reader.probe()
    else:
        reader.resolve([NOBODYS])
