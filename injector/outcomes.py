"""What the requests of a pod come to, once everything is looked up and staged. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from injector.delivery.staging import Staged
from injector.fit import misfit
from injector.patch import PatchPlan, is_attached
from injector.requests import PodRequests, SecretRequest, named_with_places
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
    warnings: list[str] = []
    unfit: tuple[SecretRequest, SecretsError] | None = None
    left_out: set[SecretRequest] = set()
    for selector, what in found.items():
        asking = requests.by_selector[selector]
        if what is None:
            warnings.append(f"optional {named_with_places(asking)} is absent")
            continue
        if selector in as_of:
            at = rfc3339(as_of[selector])
            warnings.append(f"{named_with_places(asking)} is as of {at}: it can't be looked up")
        for request, error in _misfits(asking, what):
            if request.attach and request.optional:
                left_out.add(request)
                warnings.append(f"optional {named_with_places([request])} is left out: {error.message}")
            elif unfit is None:
                unfit = (request, error)
    audit = tuple(_audited(selector, what, store_of) for selector, what in found.items())
    given = [None if each in left_out else found[each.selector] for each in requests.items]
    plan = PatchPlan(requests, given, status_text(requests, given, staged, store_of, as_of))
    return Outcome(plan, audit, tuple(warnings), unfit)


def _misfits(asking: Iterable[SecretRequest], what: Staged) -> Iterator[tuple[SecretRequest, SecretsError]]:
    for request in asking:
        error = misfit(request, what)
        if error is not None:
            yield request, error


def _audited(selector: Selector, what: Staged | None, store_of: Callable[[Scope], str]) -> AuditSecret:
    if what is None:
        return AuditSecret(selector.name)
    resolved = what.resolved
    store = store_of(resolved.ref.scope)
    return AuditSecret.of(resolved.ref, version=resolved.token, store=store, field=selector.field)


def status_text(
    requests: PodRequests,
    given: Sequence[Staged | None],
    staged: StagedNames,
    store_of: Callable[[Scope], str],
    as_of: Mapping[Selector, float],
) -> str:
    """The status annotation: names, scope hit, version, where it went. The same input gives the same text.

    :param given: what each of the requests gets.
    """
    pulled = {
        request.selector
        for request, what in zip(requests.items, given, strict=True)
        if what is not None and is_attached(request, what)
    }
    entries: list[dict[str, object]] = []
    for selector, what in zip(requests.selectors, staged, strict=True):
        asking = requests.by_selector[selector]
        entry: dict[str, object] = {"name": selector.name}
        if what is not None:
            scope = what.resolved.ref.scope
            entry |= {"store": store_of(scope), "scope": str(scope), "version": what.resolved.token}
        if selector.field is not None:
            entry["field"] = selector.field
        if selector in as_of:
            entry["as_of"] = rfc3339(as_of[selector])
        entry |= _places("env", [request.env for request in asking])
        entry |= _places("file", [request.file for request in asking])
        if selector in pulled:
            entry["image_pull"] = True
        entries.append(entry)
    return msgspec.json.encode(entries).decode()


def _places(kind: str, places: Iterable[str | None]) -> dict[str, object]:
    """One as a text, several as a list."""
    known = [place for place in places if place is not None]
    return {} if not known else {kind: known[0] if len(known) == 1 else known}
