"""One admission from bytes to bytes: joins the decisions, without network types.

What takes no waiting (an inline store, everything staged) is answered at once, without a task or a timer, and
what is answered together shares one look at the store and one write of audit records.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from injector.delivery.staging import Staged, Staging, rehearse
from injector.dialects import Dialect, asking_dialect
from injector.for_all import ForAll, possible_claims
from injector.layout import Layout, lay_out, refuse_unasked
from injector.outcomes import ALL_FRESH, Outcome, StagedNames, outcome_of
from injector.patch import build_patch
from injector.refusals import STATUS_BY_CODE, Refused, absence_of, refuse_pod, refuse_secrets
from injector.requests import Claim, PodRequests, SecretRequest
from injector.review import (
    AdmissionRequest,
    Pod,
    decode_review,
    encode_allowed,
    encode_patched,
    encode_refusal,
    pod_of,
)
from injector.trust import Labels, Proof, Unconfirmed, confirm_scope, prove_scope
from secrets_svc.core.audit import AuditEvent, AuditSecret, AuditSink, rfc3339
from secrets_svc.core.caches import WeightedCache
from secrets_svc.core.errors import (
    Changed,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    SecretsError,
    Unavailable,
)
from secrets_svc.core.ports import Resolved
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import Selector
from secrets_svc.data.reading import Hits, Moment, ScopedReading

log = logging.getLogger(__name__)

_V1 = "admission.k8s.io/v1"
_NO_LABELS: Labels = {}
#: Tries, when a secret is written between being resolved and being read.
_ATTEMPTS = 4

#: Outcomes are weighed by their requests, and by this for what their plans keep (some 100 kB at most).
OUTCOME_WEIGHT = 64
MAX_OUTCOMES = 32_768


@dataclass(slots=True)
class Arrival:
    """A pod that gets something, or would if its scope were proven.

    :param dialect: the one that it asks in; ``None``: it asks for nothing, and gets what all get.
    :param claims: the scope that it says it is in, or those that it may mean.
    """

    request: AdmissionRequest
    pod: Pod
    dialect: Dialect | None
    claims: tuple[Claim, ...]


@dataclass(slots=True)
class Admission:
    """A pod that may ask: its scope is proven and everything has its place."""

    request: AdmissionRequest
    pod: Pod
    scope: Scope
    requests: PodRequests
    layout: Layout


@dataclass(slots=True)
class Decision:
    """A decision and the record of it, which is kept before anybody hears of it."""

    uid: str
    answer: bytes
    event: AuditEvent


_NO_CLAIM = "its labels can be no scope"


#: An AdmissionReview; now or later; or why there is nobody to answer.
Answered = bytes | Awaitable[bytes] | InvalidArgument


class AdmissionHandler:
    """Answers AdmissionReviews.

    :param reading: looks names up. :param staging: puts values beside pods.
    :param dialects: how pods may ask. :param proofs: the ones that the operator switched on.
    :param pulls: what all pods with a proven scope pull their images with, also those that ask for nothing.
    :param audit: one event a decision. :param deadline: seconds for one admission.
    """

    def __init__(
        self,
        *,
        reading: ScopedReading,
        staging: Staging,
        dialects: Sequence[Dialect],
        proofs: Sequence[Proof],
        pulls: Sequence[SecretRequest] = (),
        audit: AuditSink,
        deadline: float,
    ) -> None:
        self._reading = reading
        self._staging = staging
        self._dialects = tuple(dialects)
        self._proofs = tuple(proofs)
        self._for_all = ForAll(pulls)
        self._audit = audit
        self._deadline = deadline
        self._outcomes: WeightedCache[tuple[PodRequests, StagedNames], Outcome]
        self._outcomes = WeightedCache(MAX_OUTCOMES)

    def answer(self, bodies: Sequence[bytes]) -> list[Answered]:
        """The AdmissionReviews that answer those in ``bodies``, which have all arrived. Never raises."""
        moment = self._reading.moment()
        decided = [self._decide(body, moment) for body in bodies]
        self._record([each for each in decided if isinstance(each, Decision)])
        return [each.answer if isinstance(each, Decision) else each for each in decided]

    def _record(self, decisions: Sequence[Decision]) -> None:
        """Without a record none of them stands (I5)."""
        if not decisions:
            return
        try:
            self._audit.record_all([each.event for each in decisions])
        except Exception as error:
            for each in decisions:
                each.answer = _encode_refusal(each.uid, _as_refusal(error, each.uid))

    def _decide(self, body: bytes, moment: Moment) -> Decision | Awaitable[bytes] | InvalidArgument:
        try:
            api_version, request = decode_review(body)
        except InvalidArgument as error:
            return error
        if api_version != _V1:
            return _refuse_version(api_version[:64], request)
        arrival = None
        try:
            arrival = self._arrived(request, pod_of(request))
            if arrival is None:
                return _allow(request)
            scope = self._prove(arrival)
            if scope is None:
                return self._answer_later(arrival, None)
            admission = self._open(arrival, scope)
            if admission is None:
                return _allow(request)
            return self._decide_now(admission, moment) or self._answer_later(arrival, admission)
        except Exception as error:
            return _unproven(arrival, error) or _refuse(request, error)

    def _arrived(self, request: AdmissionRequest, pod: Pod) -> Arrival | None:
        """What the pod is about; ``None`` where that is nothing."""
        dialect = asking_dialect(self._dialects, pod.metadata)
        if dialect is not None:
            return Arrival(request, pod, dialect, (dialect.claim(pod.metadata),))
        refuse_unasked(pod)
        if not self._for_all:
            return None
        return Arrival(request, pod, None, tuple(possible_claims(self._dialects, pod.metadata)))

    def _prove(self, arrival: Arrival) -> Scope | None:
        """The proven scope; ``None`` where a live look has the last word."""
        refusal = PermissionDenied(_NO_CLAIM)
        for claim in arrival.claims:
            try:
                return prove_scope(self._proofs, claim, **_circumstances(arrival))
            except Unconfirmed:
                return None
            except PermissionDenied as error:
                refusal = error
        raise refusal

    def _decide_now(self, admission: Admission, moment: Moment) -> Decision | None:
        """The decision, if nothing has to be waited for."""
        if admission.request.dry_run:
            return None
        try:
            hits = moment.resolve(admission.scope, admission.requests.selectors)
        except SecretsError as error:
            raise self._refused(error, admission) from error
        if hits is None:
            return None
        self._refuse_missing(admission, hits)
        staged: list[Staged | None] = []
        for hit in hits:
            known = self._staging.staged(admission.request.namespace, hit) if hit is not None else None
            if hit is not None and known is None:
                return None
            staged.append(known)
        return self._let_in(admission, tuple(staged))

    async def _answer_later(self, arrival: Arrival, admission: Admission | None) -> bytes:
        """The answer after all that takes waiting; without ``admission`` its scope is yet to be confirmed."""
        due = asyncio.get_running_loop().time() + self._deadline
        try:
            if admission is None:
                admission = self._open(arrival, await self._confirm(arrival, due))
            if admission is None:
                decision = _allow(arrival.request)
            else:
                decision = self._let_in(admission, *await self._find(admission, due))
        except Exception as error:
            decision = _unproven(arrival, error) or _refuse(arrival.request, error)
        self._record([decision])
        return decision.answer

    async def _confirm(self, arrival: Arrival, due: float) -> Scope:
        try:
            async with asyncio.timeout_at(due):
                refusal = PermissionDenied(_NO_CLAIM)
                for claim in arrival.claims:
                    try:
                        return await confirm_scope(self._proofs, claim, **_circumstances(arrival))
                    except PermissionDenied as error:
                        refusal = error
                raise refusal
        except TimeoutError:
            raise DeadlineExceeded(
                f"no answer within {self._deadline:g} s about what the namespace stands for"
            ) from None

    def _open(self, arrival: Arrival, scope: Scope) -> Admission | None:
        """What is asked for and where it goes; no store is asked. ``None`` where that is nothing."""
        pod, dialect = arrival.pod, arrival.dialect
        requests = self._for_all.with_requests(None if dialect is None else dialect.parse(pod.metadata))
        if requests is None:
            refuse_unasked(pod)
            return None
        return Admission(arrival.request, pod, scope, requests, lay_out(pod, requests))

    async def _find(self, admission: Admission, due: float) -> tuple[StagedNames, Mapping[Selector, float]]:
        """Resolve and stage, again where something is written meanwhile. Second: what is as of which time,
        because its store can't be asked now.
        """
        try:
            async with asyncio.timeout_at(due):
                for _ in range(_ATTEMPTS):
                    hits = await self._reading.resolve(admission.scope, admission.requests.selectors)
                    self._refuse_missing(admission, hits)
                    try:
                        return await self._stage_all(admission, hits), _as_of(admission, hits)
                    except (Changed, NotFound):  # written or deleted since: look again
                        continue
        except TimeoutError:
            late = DeadlineExceeded(f"no answer within {self._deadline:g} s")
            raise self._refused(late, admission) from None
        except SecretsError as error:
            raise self._refused(error, admission) from error
        raise self._refused(Unavailable("it was written over and over while being read"), admission)

    async def _stage_all(self, admission: Admission, hits: Hits) -> StagedNames:
        namespace, dry_run = admission.request.namespace, admission.request.dry_run

        async def stage(hit: Resolved | None) -> Staged | None:
            if hit is None:
                return None
            if dry_run:
                return await rehearse(hit, self._reading.read)
            known = self._staging.staged(namespace, hit)
            return known or await self._staging.stage(namespace, hit, self._reading.read)

        return tuple(await asyncio.gather(*map(stage, hits)))

    def _let_in(
        self, admission: Admission, staged: StagedNames, as_of: Mapping[Selector, float] = ALL_FRESH
    ) -> Decision:
        outcome = self._outcome(admission, staged, as_of)
        if outcome.unfit is not None:
            unfit, error = outcome.unfit
            raise self._refused(error, admission, [unfit])
        patch = build_patch(admission.pod, admission.layout, outcome.plan)
        request = admission.request
        if patch:
            answer = encode_patched(request.uid, patch, outcome.warnings)
        else:
            answer = encode_allowed(request.uid, outcome.warnings)
        event = _event(request, "ok", outcome.audit)
        if as_of:
            event.detail["as_of"] = {each.name: rfc3339(at) for each, at in as_of.items()}
        return Decision(request.uid, answer, event)

    def _outcome(self, admission: Admission, staged: StagedNames, as_of: Mapping[Selector, float]) -> Outcome:
        key = (admission.requests, staged)
        known = self._outcomes.get(key) if not as_of else None
        if known is not None:
            return known
        made = outcome_of(*key, self._reading.store_of, as_of)
        if not (as_of or admission.request.dry_run):  # what is made for one alone
            self._outcomes.put(key, made, OUTCOME_WEIGHT + len(admission.requests))
        return made

    def _refuse_missing(self, admission: Admission, hits: Hits) -> None:
        if all(hits):
            return
        requests = admission.requests
        absent = {each for each, hit in zip(requests.selectors, hits, strict=True) if hit is None}
        missing = [each for each in requests.items if each.selector in absent and not each.optional]
        if missing:
            raise self._refused(NotFound(absence_of(missing)), admission, missing)

    def _refused(
        self, error: SecretsError, admission: Admission, requests: Sequence[SecretRequest] = ()
    ) -> Refused:
        """About ``requests``, or all of the pod's."""
        about = requests or admission.requests.items
        scope = admission.scope
        store = error.store or self._reading.stores_of(scope)
        return refuse_secrets(error, about, scope=scope, store=store, detail=error.message)


