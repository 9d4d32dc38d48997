"""What the entry point leads to."""

from __future__ import annotations

from pathlib import Path

from secrets_svc.backends.local.backup import backup
from secrets_svc.backends.local.databases import open_database, set_up
from secrets_svc.backends.local.earlier import KEPT
from secrets_svc.backends.local.reader import LocalReader
from secrets_svc.backends.local.restore import restore
from secrets_svc.backends.local.rotation import rotate
from secrets_svc.backends.local.settings import LocalSettings
from secrets_svc.backends.local.writer import MAX_VALUE, LocalWriter
from secrets_svc.core.maintenance import BackupReport, Progress, RestoreReport, RotationReport
from secrets_svc.core.ports import Backend, Capabilities


class LocalBackend:
    """See :class:`secrets_svc.core.ports.Backend`."""

    name = "local"
    summary = "Encrypted SQLite file on this machine, for laptops and single servers."
    capabilities = Capabilities(max_value=MAX_VALUE, inline=True, versions=KEPT, rollback=True)
    settings_model = LocalSettings

    def open_writer(self, settings: LocalSettings, *, state: Path) -> LocalWriter:
        """Holds the key that signs and the one that seals; makes the store if there is none."""
        set_up(state)
        return LocalWriter(open_database(state, readonly=False, busy_timeout=settings.busy_timeout))

    def open_reader(self, settings: LocalSettings, *, state: Path) -> LocalReader:
        """Holds the key that opens, on a read-only connection; makes nothing."""
        return LocalReader(open_database(state, readonly=True, busy_timeout=settings.busy_timeout))

    def rotate_keys(
        self, settings: LocalSettings, *, state: Path, progress: Progress | None = None
    ) -> RotationReport:
        """See :class:`secrets_svc.core.maintenance.Maintainable`."""
        del settings
        return rotate(state, progress=progress)

    def backup(self, settings: LocalSettings, *, state: Path, target: Path) -> BackupReport:
        """See :class:`secrets_svc.core.maintenance.Maintainable`."""
        del settings
        return backup(state, target)

    def restore(self, source: Path, *, state: Path) -> RestoreReport:
        """See :class:`secrets_svc.core.maintenance.Maintainable`."""
        return restore(source, state)


BACKEND: Backend = LocalBackend()
