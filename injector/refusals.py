"""Refusals as a pod's owner reads them: one line with code, secret, scopes, store, and whether to retry."""

from __future__ import annotations

from collections.abc import Iterable

from injector.requests import SecretRequest, named_with_places
from secrets_svc.core.errors import SecretsError
from secrets_svc.core.scope import Scope, precedence_chain
from secrets_svc.core.secret import Selector

#: Status of the answer by code (DESIGN.md §9): 400 ends a Flyte task for good, 403 uses up a retry,
#: others are tried again without end.
STATUS_BY_CODE = {
    "invalid_argument": 400,
    "too_large": 400,
    "unsupported": 400,
    "unauthenticated": 403,
    "permission_denied": 403,
    "not_found": 400,
    "already_exists": 400,
    "conflict": 400,
    "throttled": 429,
    "quota_exceeded": 429,
    "unavailable": 503,
    "deadline_exceeded": 503,
    "internal": 500,
}


class Refused(Exception):
    """A pod is not let in.

    :param error: the cause; its code becomes the answer's status and reason.
    :param message: the whole line. :param secrets: names of the secrets it is about.
    """

    def __init__(self, error: SecretsError, message: str, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.error = error
        self.message = message
        self.secrets = secrets


def refuse_pod(error: SecretsError) -> Refused:
    """Something about the pod as a whole: no store was asked."""
    return Refused(
        error, f"{error.code}: {error.message}; no store was asked; retryable={_word(error.retryable)}"
    )


def refuse_secrets(
    error: SecretsError, requests: Iterable[SecretRequest], *, scope: Scope, store: str, detail: str = ""
) -> Refused:
    """Something about these secrets.

    :param detail: said after the code, e.g. what is wrong with a value.
    """
    by_secret: dict[Selector, list[SecretRequest]] = {}
    for request in requests:
        by_secret.setdefault(request.selector, []).append(request)
    named = ", ".join(map(named_with_places, list(by_secret.values())[:10]))
    more = f" and {len(by_secret) - 10} more" if len(by_secret) > 10 else ""
    looked = ", ".join(str(each) for each in precedence_chain(scope))
    parts = [f"{named}{more}: {error.code}"]
    if detail:
        parts.append(detail)
    parts += [f"looked in {looked}", f"store {store}", f"retryable={_word(error.retryable)}"]
    return Refused(error, "; ".join(parts), tuple(each.name for each in by_secret))


def absence_of(requests: Iterable[SecretRequest]) -> str:
    """What there is to say of absent secrets but that they are absent."""
    if all(request.version is None for request in requests):
        return ""
    return "there is no such secret, or its value at the wanted version is not kept: see secret history"


def _word(flag: bool) -> str:
    return "true" if flag else "false"
