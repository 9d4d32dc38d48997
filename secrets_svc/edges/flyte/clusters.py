"""Where secrets are: here. Clients ask before each of their first calls."""

from __future__ import annotations

from typing import Any

from connectrpc.request import RequestContext
from flyteidl2.cluster import payload_pb2 as wire

from secrets_svc.core.errors import NotFound, Unsupported
from secrets_svc.core.scope import shown
from secrets_svc.edges.flyte.shapes import Place


class Clusters:
    """See ``flyteidl2.cluster.ClusterService``.

    :param public_url: where clients are sent, which no request decides; ``None`` leaves them where they are.
    """

    def __init__(self, place: Place, *, public_url: str | None) -> None:
        self._place = place
        self._public_url = public_url

    async def select_cluster(
        self, request: wire.SelectClusterRequest, ctx: RequestContext[Any, Any]
    ) -> wire.SelectClusterResponse:
        """The one endpoint. Raises ``NotFound`` for a cluster pool: there are none."""
        if request.operation != wire.SelectClusterRequest.OPERATION_USE_SECRETS:
            raise Unsupported("this server has secrets only: of operations it knows OPERATION_USE_SECRETS")
        if request.HasField("cluster_pool_id"):
            name = shown(request.cluster_pool_id.name)
            raise NotFound(f"there is no cluster pool {name}: secrets here are not kept by pool")
        return wire.SelectClusterResponse(
            cluster_endpoint=self._public_url or "", cluster=self._place.cluster
        )
