"""What the API server answers instead of an object, told apart by what somebody can do about it."""

from __future__ import annotations

from typing import Any

from secrets_svc.core.errors import (
    Conflict,
    DeadlineExceeded,
    Internal,
    QuotaExceeded,
    SecretsError,
    Throttled,
    TooLarge,
    Unavailable,
    Unreadable,
)


class ApiError(Exception):
    """A call that brought no object.

    :param status: HTTP status; 0 where there was no answer.
    :param reason: of the Status object (``AlreadyExists``, ``Forbidden``, …), "" where there is none.
    :param text: the server's own words. Never shown: :meth:`translated` finds ours.
    :param causes: reasons in the Status' details.
    :param subject: resource and name in them, e.g. ``("secrets", "a")``: what the answer is about.
    :param retry_after: seconds, where the server says so.
    """

    def __init__(
        self,
        status: int,
        reason: str = "",
        text: str = "",
        *,
        causes: tuple[str, ...] = (),
        subject: tuple[str, str] = ("", ""),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"the API server answered {status} {reason}".rstrip())
        self.status = status
        self.reason = reason
        self.text = text
        self.causes = causes
        self.subject = subject
        self.retry_after = retry_after

    @property
    def is_absent(self) -> bool:
        """There is no such object."""
        return self.status == 404

    def is_absence_of(self, resource: str, name: str) -> bool:
        """The API server itself says that there is no such object: no proxy, and nothing of its namespace."""
        return self.is_absent and self.reason == "NotFound" and self.subject == (resource, name)

    @property
    def is_there_already(self) -> bool:
        """There is an object of that name."""
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def is_conflict(self) -> bool:
        """A precondition no longer holds."""
        return self.status == 409 and self.reason != "AlreadyExists"

    @property
    def is_expired(self) -> bool:
        """What a watch or a page asks for is too old: list again."""
        return self.status == 410

    @property
    def is_terminating(self) -> bool:
        """The namespace is being deleted."""
        return self.status in (403, 409) and "NamespaceTerminating" in self.causes

    @property
    def is_over_quota(self) -> bool:
        """A ResourceQuota is used up. The admission plugin says so in its text only."""
        return self.status == 403 and "exceeded quota" in self.text

    def translated(self, what: str) -> SecretsError:
        """As an error of ours.

        :param what: was tried, e.g. ``stage a Secret in namespace "a"``.
        """
        error = self._kind()(f"can't {what}: {self._why()}", retry_after=self.retry_after)
        error.__cause__ = self
        return error

    def _kind(self) -> type[SecretsError]:
        if self.is_over_quota:
            return QuotaExceeded
        if self.is_terminating:
            return Unreadable
        return _KINDS.get(self.status, Unavailable)

    def _why(self) -> str:
        if self.is_terminating:
            return "the namespace is being deleted"
        if self.is_over_quota:
            return "a ResourceQuota of the namespace is used up"
        if self.is_absent and self.subject[0] == "namespaces":
            return "there is no such namespace"
        return _REASONS.get(self.status, "the API server doesn't answer as it should")


class NoAnswer(ApiError):
    """The API server can't be reached, or hung up."""

    def __init__(self) -> None:
        super().__init__(0)

    def _why(self) -> str:
        return "the API server can't be reached"


class TimedOut(ApiError):
    """It didn't answer in time."""

    def __init__(self) -> None:
        super().__init__(504, "Timeout")


_KINDS: dict[int, type[SecretsError]] = {
    400: Internal,
    403: Unreadable,
    409: Conflict,
    413: TooLarge,
    422: Internal,
    429: Throttled,
    504: DeadlineExceeded,
}
_REASONS = {
    400: "the API server can't make sense of it",
    401: "the API server doesn't accept this service's identity",
    403: "this service's identity has no right to",
    404: "it isn't there",
    409: "somebody else changed it meanwhile",
    413: "it is too large for the API server",
    422: "the API server can't make sense of it",
    429: "the API server asks us to slow down",
    504: "the API server didn't answer in time",
}


def of_status(status: int, body: Any, retry_after: str | None = None) -> ApiError:
    """From an answer's status and its body, which is a ``meta/v1 Status`` if all is well."""
    if not isinstance(body, dict):
        body = {}
    details = body.get("details")
    details = details if isinstance(details, dict) else {}
    causes = details.get("causes")
    reasons = [each.get("reason") for each in causes or () if isinstance(each, dict)]
    after = _seconds(retry_after) or _seconds(details.get("retryAfterSeconds"))
    return ApiError(
        status,
        _text(body.get("reason")),
        _text(body.get("message")),
        causes=tuple(reason for reason in reasons if isinstance(reason, str)),
        subject=(_text(details.get("kind")), _text(details.get("name"))),
        retry_after=after,
    )


def _text(value: object) -> str:
    return value[:2000] if isinstance(value, str) else ""


def _seconds(value: object) -> float | None:
    try:
        seconds = float(str(value))
    except ValueError:
        return None
    return seconds if 0 < seconds < 3600 else None
