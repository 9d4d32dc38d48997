"""What can go wrong here. Codes are the service's own; no text ever holds a value.

TaskError
├── InvalidRequest     invalid_argument    a request that no pod could make
│   └── TooLarge       too_large           … because it is over a limit
├── SecretsMissing     not_found           what was asked for isn't in this process
├── SecretUnreadable   unavailable         it is there, and can't be read as is wanted
└── LocalStateError    (as it says)        the state folder of this machine couldn't be asked
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes longer than all of this
if TYPE_CHECKING:
    from collections.abc import Sequence


class TaskError(Exception):
    """Base of all errors of this package.

    :ivar code: stable, for programs.
    """

    code = "internal"

    @property
    def message(self) -> str:
        """The text, which never holds a value."""
        return str(self.args[0]) if self.args else ""


class InvalidRequest(TaskError, ValueError):
    """What was asked can't be understood, or not together."""

    code = "invalid_argument"


class TooLarge(InvalidRequest):
    """Over a limit, which the message names."""

    code = "too_large"


class SecretsMissing(TaskError, LookupError):
    """Secrets that are needed aren't in this process.

    :ivar names: of all of them.
    """

    code = "not_found"

    def __init__(self, message: str, names: Sequence[str] = ()) -> None:
        super().__init__(message, tuple(names))
        self.names = tuple(names)

    def __str__(self) -> str:
        return self.message


class SecretUnreadable(TaskError):
    """A secret is there, but can't be read as is wanted."""

    code = "unavailable"


class LocalStateError(TaskError):
    """The state folder of this machine couldn't be asked."""

    def __init__(self, message: str, code: str = "unavailable") -> None:
        super().__init__(message, code)
        self.code = code

    def __str__(self) -> str:
        return self.message
