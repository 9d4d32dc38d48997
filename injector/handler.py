"""One admission from bytes to bytes: joins the decisions, without network types."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from injector.delivery.staging import Staged, Staging, rehearse
from injector.dialects import ours
from injector.fit import misfit
from injector.layout import lay_out, refuse_stray_references
from injector.patch import build_patch
from injector.refusals import STATUS_BY_CODE, Refused, refuse_pod, refuse_secrets
from injector.requests import PodRequests, SecretRequest
from injector.review import (
    AdmissionRequest,
    Pod,
    decode_review,
    encode_allowed,
    encode_patched,
    encode_refusal,
    pod_of,
)
from injector.trust import Proof, prove_scope
from secrets_svc.core.audit import AuditEvent, AuditSecret, AuditSink
from secrets_svc.core.errors import (
    Changed,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    NotFound,
    SecretsError,
    Unavailable,
)
from secrets_svc.core.ports import Resolved
from secrets_svc.core.scope import Scope
from secrets_svc.data.reading import ScopedReading

log = logging.getLogger(__name__)

_V1 = "admission.k8s.io/v1"
#: Tries, when a secret is written between being resolved and being read.
_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Found:
    """What one request came to; ``None`` twice where an optional secret is absent."""

    resolved: Resolved | None
    staged: Staged | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A pod that is let in: its patch (base64, maybe empty), and what it got."""

    patch: bytes
    scope: Scope | None = None
    secrets: tuple[AuditSecret, ...] = ()
    warnings: tuple[str, ...] = ()


