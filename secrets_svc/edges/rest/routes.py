"""The paths of the API. Each turns shapes into a call of a use case and back; nothing is decided here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.routing import APIRoute

from secrets_svc.control.service import Call, ControlPlane
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope, shown, validate_label
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.edges.rest.bodies import StrictBodies
from secrets_svc.edges.rest.shapes import (
    CreateIn,
    ExplanationOut,
    HistoryOut,
    MetadataOut,
    PageOut,
    ProblemOut,
    RollbackIn,
    UpdateIn,
    WhoamiOut,
)

_PROBLEM: dict[str, Any] = {"model": ProblemOut, "content": {"application/problem+json": {}}}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {**_PROBLEM, "description": "invalid_argument"},
    401: {**_PROBLEM, "description": "unauthenticated"},
    403: {**_PROBLEM, "description": "permission_denied"},
    404: {**_PROBLEM, "description": "not_found"},
    409: {**_PROBLEM, "description": "already_exists, conflict"},
    412: {**_PROBLEM, "description": "conflict with If-Match"},
    413: {**_PROBLEM, "description": "too_large"},
    503: {**_PROBLEM, "description": "unavailable"},
}

_CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range")

Organization = Annotated[str | None, Query(examples=["flyte"])]
Domain = Annotated[str | None, Query(examples=["production"])]
Project = Annotated[str | None, Query(examples=["shop"])]
DryRun = Annotated[bool, Query(description="check everything, write nothing")]


def build_router(control: ControlPlane) -> APIRouter:
    """All ``/v1`` paths. The application's ``state.organization`` says which organization this is."""
    router = APIRouter(
        prefix="/v1",
        responses=_PROBLEMS,
        dependencies=[Depends(_nothing_unknown)],
        route_class=StrictBodies,
    )
    _add_writes(router, control)
    _add_reads(router, control)
    return router


def _nothing_unknown(request: Request) -> None:
    """Refuse what a call doesn't know: with a misspelt ``domain`` it would mean another secret (I5).

    Nor is a condition passed over (RFC 9110 section 13): a write that should not have happened would.
    """
    route: APIRoute = request.scope["route"]
    known = {field.alias for field in get_flat_dependant(route.dependant).query_params}
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            raise InvalidArgument(f"unknown query parameter {shown(name)}; known: {', '.join(sorted(known))}")
        if name in seen:
            raise InvalidArgument(f"query parameter {name} is given twice")
        seen.add(name)
    taken = {field.alias for field in get_flat_dependant(route.dependant).header_params}
    for name in _CONDITIONS if request.method != "GET" else ():
        if name in request.headers and name not in taken:
            raise InvalidArgument(f"header {name} is not taken here; PUT and rollback take if-match")


def filter_of(
    request: Request,
    organization: Organization = None,
    domain: Domain = None,
    project: Project = None,
) -> Scope:
    """The scope of a listing, where leaving everything out means everything.

    An installation has one organization: what a client calls it is checked and then ignored.
    """
    if organization is not None:
        validate_label("organization", organization)
    return Scope(request.app.state.organization, domain, project)


def scope_of(
    request: Request,
    organization: Organization = None,
    domain: Domain = None,
    project: Project = None,
) -> Scope:
    """The one scope that a client means; leaving everything out doesn't mean the whole organization."""
    if organization is None and domain is None and project is None:
        raise InvalidArgument(
            "no scope given: name a project, a domain or both, or the organization for all of it"
        )
    return filter_of(request, organization, domain, project)


def ref_of(name: str, scope: Annotated[Scope, Depends(scope_of)]) -> SecretRef:
    """The secret that path and query name."""
    return SecretRef(scope, name)


def call_of(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="your name for this write, at most 128 characters: sent again, it is not done twice; "
            "another write under the same name is refused"
        ),
    ] = None,
) -> Call:
    """Who calls, as the gate found out, and the caller's name for the intent."""
    if idempotency_key is not None and not 0 < len(idempotency_key) <= 128:
        raise InvalidArgument("an Idempotency-Key has 1 to 128 characters")
    call: Call = request.state.call
    call.idempotency_key = idempotency_key
    return call


CallOf = Annotated[Call, Depends(call_of)]
FilterOf = Annotated[Scope, Depends(filter_of)]
RefOf = Annotated[SecretRef, Depends(ref_of)]


