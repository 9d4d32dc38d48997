"""Joins gate, routes and problem documents to one ASGI application."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException

from secrets_svc.control.service import ControlPlane
from secrets_svc.core.errors import (
    Conflict,
    Internal,
    InvalidArgument,
    NotFound,
    SecretsError,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from secrets_svc.core.scope import shown
from secrets_svc.data.health import readiness_text
from secrets_svc.edges.gate.authentication import TokenAuthenticator
from secrets_svc.edges.gate.gate import UNFORESEEN, App, Gate, Record
from secrets_svc.edges.rest.manners import RestManners
from secrets_svc.edges.rest.problems import problem
from secrets_svc.edges.rest.routes import build_router


def build_app(
    *,
    control: ControlPlane,
    organization: str,
    authenticator: TokenAuthenticator,
    record: Record,
    ready: Callable[[], bool],
    metrics: Callable[[], bytes],
    states: Callable[[], Mapping[str, str]] = dict,
    body_deadline: float = 10.0,
) -> App:
    """The REST API as an ASGI application.

    :param record: takes the audit events of calls that don't reach the control plane.
    :param ready: whether the parts behind can be used. :param metrics: the text for ``/metrics``.
    :param states: by store, how it fares, for ``/readyz?verbose``.
    :param body_deadline: seconds for a whole request body.
    """
    app = build_api(control=control, organization=organization)
    _add_probes(app, ready, metrics, states)
    return Gate(app, manners=RestManners(authenticator), record=record, body_deadline=body_deadline)


def build_api(*, control: ControlPlane, organization: str) -> FastAPI:
    """The FastAPI part, also what the OpenAPI document is made of."""
    app = FastAPI(
        title="secrets-svc",
        version=version("secrets-svc"),
        description="Values go in and never come out: no call of this API answers with one.",
        redoc_url=None,
        docs_url=None,
        redirect_slashes=False,
    )
    app.state.organization = organization
    app.include_router(build_router(control))
    app.add_exception_handler(SecretsError, _on_secrets_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    # Answers, and raises it again: the gate logs it.
    app.add_exception_handler(Exception, _on_unforeseen)
    return app


def _add_probes(
    app: FastAPI,
    ready: Callable[[], bool],
    metrics: Callable[[], bytes],
    states: Callable[[], Mapping[str, str]],
) -> None:
    @app.get("/livez", include_in_schema=False)
    def livez() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.get("/readyz", include_in_schema=False)
    def readyz(request: Request) -> Response:
        is_ready = ready()
        if "verbose" in request.query_params:
            text = readiness_text(states(), is_ready=is_ready)
            return PlainTextResponse(text, status_code=200 if is_ready else 503)
        if is_ready:
            return PlainTextResponse("ok\n")
        return _problem(request, Unavailable("the store can't be used"))

    @app.get("/metrics", include_in_schema=False)
    def show_metrics() -> Response:
        return Response(metrics(), media_type="text/plain; version=0.0.4")


def _problem(request: Request, error: SecretsError, status: int | None = None) -> Response:
    request.state.error = error  # the gate records it, if nobody has
    code, headers, body = problem(error, request_id=request.state.request_id, status=status)
    return Response(body, status_code=code, headers=headers)


async def _on_secrets_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SecretsError)
    precondition = isinstance(error, Conflict) and "if-match" in request.headers
    return _problem(request, error, 412 if precondition else None)


async def _on_unforeseen(request: Request, error: Exception) -> Response:  # noqa: ARG001  # never shown
    return _problem(request, Internal(UNFORESEEN))


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _problem(request, InvalidArgument(describe_invalid(error.errors())))


def describe_invalid(errors: Sequence[Any]) -> str:
    """One line on what is wrong with a request, of field names and rules; never of what was sent."""
    return "; ".join(dict.fromkeys(_one_invalid(error) for error in errors[:5]))


def _one_invalid(error: dict[str, Any]) -> str:
    place = [str(part) for part in error["loc"] if part not in ("body", "query", "path", "header")]
    kind = error["type"]
    if "value" in place[:1]:
        # Below "value" even a field's name may be the secret, misplaced.
        known = place[1] if len(place) > 1 and place[1] in ("text", "base64") else None
        if kind == "value_error" and known:
            return f"value.{known} {error['ctx']['error']}"
        return 'value takes exactly one of "text" and "base64", each a string'
    name = ".".join(shown(part)[1:-1] for part in place) or "the body"
    if kind == "extra_forbidden":
        return f"unknown field {shown(place[-1])}"
    if kind == "missing":
        return f"{name} is missing"
    return f"{name}: {error['msg']}"


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _problem(request, NotFound("there is no such path; the API is described at /openapi.json"))
    if error.status_code == 405:
        answer = _problem(request, Unsupported("that path doesn't take this method"), 405)
        answer.headers.update(error.headers or {})  # Allow, RFC 9110 section 15.5.6
        return answer
    if error.status_code == 401:
        return _problem(request, Unauthenticated("no credentials"))
    return _problem(request, InvalidArgument("the request can't be understood"), error.status_code)
