"""The injector's socket: ``POST /mutate`` takes AdmissionReviews; ``/livez``, ``/readyz``, ``/metrics``."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from injector.handler import AdmissionHandler, Answered
from injector.http import TEXT, Answer, Connections, HttpProtocol, Limits, Request, Respond, Response, Turns
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.data.health import readiness_text

#: Bytes of a review: the API server's own limit for an object is 1.5 MiB in etcd, and a review holds one.
MAX_REVIEW = 2 * 1024 * 1024
MUTATE = "/mutate"
#: The others are where Flyte's and Union's webhook configurations send pods.
_REVIEWS = frozenset({MUTATE.encode(), b"/mutate--v1-pod", b"/mutate--v1-pod/secrets"})
_JSON = b"application/json"
_OK = Response(200, TEXT, b"ok\n")
_STRANGER = Response(
    403, TEXT, b"unauthenticated: reviews are taken with a certificate of injector.client_ca only\n"
)
#: Seconds that a TLS handshake may take.
_HANDSHAKE = 10.0


class InjectorRoutes:
    """Which path is answered how.

    :param ready: whether admissions can be answered. :param metrics: the text for ``/metrics``.
    :param states: by store, how it fares, for ``/readyz?verbose``.
    :param certified_only: take reviews from callers with a verified certificate only.
    """

    def __init__(
        self,
        *,
        handler: AdmissionHandler,
        ready: Callable[[], bool],
        metrics: Callable[[], bytes],
        states: Callable[[], Mapping[str, str]] = dict,
        certified_only: bool = False,
    ) -> None:
        self._handler = handler
        self._ready = ready
        self._metrics = metrics
        self._states = states
        self._certified_only = certified_only
        self._metrics_at = -1.0
        self._metrics_known = b""

    def __call__(self, requests: Sequence[Request]) -> list[Answer]:
        """See :data:`injector.http.Respond`."""
        reviews = [each.body for each in requests if self._takes(each)]
        answers = iter(self._handler.answer(reviews) if reviews else ())
        return [_response(next(answers)) if self._takes(each) else self._other(each) for each in requests]

    def _takes(self, request: Request) -> bool:
        return _is_review(request) and (request.certified or not self._certified_only)

    def _other(self, request: Request) -> Response:
        if _is_review(request):
            return _STRANGER
        return self._probe(request) if request.method == b"GET" else _nothing_here()

    def _probe(self, request: Request) -> Response:
        if request.path == b"/livez":
            return _OK
        if request.path == b"/readyz":
            return self._readiness(verbose=request.query.startswith(b"verbose"))
        if request.path == b"/metrics":
            return Response(200, b"text/plain; version=0.0.4", self._metrics_text())
        return _nothing_here()

    def _readiness(self, *, verbose: bool) -> Response:
        is_ready = self._ready()
        if verbose:
            text = readiness_text(self._states(), is_ready=is_ready)
            return Response(200 if is_ready else 503, TEXT, text.encode())
        return (
            _OK
            if is_ready
            else Response(503, TEXT, b"no store can be used, or the cluster isn't known yet\n")
        )

    def _metrics_text(self) -> bytes:
        """Anybody may ask, so it is made at most once a second."""
        now = time.monotonic()
        if now - self._metrics_at >= 1:
            self._metrics_at, self._metrics_known = now, self._metrics()
        return self._metrics_known


def _is_review(request: Request) -> bool:
    return request.path in _REVIEWS and request.method == b"POST"


def _response(answer: Answered) -> Answer:
    if isinstance(answer, bytes):
        return Response(200, _JSON, answer)
    if isinstance(answer, InvalidArgument):
        return Response(400, TEXT, f"{answer.code}: {answer.message}\n".encode())
    return _later(answer)


async def _later(answer: Awaitable[bytes]) -> Response:
    return Response(200, _JSON, await answer)


def _nothing_here() -> Response:
    return Response(404, TEXT, b"POST an AdmissionReview to " + MUTATE.encode() + b"\n")


class WebhookServer:
    """Listens with TLS and answers by ``respond``.

    :param respond: e.g. :class:`InjectorRoutes`. :param context: TLS; reloading it serves new connections.
    """

    def __init__(self, respond: Respond, *, context: ssl.SSLContext, limits: Limits | None = None) -> None:
        self._respond = respond
        self._context = context
        self._limits = limits or Limits(body=MAX_REVIEW)
        self._connections = Connections()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begin to answer at ``listener``."""
        turns = Turns(self._respond)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: HttpProtocol(turns, self._limits, self._connections),
            sock=listener,
            ssl=self._context,
            ssl_handshake_timeout=_HANDSHAKE,
            backlog=2048,
        )

    async def stop(self, grace: float) -> None:
        """Take no new requests, and let those under way finish within ``grace`` seconds."""
        if self._server is None:
            return
        self._server.close()
        await self._connections.drain(grace)