def _add_writes(router: APIRouter, control: ControlPlane) -> None:
    @router.post("/secrets", status_code=201, response_model=MetadataOut, summary="Create a secret")
    def create(
        request: Request, response: Response, body: CreateIn, call: CallOf, *, dry_run: DryRun = False
    ) -> MetadataOut:
        ref = SecretRef(scope_of(request, body.organization, body.domain, body.project), body.name)
        type_ = SecretType.parse(body.type)
        created = control.create(call, ref, body.value.value, type_, dry_run=dry_run)
        if created is None:
            response.status_code = 200
            return _not_written(call, ref, type_, len(body.value.value))
        response.headers["etag"] = f'"{created.version}"'
        return MetadataOut.of(created)

    @router.put("/secrets/{name}", response_model=MetadataOut, summary="Replace a secret's value")
    def update(
        response: Response,
        body: UpdateIn,
        call: CallOf,
        ref: RefOf,
        *,
        dry_run: DryRun = False,
        if_match: Annotated[str | None, Header(description='the version that must be current: "…"')] = None,
    ) -> MetadataOut:
        expected = _version_in(if_match)
        updated = control.update(call, ref, body.value.value, expected=expected, dry_run=dry_run)
        response.headers["etag"] = f'"{updated.version}"'
        return MetadataOut.of(updated)

    @router.post(
        "/secrets/{name}/rollback", response_model=MetadataOut, summary="Make a version current again"
    )
    def rollback(
        response: Response,
        body: RollbackIn,
        call: CallOf,
        ref: RefOf,
        *,
        if_match: Annotated[str | None, Header(description='the version that must be current: "…"')] = None,
    ) -> MetadataOut:
        current = control.rollback(call, ref, to=body.to, expected=_version_in(if_match))
        response.headers["etag"] = f'"{current.version}"'
        return MetadataOut.of(current)

    @router.delete("/secrets/{name}", status_code=204, response_model=None, summary="Delete a secret")
    def delete(
        call: CallOf,
        ref: RefOf,
        *,
        dry_run: DryRun = False,
        purge: Annotated[
            bool, Query(description="leave nothing that could be got back, also of one deleted before")
        ] = False,
    ) -> None:
        control.delete(call, ref, dry_run=dry_run, purge=purge)


def _add_reads(router: APIRouter, control: ControlPlane) -> None:
    @router.get("/secrets", response_model=PageOut, summary="List secrets")
    def list_secrets(
        call: CallOf,
        within: FilterOf,
        *,
        exact: Annotated[bool, Query(description="only this scope, not what lies inside it")] = False,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[str | None, Query(max_length=1024)] = None,
    ) -> PageOut:
        return PageOut.of(control.list(call, within, exact=exact, limit=limit, cursor=cursor))

    @router.get("/secrets/{name}", response_model=MetadataOut, summary="A secret's metadata")
    def describe(response: Response, call: CallOf, ref: RefOf) -> MetadataOut:
        metadata = control.describe(call, ref)
        response.headers["etag"] = f'"{metadata.version}"'
        return MetadataOut.of(metadata)

    @router.get("/secrets/{name}/versions", response_model=HistoryOut, summary="A secret's versions")
    def history(call: CallOf, ref: RefOf, *, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> HistoryOut:
        return HistoryOut.of(control.history(call, ref, limit=limit))

    @router.get("/explain/{name}", response_model=ExplanationOut, summary="Which secret a name means")
    def explain(call: CallOf, ref: RefOf) -> ExplanationOut:
        return ExplanationOut.of(control.explain(call, ref))

    @router.get("/whoami", response_model=WhoamiOut, summary="Whose token this is")
    def whoami(request: Request, call: CallOf) -> WhoamiOut:
        bindings = control.whoami(call)
        return WhoamiOut.of(call.principal.name, request.app.state.organization, bindings)


def _version_in(if_match: str | None) -> str | None:
    if if_match is None:
        return None
    if len(if_match) < 3 or not (if_match.startswith('"') and if_match.endswith('"')):
        raise InvalidArgument('If-Match takes one version in double quotes, e.g. "5f1d0c5e9a7b4c3d"')
    return if_match[1:-1]


def _not_written(call: Call, ref: SecretRef, type_: SecretType, size: int) -> MetadataOut:
    now = datetime.now(UTC)
    name = call.principal.name
    return MetadataOut.of(SecretMetadata(ref, type_, "", now, now, name, name, size))
