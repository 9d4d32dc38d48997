"""Requests as a pod's annotation and labels, and back."""

from __future__ import annotations

import json

from secrets_svc.task import rules
from secrets_svc.task.errors import InvalidRequest, TooLarge
from secrets_svc.task.requests import FIELDS, Secret, refuse_two_pulls, together

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from secrets_svc.task.requests import Request


def pod_request(
    requests: Iterable[Request], *, project: str | None = None, domain: str | None = None
) -> dict[str, dict[str, str]]:
    """What a pod's metadata must have to get ``requests``: ``{"labels": …, "annotations": …}``.

    :param project: the scope that the pod claims to be in, with ``domain``; by default that of its namespace.
    :raises InvalidRequest: the injector would refuse it, and why.
    """
    made = together(requests)
    return {"labels": claim(project, domain), "annotations": {rules.REQUEST: text_of(made)} if made else {}}


def claim(project: str | None, domain: str | None) -> dict[str, str]:
    """The labels of a scope."""
    labels = {}
    if project is not None:
        labels[rules.PROJECT_LABEL] = rules.valid_label("project", project)
    if domain is not None:
        labels[rules.DOMAIN_LABEL] = rules.valid_label("domain", domain)
    return labels


def text_of(requests: tuple[Secret, ...]) -> str:
    """The annotation of ``requests``, which go :func:`~secrets_svc.task.requests.together`."""
    text = json.dumps([each.entry() for each in requests])
    _check_length(text)
    return text


def requests_in(text: str) -> tuple[Secret, ...]:
    """The requests that an annotation makes.

    :raises InvalidRequest: the injector would refuse it, and why.
    """
    if not isinstance(text, str):
        raise InvalidRequest(f"annotation {rules.REQUEST} must be a text, not something {rules.shown(text)}")
    _check_length(text)
    try:
        entries = json.loads(text, object_pairs_hook=_object)
    except InvalidRequest:  # which is a ValueError too
        raise
    except (ValueError, RecursionError):
        raise InvalidRequest(f"annotation {rules.REQUEST} is not valid JSON") from None
    if not isinstance(entries, list):
        raise InvalidRequest(f"annotation {rules.REQUEST} must be a JSON array of requests")
    if len(entries) > rules.MAX_REQUESTS:
        raise TooLarge(
            f"annotation {rules.REQUEST} has {len(entries)} requests, over the limit of {rules.MAX_REQUESTS}"
        )
    made = [_request(index, entry) for index, entry in enumerate(entries)]
    refuse_two_pulls(made)
    if len(set(made)) < len(made):  # there it is no agreement, but refused
        twice = next(each for each in made if made.count(each) > 1)
        kind, place = ("env", twice.env) if twice.env is not None else ("file", twice.file)
        raise InvalidRequest(f"two requests want {kind} {rules.shown(place)} in one container")
    return together(made)


def _check_length(text: str) -> None:
    if len(text) > rules.MAX_ANNOTATION:
        raise TooLarge(
            f"annotation {rules.REQUEST} has {len(text)} characters, over the limit of {rules.MAX_ANNOTATION}"
        )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidRequest(f"annotation {rules.REQUEST} has {rules.shown(name)} twice in one request")
        found[name] = value
    return found


def _request(index: int, entry: Any) -> Secret:
    place = f"request {index} of annotation {rules.REQUEST}"
    if not isinstance(entry, dict):
        raise InvalidRequest(f"{place} is not an object")
    unknown = sorted(entry.keys() - FIELDS)
    if unknown:
        raise InvalidRequest(
            f"{place}: unknown field {rules.shown(unknown[0])}; known: {', '.join(sorted(FIELDS))}"
        )
    try:
        return Secret(**{"name": None, **entry})
    except InvalidRequest as error:
        raise type(error)(f"{place}: {error.message}") from None


def merged(
    before: tuple[dict[str, str], dict[str, str]],
    requests: tuple[Secret, ...],
    labels: dict[str, str],
) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and annotations of ``before`` with the requests and the claim in them.

    What is asked for there already agrees with ``requests``, or goes beside them.

    :raises InvalidRequest: two of them want one place, or the claim is another one.
    """
    own_labels, annotations = before
    for key, wanted in labels.items():
        if own_labels.get(key, wanted) != wanted:
            raise InvalidRequest(
                f"label {key} is {rules.shown(own_labels[key])} already, and {rules.shown(wanted)} is wanted"
            )
    if requests:
        there = requests_in(annotations[rules.REQUEST]) if rules.REQUEST in annotations else ()
        annotations = {**annotations, rules.REQUEST: text_of(together((*there, *requests)))}
    return {**own_labels, **labels}, annotations