class AdmissionHandler:
    """Answers AdmissionReviews.

    :param reading: looks names up. :param staging: puts values beside pods.
    :param proofs: the ones that the operator switched on. :param audit: one event a decision.
    :param deadline: seconds for one admission.
    """

    def __init__(
        self,
        *,
        reading: ScopedReading,
        staging: Staging,
        proofs: Sequence[Proof],
        audit: AuditSink,
        deadline: float,
    ) -> None:
        self._reading = reading
        self._staging = staging
        self._proofs = tuple(proofs)
        self._audit = audit
        self._deadline = deadline

    async def answer(self, body: bytes) -> bytes:
        """The AdmissionReview that answers the one in ``body``.

        :raises InvalidArgument: ``body`` is none, so that there is nobody to answer.
        """
        api_version, request = decode_review(body)
        if api_version != _V1:
            return encode_refusal(
                api_version[:64],
                request.uid,
                status=400,
                reason=InvalidArgument.code,
                message=f"invalid_argument: only {_V1} is taken here: set admissionReviewVersions: [v1]",
            )
        pod: Pod | None = None
        try:
            pod = pod_of(request)
            outcome = await self._admit(request, pod)
            self._audit.record(_event(request, pod, "ok", outcome.secrets))
        except Refused as refusal:
            return self._refuse(request, pod, refusal)
        except SecretsError as error:
            return self._refuse(request, pod, refuse_pod(error))
        except Exception as error:
            log.exception(
                "unforeseen %s in admission %s", type(error).__name__, request.uid[:64], exc_info=False
            )
            return self._refuse(
                request, pod, refuse_pod(Internal("an internal error; see the injector's log"))
            )
        if not outcome.patch:
            return encode_allowed(request.uid, outcome.warnings)
        return encode_patched(request.uid, outcome.patch, outcome.warnings)

    async def _admit(self, request: AdmissionRequest, pod: Pod) -> Outcome:
        requests = ours.parse(pod.metadata)
        if not requests:
            refuse_stray_references(pod.spec)
            return Outcome(b"")
        scope = prove_scope(
            self._proofs,
            ours.claim(pod.metadata),
            namespace=request.namespace,
            username=request.user_info.username,
        )
        layout = lay_out(pod, requests)
        found = await self._find(scope, requests, namespace=request.namespace, dry_run=bool(request.dry_run))
        status = status_text(requests.items, found, self._reading.store)
        patch = build_patch(
            pod, layout, [each.staged.name if each.staged else None for each in found], status
        )
        warnings = tuple(
            f'optional secret "{each.name}" ({each.places}) is absent'
            for each, what in zip(requests.items, found, strict=True)
            if what.resolved is None
        )
        return Outcome(patch, scope, _audit_secrets(requests.items, found, self._reading.store), warnings)

    async def _find(
        self, scope: Scope, requests: PodRequests, *, namespace: str, dry_run: bool
    ) -> list[Found]:
        """What each request comes to, decided within the deadline."""
        try:
            async with asyncio.timeout(self._deadline):
                for attempt in range(_ATTEMPTS):
                    try:
                        return await self._find_once(scope, requests, namespace, dry_run)
                    except (Changed, NotFound) as error:  # written or deleted since: look again
                        if attempt == _ATTEMPTS - 1:
                            unstable = Unavailable("it was written over and over while being read")
                            raise self._refused(unstable, requests.items, scope) from error
        except TimeoutError:
            late = DeadlineExceeded(f"no answer within {self._deadline:g} s")
            raise self._refused(late, requests.items, scope) from None
        except SecretsError as error:
            raise self._refused(error, requests.items, scope) from error
        raise AssertionError("unreachable")

    async def _find_once(
        self, scope: Scope, requests: PodRequests, namespace: str, dry_run: bool
    ) -> list[Found]:
        hits = await self._reading.resolve(scope, requests.names)
        missing = [each for each in requests.items if hits[each.name] is None and not each.optional]
        if missing:
            raise refuse_secrets(NotFound(""), missing, scope=scope, store=self._reading.store)
        staged = await self._stage_all(namespace, hits.values(), dry_run=dry_run)
        found: list[Found] = []
        for request in requests.items:
            hit = hits[request.name]
            each = Found(hit, staged[hit] if hit is not None else None)
            unfit = misfit(request, each.staged) if each.staged is not None else None
            if unfit is not None:
                raise self._refused(unfit, [request], scope)
            found.append(each)
        return found

    async def _stage_all(
        self, namespace: str, hits: Iterable[Resolved | None], *, dry_run: bool
    ) -> dict[Resolved, Staged]:
        staged: dict[Resolved, Staged] = {}
        cold: list[Resolved] = []
        for hit in hits:
            if hit is None:
                continue
            known = self._staging.staged(namespace, hit)
            if known is None or dry_run:
                cold.append(hit)
            else:
                staged[hit] = known
        if cold:
            stage = self._rehearse if dry_run else self._stage
            fresh = await asyncio.gather(*(stage(namespace, hit) for hit in cold))
            staged.update(zip(cold, fresh, strict=True))
        return staged

    async def _stage(self, namespace: str, hit: Resolved) -> Staged:
        return await self._staging.stage(namespace, hit, self._reading.read)

    async def _rehearse(self, namespace: str, hit: Resolved) -> Staged:
        del namespace
        return await rehearse(hit, self._reading.read)

    def _refused(self, error: SecretsError, requests: Iterable[SecretRequest], scope: Scope) -> Refused:
        return refuse_secrets(error, requests, scope=scope, store=self._reading.store, detail=error.message)

    def _refuse(self, request: AdmissionRequest, pod: Pod | None, refusal: Refused) -> bytes:
        secrets = tuple(AuditSecret(name) for name in refusal.secrets)
        try:
            self._audit.record(_event(request, pod, refusal.error.code, secrets))
        except SecretsError as error:
            refusal = refuse_pod(error)
        return encode_refusal(
            _V1,
            request.uid,
            status=STATUS_BY_CODE[refusal.error.code],
            reason=refusal.error.code,
            message=refusal.message,
        )


def status_text(requests: Sequence[SecretRequest], found: Sequence[Found], store: str) -> str:
    """The status annotation: names, scope hit, version, where it went. The same input gives the same text."""
    entries = [
        {
            "name": request.name,
            "scope": str(each.resolved.ref.scope) if each.resolved else None,
            "version": each.resolved.token if each.resolved else None,
            "store": store,
            "env": request.env,
            "file": request.file,
        }
        for request, each in zip(requests, found, strict=True)
    ]
    kept = [{key: value for key, value in entry.items() if value is not None} for entry in entries]
    return msgspec.json.encode(kept).decode()


def _audit_secrets(
    requests: Sequence[SecretRequest], found: Sequence[Found], store: str
) -> tuple[AuditSecret, ...]:
    return tuple(
        AuditSecret.of(each.resolved.ref, version=each.resolved.token, store=store)
        if each.resolved
        else AuditSecret(request.name, store=store)
        for request, each in zip(requests, found, strict=True)
    )


def _event(
    request: AdmissionRequest, pod: Pod | None, outcome: str, secrets: tuple[AuditSecret, ...]
) -> AuditEvent:
    detail: dict[str, object] = {"namespace": request.namespace[:253]}
    if pod is not None:
        detail["pod"] = pod.display_name[:253]
    if request.dry_run:
        detail["dry_run"] = True
    return AuditEvent(
        "admission", "admit", request.user_info.username[:253], outcome, request.uid[:64], secrets, detail
    )
