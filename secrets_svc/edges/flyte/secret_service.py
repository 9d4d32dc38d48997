"""Flyte's secret service: each method is one call of a use case."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from connectrpc.request import RequestContext
from flyteidl2.secret import payload_pb2 as wire
from starlette.concurrency import run_in_threadpool

from secrets_svc.control.service import Call, ControlPlane
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.edges.flyte.calls import current_call, sent_request_id
from secrets_svc.edges.flyte.listing import cursor_of, limit_of, listing_id, token_of
from secrets_svc.edges.flyte.shapes import Place, type_of, value_of

T = TypeVar("T")
Context = RequestContext[Any, Any]

#: What the engine itself keeps; people see them only where they say so.
SYSTEM_SECRETS = frozenset({"EAGER_API_KEY", "SERVING_API_KEY"})
#: A request id that is of one call alone: clients make a random UUID (RFC 9562), the same for all attempts.
_OF_ONE_CALL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Secrets:
    """See ``flyteidl2.secret.SecretService``.

    :param control: the use cases. :param place: what scopes mean here.
    """

    def __init__(self, control: ControlPlane, place: Place) -> None:
        self._control = control
        self._place = place

    async def create_secret(
        self, request: wire.CreateSecretRequest, ctx: Context
    ) -> wire.CreateSecretResponse:
        """Store a new secret. The same attempt again succeeds, and does nothing twice."""
        call, ref = current_call(), self._place.ref_of(request.id)
        value, type = value_of(request.secret_spec), type_of(request.secret_spec)
        _name_intent(call, "create", ref)
        await _apart(lambda: self._control.create(call, ref, value, type))
        return wire.CreateSecretResponse()

    async def update_secret(
        self, request: wire.UpdateSecretRequest, ctx: Context
    ) -> wire.UpdateSecretResponse:
        """Replace a value; what isn't there stays away. The type stays too, which clients may leave out."""
        call, ref = current_call(), self._place.ref_of(request.id)
        value, type = value_of(request.secret_spec), type_of(request.secret_spec)
        _name_intent(call, "update", ref)
        expected = None if type is SecretType.GENERIC else type
        await _apart(lambda: self._control.update(call, ref, value, type=expected))
        return wire.UpdateSecretResponse()

    async def get_secret(self, request: wire.GetSecretRequest, ctx: Context) -> wire.GetSecretResponse:
        """A secret's metadata."""
        call, ref = current_call(), self._place.ref_of(request.id)
        hidden = _is_hidden(ref, request.include_system_secrets)
        metadata = await _apart(lambda: self._control.describe(call, ref, hidden=hidden))
        return wire.GetSecretResponse(secret=self._place.shown(metadata))

    async def delete_secret(
        self, request: wire.DeleteSecretRequest, ctx: Context
    ) -> wire.DeleteSecretResponse:
        """Remove a secret."""
        call, ref = current_call(), self._place.ref_of(request.id)
        hidden = _is_hidden(ref, request.include_system_secrets)
        _name_intent(call, "delete", ref)
        await _apart(lambda: self._control.delete(call, ref, hidden=hidden))
        return wire.DeleteSecretResponse()

    async def list_secrets(self, request: wire.ListSecretsRequest, ctx: Context) -> wire.ListSecretsResponse:
        """One page. With system secrets hidden it may be shorter than asked for, and not the last."""
        call, (within, exact) = current_call(), self._place.filter_of(request)
        cluster, listing = self._place.cluster, listing_id(within, exact=exact)
        limit = limit_of(request.limit)
        cursor = cursor_of(request.token, request.per_cluster_tokens, cluster, listing)
        page = await _apart(lambda: self._control.list(call, within, exact=exact, limit=limit, cursor=cursor))
        token = token_of(page.cursor, listing)
        hidden = frozenset() if request.include_system_secrets else SYSTEM_SECRETS
        return wire.ListSecretsResponse(
            secrets=[self._place.shown(item) for item in page.items if item.ref.name not in hidden],
            token=token,
            per_cluster_tokens={cluster: token} if token else {},
        )


async def _apart(work: Callable[[], T]) -> T:
    """In a thread: use cases wait for stores."""
    return await run_in_threadpool(work)


def _name_intent(call: Call, verb: str, ref: SecretRef) -> None:
    """Let a client try again what it doesn't know the end of, where its request id is of one call alone."""
    given = sent_request_id()
    if _OF_ONE_CALL.fullmatch(given):
        call.idempotency_key = f"flyte {verb} {ref.scope} {ref.name} {given}"


def _is_hidden(ref: SecretRef, include_system_secrets: bool) -> bool:
    return ref.name in SYSTEM_SECRETS and not include_system_secrets
