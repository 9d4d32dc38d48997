"""Reads for a task of this machine, as a pod of its scope would get it, and records that."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from cli.errors import from_refusal
from injector.local_task import TaskRequest, TaskSecrets, gather_secrets
from injector.refusals import Refused
from secrets_svc.core.audit import AuditSecret
from secrets_svc.core.errors import NotFound
from secrets_svc.core.scope import Scope
from secrets_svc.runtime.laptop import open_laptop
from secrets_svc.runtime.settings_source import load_settings


def read_task(
    state: Path,
    task: TaskRequest,
    scope: Scope,
    settings_file: Path | None = None,
    *,
    needed: frozenset[str] = frozenset(),
) -> TaskSecrets:
    """What ``task`` asks for in ``scope``, from the state folder or from the stores of a settings file.

    :param needed: names without which the task won't run, though the request calls them optional: that some
        are absent is then what is recorded.
    :raises SecretsError: something is missing, can't be what is asked of it, or the store failed.
    """
    configured = None if settings_file is None else load_settings(settings_file, os.environ)
    with open_laptop(state, configured) as laptop:
        read: list[AuditSecret] = []
        try:
            secrets = asyncio.run(gather_secrets(task, scope, laptop.reading, read=read))
        except Refused as refusal:
            found = {each.name for each in read}
            asked = [AuditSecret(name) for name in refusal.secrets if name not in found]
            laptop.record_run(refusal.error.code, scope, (*read, *asked))
            raise from_refusal(type(refusal.error), refusal.message) from refusal
        lacking = sorted(needed.intersection(secrets.absent))
        outcome = NotFound.code if lacking else "ok"
        laptop.record_run(outcome, scope, (*secrets.audit, *map(AuditSecret, lacking)))
        return secrets