def _as_of(admission: Admission, hits: Hits) -> Mapping[Selector, float]:
    found = zip(admission.requests.selectors, hits, strict=True)
    old = {selector: hit.as_of for selector, hit in found if hit is not None and hit.as_of is not None}
    return old or ALL_FRESH


class _Circumstances(TypedDict):
    namespace: str
    username: str
    labels: Labels


def _circumstances(arrival: Arrival) -> _Circumstances:
    """What proofs go by beside the claim: the API server's word; and labels, which are their maker's."""
    return {
        "namespace": arrival.request.namespace,
        "username": arrival.request.user_info.username,
        "labels": arrival.pod.metadata.labels or _NO_LABELS,
    }


def _allow(request: AdmissionRequest, *warnings: str) -> Decision:
    return Decision(request.uid, encode_allowed(request.uid, warnings), _event(request, "ok", ()))


def _unproven(arrival: Arrival | None, error: Exception) -> Decision | None:
    """A pod that asks for nothing and whose scope nothing proves is let in, without what is for all of one.

    One that says it is in a scope hears why not.
    """
    if arrival is None or arrival.dialect is not None or not isinstance(error, PermissionDenied):
        return None
    if any(claim != Claim() for claim in arrival.claims):
        return _allow(arrival.request, f"it gets no image-pull secrets of its scope: {error.message}")
    return _allow(arrival.request)


