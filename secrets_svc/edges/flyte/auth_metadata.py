"""How to log in: what clients ask after they were refused, without credentials."""

from __future__ import annotations

from typing import Any

from connectrpc.request import RequestContext
from flyteidl2.auth import auth_service_pb2 as wire

from secrets_svc.core.errors import Unsupported


class AuthMetadata:
    """See ``flyteidl2.auth.AuthMetadataService``.

    :param public_url: where clients reach this server. :param token_path: where there it gives access tokens.
    :param token_scope: what to ask for.
    """

    def __init__(self, *, public_url: str | None, token_path: str, token_scope: str) -> None:
        self._public_url = public_url
        self._token_path = token_path
        self._scope = token_scope

    async def get_o_auth2_metadata(
        self, request: wire.GetOAuth2MetadataRequest, ctx: RequestContext[Any, Any]
    ) -> wire.GetOAuth2MetadataResponse:
        """RFC 8414's words. There is no page to log in at."""
        url = self._known_url()
        return wire.GetOAuth2MetadataResponse(
            issuer=url,
            token_endpoint=url + self._token_path,
            scopes_supported=[self._scope],
            token_endpoint_auth_methods_supported=["client_secret_basic"],
            grant_types_supported=["client_credentials"],
        )

    async def get_public_client_config(
        self, request: wire.GetPublicClientConfigRequest, ctx: RequestContext[Any, Any]
    ) -> wire.GetPublicClientConfigResponse:
        """What a client's own settings lack.

        There is no page to log in at: without ``redirect_uri`` a client that would open one says so, where
        otherwise it would wait for an answer for ever.
        """
        url = self._known_url()
        return wire.GetPublicClientConfigResponse(
            client_id="none",
            scopes=[self._scope],
            authorization_metadata_key="authorization",
            service_http_endpoint=url,
            audience=url,
        )

    def _known_url(self) -> str:
        if self._public_url is None:
            raise Unsupported(
                "this server doesn't know its own address, so it can't say where tokens are given: set "
                "flyte.public_url, or give the client its token by an external command"
            )
        return self._public_url
