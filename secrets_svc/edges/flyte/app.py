"""Joins gate, manners and services to one ASGI application."""

from __future__ import annotations

from typing import Any

from flyteidl2.auth.auth_service_connect import AuthMetadataServiceASGIApplication
from flyteidl2.cluster.service_connect import ClusterServiceASGIApplication
from flyteidl2.secret.secret_connect import SecretServiceASGIApplication

from secrets_svc.control.service import ControlPlane
from secrets_svc.edges.flyte.auth_metadata import AuthMetadata
from secrets_svc.edges.flyte.calls import Calls, Noticing
from secrets_svc.edges.flyte.clusters import Clusters
from secrets_svc.edges.flyte.manners import FlyteManners
from secrets_svc.edges.flyte.secret_service import Secrets
from secrets_svc.edges.flyte.shapes import Place
from secrets_svc.edges.gate.authentication import TokenAuthenticator
from secrets_svc.edges.gate.gate import App, Gate, Record


def build_flyte_app(
    *,
    control: ControlPlane,
    organization: str,
    cluster: str,
    authenticator: TokenAuthenticator,
    anonymous: str | None,
    public_url: str | None,
    token_path: str,
    token_scope: str,
    record: Record,
    body_deadline: float,
) -> App:
    """The services that Flyte's and Union's clients call.

    :param cluster: what answers call the cluster that has the secrets.
    :param anonymous: who callers without credentials are; only where nobody else can reach the server.
    :param public_url: where clients reach the server.
    :param token_path: where there it gives access tokens, of ``token_scope``.
    :param body_deadline: seconds for a whole body.
    """
    place = Place(organization, cluster)
    # Requests come unpacked, and answers are small.
    common: dict[str, Any] = {"interceptors": (Noticing(),), "compressions": ()}
    login = AuthMetadata(public_url=public_url, token_path=token_path, token_scope=token_scope)
    services: tuple[Any, ...] = (
        SecretServiceASGIApplication(Secrets(control, place), **common),
        ClusterServiceASGIApplication(Clusters(place, public_url=public_url), **common),
        AuthMetadataServiceASGIApplication(login, **common),
    )
    return Gate(
        Calls({service.path: service for service in services}),
        manners=FlyteManners(authenticator, anonymous=anonymous),
        record=record,
        body_deadline=body_deadline,
    )
