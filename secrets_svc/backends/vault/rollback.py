"""Going back where somebody has to read for it: with a third identity, which the operator allows."""

from __future__ import annotations

from collections.abc import Callable

from secrets_svc.backends.vault.kv import Kv
from secrets_svc.backends.vault.reader import VaultReader
from secrets_svc.backends.vault.writer import VaultWriter, check_actor
from secrets_svc.core.secret import SecretMetadata, SecretRef
from secrets_svc.core.value import SecretValue


class RollingVaultWriter(VaultWriter):
    """A :class:`VaultWriter` that has ``RollsBack`` beside.

    :param reader: with the third identity; closed with this. Values that it reads pass through this
        process's memory, and are written by the writer.
    """

    def __init__(self, kv: Kv, reader: VaultReader, *, close: Callable[[], None] = lambda: None) -> None:
        super().__init__(kv, close=close)
        self._reader = reader

    def rollback(
        self, ref: SecretRef, *, to: str, actor: str, operation_id: str, expected: str | None = None
    ) -> SecretMetadata:
        """See :class:`~secrets_svc.core.abilities.RollsBack`: a new version, with the value of ``to``."""
        check_actor(actor)
        operation = self._operations.claim(operation_id, "rollback", ref, expected=expected, to=to)

        def pick(before: SecretMetadata) -> SecretValue | None:
            return None if to == before.version else self._reader.read_version(ref, to).value

        return self._change(ref, pick, operation, actor=actor, expected=expected)

    def probe(self) -> None:
        """See :class:`secrets_svc.core.abilities.Probes`; the third identity too."""
        super().probe()
        self._reader.probe()

    def close(self) -> None:
        """See the port."""
        self._reader.close()
        super().close()
