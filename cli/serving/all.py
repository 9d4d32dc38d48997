"""``secret serve all``: every role in one process, for a laptop or a small installation."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import uvloop

from cli.namespaces import remember_namespaces
from cli.serving.readiness import brought_certificate, refuse_clear_text, refuse_strangers
from cli.serving.sockets import AnyServer, ApiServer, bind, is_loopback, reachable_at, serve_together
from cli.serving.webhook_tls import renewing, webhook_certificate, webhook_context
from injector.compose import build_injector
from injector.requests import Claim
from injector.server import MUTATE, WebhookServer
from secrets_svc.core.errors import SecretsError
from secrets_svc.core.state_folder import ADMIN_TOKEN_FILE, hold_state
from secrets_svc.runtime.certificates import CertificateFiles
from secrets_svc.runtime.composition import build_service
from secrets_svc.runtime.hardening import harden_process, raise_file_limit, share_heaps
from secrets_svc.runtime.settings import NamespaceSettings, Settings

if TYPE_CHECKING:
    from cli.serving.grpc import GrpcServer
    from secrets_svc.edges.gate.gate import App

log = logging.getLogger(__name__)

#: So that a first try needs no settings. It proves nothing to a cluster: there is none behind this.
EXAMPLE_NAMESPACES = {"shop-production": NamespaceSettings(project="shop", domain="production")}


@dataclass(frozen=True, slots=True)
class Running:
    """Where a started server can be reached."""

    endpoint: str
    injector: str
    injector_ca: Path | None
    token_file: Path
    state: Path
    organization: str
    has_cluster: bool
    grpc: str | None = None


def serve_all(settings: Settings, state: Path, *, announce: Callable[[Running], None]) -> None:
    """Run until SIGINT or SIGTERM.

    :param announce: called once everything listens.
    :raises SecretsError: it can't start; the message names the field or file.
    """
    harden_process()
    share_heaps()
    raise_file_limit()
    log_to_stderr(settings)
    with ExitStack() as undo:
        undo.enter_context(hold_state(state))
        settings = _with_example_namespaces(settings)
        known = settings.injector.namespaces
        remember_namespaces(state, {name: Claim(each.project, each.domain) for name, each in known.items()})
        service = build_service(settings, state)
        undo.callback(service.close)
        injector = build_injector(
            settings, stores=service.stores, audit=service.audit, metrics=service.metrics
        )
        undo.callback(injector.close)
        api_socket = undo.enter_context(bound(settings.server.listen, "server.listen"))
        grpc_socket = None
        if settings.flyte.grpc_listen is not None:
            grpc_socket = undo.enter_context(bound(settings.flyte.grpc_listen, "flyte.grpc_listen"))
        injector_socket = undo.enter_context(bound(settings.injector.listen, "injector.listen"))
        api_certificate = _api_certificate(settings, api_socket, grpc_socket)
        certificate = webhook_certificate(settings, state)
        idle = settings.server.idle_timeout
        api_server = ApiServer(
            service.app, certificate=api_certificate, idle_timeout=idle, keep_alive=ceil(idle)
        )
        servers: list[tuple[AnyServer, socket.socket]] = [(api_server, api_socket)]
        renewed: list[_Renewed] = [api_server]
        if service.grpc_app is not None and grpc_socket is not None:
            grpc_server = _grpc_server(settings, service.grpc_app, api_certificate)
            servers.append((grpc_server, grpc_socket))
            renewed.append(grpc_server)
        context = webhook_context(settings, certificate)
        servers.append((WebhookServer(injector.routes, context=context), injector_socket))
        running = Running(
            endpoint=f"{'https' if api_certificate else 'http'}://{reachable_at(api_socket)}",
            grpc=reachable_at(grpc_socket) if grpc_socket is not None else None,
            injector=f"https://{reachable_at(injector_socket)}{MUTATE}",
            injector_ca=certificate.ca,
            token_file=state / ADMIN_TOKEN_FILE,
            state=state,
            organization=settings.organization.name,
            has_cluster=settings.injector.cluster is not None,
        )
        renew_webhook = renewing(settings, state, context)

        def renew() -> None:
            renew_webhook()
            _renew_api(settings, renewed)

        uvloop.run(serve_together(servers, started=lambda: announce(running), renew=renew))


def bound(address: str, setting: str) -> contextlib.closing[socket.socket]:
    """A listening socket that is closed at the end; see :func:`cli.serving.sockets.bind`."""
    return contextlib.closing(bind(address, setting))


def _with_example_namespaces(settings: Settings) -> Settings:
    if settings.injector.namespaces or settings.injector.cluster is not None:
        return settings
    wanted = settings.injector.model_copy(update={"namespaces": EXAMPLE_NAMESPACES})
    return settings.model_copy(update={"injector": wanted})


def _api_certificate(
    settings: Settings, api: socket.socket, grpc: socket.socket | None
) -> CertificateFiles | None:
    certificate = brought_certificate(settings.server.tls_cert, settings.server.tls_key, "server")
    for setting, listener in (("server.listen", api), ("flyte.grpc_listen", grpc)):
        if listener is not None:
            refuse_clear_text(certificate, loopback=is_loopback(listener), setting=setting)
            refuse_strangers(settings, loopback=is_loopback(listener), setting=setting)
    return certificate


def _grpc_server(settings: Settings, app: App, certificate: CertificateFiles | None) -> GrpcServer:
    from cli.serving.grpc import GrpcServer  # its library is of an extra

    return GrpcServer(
        app,
        certificate=certificate,
        idle_timeout=settings.server.idle_timeout,
        body_deadline=settings.server.body_deadline,
    )


class _Renewed(Protocol):
    def renew(self, certificate: CertificateFiles) -> None: ...


def _renew_api(settings: Settings, servers: Sequence[_Renewed]) -> None:
    try:
        certificate = brought_certificate(settings.server.tls_cert, settings.server.tls_key, "server")
        if certificate is not None:
            for server in servers:
                server.renew(certificate)
    except SecretsError as error:
        log.error("the API's certificate can't be looked after: %s", error.message)


def log_to_stderr(settings: Settings) -> None:
    """What the process says of itself."""
    logging.basicConfig(
        stream=sys.stderr,
        level=settings.logging.level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        force=True,
    )
    # Says at every start what we say better, and at every connection what nobody asked.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.root.level))
