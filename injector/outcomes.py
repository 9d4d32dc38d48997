"""What the requests of a pod come to, once everything is looked up and staged. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from injector.delivery.staging import Staged
from injector.fit import misfit
from injector.patch import PatchPlan
from injector.requests import PodRequests, SecretRequest
from secrets_svc.core.audit import AuditSecret, rfc3339
from secrets_svc.core.errors import SecretsError
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import Selector

#: What is staged for each selector of the requests; ``None`` where there is nothing.
StagedNames = tuple[Staged | None, ...]
#: Nothing is given as of an earlier time, because its store couldn't be asked.
ALL_FRESH: Mapping[Selector, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the requests of a pod came to. The same for all pods that ask the same and get the same."""

    plan: PatchPlan
    audit: tuple[AuditSecret, ...]
    warnings: tuple[str, ...] = ()
    unfit: tuple[SecretRequest, SecretsError] | None = None


def outcome_of(
    requests: PodRequests,
    staged: StagedNames,
    store_of: Callable[[Scope], str],
    as_of: Mapping[Selector, float] = ALL_FRESH,
) -> Outcome:
    """What ``requests`` come to, given what is staged for their selectors. Pure.

    :param store_of: the name of the store that a scope's secrets are in.
    :param as_of: when the store was last asked, for what it can't be asked about (epoch seconds).
    """
    found = dict(zip(requests.selectors, staged, strict=True))
    names: list[str | None] = []
    audit: list[AuditSecret] = []
    warnings: list[str] = []
    unfit: tuple[SecretRequest, SecretsError] | None = None
    for request in requests.items:
        what = found[request.selector]
        names.append(what.name if what is not None else None)
        if what is None:
            audit.append(AuditSecret(request.name))
            warnings.append(f'optional secret "{request.name}" ({request.places}) is absent')
            continue
        found_at = what.resolved.ref
        store = store_of(found_at.scope)
        audit.append(AuditSecret.of(found_at, version=what.resolved.token, store=store, field=request.field))
        if request.selector in as_of:
            at = rfc3339(as_of[request.selector])
            warnings.append(
                f'secret "{request.name}" ({request.places}) is as of {at}: it can\'t be looked up'
            )
        error = misfit(request, what.facts)
        if error is not None and unfit is None:
            unfit = (request, error)
    plan = PatchPlan(requests, names, status_text(requests, staged, store_of, as_of))
    return Outcome(plan, tuple(audit), tuple(warnings), unfit)


def status_text(
    requests: PodRequests,
    staged: StagedNames,
    store_of: Callable[[Scope], str],
    as_of: Mapping[Selector, float],
) -> str:
    """The status annotation: names, scope hit, version, where it went. The same input gives the same text."""
    found = dict(zip(requests.selectors, staged, strict=True))
    entries: list[dict[str, str]] = []
    for request in requests.items:
        what = found[request.selector]
        entry = {"name": request.name}
        if what is not None:
            scope = what.resolved.ref.scope
            entry |= {"store": store_of(scope), "scope": str(scope), "version": what.resolved.token}
        if request.field is not None:
            entry["field"] = request.field
        if request.selector in as_of:
            entry["as_of"] = rfc3339(as_of[request.selector])
        if request.env is not None:
            entry["env"] = request.env
        if request.file is not None:
            entry["file"] = request.file
        entries.append(entry)
    return msgspec.json.encode(entries).decode()
