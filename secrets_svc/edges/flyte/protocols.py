"""How a request speaks: Connect or gRPC, by its content type; and which paths mean what."""

from __future__ import annotations

import enum

from secrets_svc.edges.gate.bodies import media_type
from secrets_svc.edges.gate.gate import Scope

#: What the paths of the v1 client begin with, and what they mean: the messages are the same.
_ALIASES = {
    "/cloudidl.secret.": "/flyteidl2.secret.",
    "/flyteidl.service.AuthMetadataService/": "/flyteidl2.auth.AuthMetadataService/",
}
#: What the paths of this edge begin with.
PREFIXES = ("/flyteidl2.", *_ALIASES)

_AUTH_METADATA = "/flyteidl2.auth.AuthMetadataService/"


class Protocol(enum.Enum):
    """What an answer must look like."""

    CONNECT = "connect"
    GRPC = "grpc"


def protocol_of(scope: Scope) -> Protocol | None:
    """Which of them a request speaks; ``None`` for neither.

    gRPC needs HTTP trailers: where the server has none, a request can't speak it.
    """
    content_type = media_type(scope["headers"])
    if content_type in (b"application/proto", b"application/json"):
        return Protocol.CONNECT
    if content_type in (b"application/grpc", b"application/grpc+proto") and has_trailers(scope):
        return Protocol.GRPC
    return None


def has_trailers(scope: Scope) -> bool:
    """Whether the server can send trailers, as gRPC needs them."""
    return "http.response.trailers" in scope.get("extensions", {})


def canonical_path(path: str) -> str:
    """``path`` as the services here are called."""
    for alias, meant in _ALIASES.items():
        if path.startswith(alias):
            return meant + path.removeprefix(alias)
    return path


def tells_how_to_log_in(path: str) -> bool:
    """Whether a call is one that callers make before they have credentials."""
    return canonical_path(path).startswith(_AUTH_METADATA)
