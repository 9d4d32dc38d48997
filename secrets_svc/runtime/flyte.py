"""Joins what Flyte's and Union's own clients call to the rest, which works without their extra."""

from __future__ import annotations

from importlib.util import find_spec
from urllib.parse import urlsplit

from secrets_svc.control.service import ControlPlane
from secrets_svc.core.errors import InvalidArgument, Unsupported
from secrets_svc.core.policy import ADMIN
from secrets_svc.edges.gate.authentication import TokenAuthenticator
from secrets_svc.edges.gate.gate import App, Record
from secrets_svc.edges.gate.paths import ByPath
from secrets_svc.edges.oauth.app import SCOPE, TOKEN_PATH, build_token_app
from secrets_svc.runtime.settings import Settings

_NEEDED = ("connectrpc", "flyteidl2", "hypercorn")


def require_flyte(settings: Settings) -> None:
    """See that what the settings switch on can be served, and is meant.

    :raises Unsupported: its libraries aren't installed.
    :raises InvalidArgument: callers without credentials would be nobody, or come from elsewhere.
    """
    _check_anonymous(settings)
    missing = [name for name in _NEEDED if settings.flyte.enabled and find_spec(name) is None]
    if missing:
        raise Unsupported(
            f'flyte.enabled needs the module "{missing[0]}": install the extra flyte, '
            'e.g. pip install "secrets-svc[flyte]"'
        )


def _check_anonymous(settings: Settings) -> None:
    name, url = settings.flyte.anonymous_principal, settings.flyte.public_url
    if name is None:
        return
    if name not in {ADMIN, *(each.principal for each in settings.policy.bindings)}:
        raise InvalidArgument(
            "flyte.anonymous_principal: policy.bindings has no such principal, so it could do nothing"
        )
    if url is not None and urlsplit(url).hostname not in ("localhost", "127.0.0.1", "::1"):
        raise InvalidArgument(
            "flyte.public_url: others than programs of this machine are sent there, and "
            "flyte.anonymous_principal is for those: leave out one of them"
        )


def with_flyte(
    rest: App,
    settings: Settings,
    control: ControlPlane,
    authenticator: TokenAuthenticator,
    record: Record,
) -> tuple[App, App | None]:
    """All edges at one socket, and the one that may speak gRPC at its own.

    :param rest: what all other paths belong to. :param record: takes audit events.
    :raises Unsupported: see :func:`require_flyte`.
    """
    require_flyte(settings)
    from secrets_svc.edges.flyte.app import build_flyte_app
    from secrets_svc.edges.flyte.protocols import PREFIXES

    flyte = build_flyte_app(
        control=control,
        organization=settings.organization.name,
        cluster=settings.flyte.cluster or settings.organization.name,
        authenticator=authenticator,
        anonymous=settings.flyte.anonymous_principal,
        public_url=settings.flyte.public_url,
        token_path=TOKEN_PATH,
        token_scope=SCOPE,
        record=record,
        body_deadline=settings.server.body_deadline,
    )
    tokens = build_token_app(
        authenticator=authenticator,
        lifetime=settings.flyte.access_token_lifetime,
        record=record,
        body_deadline=settings.server.body_deadline,
    )
    edges = {**dict.fromkeys(PREFIXES, flyte), TOKEN_PATH: tokens}
    return ByPath(edges, others=rest), flyte if settings.flyte.grpc_listen else None
