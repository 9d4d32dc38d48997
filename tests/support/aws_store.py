"""A store on moto's server, for tests that look behind it."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from moto_server import REGION, Moto

from secrets_svc.backends.aws import BACKEND
from secrets_svc.backends.aws.operations import Register
from secrets_svc.backends.aws.reader import AwsReader
from secrets_svc.backends.aws.writer import AwsWriter
from secrets_svc.core.naming import storage_name
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

ACTOR = "alice"


def some_ref(name: str = "db-password") -> SecretRef:
    """A reference that no other test uses."""
    return SecretRef(Scope(f"u{secrets.token_hex(6)}", "production", "shop"), name)


def intent() -> str:
    """A new operation id."""
    return secrets.token_hex(16)


class Store:
    """Writers and readers of one store, and an administrator's view of it.

    :param url: where writers and readers go; the administrator goes to moto itself.
    :param settings: others than those for tests, which are more patient than a store is by itself.
    """

    def __init__(self, moto: Moto, state: Path, url: str | None = None, **settings: Any) -> None:
        given = {"region": REGION, "endpoint_url": url or moto.url, "timeout": 10.0, **settings}
        self.settings = BACKEND.settings_model(**given)
        self.admin = moto.client("secretsmanager")
        self._state = state
        self._opened = ExitStack()
        self._writer: AwsWriter | None = None
        self._reader: AwsReader | None = None

    def writer(self, **settings: Any) -> AwsWriter:
        """The one of this store; another one where it gets other settings."""
        if settings:
            return self._kept(BACKEND.open_writer(self._with(settings), state=self._state))
        if self._writer is None:
            self._writer = self._kept(BACKEND.open_writer(self.settings, state=self._state))
        return self._writer

    def new_process(self) -> AwsWriter:
        """One that shares no memory with the others, only connections."""
        days = self.settings.recovery_window_days
        return AwsWriter(self.writer()._calls, Register(), prefix=self.settings.prefix, days=days)

    def reader(self, **settings: Any) -> AwsReader:
        """The one of this store; another one where it gets other settings."""
        if settings:
            return self._kept(BACKEND.open_reader(self._with(settings), state=self._state))
        if self._reader is None:
            self._reader = self._kept(BACKEND.open_reader(self.settings, state=self._state))
        return self._reader

    def _with(self, settings: dict[str, Any]) -> Any:
        return type(self.settings)(**{**self.settings.model_dump(exclude_unset=True), **settings})

    def _kept(self, opened: Any) -> Any:
        self._opened.callback(opened.close)
        return opened

    def write_outside(self, ref: SecretRef, text: str) -> str:
        """As AWS's console would: a new current version. moto loses count if it is told in one call."""
        found = self.described(ref)["VersionIdsToStages"]
        [current] = [version for version, labels in found.items() if "AWSCURRENT" in labels]
        name = self.name(ref)
        put = self.admin.put_secret_value(SecretId=name, SecretString=text, VersionStages=["console"])
        made = str(put["VersionId"])
        stage = {"SecretId": name, "RemoveFromVersionId": current, "MoveToVersionId": made}
        self.admin.update_secret_version_stage(**stage, VersionStage="AWSCURRENT")
        self.admin.update_secret_version_stage(
            SecretId=name, RemoveFromVersionId=made, VersionStage="console"
        )
        return made

    def name(self, ref: SecretRef) -> str:
        """Of the secret in AWS."""
        return f"{self.settings.prefix}{storage_name(ref)}"

    def described(self, ref: SecretRef) -> dict[str, Any]:
        """As AWS shows it."""
        found: dict[str, Any] = self.admin.describe_secret(SecretId=self.name(ref))
        return found

    def value(self, ref: SecretRef, stage: str = "AWSCURRENT") -> str | bytes:
        """As Flyte's reader asks for it."""
        found = self.admin.get_secret_value(SecretId=self.name(ref), VersionStage=stage)
        got: str | bytes = found.get("SecretString", found.get("SecretBinary"))
        return got

    def labels(self, ref: SecretRef) -> list[str]:
        """All staging labels of all versions."""
        return [label for labels in self.described(ref)["VersionIdsToStages"].values() for label in labels]

    def close(self) -> None:
        """All that was opened."""
        self._opened.close()
        self.admin.close()


def create(
    writer: AwsWriter, ref: SecretRef, data: bytes = b"value", type: SecretType = SecretType.GENERIC
) -> SecretMetadata:
    """As an intent of its own."""
    return writer.create(ref, SecretValue(data), type, actor=ACTOR, operation_id=intent())


def update(writer: AwsWriter, ref: SecretRef, data: bytes, expected: str | None = None) -> SecretMetadata:
    """As an intent of its own."""
    return writer.update(ref, SecretValue(data), actor=ACTOR, operation_id=intent(), expected=expected)


def delete(writer: AwsWriter, ref: SecretRef) -> None:
    """As an intent of its own."""
    writer.delete(ref, actor=ACTOR, operation_id=intent())


def read(reader: AwsReader, ref: SecretRef) -> bytes:
    """The current value."""
    return reader.read(ref, reader.resolve([ref])[ref].token).value.reveal_bytes()
