"""``secret serve injector``: the admission webhook of a cluster, as a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop

from cli.serving.all import bound, log_to_stderr
from cli.serving.sockets import address_of, serve_together
from cli.serving.webhook_tls import renewing, webhook_certificate, webhook_context
from injector.compose import build_injector
from injector.server import MUTATE, WebhookServer
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.private_files import private_folder
from secrets_svc.core.state_folder import remember_audit_file
from secrets_svc.runtime.hardening import harden_process, raise_file_limit, share_heaps
from secrets_svc.runtime.metrics import CountingSink, Metrics
from secrets_svc.runtime.settings import Settings
from secrets_svc.runtime.stores import configured_stores, open_audit


@dataclass(frozen=True, slots=True)
class RunningInjector:
    """Where a started injector can be reached."""

    url: str
    ca: Path | None
    state: Path


def serve_injector(settings: Settings, state: Path, *, announce: Callable[[RunningInjector], None]) -> None:
    """Run until SIGINT or SIGTERM.

    :param state: for certificates and the audit file; where the store is ``local``, the store's too.
    :param announce: called once it listens.
    :raises SecretsError: it can't start; the message names the field or file.
    """
    if settings.injector.cluster is None:
        raise InvalidArgument(
            "injector.cluster: there is no such table in the settings; secret serve all is for machines "
            "without a cluster"
        )
    harden_process()
    share_heaps()
    raise_file_limit()
    log_to_stderr(settings)
    private_folder(state)
    with ExitStack() as undo:
        metrics = Metrics()
        remember_audit_file(state, settings.audit.file)
        audit_file = open_audit(state)
        undo.callback(audit_file.close)
        stores = configured_stores(settings, state)
        listener = undo.enter_context(bound(settings.injector.listen, "injector.listen"))
        certificate = webhook_certificate(settings, state)
        context = webhook_context(settings, certificate)
        injector = build_injector(
            settings, stores=stores, audit=CountingSink(audit_file, metrics), metrics=metrics
        )
        undo.callback(injector.close)
        server = WebhookServer(injector.routes, context=context)
        running = RunningInjector(f"https://{address_of(listener)}{MUTATE}", certificate.ca, state)
        uvloop.run(
            serve_together(
                [(server, listener)],
                started=lambda: announce(running),
                renew=renewing(settings, state, context),
            )
        )
