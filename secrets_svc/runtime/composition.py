"""Joins the parts of the service roles."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from secrets_svc.control.service import ControlPlane
from secrets_svc.core.audit import AuditSink
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.policy import ADMIN, Binding, Policy, Role
from secrets_svc.core.private_files import private_folder
from secrets_svc.core.scope import Scope
from secrets_svc.core.state_folder import ADMIN_TOKEN_FILE, remember_audit_file
from secrets_svc.edges.gate.authentication import TokenAuthenticator
from secrets_svc.edges.gate.gate import App
from secrets_svc.edges.rest.app import build_app
from secrets_svc.runtime.files import ensure_token, read_token
from secrets_svc.runtime.flyte import with_flyte
from secrets_svc.runtime.metrics import CountingSink, Metrics
from secrets_svc.runtime.probing import Probing
from secrets_svc.runtime.settings import Settings
from secrets_svc.runtime.stores import Stores, configured_stores, open_audit


@dataclass(frozen=True, slots=True)
class Service:
    """The control and data plane of one process, joined.

    :ivar app: all edges. :ivar grpc_app: what speaks gRPC, where the settings want it.
    """

    app: App
    grpc_app: App | None
    audit: AuditSink
    metrics: Metrics
    stores: Stores
    close: Callable[[], None]


def build_service(settings: Settings, state: Path) -> Service:
    """Control and data plane in one process, behind the REST API.

    :param state: the state folder, made if need be.
    """
    private_folder(state)
    with ExitStack() as undo:
        metrics = Metrics()
        remember_audit_file(state, settings.audit.file)
        audit_file = open_audit(state)
        undo.callback(audit_file.close)
        audit = CountingSink(audit_file, metrics)
        stores = configured_stores(settings, state)
        data_plane = stores.open_writer()
        undo.callback(data_plane.close)
        metrics.watch_stores("writer", data_plane.states)
        probing = Probing("writer", data_plane.probes())
        undo.callback(probing.close)
        organization = settings.organization.name
        control = ControlPlane(policy=_policy(settings), data_plane=data_plane, audit=audit)
        authenticator = _authenticator(settings, state)
        app: App = build_app(
            control=control,
            organization=organization,
            authenticator=authenticator,
            record=audit.record,
            ready=lambda: data_plane.is_answering(organization),
            states=lambda: probing.beside(data_plane.states()),
            metrics=metrics.text,
            body_deadline=settings.server.body_deadline,
        )
        grpc_app = None
        if settings.flyte.enabled:
            app, grpc_app = with_flyte(app, settings, control, authenticator, audit.record)
        probing.start()
        return Service(app, grpc_app, audit, metrics, stores, undo.pop_all().close)


def _policy(settings: Settings) -> Policy:
    organization = settings.organization.name
    configured = [
        Binding(each.principal, each.role, each.scope(organization)) for each in settings.policy.bindings
    ]
    return Policy([Binding(ADMIN, Role.ADMIN, Scope(organization)), *configured])


def _authenticator(settings: Settings, state: Path) -> TokenAuthenticator:
    tokens = {ADMIN: ensure_token(state / ADMIN_TOKEN_FILE, "the admin token")}
    for index, entry in enumerate(settings.authentication.tokens):
        field = f"authentication.tokens[{index}].token_file"
        if entry.principal in tokens:
            raise InvalidArgument(f'{field}: principal "{entry.principal}" has a token already')
        token = read_token(entry.token_file, field)
        if token in tokens.values():
            raise InvalidArgument(f"{field}: another principal has the same token; each needs one of its own")
        tokens[entry.principal] = token
    return TokenAuthenticator(tokens)
