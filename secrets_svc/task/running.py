"""Which requests the functions made that are running now, innermost last."""

from __future__ import annotations

from contextvars import ContextVar

from secrets_svc.task.errors import InvalidRequest
from secrets_svc.task.requests import Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

_RUNNING: ContextVar[tuple[tuple[Secret, ...], ...]] = ContextVar("secrets_svc.task.running", default=())


class Running:
    """For as long as the block lasts, ``requests`` are those of the running function."""

    def __init__(self, requests: tuple[Secret, ...]) -> None:
        self._requests = requests
        self._before: Token[tuple[tuple[Secret, ...], ...]] | None = None

    def __enter__(self) -> None:
        self._before = _RUNNING.set((*_RUNNING.get(), self._requests))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._before is not None
        try:
            _RUNNING.reset(self._before)
        except ValueError:
            return  # a coroutine that nobody finished is closed outside of its own context


def declared(name: str) -> tuple[Secret, ...]:
    """The requests for ``name`` of the innermost running function that makes any.

    :raises InvalidRequest: they are for several values, of which none is meant more than the others.
    """
    for requests in reversed(_RUNNING.get()):
        found = tuple(each for each in requests if each.name == name)
        if len({each.selector for each in found}) > 1:
            raise InvalidRequest(
                f'secret "{name}" is asked for in several versions or fields: say which by giving the Secret '
                "itself instead of its name"
            )
        if found:
            return found
    return ()
