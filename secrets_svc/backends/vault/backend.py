"""What the entry point leads to."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from secrets_svc.backends.vault.limits import MAX_VALUE
from secrets_svc.backends.vault.policy import policy
from secrets_svc.backends.vault.settings import Identity, VaultSettings
from secrets_svc.core.ports import Backend, Capabilities, SecretReader, SecretWriter

if TYPE_CHECKING:
    from secrets_svc.backends.vault.kv import Kv

# It is imported when it is needed, since that takes long; that it is missing is to be known now.
if find_spec("hvac") is None:
    raise ModuleNotFoundError("No module named 'hvac'", name="hvac")


class VaultBackend:
    """See :class:`secrets_svc.core.ports.Backend`. Nothing is asked of the server until it is needed."""

    name = "vault"
    summary = "A KV engine (version 2) of HashiCorp Vault or OpenBao."
    capabilities = Capabilities(
        max_value=MAX_VALUE,
        separate_identities=True,
        versions=10,
        recovery="until it is created again: `vault kv undelete`, then `vault kv rollback`",
    )
    settings_model = VaultSettings

    def open_writer(self, settings: VaultSettings, *, state: Path) -> SecretWriter:
        """With the writer's identity. Nothing lies in the state folder."""
        from secrets_svc.backends.vault.existing import existing_writer
        from secrets_svc.backends.vault.reader import VaultReader
        from secrets_svc.backends.vault.rollback import RollingVaultWriter
        from secrets_svc.backends.vault.writer import VaultWriter

        del state
        kv, close = _kv(settings, settings.writer_identity())
        if settings.existing is not None:
            return existing_writer(kv, settings.existing, lookups=settings.lookups, close=close)
        if settings.rollback is not None:
            third, close_third = _kv(settings, settings.rollback.identity())
            reader = VaultReader(third, lookups=1, close=close_third)
            return RollingVaultWriter(kv, reader, close=close)
        return VaultWriter(kv, close=close)

    def open_reader(self, settings: VaultSettings, *, state: Path) -> SecretReader:
        """With the reader's identity. Nothing lies in the state folder."""
        from secrets_svc.backends.vault.existing import existing_reader
        from secrets_svc.backends.vault.reader import VaultReader

        del state
        kv, close = _kv(settings, settings.reader_identity())
        if settings.existing is not None:
            return existing_reader(kv, settings.existing, lookups=settings.lookups, close=close)
        return VaultReader(kv, lookups=settings.lookups, close=close)

    def policy(self, settings: VaultSettings, *, role: str) -> str:
        """The least policy of that role; see :func:`secrets_svc.backends.vault.policy.policy`."""
        return policy(settings, role)


def _kv(settings: VaultSettings, identity: Identity) -> tuple[Kv, Callable[[], None]]:
    from secrets_svc.backends.vault.kv import Kv
    from secrets_svc.backends.vault.paths import Paths
    from secrets_svc.backends.vault.server import HttpChannel
    from secrets_svc.backends.vault.sessions import Session

    channel = HttpChannel(settings, identity)
    # Where secrets exist already, their template stands for the folder in messages.
    paths = Paths(settings.mount, settings.existing or settings.prefix)
    return Kv(Session(settings, identity, channel), paths), channel.close


BACKEND: Backend = VaultBackend()