def _refuse_version(api_version: str, request: AdmissionRequest) -> Decision:
    code = InvalidArgument.code
    message = f"{code}: only {_V1} is taken here: set admissionReviewVersions: [v1]"
    answer = encode_refusal(api_version, request.uid, status=400, reason=code, message=message)
    return Decision(request.uid, answer, _event(request, code, ()))


def _refuse(request: AdmissionRequest, error: Exception) -> Decision:
    refusal = _as_refusal(error, request.uid)
    secrets = tuple(AuditSecret(name) for name in refusal.secrets)
    event = _event(request, refusal.error.code, secrets)
    return Decision(request.uid, _encode_refusal(request.uid, refusal), event)


def _encode_refusal(uid: str, refusal: Refused) -> bytes:
    code = refusal.error.code
    return encode_refusal(_V1, uid, status=STATUS_BY_CODE[code], reason=code, message=refusal.message)


def _as_refusal(error: Exception, uid: str) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, SecretsError):
        return refuse_pod(error)
    log.error("unforeseen %s in admission %s", type(error).__name__, uid[:64])
    return refuse_pod(Internal("an internal error; see the injector's log"))


def _event(request: AdmissionRequest, outcome: str, secrets: tuple[AuditSecret, ...]) -> AuditEvent:
    detail: dict[str, object] = {"namespace": request.namespace[:253]}
    if request.object is not None:
        detail["pod"] = request.object.display_name[:253]
    if request.dry_run:
        detail["dry_run"] = True
    actor, uid = request.user_info.username[:253], request.uid[:64]
    return AuditEvent("admission", "admit", actor, outcome, uid, secrets, detail)
