"""What the entry point leads to."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path

from secrets_svc.backends.aws.api import Api
from secrets_svc.backends.aws.calls import Calls
from secrets_svc.backends.aws.existing import AwsPlaces
from secrets_svc.backends.aws.identity import Identity
from secrets_svc.backends.aws.operations import Register
from secrets_svc.backends.aws.policy import policy
from secrets_svc.backends.aws.reader import AwsReader
from secrets_svc.backends.aws.settings import AwsSettings, Way
from secrets_svc.backends.aws.values import MAX_VALUE
from secrets_svc.backends.aws.writer import AwsWriter
from secrets_svc.backends.existing.reader import ExistingReader
from secrets_svc.backends.existing.writer import ExistingWriter
from secrets_svc.core.ports import Backend, Capabilities, SecretReader, SecretWriter
from secrets_svc.core.templates import PathTemplate

# It is imported when a store is opened, since that takes long; that it is missing is to be known now.
for _module in ("boto3", "botocore"):
    if find_spec(_module) is None:
        raise ModuleNotFoundError(f"No module named {_module!r}", name=_module)

#: Connections that are kept beside those of the reader's look-ups: for callers with threads of their own.
_CALLERS = 48


class AwsBackend:
    """See :class:`secrets_svc.core.ports.Backend`. Nothing is asked of AWS until it is needed."""

    name = "aws"
    summary = "AWS Secrets Manager, as Flyte's own reader looks there."
    capabilities = Capabilities(
        max_value=MAX_VALUE,
        empty_value=False,
        separate_identities=True,
        consistency="eventual",
        versions=100,
        rollback=True,
        recovery="7 to 30 days",
    )
    settings_model = AwsSettings

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._registers: dict[tuple[Path, str, str | None, str], Register] = {}

    def open_writer(self, settings: AwsSettings, *, state: Path) -> SecretWriter:
        """With the writer's identity. Nothing lies in the state folder."""
        if settings.existing is not None:
            places = _places(settings, settings.writer_way())
            return ExistingWriter(places, PathTemplate(settings.existing), lookups=settings.lookups)
        identity = _identity(settings, settings.writer_way(), _CALLERS)
        key = (state.absolute(), identity.region, settings.endpoint_url, settings.prefix)
        with self._lock:
            register = self._registers.setdefault(key, Register())
        calls = Calls(
            Api(identity.client), prefix=settings.prefix, kms_key=settings.kms_key, tags=settings.tags
        )
        return AwsWriter(calls, register, prefix=settings.prefix, days=settings.recovery_window_days)

    def open_reader(self, settings: AwsSettings, *, state: Path) -> SecretReader:
        """With the reader's identity."""
        del state
        if settings.existing is not None:
            places = _places(settings, settings.reader_way())
            return ExistingReader(places, PathTemplate(settings.existing), lookups=settings.lookups)
        identity = _identity(settings, settings.reader_way(), _CALLERS + settings.lookups)
        return AwsReader(Calls(Api(identity.client), prefix=settings.prefix), lookups=settings.lookups)

    def policy(self, settings: AwsSettings, *, role: str, account: str = "*") -> str:
        """See :func:`.policy.policy`."""
        return policy(settings, role=role, account=account)


def _places(settings: AwsSettings, way: Way) -> AwsPlaces:
    return AwsPlaces(Api(_identity(settings, way, _CALLERS + settings.lookups).client))


def _identity(settings: AwsSettings, way: Way, connections: int) -> Identity:
    return Identity(way, timeout=settings.timeout, connections=connections)


BACKEND: Backend = AwsBackend()
