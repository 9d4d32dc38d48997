"""The one tree of errors. Each has a stable code and a text that is safe to show.

    SecretsError
    ├── InvalidArgument      invalid_argument    the request can't be understood
    │   └── TooLarge         too_large           … because it is over a limit
    ├── Unsupported          unsupported         understood, but this store or build can't do it
    ├── Unauthenticated      unauthenticated     nobody we know
    ├── PermissionDenied     permission_denied   known, but not allowed
    ├── NotFound             not_found
    ├── AlreadyExists        already_exists
    ├── Conflict             conflict            the expected version is no longer current
    │   └── Changed          conflict            the token given to ``read`` is no longer current
    ├── Throttled            throttled           asked to slow down
    ├── QuotaExceeded        quota_exceeded      a quota of the platform is used up
    ├── Unavailable          unavailable         a part we need doesn't answer
    │   └── Unreadable       unavailable         … for this secret or scope: the store itself answers
    │       └── Spoilt       unavailable         … because the secret isn't as we wrote it
    ├── DeadlineExceeded     deadline_exceeded   … not in time
    └── Internal             internal            our own defect

Edges map codes to their own statuses (REST, admission, CLI exit); a test walks this tree and wants an
entry at each. Texts of vendors never enter a message: adapters chain them as ``__cause__`` instead.
"""

from __future__ import annotations


class SecretsError(Exception):
    """Base of all errors of this product.

    :param message: safe to show to whoever asked: it never holds a value or a vendor's text.
    :param retry_after: seconds after which a repeat makes sense, where known.
    :ivar store: the store that it came from, where one is known.
    """

    code: str = "internal"
    store: str | None = None
    retryable: bool = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message


class InvalidArgument(SecretsError):
    """What was asked can't be understood; asking again won't help."""

    code = "invalid_argument"


class TooLarge(InvalidArgument):
    """Over a limit, which the message names in bytes."""

    code = "too_large"


class Unsupported(SecretsError):
    """Understood, but not possible with this store, build or mode."""

    code = "unsupported"


class Unauthenticated(SecretsError):
    """No credentials, or none that we know."""

    code = "unauthenticated"


class PermissionDenied(SecretsError):
    """The principal is known and not allowed to do this; also a scope without proof."""

    code = "permission_denied"


class NotFound(SecretsError):
    """There is no such secret. The only error that gives way to a wider scope (I4)."""

    code = "not_found"


class AlreadyExists(SecretsError):
    """``create`` found a secret of that name in that scope."""

    code = "already_exists"


class Conflict(SecretsError):
    """The version the caller expected is not the current one."""

    code = "conflict"


class Changed(Conflict):
    """The token handed to ``SecretReader.read`` is no longer current: resolve again."""


class Throttled(SecretsError):
    """The store asked us to slow down."""

    code = "throttled"
    retryable = True


class QuotaExceeded(SecretsError):
    """A quota of the platform (a namespace's, an account's) is used up."""

    code = "quota_exceeded"
    retryable = True


class Unavailable(SecretsError):
    """A part we depend on doesn't answer, or answers nonsense."""

    code = "unavailable"
    retryable = True


class Unreadable(Unavailable):
    """The store answered, and keeps us from this secret or scope; it says nothing about the others."""


class Spoilt(Unreadable):
    """What lies in the store under that name isn't as we wrote it."""


class DeadlineExceeded(SecretsError):
    """A part we depend on didn't answer in time."""

    code = "deadline_exceeded"
    retryable = True


class Internal(SecretsError):
    """A defect of ours. The log line with the same request id says more."""

    code = "internal"
    retryable = True


def by_code() -> dict[str, type[SecretsError]]:
    """Every code with the class that stands for it (the most general where two share a code)."""
    found: dict[str, type[SecretsError]] = {}
    pending = list(SecretsError.__subclasses__())
    while pending:
        cls = pending.pop(0)
        found.setdefault(cls.code, cls)
        pending.extend(cls.__subclasses__())
    return found


def is_the_stores(error: SecretsError | None) -> bool:
    """Whether ``error`` is of the store as a whole, and may pass: then other secrets aren't tried in vain."""
    return error is not None and error.retryable and not isinstance(error, Unreadable)
