"""A store in Vault with both sides, as tests use it."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Any

from secrets_svc.backends.vault.backend import VaultBackend
from secrets_svc.backends.vault.paths import BUCKET
from secrets_svc.backends.vault.settings import VaultSettings
from secrets_svc.core.ports import SecretReader, SecretWriter
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue


class Store:
    """A writer and a reader of one store, opened when they are used; patient, if nothing else is said."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = VaultSettings.model_validate({"timeout": 10.0, **settings})
        self.backend = VaultBackend()
        self.prefix = self.settings.prefix
        self._opened: list[SecretWriter | SecretReader] = []
        self._writer: Any = None
        self._reader: Any = None

    @property
    def writer(self) -> Any:
        if self._writer is None:
            self._writer = self.backend.open_writer(self.settings, state=Path("/nowhere"))
            self._opened.append(self._writer)
        return self._writer

    @property
    def reader(self) -> Any:
        if self._reader is None:
            self._reader = self.backend.open_reader(self.settings, state=Path("/nowhere"))
            self._opened.append(self._reader)
        return self._reader

    def create(self, ref: SecretRef, value: bytes = b"value") -> SecretMetadata:
        made: SecretMetadata = self.writer.create(
            ref, SecretValue(value), SecretType.GENERIC, actor="ann", operation_id=secrets.token_hex(8)
        )
        return made

    def update(self, ref: SecretRef, value: bytes, **more: Any) -> SecretMetadata:
        made: SecretMetadata = self.writer.update(
            ref, SecretValue(value), actor="bob", operation_id=secrets.token_hex(8), **more
        )
        return made

    def delete(self, ref: SecretRef) -> None:
        self.writer.delete(ref, actor="ann", operation_id=secrets.token_hex(8))

    def get(self, ref: SecretRef) -> bytes:
        token = self.reader.resolve([ref])[ref].token
        value: bytes = self.reader.read(ref, token).value.reveal_bytes()
        return value

    def steady(self) -> None:
        """Have the writer take it for the middle of the time that one folder of operations is for: its number
        of calls depends on that.
        """
        middle = (time.time() // BUCKET + 0.5) * BUCKET
        self.writer._operations._clock = lambda: middle

    def close(self) -> None:
        for each in self._opened:
            each.close()
